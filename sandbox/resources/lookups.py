"""/data_maps and /data_schemas, as far as their access is concerned: list and show."""

from __future__ import annotations

from sandbox.resources.base import base_view, fetch
from sandbox.resources.lists import listed
from sandbox.server.routing import Request, Response, route
from sandbox.state.store import Doc

LOOKUPS, SCHEMAS = "lookups", "schemas"


def _lookup_view(request: Request, doc: Doc, *, rows: bool = False) -> Doc:
    """A lookup; its rows are shown only by a single GET with ``expand`` (public server sources)."""
    view = {
        **base_view(request, doc),
        "public": bool(doc.get("public")),
        "managed": False,
        "data_type": "string",
        "data_sink_id": None,
        "data_set_id": None,
        "emit_data_default": True,
        "use_versioning": True,
        "map_primary_key": doc["map_primary_key"],
        "map_entry_count": len(doc["data_map"]),
        "tags": doc.get("tags") or [],
    }
    return view | ({"data_map": doc["data_map"]} if rows else {})


def _schema_view(request: Request, doc: Doc) -> Doc:
    """A data schema; ``data_sets`` is always empty (public server sources)."""
    more = {"detected": False, "managed": False, "template": False, "public": bool(doc.get("public"))}
    return base_view(request, doc) | more | {"schema": doc["schema"], "data_sets": [], "tags": []}


@route("GET", "/data_maps")
def list_lookups(request: Request) -> Response:
    part, headers = listed(request, LOOKUPS)
    return Response([_lookup_view(request, doc) for doc in part], headers)


@route("GET", "/data_maps/{data_map_id}")
def show_lookup(request: Request) -> Doc:
    doc = fetch(request, LOOKUPS, request.ids["data_map_id"])
    return _lookup_view(request, doc, rows=request.flag("expand"))


@route("GET", "/data_schemas")
def list_schemas(request: Request) -> Response:
    part, headers = listed(request, SCHEMAS)
    return Response([_schema_view(request, doc) for doc in part], headers)


@route("GET", "/data_schemas/{data_schema_id}")
def show_schema(request: Request) -> Doc:
    return _schema_view(request, fetch(request, SCHEMAS, request.ids["data_schema_id"]))
