"""/data_sets: CRUD, activate, pause, copy, samples."""

from __future__ import annotations

from typing import Any

from sandbox.engine import samples as sample_store
from sandbox.engine import transforming
from sandbox.engine.transforming import TransformError
from sandbox.resources import code, credentials
from sandbox.resources.base import base_view, fetch, visible
from sandbox.server.routing import Answer, ApiError, Request, check_text, filtered, newest_first, page, route
from sandbox.state.store import Doc

KIND = "nexsets"
MUTABLE = (
    "name",
    "description",
    "tags",
    "custom_config",
    "output_schema_validation_enabled",
    "output_validation_schema",
    "output_validator_id",
    "runtime_config",
)


def brief(doc: Doc) -> Doc:
    keys = ("id", "owner_id", "org_id", "name", "description", "updated_at", "created_at")
    return {key: doc.get(key) for key in keys}


def _base(request: Request, doc: Doc) -> Doc:
    parent = request.world.store.get(KIND, doc.get("parent_data_set_id"))
    return {
        **base_view(request, doc),
        "origin_node_id": doc["origin_node_id"],
        "flow_node_id": doc["flow_node_id"],
        "status": doc["status"],
        "runtime_status": "IDLE",
        "public": False,
        "managed": False,
        "data_source_id": doc.get("data_source_id"),
        "parent_data_sets": [brief(parent)] if parent else [],
        "tags": doc.get("tags") or [],
        "flow_type": "streaming",
    }


def _origin(request: Request, doc: Doc) -> Doc:
    """source_config and connector of the source that a detected nexset came from."""
    source = request.world.store.get("sources", doc.get("data_source_id"))
    if source is None:
        return {"source_config": None, "connector_type": None}
    kind = source["source_type"]
    return {
        "source_config": source.get("source_config"),
        "connector_type": kind,
        "connector": credentials.connector(kind),
    }


def row_view(request: Request, doc: Doc) -> Doc:
    sinks = request.world.store.where("sinks", data_set_id=doc["id"])
    keys = ("id", "owner_id", "org_id", "name", "description")
    return {
        **_base(request, doc),
        **_origin(request, doc),
        "data_sinks": [{key: sink.get(key) for key in keys} for sink in sinks],
        "transform_id": doc.get("code_container_id"),
        "output_schema": doc.get("output_schema") or {},
    }


def full_view(request: Request, doc: Doc, *, written: bool = False) -> Doc:
    """The single view; ``written`` is the answer to a write, which lacks the source's fields."""
    store = request.world.store
    container = store.get("code", doc.get("code_container_id"))
    sinks = store.where("sinks", data_set_id=doc["id"])
    view = {
        **_base(request, doc),
        "parent_node_id": doc.get("parent_node_id"),
        "version": 1,
        "parent_data_set_ids": [doc["parent_data_set_id"]] if doc.get("parent_data_set_id") else [],
        "data_sinks": [{key: s[key] for key in ("id", "owner_id", "name", "status", "sink_type")} for s in sinks],
        "has_custom_transform": bool(container and container["code_type"] == "jolt_custom"),
        "output_schema_validation_enabled": bool(doc.get("output_schema_validation_enabled")),
        "custom_config": doc.get("custom_config"),
        "runtime_config": doc.get("runtime_config"),
    }
    if not written:
        view |= _origin(request, doc)
    if request.flag("expand"):
        view |= {
            "transform_id": doc.get("code_container_id"),
            "transform": code.wrapper(container, store.get("code", doc.get("output_validator_id"))),
            "output_schema": doc.get("output_schema") or {},
            "output_validation_schema": doc.get("output_validation_schema"),
            "output_validator_id": doc.get("output_validator_id"),
            "source_schema": doc.get("source_schema"),
            "child_data_sets": [brief(child) for child in store.where(KIND, parent_data_set_id=doc["id"])],
        }
    if request.flag("include_samples"):
        view["data_samples"] = [_sample(sample) for sample in doc["samples"]]
    return view


@route("GET", "/data_sets")
def index(request: Request) -> Answer:
    rows = filtered(request, visible(request, KIND), parent_data_set_id="parent_data_set_id")
    part, headers = page(request, newest_first(request, rows))
    full = request.flag("expand")
    return Answer([full_view(request, r) if full else row_view(request, r) for r in part], headers)


@route("GET", "/data_sets/{set_id}")
def show(request: Request) -> Doc:
    return full_view(request, fetch(request, KIND, request.ids["set_id"]))


@route("POST", "/data_sets")
def create(request: Request) -> Doc:
    body = request.object()
    check_text(body)
    parents = body.get("parent_data_sets") or []
    first = parents[0].get("id") if parents and isinstance(parents[0], dict) else (parents or [None])[0]
    number = body.get("parent_data_set_id", first)
    if number is None:
        raise ApiError(400, "Invalid resource. Are you missing a required field?")
    if body.get("data_source_id"):
        raise ApiError(400, "Cannot set both parent data set and data source")
    parent = fetch(request, KIND, number)
    world = request.world
    node = world.store.put("nodes", {})
    doc: Doc = {
        "status": "INIT",
        "owner_id": request.user["id"],
        "org_id": request.user["org_id"],
        "parent_data_set_id": parent["id"],
        "samples": [],
        "flow_node_id": node["id"],
        "parent_node_id": parent["flow_node_id"],
        "origin_node_id": parent["origin_node_id"],
        **{key: body[key] for key in MUTABLE if key in body},
    }
    doc["code_container_id"] = code.for_new_nexset(request, body)
    _take_schemas(request, doc, body)
    world.store.put(KIND, world.stamp(doc, new=True))
    sample_store.refresh_derived(world, doc)
    return full_view(request, doc, written=True)


