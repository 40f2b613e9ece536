"""Rate limits as the real server counts them: per user, per second, by weight of the request."""

from __future__ import annotations

from typing import Any

from sandbox.server.routing import Answer, ApiError, Request, route
from sandbox.state.world import World

DEFAULTS = {"common": 10, "light": 12, "medium": 8, "high": 5}  # the server's per-user defaults
DAY_FACTOR = 21_600


class ThrottledError(ApiError):
    def __init__(self, retry_after: str) -> None:
        super().__init__(429, "Too many requests")
        self.headers = {"retry-after": retry_after}


def weight(method: str, path: str) -> str:
    """Which limit a request counts against."""
    if path == "/limits":
        return "common"
    if method == "GET" and ("data_set" in path or path.endswith("/all")):
        return "high"
    if method != "GET" or path.startswith(("/users", "/data_maps")):
        return "medium"
    return "light"


class Throttle:
    """Counts requests per user, weight and second; off until the setting ``limits`` is on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counts: dict[tuple[int, str, int], int] = {}

    def check(self, request: Request) -> None:
        limits = self._world.settings["limits"]
        if not limits or not request.user:
            return
        name = weight(request.method, request.path)
        key = (request.user["id"], name, int(self._world.clock.now()))
        self._counts = {k: v for k, v in self._counts.items() if k[2] >= key[2] - 1}
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] > {**DEFAULTS, **limits}[name]:
            raise ThrottledError("1")


@route("GET", "/limits", public=True)
def get_limits(request: Request) -> Any:
    limits = request.world.settings["limits"]
    if not limits:
        return Answer({})
    values = {**DEFAULTS, **limits}
    return {
        "second": {name: {"limit": value, "count": 0} for name, value in values.items()},
        "day": {name: {"limit": value * DAY_FACTOR, "count": 0} for name, value in values.items()},
    }
