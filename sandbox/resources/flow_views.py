"""Flows as the API shows them: trees of nodes and, beside them, the resources that the nodes stand for."""

from __future__ import annotations

from sandbox.engine.connector_types import connection_type
from sandbox.resources.flow_tree import KINDS, Node
from sandbox.server.routing import Request
from sandbox.state.store import Doc
from sandbox.state.world import World

ID_KEYS = {"sources": "data_source_id", "nexsets": "data_set_id", "sinks": "data_sink_id"}


def flows_view(request: Request, roots: list[Node]) -> Doc:
    """The object that every flow endpoint returns: trees and, unless ``flows_only`` is set, the resources in them."""
    children = not request.flag("origin_only")
    body: Doc = {"flows": [_node_view(request.world, root, root.doc, children=children) for root in roots]}
    body |= {"triggered_flows": [], "triggering_flows": [], "linked_flows": []}
    if request.flag("flows_only"):
        return body
    world = request.world
    nodes = [node for root in roots for node in root.walk()]
    for resource_type, kind in KINDS.items():
        body[resource_type] = [_element(request, node) for node in nodes if node.kind == kind]
    code_ids = {node.doc.get("code_container_id") for node in nodes} - {None}
    body["code_containers"] = [_code_view(doc) for doc in world.store.all("code") if doc["id"] in code_ids]
    used = {node.doc.get("data_credentials_id") for node in nodes} - {None}
    body["data_credentials"] = [_credential_view(doc) for doc in world.store.all("credentials") if doc["id"] in used]
    owners = {node.doc["owner_id"] for node in nodes}
    body["users"] = [
        {"id": user["id"], "email": user["email"], "name": user["full_name"]}
        for user in world.store.all("users")
        if user["id"] in owners
    ]
    body |= {"data_credentials_groups": [], "dependent_flow_nodes": [], "origin_data_sink_flow_nodes": []}
    body |= {"shared_data_sets": [], "orgs": [], "projects": []}
    return body


def _runtime_status(world: World, node: Node) -> str:
    """The status of a node; an origin is PROCESSING when anything in its flow is."""
    members = node.walk() if node.kind == "sources" else [node]
    statuses = {world.runtime_status(member.kind, member.doc) for member in members}
    return "PROCESSING" if "PROCESSING" in statuses else "IDLE"


def _node_view(world: World, node: Node, origin: Doc, *, children: bool = True) -> Doc:
    doc = node.doc
    view: Doc = {
        "id": doc["flow_node_id"],
        "parent_node_id": doc.get("parent_node_id"),
        "origin_node_id": origin["flow_node_id"],
        ID_KEYS[node.kind]: doc["id"],
        "runtime_status": _runtime_status(world, node),
        "node_type": None,
    }
    if node.kind == "sources":  # only the origin has a status (public server sources)
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
        view |= {"source_type": doc["source_type"], **_connector_fields(doc["source_type"])}
        view |= {key: doc.get(key) for key in ("data_credentials_id", "source_config", "last_run_id")}
    elif node.kind == "nexsets":
        view |= {key: doc.get(key) for key in ("data_source_id", "parent_data_set_id", "code_container_id")}
        view |= {"output_schema": doc.get("output_schema"), "custom_config": doc.get("custom_config")}
        view["data_sink_ids"] = [child.doc["id"] for child in node.children if child.kind == "sinks"]
    else:
        view |= {"sink_type": doc["sink_type"], **_connector_fields(doc["sink_type"])}
        view |= {key: doc.get(key) for key in ("data_credentials_id", "sink_config", "data_set_id")}
    return view


def _connector_fields(connector_type: str) -> Doc:
    return {"connector_type": connector_type, "connection_type": connection_type(connector_type)}


def _code_view(doc: Doc) -> Doc:
    keys = ["id", "owner_id", "org_id", "name", "description", "reusable", "resource_type", "output_type"]
    keys += ["code_type", "code_encoding", "code", "custom_config"]
    return {key: doc.get(key) for key in keys} | {"tags": doc.get("tags") or []}


def _credential_view(doc: Doc) -> Doc:
    keys = ("id", "owner_id", "org_id", "name", "description", "credentials_type", "verified_status")
    return {key: doc.get(key) for key in keys} | {"managed": False, "tags": doc.get("tags") or []}
