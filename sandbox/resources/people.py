"""Users and orgs, as far as the scripts read them."""

from __future__ import annotations

from sandbox.resources.lists import page
from sandbox.server import tokens
from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc


def _user_view(request: Request, user: Doc) -> Doc:
    return {
        "id": user["id"],
        "email": user["email"],
        "full_name": user["full_name"],
        "super_user": False,
        "impersonated": False,
        "default_org": request.world.brief_org(user["org_id"]),
        "user_tier": None,
        "status": "ACTIVE",
        "account_locked": False,
        "org_memberships": [],
        "email_verified_at": user["created_at"],
        "tos_signed_at": user["created_at"],
        "created_at": user["created_at"],
        "updated_at": user["updated_at"],
    }


@route("GET", "/users/current")
def show_current_user(request: Request) -> Doc:
    user = request.user
    return {
        "user": _user_view(request, user),
        "org_membership": tokens.membership(user),
        "org": request.world.brief_org(user["org_id"]),
    }


@route("GET", "/users")
def list_users(request: Request) -> Response:
    rows = request.world.store.where("users", org_id=request.user["org_id"])
    part, headers = page(request, rows)
    return Response([_user_view(request, row) for row in part], headers)


@route("GET", "/users/{user_id}")
def show_user(request: Request) -> Doc:
    user = request.world.store.get("users", request.ids["user_id"])
    if user is None:
        raise ApiError(404)
    return _user_view(request, user)


def _org_view(request: Request, org: Doc) -> Doc:
    owner = request.world.store.where("users", org_id=org["id"])[0]
    return {
        "id": org["id"],
        "name": org["name"],
        "description": "",
        "email_domain": org["email_domain"],
        "status": "ACTIVE",
        "owner": request.world.brief_user(owner["id"]),
        "access_roles": ["admin" if request.user.get("org_admin") else "collaborator"],
        "created_at": org["created_at"],
        "updated_at": org["updated_at"],
    }


@route("GET", "/orgs")
def list_orgs(request: Request) -> Response:
    rows = [org for org in request.world.store.all("orgs") if org["id"] == request.user["org_id"]]
    part, headers = page(request, rows)
    return Response([_org_view(request, row) for row in part], headers)


@route("GET", "/orgs/{org_id}")
def show_org(request: Request) -> Doc:
    org = request.world.store.get("orgs", request.ids["org_id"])
    if org is None:
        raise ApiError(404)
    if org["id"] != request.user["org_id"]:
        raise ApiError(403)
    return _org_view(request, org)


def _org_member_view(user: Doc) -> Doc:
    """A member of an org. ``access_role`` is a single text here (public server sources)."""
    status = "DEACTIVATED" if user.get("deactivated") else "ACTIVE"
    role = "admin" if user.get("org_admin") else "member"
    view = {"id": user["id"], "full_name": user["full_name"], "email": user["email"], "is_admin?": role == "admin"}
    return view | {"access_role": role, "org_membership_status": status, "user_status": "ACTIVE"}


@route("GET", "/orgs/{org_id}/members")
def list_org_members(request: Request) -> list[Doc]:
    org_id, store = request.ids["org_id"], request.world.store
    if org_id != request.user["org_id"]:
        raise ApiError(403 if store.get("orgs", org_id) else 404)
    return [_org_member_view(user) for user in store.where("users", org_id=org_id)]
