"""What every handler of the sandbox needs: the request, the route table, errors, paging and filters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.state.store import Doc
    from sandbox.state.world import World


class ApiError(Exception):
    """An error answer. Without a message the body is empty, as on the real server."""

    def __init__(self, status: int, message: str | None = None, **extra: Any) -> None:
        super().__init__(message or str(status))
        self.status = status
        self.body: Doc | None = {**extra, "message": message} if message is not None else None
        self.headers: dict[str, str] = {}


@dataclass
class Request:
    """One parsed API request, with the user whom its token stands for."""

    world: World
    method: str
    path: str
    query: dict[str, str]
    body: Any
    ids: dict[str, int]
    text: dict[str, str]
    authorization: str
    user: Doc = field(default_factory=dict)

    def flag(self, name: str) -> bool:
        """A boolean query value; the SDK writes Python's True and False."""
        return self.query.get(name, "").lower() in {"1", "true", "yes"}

    def number(self, name: str, default: int | None = None) -> int | None:
        value = self.query.get(name)
        if value is None:
            return default
        if not re.fullmatch(r"-?\d+", value):
            raise ApiError(400, f"The property '#/{name}' of type string did not match the following type: integer")
        return int(value)

    def object(self) -> Doc:
        """The body as an object."""
        if not isinstance(self.body, dict):
            raise ApiError(400, "Cannot parse JSON request body")
        return self.body


@dataclass
class Answer:
    """A successful answer: JSON body (None is an empty body) and headers."""

    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


Handler = Callable[[Request], Any]


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Handler
    public: bool


ROUTES: list[Route] = []
RESOURCE_TYPES = "data_sources|data_sets|data_sinks"


def route(method: str, template: str, *, public: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler. ``{x_id}`` takes a number (``{run_id}`` also "latest"), ``{resource_type}`` one of the three
    types of flow resources."""

    def register(handler: Handler) -> Handler:
        pattern = template.replace("{run_id}", r"(?P<run_id>\d+|latest)")
        pattern = re.sub(r"\{(\w+_id)\}", r"(?P<\1>\\d+)", pattern)
        pattern = re.sub(r"\{resource_type\}", f"(?P<resource_type>{RESOURCE_TYPES})", pattern)
        ROUTES.append(Route(method, template, re.compile(pattern), handler, public))
        return handler

    return register


def page(request: Request, rows: list[Doc], per_page_name: str = "per_page") -> tuple[list[Doc], dict[str, str]]:
    """The asked-for page and its headers. Neither parameter: all rows; only ``page``: ten to a page."""
    asked_page, asked_size = request.number("page"), request.number(per_page_name)
    headers = {"X-Total-Count": str(len(rows))}
    if asked_page is None and asked_size is None:
        return rows, headers
    number, size = max(asked_page or 1, 1), max(asked_size or 10, 1)
    cap = request.world.settings["max_per_page"]
    size = min(size, cap) if cap else size
    part = rows[(number - 1) * size : number * size]
    pages = -(-len(rows) // size)
    headers |= {
        "X-Current-Page": str(number),
        "X-Page-Count": str(len(part)),
        "X-Total-Page-Count": str(pages),
    }
    links = [("Previous", number - 1)] if number > 1 else []
    links += [("Next", number + 1)] if number < pages else []
    if links:
        url = request.world.url + request.path
        headers["Link"] = ", ".join(f'<{url}?page={n}&per_page={size}>; rel="{rel}"' for rel, n in links)
    return part, headers


def newest_first(request: Request, rows: list[Doc]) -> list[Doc]:
    """Default order: created_at, then id, descending; ``sort_by`` and ``sort_order`` change it."""
    key = request.query.get("sort_by", "created_at")
    down = request.query.get("sort_order", "DESC").upper() == "DESC"
    return sorted(rows, key=lambda row: (str(row.get(key) or ""), row["id"]), reverse=down)


def filtered(request: Request, rows: list[Doc], **columns: str) -> list[Doc]:
    """Rows that pass the list filters: name (substring), status, tags, and comma lists named in ``columns``."""
    query = request.query
    if name := query.get("name"):
        rows = [row for row in rows if name.lower() in (row.get("name") or "").lower()]
    if status := query.get("status"):
        rows = [row for row in rows if str(row.get("status", "")).lower() == status.lower()]
    if tags := query.get("tags"):
        wanted = set(tags.split(","))
        rows = [row for row in rows if wanted & set(row.get("tags") or [])]
    for parameter, key in columns.items():
        if value := query.get(parameter):
            allowed = set(value.split(","))
            rows = [row for row in rows if str(row.get(key)) in allowed]
    return rows


def check_text(body: Doc) -> None:
    """Names and descriptions end at 255 characters."""
    for key in ("name", "description"):
        if isinstance(body.get(key), str) and len(body[key]) > 255:
            raise ApiError(400, f"The property '#/{key}' was not of a maximum string length of 255")
