"""Run summaries, daily and flow metrics, and flow logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.resources.base import fetch
from sandbox.resources.flow_tree import KINDS, Node, locate, locate_resource, require_role
from sandbox.resources.lists import page
from sandbox.server.routing import ApiError, Request, route
from sandbox.state.logs import ANY_RUN, LogFilter
from sandbox.state.store import Doc

FIRST_MILLISECONDS = 10_000_000_000  # a lower time is in seconds: nexla-sdk sends those too
LAST_DAY = "9999-12-31"


def _rows(request: Request) -> list[Doc]:
    doc = fetch(request, KINDS[request.resource_type], request.ids["resource_id"])
    return request.world.store.where("metrics", resource_type=request.resource_type, resource_id=doc["id"])


@route("GET", "/{resource_type}/{resource_id}/metrics/run_summary")
def run_summary(request: Request) -> Doc:
    """One row per run and nexset, newest first, paged by ``page`` and ``size``. Rows have no status (public spec)."""
    by_batch = request.query.get("groupby", "runId") == "lastWritten"
    key, stored = ("lastWritten", "last_written") if by_batch else ("runId", "run_id")
    rows = sorted(_rows(request), key=lambda row: row["run_id"], reverse=True)
    part, headers = page(request, rows, "size")
    data = [
        {
            key: row[stored],
            "dataSetId": row["data_set_id"],
            "records": row["records"],
            "size": row["size"],
            "errors": row["errors"],
        }
        for row in part
    ]
    meta = {
        "currentPage": int(headers.get("X-Current-Page", "1")),
        "pageCount": int(headers.get("X-Total-Page-Count", "1")),
        "totalCount": len(rows),
    }
    return {"status": 200, "metrics": {"data": data, "meta": meta}}


def _day(run_id: int) -> str:
    return datetime.fromtimestamp(run_id / 1000, UTC).strftime("%Y-%m-%d")


def _totals(rows: list[Doc]) -> Doc:
    return {key: sum(row[key] for row in rows) for key in ("records", "size", "errors")}


@route("GET", "/{resource_type}/{resource_id}/metrics")
def daily(request: Request) -> Doc:
    """Totals per day between ``from``, which is compulsory, and ``to``."""
    if "from" not in request.query:
        raise ApiError(400, "The property '#/' did not contain a required property of 'from'")
    first, last = request.query["from"][:10], request.query.get("to", LAST_DAY)[:10]
    days: dict[str, list[Doc]] = {}
    for row in _rows(request):
        days.setdefault(_day(row["run_id"]), []).append(row)
    metrics = [{"time": day, **_totals(rows)} for day, rows in sorted(days.items()) if first <= day <= last]
    return {"status": 200, "metrics": metrics}


def _flow_metrics(request: Request) -> Doc:
    """Totals of every resource in a flow, over all runs or (``groupby=runId``) for each run."""
    root, _ = locate_resource(request)
    require_role(request, root, "collaborator")
    data: dict[str, list[Doc]] = {resource_type: [] for resource_type in KINDS}
    runs: dict[str, dict[str, list[Doc]]] = {}
    run_id = request.integer("run_id")
    for node in root.walk():
        name, resource_id = node.resource_type, node.doc["id"]
        rows = request.world.store.where("metrics", resource_type=name, resource_id=resource_id)
        rows = [row for row in rows if run_id is None or row["run_id"] == run_id]
        data[name].append({"id": resource_id, "metric": _totals(rows)})
        for row in rows:
            lists = runs.setdefault(str(row["run_id"]), {resource_type: [] for resource_type in KINDS})
            lists[name].append({"id": resource_id, "metric": _totals([row])})
    shown: Any = runs if request.query.get("groupby") == "runId" else data
    meta = {"currentPage": 1, "pageCount": 1, "totalCount": len(runs)}
    return {"status": 200, "message": "Ok", "metrics": {"data": shown, "meta": meta}}


# the first path of each pair is what nexla-sdk calls, the second what the public spec documents
route("GET", "/{resource_type}/{resource_id}/flow/metrics")(_flow_metrics)
route("GET", "/data_flows/{resource_type}/{resource_id}/metrics")(_flow_metrics)


def _milliseconds(value: int | None) -> int | None:
    return value * 1000 if value is not None and value < FIRST_MILLISECONDS else value


def _flow_logs(request: Request, root: Node) -> Doc:
    """Log lines of a flow, filtered and paged. ``severity`` and ``sort_order`` have the aliases ``level`` and
    ``sortorder`` (public server sources)."""
    require_role(request, root, "collaborator")
    if request.query.get("order_by", "ts") != "ts":
        raise ApiError(400, "Invalid order_by")
    run_id = request.integer("run_id")
    order = request.query.get("sort_order", request.query.get("sortorder", "desc"))
    wanted = LogFilter(
        origin_node_id=root.doc["flow_node_id"],
        run_id=ANY_RUN if run_id is None else run_id,
        first=_milliseconds(request.integer("from")),
        last=_milliseconds(request.integer("to")),
        severity=request.query.get("severity") or request.query.get("level"),
        log_type=request.query.get("log_type"),
        newest_first=order.lower() == "desc",
    )
    lines = request.world.logs.select(wanted)
    part, headers = page(request, lines)
    meta = {
        "current_page": int(headers.get("X-Current-Page", "1")),
        "pages_count": int(headers.get("X-Total-Page-Count", "1")),
        "total_count": len(lines),
        "org_id": root.doc["org_id"],
        "run_id": wanted.run_id,
    }
    data = [{key: value for key, value in line.items() if key not in ("id", "origin_node_id")} for line in part]
    return {"status": 200, "message": "Ok", "logs": {"data": data, "meta": meta}}


def _resource_logs(request: Request) -> Doc:
    return _flow_logs(request, locate_resource(request)[0])


route("GET", "/{resource_type}/{resource_id}/flow/logs")(_resource_logs)
route("GET", "/data_flows/{resource_type}/{resource_id}/logs")(_resource_logs)


@route("GET", "/flows/{flow_id}/logs")
def flow_logs(request: Request) -> Doc:
    return _flow_logs(request, locate(request, request.ids["flow_id"])[0])
