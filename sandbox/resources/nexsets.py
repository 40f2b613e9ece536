"""/data_sets: CRUD, activate, pause, copy, samples."""

from __future__ import annotations

from typing import Any

from sandbox.engine import samples, transforming
from sandbox.engine.transforming import TransformError
from sandbox.resources import credentials, nexset_code
from sandbox.resources.base import MISSING_FIELD, base_view, changes, check_text, copy_of, fetch
from sandbox.resources.lists import listed
from sandbox.server.routing import ApiError, Request, Response, route
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
    """A nexset as it appears inside other resources."""
    keys = ("id", "owner_id", "org_id", "name", "description", "updated_at", "created_at")
    return {key: doc.get(key) for key in keys}


def _common_view(request: Request, doc: Doc) -> Doc:
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


def _source_fields(request: Request, doc: Doc) -> Doc:
    """Config and connector of the source of a detected nexset."""
    source = request.world.store.get("sources", doc.get("data_source_id"))
    if source is None:
        return {"source_config": None, "connector_type": None}
    return {
        "source_config": source.get("source_config"),
        "connector_type": source["source_type"],
        "connector": credentials.connector(source["source_type"]),
    }


def row_view(request: Request, doc: Doc) -> Doc:
    """A nexset as a row of the list."""
    sinks = request.world.store.where("sinks", data_set_id=doc["id"])
    keys = ("id", "owner_id", "org_id", "name", "description")
    return {
        **_common_view(request, doc),
        **_source_fields(request, doc),
        "data_sinks": [{key: sink.get(key) for key in keys} for sink in sinks],
        "transform_id": doc.get("code_container_id"),
        "output_schema": doc.get("output_schema") or {},
    }


