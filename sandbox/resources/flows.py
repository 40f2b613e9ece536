"""/flows: list and show trees; activate, pause, copy and delete from a node downwards."""

from __future__ import annotations

from typing import Any

from sandbox.resources import nexsets, sinks, sources
from sandbox.resources.base import visible
from sandbox.resources.flow_tree import KINDS, Node, locate, locate_resource, require_role, tree_of
from sandbox.resources.flow_views import flows_view
from sandbox.resources.lists import page
from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc
from sandbox.state.world import World


@route("GET", "/flows")
def index(request: Request) -> Response:
    """Flows of visible sources, highest id first; with ``include_run_metrics`` only those that have run."""
    origins = visible(request, "sources")
    if request.flag("include_run_metrics"):
        origins = [source for source in origins if source.get("last_run_id")]
    origins.sort(key=lambda source: source["flow_node_id"], reverse=True)
    part, headers = page(request, origins)
    body = flows_view(request, [tree_of(request.world, source) for source in part])
    if request.flag("include_run_metrics"):
        body |= {"status": 200, "metrics": [_run_metric(request.world, source) for source in part]}
    return Response(body, headers)


def _run_metric(world: World, source: Doc) -> Doc:
    rows = world.store.where(
        "metrics", resource_type="data_sources", resource_id=source["id"], run_id=source["last_run_id"]
    )
    totals = {key: sum(row[key] for row in rows) for key in ("records", "size", "errors")}
    return {
        "origin_node_id": source["flow_node_id"],
        **totals,
        "reporting_date": world.clock.iso(source["last_run_id"] / 1000),
        "run_id": source["last_run_id"],
    }


@route("GET", "/flows/{flow_id}")
def show(request: Request) -> Doc:
    root, _ = locate(request, request.ids["flow_id"])
    require_role(request, root, "collaborator")
    return flows_view(request, [root])


@route("GET", "/{resource_type}/{resource_id}/flow")
def show_of_resource(request: Request) -> Doc:
    root, _ = locate_resource(request)
    require_role(request, root, "collaborator")
    return flows_view(request, [root])


def _scope(request: Request, root: Node, node: Node) -> Node:
    """Where a change starts: at the named node, or with ``all`` or ``full_tree`` at the origin."""
    return root if request.flag("all") or request.flag("full_tree") else node


def _set_status(request: Request, status: str) -> Doc:
    """Set the status of a node and all below it: activate destinations first, pause the source first."""
    root, node = locate(request, request.ids["flow_id"])
    require_role(request, root, "operator")
    start = _scope(request, root, node)
    for member in start.deepest_first() if status == "ACTIVE" else start.walk():
        if member.kind == "sources":
            sources.set_status(request, member.doc, status, run=sources.wants_run(request))
        elif member.kind == "nexsets":
            nexsets.set_status(request, member.doc, status)
        else:
            sinks.set_status(request, member.doc, status)
    if status == "ACTIVE":
        request.world.engine.move(root.doc["id"])
    return flows_view(request, [root])


@route("PUT", "/flows/{flow_id}/activate")
def activate(request: Request) -> Doc:
    return _set_status(request, "ACTIVE")


@route("PUT", "/flows/{flow_id}/pause")
def pause(request: Request) -> Doc:
    if request.flag("async"):
        raise ApiError(501, "The sandbox has not built PUT /flows/{flow_id}/pause?async=1 yet")
    return _set_status(request, "PAUSED")


def _delete(request: Request, root: Node, node: Node) -> Response:
    """Delete a node and all below it; 405 with the ids of what is active in this scope (public server sources)."""
    require_role(request, root, "admin")
    start = _scope(request, root, node)
    active: dict[str, list[Any]] = {
        resource_type: [n.doc["id"] for n in start.walk() if n.kind == kind and n.doc["status"] == "ACTIVE"]
        for resource_type, kind in KINDS.items()
    }
    if any(active.values()):
        raise ApiError(405, "Active flow resources must be paused before deletion", **active)
    for member in start.deepest_first():
        if member.kind == "sources":
            sources.remove(request, member.doc)
        elif member.kind == "nexsets":
            nexsets.remove(request, member.doc)
        else:
            request.world.store.delete("sinks", member.doc["id"])
    return Response()


@route("DELETE", "/flows/{flow_id}")
def delete(request: Request) -> Response:
    return _delete(request, *locate(request, request.ids["flow_id"]))


@route("DELETE", "/{resource_type}/{resource_id}/flow")
def delete_of_resource(request: Request) -> Response:
    return _delete(request, *locate_resource(request))


def _copy(request: Request, node: Node, parent: Doc | None) -> Doc:
    """Copy a node and all below it under the copied parent; what was active is paused in the copy."""
    world = request.world
    dropped = ("id", "created_at", "updated_at", "taken", "read_state", "run_ids", "last_run_id")
    duplicate = {key: value for key, value in node.doc.items() if key not in dropped}
    node_id = world.store.put("nodes", {})["id"]
    duplicate |= {"copied_from_id": node.doc["id"], "owner_id": request.user["id"], "flow_node_id": node_id}
    duplicate |= {"status": "PAUSED" if node.doc["status"] == "ACTIVE" else node.doc["status"]}
    duplicate["origin_node_id"] = parent["origin_node_id"] if parent else node_id
    duplicate["parent_node_id"] = parent["flow_node_id"] if parent else None
    if node.kind == "nexsets" and node.doc.get("data_source_id"):
        duplicate["data_source_id"] = parent["id"] if parent else None
    elif node.kind == "nexsets":
        duplicate["parent_data_set_id"] = parent["id"] if parent else None
    elif node.kind == "sinks":
        duplicate["data_set_id"] = parent["id"] if parent else None
    world.store.put(node.kind, world.stamp(duplicate, new=True))
    for child in node.children:
        _copy(request, child, duplicate)
    return duplicate


@route("POST", "/flows/{flow_id}/copy")
def copy(request: Request) -> Doc:
    """Copy a flow from its origin, whichever node is named (public server sources)."""
    root, _ = locate(request, request.ids["flow_id"])
    require_role(request, root, "admin")
    return flows_view(request, [tree_of(request.world, _copy(request, root, None))])
