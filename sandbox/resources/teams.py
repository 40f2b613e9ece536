"""/teams: list, show, and change members."""

from __future__ import annotations

from sandbox.resources.base import MISSING_FIELD, fetch
from sandbox.resources.lists import newest_first, page
from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc

KIND = "teams"


def _readable(request: Request) -> Doc:
    """The team that the path names. All members of its org may read it."""
    team = request.world.store.get(KIND, request.ids["team_id"])
    if team is not None and team["org_id"] == request.user["org_id"]:
        return team
    return fetch(request, KIND, request.ids["team_id"], "admin")


def _manageable(request: Request) -> Doc:
    return fetch(request, KIND, request.ids["team_id"], "admin")


def _members_view(request: Request, team: Doc) -> list[Doc]:
    users = [request.world.store.get("users", user_id) for user_id in team["members"]]
    return [{"id": u["id"], "email": u["email"], "admin": u["id"] in team.get("admins", [])} for u in users if u]


def _named_members(request: Request) -> list[tuple[int, bool]]:
    """The users that a body names, by id or email, and whether each is to be an admin of the team.

    Raises:
        ApiError: 400, it names nobody, or somebody outside the org.
    """
    members = (request.body or {}).get("members") or []
    if not members:
        raise ApiError(400, MISSING_FIELD)
    found = []
    for member in members:
        key = "id" if "id" in member else "email"
        users = request.world.store.where("users", org_id=request.user["org_id"], **{key: member.get(key)})
        if not users:
            raise ApiError(400, "User is not a member of the org")
        found.append((users[0]["id"], bool(member.get("admin"))))
    return found


@route("GET", "/teams/{team_id}/members")
def list_members(request: Request) -> list[Doc]:
    return _members_view(request, _readable(request))


@route("PUT", "/teams/{team_id}/members")
def add_members(request: Request) -> list[Doc]:
    """Merge members into a team. Without ``admin`` a member loses that right (public server sources)."""
    team = _manageable(request)
    for user_id, admin in _named_members(request):
        team["members"] = [*team["members"], *([] if user_id in team["members"] else [user_id])]
        team["admins"] = [n for n in team.get("admins", []) if n != user_id] + ([user_id] if admin else [])
    return _members_view(request, request.world.store.put(KIND, request.world.stamp(team)))


@route("DELETE", "/teams/{team_id}/members")
def remove_members(request: Request) -> list[Doc]:
    """Remove the named members; a body that names nobody is an error (public server sources)."""
    team = _manageable(request)
    removed = {user_id for user_id, _ in _named_members(request)}
    team["members"] = [user_id for user_id in team["members"] if user_id not in removed]
    return _members_view(request, request.world.store.put(KIND, request.world.stamp(team)))


def _view(request: Request, team: Doc) -> Doc:
    return {
        "id": team["id"],
        "name": team["name"],
        "description": team.get("description") or "",
        "owner": request.world.brief_user(team["owner_id"]),
        "org": request.world.brief_org(team["org_id"]),
        "member": request.user["id"] in team["members"],
        "access_roles": [request.world.role(request.user, team) or "collaborator"],
        "members": _members_view(request, team),
        "tags": [],
        "created_at": team["created_at"],
        "updated_at": team["updated_at"],
    }


@route("GET", "/teams")
def index(request: Request) -> Response:
    """All teams of the caller's org."""
    rows = request.world.store.where(KIND, org_id=request.user["org_id"])
    part, headers = page(request, newest_first(request, rows))
    return Response([_view(request, row) for row in part], headers)


@route("GET", "/teams/{team_id}")
def show(request: Request) -> Doc:
    return _view(request, _readable(request))
