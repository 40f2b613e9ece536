"""Waiting for the next run of a flow, and what became of it."""

from __future__ import annotations

from collections.abc import Callable

from helpers.api.flows import Flow, Member, read_flow
from helpers.api.logs import EARLY, read_lines
from helpers.api.runs import Run, known_run_ids, member_runs
from helpers.api.session import Session
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
QUIET_LOOKS = 3  # equal looks in a row, with nothing PROCESSING, after which a run counts as ended

Runs = dict[tuple[str, int], list[Run]]


def newest(flow: Flow, runs: Runs) -> int:
    """The newest run that anything in the flow knows of; 0 for none."""
    return next(iter(known_run_ids(flow, runs)), 0)


def wait_for_run(session: Session, flow: Flow, baseline: int, timeout: float, say: Callable[[str], None]) -> Row:
    """Wait until a run newer than ``baseline`` has ended.

    A run has no status. It counts as ended when every destination that is on has a row for it; or, after a while
    without a change and with nothing PROCESSING, when it had errors, or when its log shows that it read nothing.

    Returns:
        ``run_id``, ``outcome`` (``ok``, ``errors``, or ``empty`` when no record was read), ``members``.

    Raises:
        OperatorError: TIMEOUT, with what is known so far.
    """
    number, before, quiet = 0, None, 0
    for _ in session.deadline.looks(timeout, FIRST_PAUSE, LONGEST_PAUSE):
        now = read_flow(session, KINDS["sources"], flow.origin.id)
        if now is None:
            raise OperatorError(Exit.NOT_FOUND, f"{flow.origin.label} is gone")
        runs = member_runs(session, now, size=20)
        number = newest(now, runs)
        if number > baseline:
            rows = _rows(now, runs, number)
            quiet = quiet + 1 if rows == before and now.origin.runtime_status != "PROCESSING" else 0
            if quiet >= 1 and _all_delivered(now, runs, number):
                return {"run_id": number, "outcome": _outcome(rows), "members": rows}
            if quiet >= QUIET_LOOKS and _says_all(session, now, number, rows):
                return {"run_id": number, "outcome": _outcome(rows), "members": rows}
            before = rows
        say(f"waiting for {'the end of run ' + str(number) if number > baseline else 'a run'}")
    raise _too_late(flow, number, baseline, timeout, before)


def _too_late(flow: Flow, number: int, baseline: int, timeout: float, rows: list[Row] | None) -> OperatorError:
    what = f"run {number} has not ended" if number > baseline else "no run has begun"
    return OperatorError(
        Exit.TIMEOUT,
        f"{flow.origin.label}: {what} after {timeout:g} s",
        hint=f"python scripts/diagnose_flow.py --resource-type sources --resource-id {flow.origin.id}",
        retryable=True,
        resource={"type": "sources", "id": flow.origin.id},
        data={"run_id": number if number > baseline else None, "outcome": "unknown", "members": rows or []},
    )


def _says_all(session: Session, flow: Flow, number: int, rows: list[Row]) -> bool:
    """Whether a run that left some destination without a row can be over: it read nothing, and its log says that it
    was there, or it had errors. A run id comes before its rows, and records take their time, so silence proves nothing.
    """
    if any(row["errors"] for row in rows):
        return True
    if any(row["records"] for row in rows):
        return not any(_is_on(flow, sink) for sink in flow.of_kind("destinations"))
    lost: list[str] = []
    origin = flow.origin.id
    lines = read_lines(session, KINDS["sources"], origin, run_id=number, since=number - EARLY, warn=lost.append)
    return any(True for _ in lines)


def _is_on(flow: Flow, member: Member) -> bool:
    return all(above.status == "ACTIVE" for above in flow.path_to(member))


def _all_delivered(flow: Flow, runs: Runs, number: int) -> bool:
    sinks = [sink for sink in flow.of_kind("destinations") if _is_on(flow, sink)]
    return bool(sinks) and all(any(run.id == number for run in runs[sink.kind, sink.id]) for sink in sinks)


def _rows(flow: Flow, runs: Runs, number: int) -> list[Row]:
    rows = []
    for member in flow.origin.walk():
        run = next((run for run in runs[member.kind, member.id] if run.id == number), None)
        row = {"type": member.kind, "id": member.id, "name": member.name, "status": member.status}
        rows.append(row | {"records": run.records if run else None, "errors": run.errors if run else None})
    return rows


def _outcome(rows: list[Row]) -> str:
    if any(row["errors"] for row in rows):
        return "errors"
    return "ok" if any(row["records"] for row in rows) else "empty"
