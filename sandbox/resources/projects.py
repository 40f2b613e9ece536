"""/projects: list, create, show, delete, and the flows in a project."""

from __future__ import annotations

from sandbox.resources.base import MISSING_FIELD, check_text, fetch
from sandbox.resources.flow_tree import locate, require_role, tree_of
from sandbox.resources.flow_views import flows_view
from sandbox.resources.lists import listed, page
from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc

KIND = "projects"


def _sources(request: Request, project: Doc) -> list[Doc]:
    """The origins of the flows in a project."""
    return request.world.store.where("sources", project_id=project["id"])


def _view(request: Request, project: Doc, *, row: bool) -> Doc:
    """A project; rows have a count of flows, and the flows themselves only with ``expand`` (public server sources)."""
    sources = _sources(request, project)
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
def index(request: Request) -> Response:
    part, headers = listed(request, KIND)
    return Response([_view(request, project, row=True) for project in part], headers)


@route("POST", "/projects")
def create(request: Request) -> Doc:
    body = request.object()
    check_text(body)
    if not body.get("name"):
        raise ApiError(400, MISSING_FIELD)
    project = {"name": body["name"], "description": body.get("description")}
    project |= {"owner_id": request.user["id"], "org_id": request.user["org_id"]}
    request.world.store.put(KIND, request.world.stamp(project, new=True))
    return _view(request, project, row=False)


@route("GET", "/projects/{project_id}")
def show(request: Request) -> Doc:
    return _view(request, fetch(request, KIND, request.ids["project_id"]), row=False)


@route("DELETE", "/projects/{project_id}")
def delete(request: Request) -> Response:
    """Delete a project; its flows stay (public server sources)."""
    project = fetch(request, KIND, request.ids["project_id"], "admin")
    for source in _sources(request, project):
        request.world.store.put("sources", source | {"project_id": None})
    request.world.store.delete(KIND, project["id"])
    return Response()


def _flows(request: Request, project: Doc) -> Response:
    part, headers = page(request, _sources(request, project))
    return Response(flows_view(request, [tree_of(request.world, source) for source in part]), headers)


@route("GET", "/projects/{project_id}/flows")
def list_flows(request: Request) -> Response:
    """The flows of a project, as one flow object although nexla-sdk expects a list (public server sources)."""
    return _flows(request, fetch(request, KIND, request.ids["project_id"]))


def _named_origins(request: Request) -> list[Doc]:
    """The origins of the nodes that a body names; the server ignores unknown ids silently (public server sources)."""
    found = []
    for node_id in request.object().get("flows", []):
        try:
            root, _ = locate(request, node_id)
        except ApiError:
            continue
        require_role(request, root, "admin")
        found.append(root.doc)
    return found


@route("PUT", "/projects/{project_id}/flows")
def add_flows(request: Request) -> Response:
    """Move flows into a project; a flow is in at most one (public server sources)."""
    project = fetch(request, KIND, request.ids["project_id"], "admin")
    for source in _named_origins(request):
        source["project_id"] = project["id"]
        request.world.store.put("sources", source)
    return _flows(request, project)


@route("DELETE", "/projects/{project_id}/flows")
def remove_flows(request: Request) -> Response:
    """Take the named flows out of a project; without a body, all of them."""
    project = fetch(request, KIND, request.ids["project_id"], "admin")
    chosen = _named_origins(request) if request.body else _sources(request, project)
    for source in chosen:
        if source.get("project_id") == project["id"]:
            source["project_id"] = None
            request.world.store.put("sources", source)
    return _flows(request, project)
