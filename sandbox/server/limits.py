"""Rate limits as the real server counts them: per user, second and group of requests."""

from __future__ import annotations

from typing import Any

from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.world import World

DEFAULTS = {"common": 10, "light": 12, "medium": 8, "high": 5}  # per user and second (public server sources)
DAY_FACTOR = 21_600  # the server's daily limits are its limits per second times this


class ThrottledError(ApiError):
    """429 with a Retry-After header."""

    def __init__(self, retry_after: str) -> None:
        super().__init__(429, "Too many requests")
        self.headers = {"retry-after": retry_after}


def limit_of(method: str, path: str) -> str:
    """The name of the limit that a request counts towards."""
    if path == "/limits":
        return "common"
    if method == "GET" and ("data_set" in path or path.endswith("/all")):
        return "high"
    if method != "GET" or path.startswith(("/users", "/data_maps")):
        return "medium"
    return "light"


class Throttle:
    """Counts requests per user, limit and second. It does nothing while the setting ``limits`` is off."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counts: dict[tuple[int, str, int], int] = {}

    def check(self, request: Request) -> None:
        """Count a request.

        Raises:
            ThrottledError: its user's limit for this second is used up.
        """
        limits = self._world.settings["limits"]
        if not limits or not request.user:
            return
        name = limit_of(request.method, request.path)
        key = (request.user["id"], name, int(self._world.clock.now()))
        self._counts = {k: v for k, v in self._counts.items() if k[2] >= key[2] - 1}
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] > {**DEFAULTS, **limits}[name]:
            raise ThrottledError("1")


@route("GET", "/limits", public=True)
def get_limits(request: Request) -> Any:
    """The limits by name, per second and per day; an empty object while they are off."""
    limits = request.world.settings["limits"]
    if not limits:
        return Response({})
    values = {**DEFAULTS, **limits}
    return {
        "second": {name: {"limit": value, "count": 0} for name, value in values.items()},
        "day": {name: {"limit": value * DAY_FACTOR, "count": 0} for name, value in values.items()},
    }