@route("PUT", "/data_sets/{set_id}")
def update(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["set_id"], "admin")
    body = request.object()
    check_text(body)
    doc |= {key: body[key] for key in MUTABLE if key in body and not (key == "name" and not body[key])}
    _take_schemas(request, doc, body)
    if "data_sinks" in body:
        _replace_sinks(request, doc, body["data_sinks"])
    code.change_of_nexset(request, doc, body)
    request.world.store.put(KIND, request.world.stamp(doc))
    if doc.get("parent_data_set_id"):
        sample_store.refresh_derived(request.world, doc)
    return full_view(request, doc, written=True)


def _take_schemas(request: Request, doc: Doc, body: Doc) -> None:
    """An output schema that is sent is kept as it is; a validator must be one."""
    if isinstance(body.get("output_schema"), dict) and body["output_schema"]:
        doc |= {"output_schema": body["output_schema"], "schema_given": True}
    number = body.get("output_validator_id")
    if number is not None and fetch(request, "code", number)["resource_type"] != "validator":
        raise ApiError(400, "Invalid code container for validator")
    schema = body.get("output_validation_schema")
    if isinstance(schema, dict):
        doc["output_validation_schema"] = {
            **schema,
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
        }


def _replace_sinks(request: Request, doc: Doc, wanted: list[Any]) -> None:
    store = request.world.store
    numbers = [entry["id"] if isinstance(entry, dict) else entry for entry in wanted]
    if any(store.get("sinks", number) is None for number in numbers):
        raise ApiError(400, "Required data sink not found")
    for sink in store.where("sinks", data_set_id=doc["id"]):
        if sink["id"] not in numbers:
            store.put("sinks", sink | {"data_set_id": None})
    for number in numbers:
        store.put("sinks", (store.get("sinks", number) or {}) | {"data_set_id": doc["id"]})


def remove(request: Request, doc: Doc) -> None:
    """Delete a nexset with its inactive sinks and its own transform; refusals come in the server's order."""
    store = request.world.store
    children = [child["id"] for child in store.where(KIND, parent_data_set_id=doc["id"])]
    if children:
        raise ApiError(405, f"Data set has one or more child data sets: {children}")
    sinks = store.where("sinks", data_set_id=doc["id"])
    active = [sink["id"] for sink in sinks if sink["status"] == "ACTIVE"]
    if active:
        raise ApiError(405, f"Data set has one or more active data sinks: {active}")
    if doc["status"] == "ACTIVE":
        raise ApiError(405, "Data set must be paused before deletion")
    for sink in sinks:
        store.delete("sinks", sink["id"])
    store.delete(KIND, doc["id"])
    code.drop_unshared(request.world, doc.get("code_container_id"))


@route("DELETE", "/data_sets/{set_id}")
def delete(request: Request) -> Answer:
    remove(request, fetch(request, KIND, request.ids["set_id"], "admin"))
    return Answer()


def set_status(request: Request, doc: Doc, status: str) -> None:
    if doc["status"] != status:
        doc["status"] = status
        request.world.store.put(KIND, request.world.stamp(doc))


@route("PUT", "/data_sets/{set_id}/activate")
def activate(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["set_id"], "operator")
    set_status(request, doc, "ACTIVE")
    for source in request.world.store.where("sources", origin_node_id=doc["origin_node_id"]):
        request.world.engine.move(source["id"])
    return full_view(request, doc, written=True)


@route("PUT", "/data_sets/{set_id}/pause")
def pause(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["set_id"], "operator")
    set_status(request, doc, "PAUSED")
    return full_view(request, doc, written=True)


@route("POST", "/data_sets/{set_id}/copy")
def copy(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["set_id"], "admin")
    node = request.world.store.put("nodes", {})
    twin = {key: value for key, value in doc.items() if key not in ("id", "created_at", "updated_at", "taken")}
    twin |= {"copied_from_id": doc["id"], "owner_id": request.user["id"], "status": "INIT", "samples": []}
    twin |= {"flow_node_id": node["id"], "data_source_id": None}
    return full_view(request, request.world.store.put(KIND, request.world.stamp(twin, new=True)), written=True)


def _sample(sample: Doc) -> Doc:
    return {"rawMessage": sample["rawMessage"], "nexlaMetaData": sample.get("nexlaMetaData")}


@route("GET", "/data_sets/{set_id}/samples")
def samples(request: Request) -> list[Doc]:
    doc = fetch(request, KIND, request.ids["set_id"])
    rows = doc["samples"]
    if doc.get("parent_data_set_id") and (request.flag("live") or not rows):
        container = request.world.store.get("code", doc.get("code_container_id"))
        try:
            transforming.apply(container, [])
        except TransformError as error:
            raise ApiError(400, str(error)) from error
        sample_store.refresh_derived(request.world, doc)
        rows = doc["samples"]
    wanted = request.number("count") or 0
    rows = rows[:wanted] if wanted > 0 else rows
    if request.flag("live") and request.query.get("include_metadata", "true").lower() in ("false", "0"):
        return [row["rawMessage"] for row in rows]
    if doc.get("parent_data_set_id") and not request.flag("output_only"):
        return [{"input": _sample(row["input"]), "output": _sample(row)} for row in rows]
    return [_sample(row) for row in rows]
