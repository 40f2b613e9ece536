"""/data_credentials: CRUD, probe, and previews of what a credential reaches."""

from __future__ import annotations

from typing import Any

import duckdb

from sandbox.engine import databases, files, postgres
from sandbox.engine.connector_types import connection_type
from sandbox.engine.errors import ConnectorError
from sandbox.resources.base import base_view, changes, check_text, copy_of, fetch, visible
from sandbox.resources.lists import filtered, newest_first, page
from sandbox.server import contract
from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc

KIND = "credentials"
MUTABLE = ("name", "description", "credentials_type", "credentials", "credentials_version", "verified_status", "tags")
NOT_SECRET = ("host", "port", "database", "bucket", "region", "username", "account")
USED_BY = {"data_sources": "sources", "data_sinks": "sinks", "data_sets": "nexsets"}
PREVIEW_CHARACTERS = 10_000
MAX_STATUS = 1024  # characters of verified_status (public server sources)


def connector(connector_type: str) -> Doc:
    """The ``connector`` object of a type."""
    return {
        "id": sum(map(ord, connector_type)),
        "type": connector_type,
        "connection_type": connection_type(connector_type),
        "name": connector_type,
        "description": f"{connector_type} (sandbox)",
        "nexset_api_compatible": False,
    }


def row_view(request: Request, doc: Doc) -> Doc:
    """A credential as a row of the list."""
    return {
        **base_view(request, doc),
        "credentials_version": doc.get("credentials_version", "1"),
        "credentials_type": doc["credentials_type"],
        "connector": connector(doc["credentials_type"]),
        "verified_status": doc.get("verified_status"),
        "verified_at": doc.get("verified_at"),
    }


def full_view(request: Request, doc: Doc) -> Doc:
    """A single credential. Of its secret only harmless fields are shown."""
    secret = doc.get("credentials") or {}
    return {
        **row_view(request, doc),
        "managed": False,
        "api_keys": [],
        "credentials_non_secure_data": {key: secret[key] for key in NOT_SECRET if key in secret},
        "tags": doc.get("tags") or [],
    }


@route("GET", "/data_credentials")
def index(request: Request) -> Response:
    """Brief rows; ``expand`` is ignored."""
    rows = filtered(request, visible(request, KIND), credentials_type="credentials_type")
    if validity := request.query.get("validity"):
        rows = [row for row in rows if bool(row.get("verified_at")) == (validity == "valid")]
    part, headers = page(request, newest_first(request, rows))
    return Response([row_view(request, row) for row in part], headers)


def _check_type(connector_type: Any) -> None:
    if connector_type not in contract.enum("CredentialType"):
        raise ApiError(400, "Invalid connector type")


def create_from(request: Request, body: Doc) -> Doc:
    """Store a credential that belongs to the caller.

    Raises:
        ApiError: 400, its name is too long or its connector type unknown.
    """
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
    doc |= changes(body, MUTABLE)
    return full_view(request, request.world.store.put(KIND, request.world.stamp(doc)))


@route("DELETE", "/data_credentials/{credential_id}")
def delete(request: Request) -> Response:
    """Refused with 405 while anything uses the credential; the body names what does (public server sources)."""
    doc = fetch(request, KIND, request.ids["credential_id"], "admin")
    store = request.world.store
    users = {
        resource_type: [row["id"] for row in store.where(kind, data_credentials_id=doc["id"])]
        for resource_type, kind in USED_BY.items()
    }
    if any(users.values()):
        raise ApiError(
            405, "Data credentials in use", **users, gen_ai_configs=[], catalog_configs=[], code_containers=[]
        )
    store.delete(KIND, doc["id"])
    return Response()


@route("POST", "/data_credentials/{credential_id}/copy")
def copy(request: Request) -> Doc:
    doc = fetch(request, KIND, request.ids["credential_id"], "admin")
    duplicate = copy_of(request, doc)
    return full_view(request, request.world.store.put(KIND, request.world.stamp(duplicate, new=True)))


def _refusal(doc: Doc) -> Doc | None:
    """The body of a failed probe; None when the external system accepts the credential."""
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
def probe(request: Request) -> Response:
    """Test a credential, and note the result in it. Success is 200 with an empty body (public server sources)."""
    doc = fetch(request, KIND, request.ids["credential_id"])
    refusal = _refusal(doc)
    doc["verified_status"] = f"{refusal['status']} {refusal['message']}"[:MAX_STATUS] if refusal else "200 Ok"
    doc["verified_at"] = None if refusal else request.world.clock.iso()
    request.world.store.put(KIND, doc)
    return Response(refusal, status=403) if refusal else Response()


@route("POST", "/data_credentials/{credential_id}/probe/tree")
def tree(request: Request) -> Doc:
    """The files below a path, or the tables of a database."""
    doc = fetch(request, KIND, request.ids["credential_id"])
    if request.flag("async"):
        raise ApiError(400, "Invalid async probe action")
    _raise_refusal(doc)
    connection = connection_type(doc["credentials_type"])
    body = request.object()
    nodes: Doc = {}
    if connection == "file":
        for file in files.list_files(request.world, str(body.get("path", ""))):
            name = str(file.relative_to(request.world.folder("buckets")))
            nodes[name] = {"type": "file", "size": file.stat().st_size, "display_name": file.name, "value": {}}
    elif connection == "database":
        for name in databases.table_names(request.world, doc, body):
            nodes[name] = {"type": "table", "display_name": name, "value": {}}
    return {"status": "ok", "message": "Ok", "connection_type": doc["credentials_type"], "object": nodes}


@route("POST", "/data_credentials/{credential_id}/probe/sample")
def sample(request: Request) -> Doc:
    """The beginning of the first file below a path, or the first rows of a table."""
    doc = fetch(request, KIND, request.ids["credential_id"])
    _raise_refusal(doc)
    body = request.object()
    try:
        if connection_type(doc["credentials_type"]) == "file":
            response: Any = _preview(request, str(body.get("path", "")))
        else:
            response = databases.sample_rows(request.world, doc, body)
    except (ConnectorError, duckdb.Error) as error:
        raise ApiError(400, str(error).splitlines()[0]) from error
    output = {"contentType": "text/plain", "statusCode": 200, "response": response}
    return {"status": "ok", "message": "Ok", "connection_type": doc["credentials_type"], "output": output}


def _preview(request: Request, path: str) -> str:
    found = files.list_files(request.world, path)
    return found[0].read_text(encoding="utf-8", errors="replace")[:PREVIEW_CHARACTERS] if found else ""
