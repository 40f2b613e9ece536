"""The status and the metrics of a flow, as plain rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from helpers.api.flow_lookup import FlowTarget
from helpers.api.flows import Flow, Member, MemberKey
from helpers.api.runs import ResourceRun, member_runs, read_runs
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path
from helpers.core.schedule import schedule_of
from helpers.core.times import iso

FULL_PAGE_RUNS = 25  # a page of 100 rows has at least this many runs, unless it has all runs
COUNTS = ("records", "errors", "size")
BARS = "▁▂▃▄▅▆▇█"
DAY_COLUMNS = ("day", "records", "errors", "size")
RUN_COLUMNS = ("run_id", "started", "records", "errors", "size")


def status(
    session: Session, target: FlowTarget, *, workers: int
) -> tuple[dict[MemberKey, list[ResourceRun]], Row, list[str]]:
    """Read the status and last run of each member of a flow, and the next run of its source.

    Returns:
        The runs of each member; the report with ``flow``, ``schedule``, ``next_run`` and ``members`` (parents first);
        and one line for everything that could not be read.

    Raises:
        OperatorError: a failure that ends the command.
    """
    flow = target.flow
    unread: list[str] = []
    runs = member_runs(session, flow, 20, workers, unread)
    schedule = schedule_of(flow.origin.row.get("source_config"))
    upcoming = schedule.next_after(session.server_time()) if schedule else None
    report = {
        "flow": flow.origin.node_id,
        "name": flow.origin.name,
        "schedule": schedule.expression if schedule else None,
        "next_run": iso(int(upcoming * 1000)) if upcoming and flow.origin.status == "ACTIVE" else None,
        "next_run_reason": _no_next_run_reason(flow, schedule is not None, upcoming),
        "members": [_row(flow, member, runs[member.key]) for member in flow.origin.walk()],
    }
    return runs, report, unread


def _no_next_run_reason(flow: Flow, scheduled: bool, upcoming: float | None) -> str | None:
    if flow.origin.status != "ACTIVE":
        return f"the source is {flow.origin.status}"
    if not scheduled:
        return "the source has no schedule in its config"
    return None if upcoming else "the schedule never fires"


def _row(flow: Flow, member: Member, runs: list[ResourceRun]) -> Row:
    depth = len(flow.path_to(member)) - 1
    latest = runs[0] if runs else None
    origin_run_id = member.row.get("last_run_id") if member is flow.origin else None
    known = [run.id for run in runs[:1]] + ([origin_run_id] if isinstance(origin_run_id, int) else [])
    latest_id = max(known, default=0) or None
    if latest and latest.id != latest_id:
        latest = None  # the newest run has no row: it read nothing, or has only just begun
    return {
        "member": "  " * depth + str(member.name),
        "type": member.kind,
        "id": member.id,
        "name": member.name,
        "node_id": member.node_id,
        "status": member.status,
        "runtime_status": member.runtime_status,
        "last_run": iso(latest_id),
        "run_id": latest_id,
        "records": latest.records if latest else None,
        "errors": latest.errors if latest else None,
    }


def metrics(session: Session, target: FlowTarget, *, days: int, by: str) -> Result:
    """Read the metrics of a resource per day and per run; for a flow, the metrics of its origin.

    Args:
        days: how many days to read, today (UTC) included.
        by: the rows of a table or CSV: ``day`` or ``run``.

    Returns:
        A result with ``daily`` (zero for days without metrics), ``runs`` (newest first), ``totals`` over the days,
        and sparklines.

    Raises:
        OperatorError: UPSTREAM, when the metrics could not be read or have an unexpected format.
    """
    today = datetime.fromtimestamp(session.server_time(), UTC).date()
    first = today - timedelta(days=days - 1)
    params: dict[str, Any] = {"from": f"{first}T00:00:00Z", "aggregate": 1}
    path = item_path(target.api, target.member.id, "metrics")
    rows = call(session, "GET", path, params=params).data.get("metrics")
    if not isinstance(rows, list):
        raise OperatorError(Exit.UPSTREAM, f"the daily metrics of {target.member.label} have an unexpected format")
    by_day: dict[str, Row] = {str(row.get("time"))[:10]: row for row in rows if isinstance(row, dict)}
    dates = [str(first + timedelta(days=n)) for n in range(days)]
    daily: list[Row] = [{"day": day, **{key: _count(by_day.get(day, {}).get(key)) for key in COUNTS}} for day in dates]
    runs, unreadable = read_runs(session, KINDS[target.member.kind], target.member.id)
    recent = [run for run in runs if str(iso(run.id))[:10] >= str(first)]
    report = {
        "resource": {"type": target.member.kind, "id": target.member.id, "name": target.member.name},
        "from": str(first),
        "totals": _totals(daily, recent),
        "records_by_day": sparkline([row["records"] for row in daily]),
        "errors_by_day": sparkline([row["errors"] for row in daily]),
        "daily": daily,
        "runs": [run.as_row() for run in recent],
    }
    cut = len(runs) >= FULL_PAGE_RUNS and recent == runs
    warnings = [f"only the latest {len(runs)} runs were read; there are older ones since {first}"] if cut else []
    warnings += [f"{unreadable} malformed run rows were left out"] if unreadable else []
    shown = {key: report[key] for key in ("totals", "records_by_day", "errors_by_day")}
    meta = {"type": target.member.kind, "id": target.member.id, **shown}
    table, columns = ("daily", DAY_COLUMNS) if by == "day" else ("runs", RUN_COLUMNS)
    return Result(report, meta, warnings, columns=columns, table=table)


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _totals(daily: list[Row], runs: list[ResourceRun]) -> Row:
    sums = {key: sum(row[key] for row in daily) for key in COUNTS}
    seen = sums["records"] + sums["errors"]
    return {
        **sums,
        "error_share": round(sums["errors"] / seen, 4) if seen else None,
        "runs": len(runs),
        "runs_with_errors": sum(run.errors > 0 for run in runs),
    }


def sparkline(values: list[int]) -> str:
    """Draw numbers as one line of bars; a dot stands for zero."""
    top = max(values, default=0)
    if top <= 0:
        return "·" * len(values)
    return "".join("·" if value <= 0 else BARS[min(7, value * 8 // (top + 1))] for value in values)
