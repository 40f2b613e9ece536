"""Sessions: service key to token, expiry, logout."""

from __future__ import annotations

import secrets

from sandbox.server.routing import Answer, ApiError, Request, route
from sandbox.state.store import Doc


def _words(request: Request) -> list[str]:
    words = request.authorization.split()
    if not words:
        raise ApiError(401)
    if len(words) < 2:
        raise ApiError(400, "Invalid header format")
    return words


def user_of(request: Request) -> Doc:
    """The user whom the bearer token stands for; 401 with an empty body otherwise."""
    words = _words(request)
    for token in request.world.store.where("tokens", access_token=words[1]):
        user = request.world.store.get("users", token["user_id"])
        if user and token["expires_at"] > request.world.clock.now():
            return user
    raise ApiError(401)


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
    return {
        "status": "ACTIVE",
        "is_admin?": bool(user.get("org_admin")),
        "access_role": "admin" if user.get("org_admin") else "member",
    }


@route("POST", "/token", public=True)
def login(request: Request) -> Doc:
    if not request.authorization:
        raise ApiError(400, "Invalid header format")
    words = _words(request)
    users = request.world.store.where("users", service_key=words[1])
    if words[0].lower() != "basic" or not users:
        raise ApiError(401)
    return _issue(request, users[0])


@route("POST", "/token/refresh")
def refresh(request: Request) -> Doc:
    return _issue(request, request.user)


@route("POST", "/token/logout", public=True)
def logout(request: Request) -> Answer:
    if not request.authorization:
        raise ApiError(500, "undefined method `split' for nil")
    user_of(request)
    for token in request.world.store.where("tokens", access_token=request.authorization.split()[1]):
        request.world.store.delete("tokens", token["id"])
    return Answer()
