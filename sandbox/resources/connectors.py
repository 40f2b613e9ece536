"""/connectors: the server's table of connector types, which only members of Nexla's own organisation may read."""

from __future__ import annotations

from sandbox.server.routing import ApiError, Request, Response, route


@route("GET", "/connectors")
def index(request: Request) -> Response:
    """404 with an empty body: nobody here belongs to that organisation (public server sources)."""
    raise ApiError(404)
