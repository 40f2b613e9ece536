"""/data_sources: CRUD, activate, pause, copy."""

from __future__ import annotations

import secrets

from sandbox.engine.connector_types import WEBHOOKS
from sandbox.resources import credentials, nexsets
from sandbox.resources.base import base_view, check_text, fetch
from sandbox.resources.lists import listed
from sandbox.server import contract
from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc

KIND = "sources"
MUTABLE = ("name", "description", "source_config", "poll_schedule", "ingest_method", "source_format", "tags")
CONFIG_KEYS = {"source_config": "source_config of active data_source", "source_format": "format of active source"}


def row_view(request: Request, doc: Doc) -> Doc:
    """A source as a row of the list: without config, credential and API keys (public server sources)."""
    detected = request.world.store.where("nexsets", data_source_id=doc["id"])
    return {
        **base_view(request, doc),
        "origin_node_id": doc["origin_node_id"],
        "flow_node_id": doc["flow_node_id"],
        "status": doc["status"],
        "runtime_status": request.world.runtime_status(KIND, doc),
        "ingest_method": doc["ingest_method"],
        "source_format": doc["source_format"],
        "managed": False,
        "auto_generated": False,
        "code_container_id": None,
        "source_type": doc["source_type"],
        "connector_type": doc["source_type"],
        "connector": credentials.connector(doc["source_type"]),
        "data_sets": [nexsets.brief(nexset) for nexset in detected],
        "tags": doc.get("tags") or [],
        "run_ids": doc.get("run_ids", []),
        "flow_type": "streaming",
        "ingestion_mode": "full_ingestion",
    }


def full_view(request: Request, doc: Doc) -> Doc:
    """A single source; ``expand`` adds the schemas of its nexsets."""
    view = row_view(request, doc)
    store = request.world.store
    credential = store.get("credentials", doc.get("data_credentials_id"))
    view |= {
        "parent_node_id": None,
        "source_config": doc.get("source_config"),
        "poll_schedule": doc.get("poll_schedule"),
        "adaptive_flow": False,
        "api_keys": doc.get("api_keys", []),
        "data_credentials": credentials.full_view(request, credential) if credential else None,
        "data_credentials_group_id": None,
        "last_run_id": doc.get("last_run_id"),
        "flow_triggers": [],
        "linked_flows": [],
    }
    view["data_sets"] = [{**brief, "version": 1} for brief in view["data_sets"]]
    if request.flag("expand"):
        for brief in view["data_sets"]:
            nexset = store.get("nexsets", brief["id"]) or {}
            brief |= {"source_schema": nexset.get("source_schema"), "output_schema": nexset.get("output_schema")}
    return view


@route("GET", "/data_sources")
def index(request: Request) -> Response:
    part, headers = listed(request, KIND, source_type="source_type")
    view = full_view if request.flag("expand") else row_view
    return Response([view(request, row) for row in part], headers)


def _check_credential(request: Request, credential_id: int | None) -> None:
    if credential_id is None:
        return
    credential = request.world.store.get("credentials", credential_id)
    if credential is None:
        raise ApiError(404)
    if request.world.role(request.user, credential) is None:
        raise ApiError(403, "Unauthorized access to data credentials")


def new_source(request: Request, body: Doc) -> Doc:
    """Store a source with its flow node and the status INIT; a webhook source also gets its API key."""
    world = request.world
    node = world.store.put("nodes", {})
    doc = {
        "source_type": body.get("connector_type", body.get("source_type", "s3")),
        "ingest_method": "API",
        "source_format": "JSON",
        "status": "INIT",
        "data_credentials_id": body.get("data_credentials_id"),
        "owner_id": request.user["id"],
        "org_id": request.user["org_id"],
        "flow_node_id": node["id"],
        "origin_node_id": node["id"],
        "run_ids": [],
        "project_id": body.get("project_id"),
    }
    doc |= {key: body[key] for key in MUTABLE if body.get(key) is not None}
    world.store.put(KIND, world.stamp(doc, new=True))
    if doc["source_type"] in WEBHOOKS:
        key = secrets.token_hex(16)
        url = f"{world.url.removesuffix('/nexla-api')}/data/{doc['id']}?api_key={key}"
        doc["api_keys"] = [{"id": doc["id"], "data_source_id": doc["id"], "api_key": key, "url": url}]
        world.store.put(KIND, doc)
    return doc


