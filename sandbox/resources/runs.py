"""What became of a run at each destination, and the records that it put into quarantine."""

from __future__ import annotations

from typing import Any

from sandbox.engine.records import LABELS
from sandbox.resources.base import fetch
from sandbox.resources.flow_tree import KINDS, locate, require_role
from sandbox.server.routing import ApiError, Request, route
from sandbox.state.store import Doc
from sandbox.state.world import World


@route("GET", "/flows/{flow_id}/run_status/{run_id}")
def run_status(request: Request) -> list[Doc]:
    """One entry for each destination of the flow.

    The values of ``status`` are not documented [?]. The sandbox's are SUCCESS, ERROR, and PENDING when nothing of the
    run has arrived.
    """
    root, _ = locate(request, request.ids["flow_id"])
    require_role(request, root, "collaborator")
    run_id = request.ids.get("run_id", root.doc.get("last_run_id"))
    entries = []
    for node in root.walk():
        if node.kind == "sinks":
            rows = request.world.store.where("metrics", resource_id=node.doc["id"], resource_type="data_sinks")
            rows = [row for row in rows if row["run_id"] == run_id]
            errors = sum(row["errors"] for row in rows)
            status = "PENDING" if not rows else "ERROR" if errors else "SUCCESS"
            output: Doc = {"sink_id": node.doc["id"]} | ({"error": f"{errors} records failed"} if errors else {})
            entries.append({"status": status, "output": output})
    return entries


def _quarantined(world: World, label: str, resource_id: int) -> list[Doc]:
    """Every quarantined record of a resource, newest run first."""
    entries = world.store.where("quarantine", label=label, resource_id=resource_id)
    return [
        _record_view(entry["run_id"], row, label, resource_id)
        for entry in sorted(entries, key=lambda entry: entry["run_id"], reverse=True)
        for row in entry["records"]
    ]


def _record_view(run_id: int, row: Doc, label: str, resource_id: int) -> Doc:
    meta = {"runId": run_id, "resourceType": label, "resourceId": resource_id, "ingestTime": run_id}
    message = row["record"] if isinstance(row["record"], dict) else {"line": row["record"]}
    return {"nexlaMetaData": meta, "error": {"message": row["error"]}, "rawMessage": message}


@route("POST", "/{resource_type}/{resource_id}/probe/quarantine/sample")
def quarantine_sample(request: Request) -> Doc:
    """Quarantined records, one page at a time; ``start_time`` and ``end_time`` are epoch milliseconds.

    Path and body are known from public client libraries, the record's three keys from the developer guide. The envelope
    is that of other probe responses.
    """
    doc = fetch(request, KINDS[request.resource_type], request.ids["resource_id"])
    body = request.body if isinstance(request.body, dict) else {}
    first, last = body.get("start_time", 0), body.get("end_time", float("inf"))
    rows = [
        row
        for row in _quarantined(request.world, LABELS[request.resource_type], doc["id"])
        if first <= row["nexlaMetaData"]["runId"] <= last
    ]
    page, size = int(body.get("page", 1)), int(body.get("per_page", 10))
    if page < 1 or size < 1:
        raise ApiError(400, "page and per_page must be positive")
    part = rows[(page - 1) * size : page * size]
    meta: dict[str, Any] = {"currentPage": page, "pageCount": -(-len(rows) // size), "totalCount": len(rows)}
    return {"status": 200, "message": "Ok", "output": {"data": part, "meta": meta}}