def full_view(request: Request, doc: Doc, *, written: bool = False) -> Doc:
    """A single nexset; the response to a write (``written``) lacks the fields of its source."""
    store = request.world.store
    container = store.get("code", doc.get("code_container_id"))
    sinks = store.where("sinks", data_set_id=doc["id"])
    view = {
        **_common_view(request, doc),
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
        view |= _source_fields(request, doc)
    if request.flag("expand"):
        view |= {
            "transform_id": doc.get("code_container_id"),
            "transform": nexset_code.transform_view(container, store.get("code", doc.get("output_validator_id"))),
            "output_schema": doc.get("output_schema") or {},
            "output_validation_schema": doc.get("output_validation_schema"),
            "output_validator_id": doc.get("output_validator_id"),
            "source_schema": doc.get("source_schema"),
            "child_data_sets": [brief(child) for child in store.where(KIND, parent_data_set_id=doc["id"])],
        }
    if request.flag("include_samples"):
        view["data_samples"] = [_sample_view(sample) for sample in doc["samples"]]
    return view


@route("GET", "/data_sets")
def index(request: Request) -> Response:
    part, headers = listed(request, KIND, parent_data_set_id="parent_data_set_id")
    view = full_view if request.flag("expand") else row_view
    return Response([view(request, row) for row in part], headers)


@route("GET", "/data_sets/{set_id}")
def show(request: Request) -> Doc:
    return full_view(request, fetch(request, KIND, request.ids["set_id"]))


def _parent(request: Request, body: Doc) -> Doc:
    """The parent that a new nexset names, by ``parent_data_set_id`` or first in ``parent_data_sets``."""
    parents = body.get("parent_data_sets") or []
    first = parents[0].get("id") if parents and isinstance(parents[0], dict) else (parents or [None])[0]
    parent_id = body.get("parent_data_set_id", first)
    if parent_id is None:
        raise ApiError(400, MISSING_FIELD)
    if body.get("data_source_id"):
        raise ApiError(400, "Cannot set both parent data set and data source")
    return fetch(request, KIND, parent_id)


@route("POST", "/data_sets")
def create(request: Request) -> Doc:
    """Create a derived nexset. Its status is INIT (public server sources)."""
    body = request.object()
    check_text(body)
    parent = _parent(request, body)
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
    doc["code_container_id"] = nexset_code.container_for_new(request, body)
    _take_schemas(request, doc, body)
    world.store.put(KIND, world.stamp(doc, new=True))
    samples.refresh_derived(world, doc)
    return full_view(request, doc, written=True)


@route("PUT", "/data_sets/{set_id}")
def update(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["set_id"], "admin")
    body = request.object()
    check_text(body)
    doc |= changes(body, MUTABLE)
    _take_schemas(request, doc, body)
    if "data_sinks" in body:
        _replace_sinks(request, doc, body["data_sinks"])
    nexset_code.change(request, doc, body)
    request.world.store.put(KIND, request.world.stamp(doc))
    if doc.get("parent_data_set_id"):
        samples.refresh_derived(request.world, doc)
    return full_view(request, doc, written=True)


def _take_schemas(request: Request, doc: Doc, body: Doc) -> None:
    """Keep an output schema that was sent, check an output validator, and complete a validation schema."""
    if isinstance(body.get("output_schema"), dict) and body["output_schema"]:
        doc |= {"output_schema": body["output_schema"], "schema_given": True}
    validator_id = body.get("output_validator_id")
    if validator_id is not None and fetch(request, "code", validator_id)["resource_type"] != "validator":
        raise ApiError(400, "Invalid code container for validator")
    schema = body.get("output_validation_schema")
    if isinstance(schema, dict):
        doc["output_validation_schema"] = {
            **schema,
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
        }


def _replace_sinks(request: Request, doc: Doc, wanted: list[Any]) -> None:
    """Make the given destinations, and no others, those of a nexset."""
    store = request.world.store
    sink_ids = [entry["id"] if isinstance(entry, dict) else entry for entry in wanted]
    if any(store.get("sinks", sink_id) is None for sink_id in sink_ids):
        raise ApiError(400, "Required data sink not found")
    for sink in store.where("sinks", data_set_id=doc["id"]):
        if sink["id"] not in sink_ids:
            store.put("sinks", sink | {"data_set_id": None})
    for sink_id in sink_ids:
        store.put("sinks", (store.get("sinks", sink_id) or {}) | {"data_set_id": doc["id"]})


def remove(request: Request, doc: Doc) -> None:
    """Delete a nexset with its inactive destinations and its own transform.

    Raises:
        ApiError: 405, checked in the server's order (public server sources): it has child nexsets, it has active
            destinations, it is active itself.
    """
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
    nexset_code.drop_unshared(request.world, doc.get("code_container_id"))


@route("DELETE", "/data_sets/{set_id}")
def delete(request: Request) -> Response:
    remove(request, fetch(request, KIND, request.ids["set_id"], "admin"))
    return Response()


def set_status(request: Request, doc: Doc, status: str) -> None:
    """Set the status of a nexset; no change when it has that status already."""
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
    duplicate = copy_of(request, doc, status="INIT", samples=[], flow_node_id=node["id"], data_source_id=None)
    return full_view(request, request.world.store.put(KIND, request.world.stamp(duplicate, new=True)), written=True)


def _sample_view(sample: Doc) -> Doc:
    return {"rawMessage": sample["rawMessage"], "nexlaMetaData": sample.get("nexlaMetaData")}


@route("GET", "/data_sets/{set_id}/samples")
def list_samples(request: Request) -> list[Doc]:
    """Samples; those of a derived nexset are pairs of input and output unless ``output_only`` is set."""
    doc = fetch(request, KIND, request.ids["set_id"])
    rows = doc["samples"]
    if doc.get("parent_data_set_id") and (request.flag("live") or not rows):
        container = request.world.store.get("code", doc.get("code_container_id"))
        try:
            transforming.apply(container, [])
        except TransformError as error:
            raise ApiError(400, str(error)) from error
        samples.refresh_derived(request.world, doc)
        rows = doc["samples"]
    count = request.integer("count") or 0
    rows = rows[:count] if count > 0 else rows
    if request.flag("live") and request.query.get("include_metadata", "true").lower() in ("false", "0"):
        return [row["rawMessage"] for row in rows]
    if doc.get("parent_data_set_id") and not request.flag("output_only"):
        return [{"input": _sample_view(row["input"]), "output": _sample_view(row)} for row in rows]
    return [_sample_view(row) for row in rows]
