"""/flows: trees from the origin; activate, pause, copy and delete below a node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.engine.connector_types import connection_type
from sandbox.resources import nexsets, sinks, sources
from sandbox.resources.base import visible
from sandbox.server.routing import Answer, ApiError, Request, page, route
from sandbox.state.store import Doc
from sandbox.state.world import World, is_at_least

KINDS = {"data_sources": "sources", "data_sets": "nexsets", "data_sinks": "sinks"}
KEYS = {"sources": "data_source_id", "nexsets": "data_set_id", "sinks": "data_sink_id"}


@dataclass
class Node:
    """One flow node with its resource and the nodes below it."""

    kind: str
    doc: Doc
    children: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    def deepest_first(self) -> list[Node]:
        return list(self.walk())[::-1]


def _below_nexset(world: World, doc: Doc) -> Node:
    children = [_below_nexset(world, child) for child in world.store.where("nexsets", parent_data_set_id=doc["id"])]
    children += [Node("sinks", sink) for sink in world.store.where("sinks", data_set_id=doc["id"])]
    return Node("nexsets", doc, children)


def tree(world: World, source: Doc) -> Node:
    """The whole flow of a source."""
    detected = world.store.where("nexsets", data_source_id=source["id"])
    return Node("sources", source, [_below_nexset(world, nexset) for nexset in detected])


def locate(request: Request, node_id: int) -> tuple[Node, Node]:
    """The origin and the node itself."""
    store = request.world.store
    docs = [doc for kind in KINDS.values() for doc in store.where(kind, flow_node_id=node_id)]
    for source in store.where("sources", flow_node_id=docs[0]["origin_node_id"]) if docs else ():
        root = tree(request.world, source)
        for node in root.walk():
            if node.doc["flow_node_id"] == node_id:
                return root, node
    raise ApiError(404)


def locate_resource(request: Request) -> tuple[Node, Node]:
    kind = KINDS[request.text["resource_type"]]
    doc = request.world.store.get(kind, request.ids["resource_id"])
    if doc is None:
        raise ApiError(404)
    return locate(request, doc["flow_node_id"])


def allow(request: Request, root: Node, need: str) -> None:
    if not is_at_least(request.world.flow_role(request.user, root.doc), need):
        raise ApiError(403)


def _runtime(world: World, node: Node) -> str:
    """Of the node; the origin is PROCESSING when anything in its flow is."""
    members = node.walk() if node.kind == "sources" else [node]
    statuses = {world.runtime_status(member.kind, member.doc) for member in members}
    return "PROCESSING" if "PROCESSING" in statuses else "IDLE"


def _node_view(world: World, node: Node, origin: Doc, *, children: bool = True) -> Doc:
    doc = node.doc
    is_origin = node.kind == "sources"
    view: Doc = {
        "id": doc["flow_node_id"],
        "parent_node_id": doc.get("parent_node_id"),
        "origin_node_id": origin["flow_node_id"],
        KEYS[node.kind]: doc["id"],
        "runtime_status": _runtime(world, node),
        "node_type": None,
    }
    if is_origin:
        view |= {
            "status": doc["status"],
            "project_id": doc.get("project_id"),
            "flow_type": "streaming",
            "ingestion_mode": "full_ingestion",
            "name": doc["name"],
            "description": doc.get("description"),
            "managed": False,
            "last_run_id": doc.get("last_run_id"),
        }
    if children:
        view["children"] = [_node_view(world, child, origin) for child in node.children]
    return view


def _element(request: Request, node: Node) -> Doc:
    doc = node.doc
    common = ("id", "owner_id", "org_id", "name", "description", "status", "flow_node_id", "origin_node_id")
    view = {key: doc.get(key) for key in common}
    view |= {"tags": doc.get("tags") or [], "managed": False}
    view["runtime_status"] = request.world.runtime_status(node.kind, doc)
    view |= {"access_roles": [request.world.role(request.user, doc)]}
    view |= {key: doc[key] for key in ("created_at", "updated_at")} | {"copied_from_id": doc.get("copied_from_id")}
    if node.kind == "sources":
        kind = doc["source_type"]
        view |= {"source_type": kind, "connector_type": kind, "connection_type": connection_type(kind)}
        view |= {key: doc.get(key) for key in ("data_credentials_id", "source_config", "last_run_id")}
    elif node.kind == "nexsets":
        view |= {key: doc.get(key) for key in ("data_source_id", "parent_data_set_id", "code_container_id")}
        view |= {"output_schema": doc.get("output_schema"), "custom_config": doc.get("custom_config")}
        view["data_sink_ids"] = [child.doc["id"] for child in node.children if child.kind == "sinks"]
    else:
        kind = doc["sink_type"]
        view |= {"sink_type": kind, "connector_type": kind, "connection_type": connection_type(kind)}
        view |= {key: doc.get(key) for key in ("data_credentials_id", "sink_config", "data_set_id")}
    return view


def _code_view(doc: Doc) -> Doc:
    keys = ["id", "owner_id", "org_id", "name", "description", "reusable", "resource_type", "output_type"]
    keys += ["code_type", "code_encoding", "code", "custom_config"]
    return {key: doc.get(key) for key in keys} | {"tags": doc.get("tags") or []}


def _credential_view(doc: Doc) -> Doc:
    keys = ("id", "owner_id", "org_id", "name", "description", "credentials_type", "verified_status")
    return {key: doc.get(key) for key in keys} | {"managed": False, "tags": doc.get("tags") or []}


def flows_view(request: Request, roots: list[Node]) -> Doc:
    """The one object that every flow answer is: trees, and unless ``flows_only`` the resources in them."""
    children = not request.flag("origin_only")
    body: Doc = {"flows": [_node_view(request.world, root, root.doc, children=children) for root in roots]}
    body |= {"triggered_flows": [], "triggering_flows": [], "linked_flows": []}
    if request.flag("flows_only"):
        return body
    world = request.world
    nodes = [node for root in roots for node in root.walk()]
    for name, kind in KINDS.items():
        body[name] = [_element(request, node) for node in nodes if node.kind == kind]
    code_ids = {node.doc.get("code_container_id") for node in nodes} - {None}
    body["code_containers"] = [_code_view(doc) for doc in world.store.all("code") if doc["id"] in code_ids]
    used = {node.doc.get("data_credentials_id") for node in nodes} - {None}
    body["data_credentials"] = [_credential_view(doc) for doc in world.store.all("credentials") if doc["id"] in used]
    people = {node.doc["owner_id"] for node in nodes}
    body["users"] = [
        {"id": user["id"], "email": user["email"], "name": user["full_name"]}
        for user in world.store.all("users")
        if user["id"] in people
    ]
    body |= {"data_credentials_groups": [], "dependent_flow_nodes": [], "origin_data_sink_flow_nodes": []}
    body |= {"shared_data_sets": [], "orgs": [], "projects": []}
    return body


@route("GET", "/flows")
def index(request: Request) -> Answer:
    owned = visible(request, "sources")
    if request.flag("include_run_metrics"):
        owned = [source for source in owned if source.get("last_run_id")]
    owned.sort(key=lambda source: source["flow_node_id"], reverse=True)
    part, headers = page(request, owned)
    body = flows_view(request, [tree(request.world, source) for source in part])
    if request.flag("include_run_metrics"):
        body |= {"status": 200, "metrics": [_run_metric(request.world, source) for source in part]}
    return Answer(body, headers)


def _run_metric(world: World, source: Doc) -> Doc:
    rows = world.store.where(
        "metrics", resource_type="data_sources", resource_id=source["id"], run_id=source["last_run_id"]
    )
    totals = {key: sum(row[key] for row in rows) for key in ("records", "size", "errors")}
    when = world.clock.iso(source["last_run_id"] / 1000)
    return {
        "origin_node_id": source["flow_node_id"],
        **totals,
        "reporting_date": when,
        "run_id": source["last_run_id"],
    }


@route("GET", "/flows/{flow_id}")
def show(request: Request) -> Doc:
    root, _ = locate(request, request.ids["flow_id"])
    allow(request, root, "collaborator")
    return flows_view(request, [root])


@route("GET", "/{resource_type}/{resource_id}/flow")
def show_of_resource(request: Request) -> Doc:
    root, _ = locate_resource(request)
    allow(request, root, "collaborator")
    return flows_view(request, [root])


def _set_status(request: Request, status: str) -> Doc:
    root, node = locate(request, request.ids["flow_id"])
    allow(request, root, "operator")
    start = root if request.flag("all") or request.flag("full_tree") else node
    run = request.query.get("run_now", "").lower() not in ("false", "0")
    order = list(start.walk())
    for member in order[::-1] if status == "ACTIVE" else order:
        if member.kind == "sources":
            sources.set_status(request, member.doc, status, run=run)
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


def _delete(request: Request, root: Node, node: Node) -> Answer:
    allow(request, root, "admin")
    start = root if request.flag("all") or request.flag("full_tree") else node
    active: dict[str, list[Any]] = {
        name: [n.doc["id"] for n in start.walk() if n.kind == kind and n.doc["status"] == "ACTIVE"]
        for name, kind in KINDS.items()
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
    return Answer()


@route("DELETE", "/flows/{flow_id}")
def delete(request: Request) -> Answer:
    return _delete(request, *locate(request, request.ids["flow_id"]))


@route("DELETE", "/{resource_type}/{resource_id}/flow")
def delete_of_resource(request: Request) -> Answer:
    return _delete(request, *locate_resource(request))


def _copied(request: Request, node: Node, parent: Doc | None) -> Doc:
    world = request.world
    dropped = ("id", "created_at", "updated_at", "taken", "read_state", "run_ids", "last_run_id")
    twin = {key: value for key, value in node.doc.items() if key not in dropped}
    number = world.store.put("nodes", {})["id"]
    twin |= {"copied_from_id": node.doc["id"], "owner_id": request.user["id"], "flow_node_id": number}
    twin |= {"status": "PAUSED" if node.doc["status"] == "ACTIVE" else node.doc["status"]}
    twin["origin_node_id"] = parent["origin_node_id"] if parent else number
    twin["parent_node_id"] = parent["flow_node_id"] if parent else None
    if node.kind == "nexsets" and node.doc.get("data_source_id"):
        twin["data_source_id"] = parent["id"] if parent else None
    elif node.kind == "nexsets":
        twin["parent_data_set_id"] = parent["id"] if parent else None
    elif node.kind == "sinks":
        twin["data_set_id"] = parent["id"] if parent else None
    world.store.put(node.kind, world.stamp(twin, new=True))
    for child in node.children:
        _copied(request, child, twin)
    return twin


@route("POST", "/flows/{flow_id}/copy")
def copy(request: Request) -> Doc:
    root, _ = locate(request, request.ids["flow_id"])
    allow(request, root, "admin")
    return flows_view(request, [tree(request.world, _copied(request, root, None))])
