"""Sessions: a service key is exchanged for a token, which expires or is logged out."""

from __future__ import annotations

import secrets

from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc


def user_of(request: Request) -> Doc:
    """The user of a request's bearer token.

    Raises:
        ApiError: 401 with an empty body, there is no valid token; 400, the header is a single word.
    """
    words = _authorization(request)
    for token in request.world.store.where("tokens", access_token=words[1]):
        user = request.world.store.get("users", token["user_id"])
        if user and token["expires_at"] > request.world.clock.now():
            return user
    raise ApiError(401)


def _authorization(request: Request) -> list[str]:
    words = request.authorization.split()
    if not words:
        raise ApiError(401)
    if len(words) < 2:
        raise ApiError(400, "Invalid header format")
    return words


def _issue(request: Request, user: Doc) -> Doc:
    world = request.world
    seconds = world.settings["token_seconds"]
    token = world.store.put(
        "tokens",
        {
            "access_token": secrets.token_urlsafe(32),
            "user_id": user["id"],
            "expires_at": world.clock.now() + seconds,
        },
    )
    return {
        "access_token": token["access_token"],
        "token_type": "Bearer",
        "expires_in": seconds,
        "user": {"id": user["id"], "email": user["email"], "full_name": user["full_name"], "impersonated": False},
        "org_membership": membership(user),
        "org": world.brief_org(user["org_id"]),
    }


def membership(user: Doc) -> Doc:
    """A user's place in the org; the key ``is_admin?`` is the server's own spelling (public server sources)."""
    return {
        "status": "ACTIVE",
        "is_admin?": bool(user.get("org_admin")),
        "access_role": "admin" if user.get("org_admin") else "member",
    }


@route("POST", "/token", public=True)
def login(request: Request) -> Doc:
    """A token for the service key in the ``Authorization: Basic`` header."""
    if not request.authorization:
        raise ApiError(400, "Invalid header format")
    words = _authorization(request)
    users = request.world.store.where("users", service_key=words[1])
    if words[0].lower() != "basic" or not users:
        raise ApiError(401)
    return _issue(request, users[0])


@route("POST", "/token/refresh")
def refresh(request: Request) -> Doc:
    """Another token; the old one stays valid."""
    return _issue(request, request.user)


@route("POST", "/token/logout", public=True)
def logout(request: Request) -> Response:
    """Revoke the token. Without a header the real server fails with this 500 (public server sources)."""
    if not request.authorization:
        raise ApiError(500, "undefined method `split' for nil")
    user_of(request)
    for token in request.world.store.where("tokens", access_token=request.authorization.split()[1]):
        request.world.store.delete("tokens", token["id"])
    return Response()
