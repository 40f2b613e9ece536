"""/data_credentials: CRUD, probe, tree and sample."""

from __future__ import annotations

from typing import Any

import duckdb

from sandbox.engine import databases, files, postgres
from sandbox.engine.connector_types import connection_type
from sandbox.engine.errors import ConnectorError
from sandbox.resources.base import base_view, fetch, visible
from sandbox.server import contract
from sandbox.server.routing import Answer, ApiError, Request, check_text, filtered, newest_first, page, route
from sandbox.state.store import Doc

KIND = "credentials"
MUTABLE = ("name", "description", "credentials_type", "credentials", "credentials_version", "verified_status", "tags")
NOT_SECRET = ("host", "port", "database", "bucket", "region", "username", "account")
USED_BY = {"data_sources": "sources", "data_sinks": "sinks", "data_sets": "nexsets"}


def connector(kind: str) -> Doc:
    """The connector object of a type."""
    return {
        "id": sum(map(ord, kind)),
        "type": kind,
        "connection_type": connection_type(kind),
        "name": kind,
        "description": f"{kind} (sandbox)",
        "nexset_api_compatible": False,
    }


def row_view(request: Request, doc: Doc) -> Doc:
    return {
        **base_view(request, doc),
        "credentials_version": doc.get("credentials_version", "1"),
        "credentials_type": doc["credentials_type"],
        "connector": connector(doc["credentials_type"]),
        "verified_status": doc.get("verified_status"),
        "verified_at": doc.get("verified_at"),
    }


def full_view(request: Request, doc: Doc) -> Doc:
    secret = doc.get("credentials") or {}
    return {
        **row_view(request, doc),
        "managed": False,
        "api_keys": [],
        "credentials_non_secure_data": {key: secret[key] for key in NOT_SECRET if key in secret},
        "tags": doc.get("tags") or [],
    }


@route("GET", "/data_credentials")
def index(request: Request) -> Answer:
    rows = filtered(request, visible(request, KIND), credentials_type="credentials_type")
    if validity := request.query.get("validity"):
        rows = [row for row in rows if bool(row.get("verified_at")) == (validity == "valid")]
    part, headers = page(request, newest_first(request, rows))
    return Answer([row_view(request, row) for row in part], headers)


def _check_type(kind: Any) -> None:
    if kind not in contract.enum("CredentialType"):
        raise ApiError(400, "Invalid connector type")


def create_from(request: Request, body: Doc) -> Doc:
    check_text(body)
    body = {**body, "credentials_type": body.get("connector_type", body.get("credentials_type"))}
    _check_type(body["credentials_type"])
    doc = {key: body[key] for key in MUTABLE if key in body}
    doc |= {"owner_id": request.user["id"], "org_id": request.user["org_id"], "verified_at": None}
    return request.world.store.put(KIND, request.world.stamp(doc, new=True))


@route("POST", "/data_credentials")
def create(request: Request) -> Doc:
    return full_view(request, create_from(request, request.object()))


@route("GET", "/data_credentials/{credential_id}")
def show(request: Request) -> Doc:
    return full_view(request, fetch(request, KIND, request.ids["credential_id"]))


@route("PUT", "/data_credentials/{credential_id}")
def update(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["credential_id"], "admin")
    body = request.object()
    check_text(body)
    if body.get("credentials_type"):
        _check_type(body["credentials_type"])
    doc |= {key: body[key] for key in MUTABLE if key in body and not (key == "name" and not body[key])}
    return full_view(request, request.world.store.put(KIND, request.world.stamp(doc)))


@route("DELETE", "/data_credentials/{credential_id}")
def delete(request: Request) -> Answer:
    doc = fetch(request, KIND, request.ids["credential_id"], "admin")
    store = request.world.store
    users = {
        name: [row["id"] for row in store.where(kind, data_credentials_id=doc["id"])] for name, kind in USED_BY.items()
    }
    if any(users.values()):
        raise ApiError(
            405, "Data credentials in use", **users, gen_ai_configs=[], catalog_configs=[], code_containers=[]
        )
    store.delete(KIND, doc["id"])
    return Answer()


@route("POST", "/data_credentials/{credential_id}/copy")
def copy(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["credential_id"], "admin")
    twin = {key: value for key, value in doc.items() if key not in ("id", "created_at", "updated_at")}
    twin |= {"copied_from_id": doc["id"], "owner_id": request.user["id"]}
    return full_view(request, request.world.store.put(KIND, request.world.stamp(twin, new=True)))


def _refusal(doc: Doc) -> Doc | None:
    if doc.get("bad"):
        return {"status": 403, "message": "The credentials were refused by the external system"}
    if connection_type(doc["credentials_type"]) == "database" and postgres.is_configured(doc):
        try:
            postgres.check(doc)
        except postgres.PostgresError as error:
            return {"status": 403, "message": str(error).splitlines()[0]}
    return None


def _raise_refusal(doc: Doc) -> None:
    refusal = _refusal(doc)
    if refusal:
        error = ApiError(403)
        error.body = refusal
        raise error


@route("GET", "/data_credentials/{credential_id}/probe")
def probe(request: Request) -> Answer:
    doc = fetch(request, KIND, request.ids["credential_id"])
    refusal = _refusal(doc)
    doc["verified_status"] = f"{refusal['status']} {refusal['message']}"[:1024] if refusal else "200 Ok"
    doc["verified_at"] = None if refusal else request.world.clock.iso()
    request.world.store.put(KIND, doc)
    return Answer(refusal, status=403) if refusal else Answer()


@route("POST", "/data_credentials/{credential_id}/probe/tree")
def tree(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["credential_id"])
    if request.flag("async"):
        raise ApiError(400, "Invalid async probe action")
    _raise_refusal(doc)
    kind = connection_type(doc["credentials_type"])
    body = request.object()
    nodes: Doc = {}
    if kind == "file":
        for file in files.list_files(request.world, str(body.get("path", ""))):
            name = str(file.relative_to(request.world.folder("buckets")))
            nodes[name] = {"type": "file", "size": file.stat().st_size, "display_name": file.name, "value": {}}
    elif kind == "database":
        for name in databases.table_names(request.world, doc, body):
            nodes[name] = {"type": "table", "display_name": name, "value": {}}
    return {"status": "ok", "message": "Ok", "connection_type": doc["credentials_type"], "object": nodes}


@route("POST", "/data_credentials/{credential_id}/probe/sample")
def sample(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["credential_id"])
    _raise_refusal(doc)
    body = request.object()
    try:
        if connection_type(doc["credentials_type"]) == "file":
            found = files.list_files(request.world, str(body.get("path", "")))
            response: Any = found[0].read_text(encoding="utf-8", errors="replace")[:10_000] if found else ""
        else:
            response = databases.sample_rows(request.world, doc, body)
    except (ConnectorError, duckdb.Error) as error:
        raise ApiError(400, str(error).splitlines()[0]) from error
    output = {"contentType": "text/plain", "statusCode": 200, "response": response}
    return {"status": "ok", "message": "Ok", "connection_type": doc["credentials_type"], "output": output}
