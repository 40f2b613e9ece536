"""Users, orgs, teams and projects, as far as the bundle reads them."""

from __future__ import annotations

from sandbox.resources import flows
from sandbox.resources.base import fetch, visible
from sandbox.server import tokens
from sandbox.server.routing import Answer, ApiError, Request, check_text, filtered, newest_first, page, route
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
def current(request: Request) -> Doc:
    user = request.user
    return {
        "user": _user_view(request, user),
        "org_membership": tokens.membership(user),
        "org": request.world.brief_org(user["org_id"]),
    }


@route("GET", "/users")
def users(request: Request) -> Answer:
    rows = request.world.store.where("users", org_id=request.user["org_id"])
    part, headers = page(request, rows)
    return Answer([_user_view(request, row) for row in part], headers)


@route("GET", "/users/{user_id}")
def user(request: Request) -> Doc:
    doc = request.world.store.get("users", request.ids["user_id"])
    if doc is None:
        raise ApiError(404)
    return _user_view(request, doc)


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
def orgs(request: Request) -> Answer:
    rows = [org for org in request.world.store.all("orgs") if org["id"] == request.user["org_id"]]
    part, headers = page(request, rows)
    return Answer([_org_view(request, row) for row in part], headers)


@route("GET", "/orgs/{org_id}")
def org(request: Request) -> Doc:
    doc = request.world.store.get("orgs", request.ids["org_id"])
    if doc is None:
        raise ApiError(404)
    if doc["id"] != request.user["org_id"]:
        raise ApiError(403)
    return _org_view(request, doc)


def _org_member_view(request: Request, user: Doc) -> Doc:
    status = "DEACTIVATED" if user.get("deactivated") else "ACTIVE"
    role = "admin" if user.get("org_admin") else "member"
    view = {"id": user["id"], "full_name": user["full_name"], "email": user["email"], "is_admin?": role == "admin"}
    return view | {"access_role": role, "org_membership_status": status, "user_status": "ACTIVE"}


@route("GET", "/orgs/{org_id}/members")
def org_members(request: Request) -> list[Doc]:
    if request.ids["org_id"] != request.user["org_id"]:
        raise ApiError(403 if request.world.store.get("orgs", request.ids["org_id"]) else 404)
    return [
        _org_member_view(request, user) for user in request.world.store.where("users", org_id=request.ids["org_id"])
    ]


def _team_members(request: Request, team: Doc) -> list[Doc]:
    people = [request.world.store.get("users", number) for number in team["members"]]
    return [{"id": p["id"], "email": p["email"], "admin": p["id"] in team.get("admins", [])} for p in people if p]


def _team(request: Request, need: str) -> Doc:
    """A team. Everybody of its org may read it; changing its members needs the role of an admin."""
    doc = request.world.store.get("teams", request.ids["team_id"])
    if doc is None:
        raise ApiError(404)
    if need == "read" and doc["org_id"] == request.user["org_id"]:
        return doc
    return fetch(request, "teams", doc["id"], "admin")


def _people(request: Request) -> list[tuple[int, bool]]:
    members = (request.body or {}).get("members") or []
    if not members:
        raise ApiError(400, "Invalid resource. Are you missing a required field?")
    found = []
    for member in members:
        key = "id" if "id" in member else "email"
        users = request.world.store.where("users", org_id=request.user["org_id"], **{key: member.get(key)})
        if not users:
            raise ApiError(400, "User is not a member of the org")
        found.append((users[0]["id"], bool(member.get("admin"))))
    return found


@route("GET", "/teams/{team_id}/members")
def team_members(request: Request) -> list[Doc]:
    return _team_members(request, _team(request, "read"))


@route("PUT", "/teams/{team_id}/members")
def add_team_members(request: Request) -> list[Doc]:
    """Merges; ``admin`` left out or false takes that right away."""
    doc = _team(request, "admin")
    for number, admin in _people(request):
        doc["members"] = [*doc["members"], *([] if number in doc["members"] else [number])]
        doc["admins"] = [n for n in doc.get("admins", []) if n != number] + ([number] if admin else [])
    return _team_members(request, request.world.store.put("teams", request.world.stamp(doc)))


@route("DELETE", "/teams/{team_id}/members")
def remove_team_members(request: Request) -> list[Doc]:
    doc = _team(request, "admin")
    gone = {number for number, _ in _people(request)}
    doc["members"] = [number for number in doc["members"] if number not in gone]
    return _team_members(request, request.world.store.put("teams", request.world.stamp(doc)))


