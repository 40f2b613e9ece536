"""Waiting for the next run of a flow, and its outcome."""

from __future__ import annotations

from collections.abc import Callable

from helpers.api.flows import Flow, MemberKey, read_flow
from helpers.api.logs import read_run_lines
from helpers.api.runs import ResourceRun, member_runs, newest_run_id
from helpers.api.session import Session
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
QUIET_POLLS = 3  # identical readings in a row, while nothing is PROCESSING, after which a run counts as ended

Runs = dict[MemberKey, list[ResourceRun]]


def wait_for_run(session: Session, flow: Flow, baseline: int, timeout: float, report: Callable[[str], None]) -> Row:
    """Wait until a run newer than ``baseline`` has ended.

    A run has no status. It counts as ended when every active destination has a row for it. Otherwise, it counts as
    ended when nothing has changed for a while, nothing is PROCESSING, and it had errors or its log shows that it read
    nothing.

    Args:
        baseline: the id of the newest run before (epoch milliseconds); 0 for none.
        timeout: how long to wait, in seconds.

    Returns:
        ``run_id``, ``outcome`` (``ok``, ``errors``, or ``empty`` when it read no records), ``members``.

    Raises:
        OperatorError: TIMEOUT, with what is known so far; NOT_FOUND, when the flow no longer exists.
    """
    run_id, before, quiet = 0, None, 0
    for _ in session.deadline.poll(timeout, FIRST_PAUSE, LONGEST_PAUSE):
        now = read_flow(session, KINDS["sources"], flow.origin.id)
        if now is None:
            raise OperatorError(Exit.NOT_FOUND, f"{flow.origin.label} no longer exists")
        runs = member_runs(session, now, size=20)
        run_id = newest_run_id(now, runs)
        if run_id > baseline:
            rows = _rows(now, runs, run_id)
            quiet = quiet + 1 if rows == before and now.origin.runtime_status != "PROCESSING" else 0
            delivered = quiet >= 1 and _all_delivered(now, runs, run_id)
            if delivered or (quiet >= QUIET_POLLS and _is_over(session, now, run_id, rows)):
                return {"run_id": run_id, "outcome": _outcome(rows), "members": rows}
            before = rows
        report(f"waiting for {'the end of run ' + str(run_id) if run_id > baseline else 'a run'}")
    raise _timed_out(flow, run_id, baseline, timeout, before)


def _timed_out(flow: Flow, run_id: int, baseline: int, timeout: float, rows: list[Row] | None) -> OperatorError:
    what = f"run {run_id} has not ended" if run_id > baseline else "no run has begun"
    return OperatorError(
        Exit.TIMEOUT,
        f"{flow.origin.label}: {what} after {timeout:g} s",
        hint=command_line("diagnose_flow", "--resource-type", "sources", "--resource-id", flow.origin.id),
        retryable=True,
        resource={"type": "sources", "id": flow.origin.id},
        data={"run_id": run_id if run_id > baseline else None, "outcome": "unknown", "members": rows or []},
    )


def _is_over(session: Session, flow: Flow, run_id: int, rows: list[Row]) -> bool:
    """Whether a run is over although some destination has no row for it.

    That is so when it had errors, or when it read nothing and its log shows that it took place. Missing rows alone
    prove nothing, because a run id appears before its rows.
    """
    if any(row["errors"] for row in rows):
        return True
    if any(row["records"] for row in rows):
        return not any(flow.is_active_from_origin(sink) for sink in flow.of_kind("destinations"))
    lost: list[str] = []
    return any(True for _ in read_run_lines(session, KINDS["sources"], flow.origin.id, run_id, lost.append))


def _all_delivered(flow: Flow, runs: Runs, run_id: int) -> bool:
    sinks = [sink for sink in flow.of_kind("destinations") if flow.is_active_from_origin(sink)]
    return bool(sinks) and all(any(run.id == run_id for run in runs[sink.key]) for sink in sinks)


def _rows(flow: Flow, runs: Runs, run_id: int) -> list[Row]:
    rows = []
    for member in flow.origin.walk():
        run = next((run for run in runs[member.key] if run.id == run_id), None)
        row = {"type": member.kind, "id": member.id, "name": member.name, "status": member.status}
        rows.append(row | {"records": run.records if run else None, "errors": run.errors if run else None})
    return rows


def _outcome(rows: list[Row]) -> str:
    if any(row["errors"] for row in rows):
        return "errors"
    return "ok" if any(row["records"] for row in rows) else "empty"
