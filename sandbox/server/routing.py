"""What every request handler needs: the parsed request, the response, API errors, and the route table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.state.store import Doc
from sandbox.state.world import World


class ApiError(Exception):
    """An error response. Without a message its body is empty, as on the real server (public server sources)."""

    def __init__(self, status: int, message: str | None = None, **extra: Any) -> None:
        super().__init__(message or str(status))
        self.status = status
        self.body: Doc | None = {**extra, "message": message} if message is not None else None
        self.headers: dict[str, str] = {}


@dataclass
class Request:
    """A parsed API request. ``user`` is the user of its token; handlers of public routes do not have one."""

    world: World
    method: str
    path: str
    query: dict[str, str]
    body: Any
    authorization: str = ""
    user: Doc = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)  # the numeric placeholders of the route's template
    words: dict[str, str] = field(default_factory=dict)  # its other placeholders

    @property
    def resource_type(self) -> str:
        """The ``{resource_type}`` of the path: data_sources, data_sets or data_sinks."""
        return self.words["resource_type"]

    def flag(self, name: str) -> bool:
        """A boolean query parameter; nexla-sdk sends Python's True and False."""
        return self.query.get(name, "").lower() in {"1", "true", "yes"}

    def integer(self, name: str) -> int | None:
        """An integer query parameter; None when it is absent.

        Raises:
            ApiError: 400, the value is not an integer.
        """
        value = self.query.get(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d+", value):
            raise ApiError(400, f"The property '#/{name}' of type string did not match the following type: integer")
        return int(value)

    def object(self) -> Doc:
        """The body as a JSON object.

        Raises:
            ApiError: 400, the body is something else.
        """
        if not isinstance(self.body, dict):
            raise ApiError(400, "Cannot parse JSON request body")
        return self.body


@dataclass
class Response:
    """A response: JSON body (None is an empty body), headers and status."""

    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


Handler = Callable[[Request], Any]  # returns a Response, or the body of one


@dataclass(frozen=True)
class Route:
    """A registered handler. A public route needs no session token."""

    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Handler
    public: bool


ROUTES: list[Route] = []
RESOURCE_TYPES = "data_sources|data_sets|data_sinks"


def route(method: str, template: str, *, public: bool = False) -> Callable[[Handler], Handler]:
    """Register the decorated handler.

    In the template ``{…_id}`` matches an integer (``{run_id}`` also "latest"), and ``{resource_type}`` one of
    data_sources, data_sets and data_sinks.
    """

    def register(handler: Handler) -> Handler:
        pattern = template.replace("{run_id}", r"(?P<run_id>\d+|latest)")
        pattern = re.sub(r"\{(\w+_id)\}", r"(?P<\1>\\d+)", pattern)
        pattern = re.sub(r"\{resource_type\}", f"(?P<resource_type>{RESOURCE_TYPES})", pattern)
        ROUTES.append(Route(method, template, re.compile(pattern), handler, public))
        return handler

    return register


def find_route(request: Request) -> Route | None:
    """The route of a request, whose placeholders are filled in; None when there is none."""
    for candidate in ROUTES:
        match = candidate.pattern.fullmatch(request.path) if candidate.method == request.method else None
        if match:
            for name, value in match.groupdict().items():
                if name.endswith("_id") and value.isdigit():
                    request.ids[name] = int(value)
                else:
                    request.words[name] = value
            return candidate
    return None