@route("POST", "/data_sources")
def create(request: Request) -> Doc:
    """With ``activate_now`` the source is ACTIVE at once, but no run starts (public server sources)."""
    body = request.object()
    check_text(body)
    connector_type = body.get("connector_type", body.get("source_type", "s3"))
    if connector_type not in contract.enum("SourceType"):
        raise ApiError(400, "Unsupported source connector type")
    if isinstance(body.get("data_credentials"), dict):
        body = {**body, "data_credentials_id": credentials.create_from(request, body["data_credentials"])["id"]}
    _check_credential(request, body.get("data_credentials_id"))
    doc = new_source(request, body)
    if body.get("activate_now"):
        doc["status"] = "ACTIVE"
    return full_view(request, doc)


@route("GET", "/data_sources/{source_id}")
def show(request: Request) -> Doc:
    return full_view(request, fetch(request, KIND, request.ids["source_id"]))


@route("PUT", "/data_sources/{source_id}")
def update(request: Request) -> Doc:
    """The config of an active source changes only with ``force`` or ``run_now`` (public server sources)."""
    doc = fetch(request, KIND, request.ids["source_id"], "admin")
    body = request.object()
    check_text(body)
    if doc["status"] == "ACTIVE" and not request.flag("force") and "run_now" not in request.query:
        for key, what in CONFIG_KEYS.items():
            if key in body and body[key] != doc.get(key):
                raise ApiError(405, f"Cannot change {what}")
    _check_credential(request, body.get("data_credentials_id"))
    changed = {key: body[key] for key in (*MUTABLE, "data_credentials_id", "project_id") if key in body}
    if not changed.get("name", "x"):
        changed.pop("name")
    if "source_config" in changed and changed["source_config"] != doc.get("source_config"):
        doc["read_state"] = {}  # everything at another place, or in another format, is new
    doc |= changed
    return full_view(request, request.world.store.put(KIND, request.world.stamp(doc)))


def remove(request: Request, doc: Doc) -> None:
    """Delete a source and its detected nexsets. As on the server, those deleted before a refusal stay deleted.

    Raises:
        ApiError: 405, the source is active, or one of its nexsets cannot be deleted.
    """
    if doc["status"] == "ACTIVE":
        raise ApiError(405, "Data source must be paused before deletion")
    for nexset in request.world.store.where("nexsets", data_source_id=doc["id"]):
        nexsets.remove(request, nexset)
    request.world.store.delete(KIND, doc["id"])


@route("DELETE", "/data_sources/{source_id}")
def delete(request: Request) -> Response:
    remove(request, fetch(request, KIND, request.ids["source_id"], "admin"))
    return Response()


def set_status(request: Request, doc: Doc, status: str, *, run: bool = True) -> None:
    """Activate or pause a source and its detected nexsets. Only a change to ACTIVE starts a run (with ``run``).

    Raises:
        ApiError: 400, the platform has rate-limited the source.
    """
    world = request.world
    if doc["status"] == "RATE_LIMITED":
        raise ApiError(400, "Data source is rate limited")
    if doc["status"] == status:
        return
    doc["status"] = status
    world.store.put(KIND, world.stamp(doc))
    for nexset in world.store.where("nexsets", data_source_id=doc["id"]):
        nexset["status"] = status
        world.store.put("nexsets", world.stamp(nexset))
    if status == "ACTIVE" and run:
        world.engine.start_run(doc)


def wants_run(request: Request) -> bool:
    """Whether an activation starts a run, which it does unless ``run_now`` is false."""
    return request.query.get("run_now", "").lower() not in ("false", "0")


@route("PUT", "/data_sources/{source_id}/activate")
def activate(request: Request) -> Doc:
    """``force`` pauses an active source first, so that a run starts."""
    doc = fetch(request, KIND, request.ids["source_id"], "operator")
    if request.flag("force") and doc["status"] == "ACTIVE":
        set_status(request, doc, "PAUSED")
    set_status(request, doc, "ACTIVE", run=wants_run(request))
    return full_view(request, doc)


@route("PUT", "/data_sources/{source_id}/pause")
def pause(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["source_id"], "operator")
    set_status(request, doc, "PAUSED")
    return full_view(request, doc)


@route("POST", "/data_sources/{source_id}/copy")
def copy(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["source_id"], "admin")
    duplicate = new_source(request, doc)
    duplicate["copied_from_id"] = doc["id"]
    return full_view(request, request.world.store.put(KIND, duplicate))
