"""/data_sinks: CRUD, activate, pause, copy."""

from __future__ import annotations

from sandbox.resources import credentials
from sandbox.resources.base import base_view, changes, check_text, copy_of, fetch
from sandbox.resources.lists import listed
from sandbox.server import contract
from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc
from sandbox.state.world import is_at_least

KIND = "sinks"
MUTABLE = ("name", "description", "sink_config", "sink_schedule", "data_credentials_id", "data_set_id", "tags")


def row_view(request: Request, doc: Doc) -> Doc:
    """A destination as a row of the list: without config and credential (public server sources)."""
    nexset = request.world.store.get("nexsets", doc.get("data_set_id"))
    keys = ("id", "owner_id", "org_id", "name", "description", "status", "copied_from_id", "created_at", "updated_at")
    return {
        **base_view(request, doc),
        "origin_node_id": doc["origin_node_id"],
        "flow_node_id": doc["flow_node_id"],
        "status": doc["status"],
        "runtime_status": request.world.runtime_status(KIND, doc),
        "data_set_id": doc.get("data_set_id"),
        "data_map_id": None,
        "data_source_id": None,
        "sink_format": None,
        "sink_schedule": doc.get("sink_schedule"),
        "in_memory": False,
        "managed": False,
        "sink_type": doc["sink_type"],
        "connector_type": doc["sink_type"],
        "connector": credentials.connector(doc["sink_type"]),
        "data_set": {key: nexset.get(key) for key in keys} if nexset else None,
        "data_map": None,
        "tags": doc.get("tags") or [],
        "flow_type": "streaming",
    }


def full_view(request: Request, doc: Doc) -> Doc:
    """A single destination. It lacks ``data_map``, and ``data_set`` without a nexset (public server sources)."""
    store = request.world.store
    credential = store.get("credentials", doc.get("data_credentials_id"))
    nexset = store.get("nexsets", doc.get("data_set_id"))
    view = {
        **row_view(request, doc),
        "parent_node_id": doc.get("parent_node_id"),
        "sink_config": doc.get("sink_config"),
        "data_credentials": credentials.full_view(request, credential) if credential else None,
        "data_credentials_group_id": None,
        "flow_triggers": [],
    }
    del view["data_map"]
    if nexset is None:
        del view["data_set"]
    elif not request.flag("expand"):
        view["data_set"] = {"id": nexset["id"], "name": nexset["name"]}
    else:
        view["data_set"] |= {"output_schema": nexset.get("output_schema"), "version": 1}
    return view


@route("GET", "/data_sinks")
def index(request: Request) -> Response:
    part, headers = listed(request, KIND, sink_type="sink_type")
    view = full_view if request.flag("expand") else row_view
    return Response([view(request, row) for row in part], headers)


def _check_links(request: Request, doc: Doc) -> None:
    """Nexset and credential must exist, the caller must be allowed to use them, and connector types must agree."""
    world = request.world
    if doc.get("data_set_id") is not None:
        nexset = world.store.get("nexsets", doc["data_set_id"])
        if nexset is None:
            raise ApiError(404)
        if not is_at_least(world.role(request.user, nexset), "admin"):
            raise ApiError(403, "Unauthorized access to data set")
    if doc.get("data_credentials_id") is not None:
        credential = world.store.get("credentials", doc["data_credentials_id"])
        if credential is None:
            raise ApiError(404)
        if world.role(request.user, credential) is None:
            raise ApiError(403, "Unauthorized access to data credentials")
        if credential["credentials_type"] != doc["sink_type"]:
            raise ApiError(403, "Credentials connector type does not match data sink connector type")


def _place_in_flow(request: Request, doc: Doc) -> None:
    """Hang a destination below its nexset; without one it is the origin of a flow of its own."""
    nexset = request.world.store.get("nexsets", doc.get("data_set_id"))
    doc["parent_node_id"] = nexset["flow_node_id"] if nexset else None
    doc["origin_node_id"] = nexset["origin_node_id"] if nexset else doc["flow_node_id"]


@route("POST", "/data_sinks")
def create(request: Request) -> Doc:
    body = request.object()
    check_text(body)
    connector_type = body.get("connector_type", body.get("sink_type"))
    if connector_type not in contract.enum("SinkType"):
        raise ApiError(400, "Unknown connector type")
    if isinstance(body.get("data_credentials"), dict):
        body = {**body, "data_credentials_id": credentials.create_from(request, body["data_credentials"])["id"]}
    doc = {"sink_type": connector_type, **{key: body[key] for key in MUTABLE if body.get(key) is not None}}
    _check_links(request, doc)
    world = request.world
    node = world.store.put("nodes", {})
    doc |= {
        "status": "INIT",
        "owner_id": request.user["id"],
        "org_id": request.user["org_id"],
        "flow_node_id": node["id"],
    }
    _place_in_flow(request, doc)
    return full_view(request, world.store.put(KIND, world.stamp(doc, new=True)))


@route("GET", "/data_sinks/{sink_id}")
def show(request: Request) -> Doc:
    return full_view(request, fetch(request, KIND, request.ids["sink_id"]))


@route("PUT", "/data_sinks/{sink_id}")
def update(request: Request) -> Doc:
    """An active destination may be changed too (public server sources)."""
    doc = fetch(request, KIND, request.ids["sink_id"], "admin")
    body = request.object()
    check_text(body)
    changed = doc | changes(body, MUTABLE)
    _check_links(request, changed)
    doc |= changed
    _place_in_flow(request, doc)
    return full_view(request, request.world.store.put(KIND, request.world.stamp(doc)))


@route("DELETE", "/data_sinks/{sink_id}")
def delete(request: Request) -> Response:
    doc = fetch(request, KIND, request.ids["sink_id"], "admin")
    if doc["status"] == "ACTIVE":
        raise ApiError(405, "Data sink must be paused before deletion")
    request.world.store.delete(KIND, doc["id"])
    return Response()


def set_status(request: Request, doc: Doc, status: str) -> None:
    """Activate or pause a destination; an activated one gets what its flow has read so far."""
    world = request.world
    if doc["status"] == status:
        return
    doc["status"] = status
    world.store.put(KIND, world.stamp(doc))
    if status == "ACTIVE":
        for source in world.store.where("sources", origin_node_id=doc["origin_node_id"]):
            world.engine.move(source["id"])


@route("PUT", "/data_sinks/{sink_id}/activate")
def activate(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["sink_id"], "operator")
    set_status(request, doc, "ACTIVE")
    return full_view(request, doc)


@route("PUT", "/data_sinks/{sink_id}/pause")
def pause(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["sink_id"], "operator")
    set_status(request, doc, "PAUSED")
    return full_view(request, doc)


@route("POST", "/data_sinks/{sink_id}/copy")
def copy(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["sink_id"], "admin")
    node = request.world.store.put("nodes", {})
    duplicate = copy_of(request, doc, status="INIT", flow_node_id=node["id"])
    return full_view(request, request.world.store.put(KIND, request.world.stamp(duplicate, new=True)))