def _team_view(request: Request, team: Doc) -> Doc:
    return {
        "id": team["id"],
        "name": team["name"],
        "description": team.get("description") or "",
        "owner": request.world.brief_user(team["owner_id"]),
        "org": request.world.brief_org(team["org_id"]),
        "member": request.user["id"] in team["members"],
        "access_roles": [request.world.role(request.user, team) or "collaborator"],
        "members": _team_members(request, team),
        "tags": [],
        "created_at": team["created_at"],
        "updated_at": team["updated_at"],
    }


@route("GET", "/teams")
def teams(request: Request) -> Answer:
    rows = request.world.store.where("teams", org_id=request.user["org_id"])
    part, headers = page(request, newest_first(request, rows))
    return Answer([_team_view(request, row) for row in part], headers)


@route("GET", "/teams/{team_id}")
def team(request: Request) -> Doc:
    return _team_view(request, _team(request, "read"))


def _members(request: Request, project: Doc) -> list[Doc]:
    return request.world.store.where("sources", project_id=project["id"])


def _project_view(request: Request, project: Doc, *, row: bool) -> Doc:
    sources = _members(request, project)
    flow_rows = [
        {"id": s["flow_node_id"], "project_id": project["id"], "name": s["name"], "data_source_id": s["id"]}
        for s in sources
    ]
    view = {
        "id": project["id"],
        "name": project["name"],
        "description": project.get("description") or "",
        "owner": request.world.brief_user(project["owner_id"]),
        "org": request.world.brief_org(project["org_id"]),
        "access_roles": [request.world.role(request.user, project)],
        "tags": [],
        "copied_from_id": None,
        "created_at": project["created_at"],
        "updated_at": project["updated_at"],
    }
    if row:
        view["flows_count"] = len(sources)
    if not row or request.flag("expand"):
        view |= {"flows": flow_rows, "data_flows": flow_rows}
    return view


@route("GET", "/projects")
def projects(request: Request) -> Answer:
    rows = filtered(request, visible(request, "projects"))
    part, headers = page(request, newest_first(request, rows))
    return Answer([_project_view(request, project, row=True) for project in part], headers)


@route("POST", "/projects")
def create_project(request: Request) -> Doc:
    body = request.object()
    check_text(body)
    if not body.get("name"):
        raise ApiError(400, "Invalid resource. Are you missing a required field?")
    doc = {"name": body["name"], "description": body.get("description")}
    doc |= {"owner_id": request.user["id"], "org_id": request.user["org_id"]}
    request.world.store.put("projects", request.world.stamp(doc, new=True))
    return _project_view(request, doc, row=False)


@route("GET", "/projects/{project_id}")
def project(request: Request) -> Doc:
    return _project_view(request, fetch(request, "projects", request.ids["project_id"]), row=False)


@route("DELETE", "/projects/{project_id}")
def delete_project(request: Request) -> Answer:
    doc = fetch(request, "projects", request.ids["project_id"], "admin")
    for source in _members(request, doc):
        request.world.store.put("sources", source | {"project_id": None})
    request.world.store.delete("projects", doc["id"])
    return Answer()


def _flows_of(request: Request, doc: Doc) -> Answer:
    part, headers = page(request, _members(request, doc))
    return Answer(flows.flows_view(request, [flows.tree(request.world, source) for source in part]), headers)


@route("GET", "/projects/{project_id}/flows")
def project_flows(request: Request) -> Answer:
    return _flows_of(request, fetch(request, "projects", request.ids["project_id"]))


def _origins(request: Request) -> list[Doc]:
    """The origins of the named nodes; unknown ids are dropped silently, as on the server."""
    found = []
    for number in request.object().get("flows", []):
        try:
            root, _ = flows.locate(request, number)
        except ApiError:
            continue
        flows.allow(request, root, "admin")
        found.append(root.doc)
    return found


@route("PUT", "/projects/{project_id}/flows")
def add_flows(request: Request) -> Answer:
    doc = fetch(request, "projects", request.ids["project_id"], "admin")
    for source in _origins(request):
        source["project_id"] = doc["id"]
        request.world.store.put("sources", source)
    return _flows_of(request, doc)


@route("DELETE", "/projects/{project_id}/flows")
def remove_flows(request: Request) -> Answer:
    doc = fetch(request, "projects", request.ids["project_id"], "admin")
    chosen = _origins(request) if request.body else _members(request, doc)
    for source in chosen:
        if source.get("project_id") == doc["id"]:
            source["project_id"] = None
            request.world.store.put("sources", source)
    return _flows_of(request, doc)
