"""Run summaries, daily and flow metrics, and flow logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.resources.base import fetch
from sandbox.resources.flows import KINDS, Node, allow, locate, locate_resource
from sandbox.server.routing import ApiError, Request, page, route
from sandbox.state.store import Doc
from sandbox.state.world import World

SECONDS_BELOW = 10_000_000_000  # a time below this is in seconds, not milliseconds


def _rows(request: Request) -> list[Doc]:
    name = request.text["resource_type"]
    doc = fetch(request, KINDS[name], request.ids["resource_id"])
    return request.world.store.where("metrics", resource_type=name, resource_id=doc["id"])


@route("GET", "/{resource_type}/{resource_id}/metrics/run_summary")
def run_summary(request: Request) -> Doc:
    group = request.query.get("groupby", "runId")
    key, stored = ("lastWritten", "last_written") if group == "lastWritten" else ("runId", "run_id")
    rows = sorted(_rows(request), key=lambda row: row["run_id"], reverse=True)
    size_name = "size"
    part, headers = page(request, rows, size_name)
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
    if "from" not in request.query:
        raise ApiError(400, "The property '#/' did not contain a required property of 'from'")
    first, last = request.query["from"][:10], request.query.get("to", "9999-12-31")[:10]
    days: dict[str, list[Doc]] = {}
    for row in _rows(request):
        days.setdefault(_day(row["run_id"]), []).append(row)
    metrics = [{"time": day, **_totals(rows)} for day, rows in sorted(days.items()) if first <= day <= last]
    return {"status": 200, "metrics": metrics}


def _flow_metrics(request: Request) -> Doc:
    root, _ = locate_resource(request)
    allow(request, root, "collaborator")
    data: dict[str, list[Doc]] = {name: [] for name in KINDS}
    runs: dict[str, dict[str, list[Doc]]] = {}
    wanted = request.number("run_id")
    for node in root.walk():
        name = next(label for label, kind in KINDS.items() if kind == node.kind)
        rows = request.world.store.where("metrics", resource_type=name, resource_id=node.doc["id"])
        rows = [row for row in rows if wanted is None or row["run_id"] == wanted]
        data[name].append({"id": node.doc["id"], "metric": _totals(rows)})
        for row in rows:
            lists = runs.setdefault(str(row["run_id"]), {label: [] for label in KINDS})
            lists[name].append({"id": node.doc["id"], "metric": _totals([row])})
    shown: Any = runs if request.query.get("groupby") == "runId" else data
    meta = {"currentPage": 1, "pageCount": 1, "totalCount": len(runs)}
    return {"status": 200, "message": "Ok", "metrics": {"data": shown, "meta": meta}}


route("GET", "/{resource_type}/{resource_id}/flow/metrics")(_flow_metrics)
route("GET", "/data_flows/{resource_type}/{resource_id}/metrics")(_flow_metrics)


def _milliseconds(value: int | None) -> int | None:
    return value * 1000 if value is not None and value < SECONDS_BELOW else value


_LATEST: dict[str, Any] = {}  # the last selection, so that paging through many rows does not sort them for every page


def _selected(world: World, key: tuple[Any, ...]) -> list[Doc]:
    """The log rows of a flow that pass the filters, sorted."""
    version = (world.generation, world.store.versions.get("logs"))
    if (_LATEST.get("key"), _LATEST.get("version")) == (key, version):
        rows: list[Doc] = _LATEST["rows"]
        return rows
    origin, run, first, last, severity, kind, down = key
    rows = [
        row
        for row in world.store.where("logs", origin_node_id=origin)
        if run in (-1, row["run_id"])
        and (first is None or row["timestamp"] >= first)
        and (last is None or row["timestamp"] <= last)
        and (severity is None or row["severity"].lower() == severity.lower())
        and (kind is None or row["log_type"] == kind)
    ]
    rows.sort(key=lambda row: (row["timestamp"], row["id"]), reverse=down)
    _LATEST.update(key=key, version=version, rows=rows)
    return rows


def _logs(request: Request, root: Node) -> Doc:
    allow(request, root, "collaborator")
    if request.query.get("order_by", "ts") != "ts":
        raise ApiError(400, "Invalid order_by")
    run = request.number("run_id", -1)
    first, last = _milliseconds(request.number("from")), _milliseconds(request.number("to"))
    severity = request.query.get("severity") or request.query.get("level")
    kind = request.query.get("log_type")
    down = request.query.get("sort_order", request.query.get("sortorder", "desc")).lower() == "desc"
    key = (root.doc["flow_node_id"], run, first, last, severity, kind, down)
    rows = _selected(request.world, key)
    part, headers = page(request, rows)
    hidden = ("id", "origin_node_id")
    meta = {
        "current_page": int(headers.get("X-Current-Page", "1")),
        "pages_count": int(headers.get("X-Total-Page-Count", "1")),
        "total_count": len(rows),
        "org_id": root.doc["org_id"],
        "run_id": run,
    }
    data = [{key: value for key, value in row.items() if key not in hidden} for row in part]
    return {"status": 200, "message": "Ok", "logs": {"data": data, "meta": meta}}


def _resource_logs(request: Request) -> Doc:
    return _logs(request, locate_resource(request)[0])


route("GET", "/{resource_type}/{resource_id}/flow/logs")(_resource_logs)
route("GET", "/data_flows/{resource_type}/{resource_id}/logs")(_resource_logs)


@route("GET", "/flows/{flow_id}/logs")
def flow_logs(request: Request) -> Doc:
    return _logs(request, locate(request, request.ids["flow_id"])[0])
