"""A failed run beside the last good one before it."""

from __future__ import annotations

from typing import Any

from helpers.api.flow_lookup import Target
from helpers.api.flows import Flow, Member
from helpers.api.logs import EARLY, read_lines, shape
from helpers.api.runs import Run, member_runs
from helpers.api.session import Session
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Row
from helpers.core.times import iso

LINES_SHOWN = 5
Runs = dict[tuple[str, int], list[Run]]


def compare(session: Session, target: Target, run_id: int | None, workers: int) -> Result:
    """Numbers of both runs for each member, durations from log times, and the first log lines that differ.

    Raises:
        OperatorError: NOT_FOUND, when there is no failed run, or no good one before it.
    """
    runs = member_runs(session, target.flow, workers=workers)
    bad, good = pick(target.flow, runs, run_id)
    warnings: list[str] = []
    lines = [line for run in (bad, good) for line in _lines(session, target, run, warnings)]
    report = difference(target.flow, runs, lines, bad, good)
    columns = ("member", "records", "records_good", "errors", "errors_good", "size", "size_good")
    return Result(report, {"failed_run": bad, "good_run": good}, warnings, columns=columns, table="members")


def difference(flow: Flow, runs: Runs, lines: list[Row], bad: int, good: int) -> Row:
    """A failed and a good run: numbers of every member, seconds of log time, the first lines that only one has."""
    logs = {run: [line for line in lines if line["run_id"] == run] for run in (bad, good)}
    rows = []
    for member in flow.origin.walk():
        row = {"member": member.label, "type": member.kind, "id": member.id}
        rows.append(row | _numbers(runs[member.kind, member.id], bad, good))
    gone = [run for run, found in logs.items() if not found]
    return {
        "failed_run": {"run_id": bad, "started": iso(bad), "seconds": _seconds(logs[bad])},
        "good_run": {"run_id": good, "started": iso(good), "seconds": _seconds(logs[good])},
        "members": rows,
        "only_in_failed": [] if gone else _new_lines(logs[bad], logs[good]),
        "only_in_good": [] if gone else _new_lines(logs[good], logs[bad]),
        "no_log_of": gone,  # nothing can be compared then
    }


def pick(flow: Flow, runs: Runs, run_id: int | None) -> tuple[int, int]:
    """The failed run (the newest with errors anywhere in the flow) and the last good one before it.

    Raises:
        OperatorError: NOT_FOUND.
    """
    errors: dict[int, int] = {}
    records: dict[int, int] = {}
    for rows in runs.values():
        for run in rows:
            errors[run.id] = errors.get(run.id, 0) + run.errors
            records[run.id] = records.get(run.id, 0) + run.records
    failed = [number for number, count in errors.items() if count]
    if run_id is None and not failed:
        raise _nothing(flow.origin, "has had no run with errors")
    bad = run_id if run_id is not None else max(failed)
    good = [number for number, count in errors.items() if number < bad and not count and records[number]]
    if not good:
        raise _nothing(flow.origin, f"has had no good run before run {bad}")
    return bad, max(good)


def _nothing(origin: Member, text: str) -> OperatorError:
    hint = f"python scripts/operate_flow.py --operation metrics --by run --resource-type {origin.kind} "
    return OperatorError(
        Exit.NOT_FOUND,
        f"the flow of {origin.label} {text}, as far as its run summaries go back",
        hint=hint + f"--resource-id {origin.id}",
        resource={"type": origin.kind, "id": origin.id},
    )


def _lines(session: Session, target: Target, run: int, warnings: list[str]) -> list[Row]:
    read = read_lines(session, target.api, target.member.id, run_id=run, since=run - EARLY, warn=warnings.append)
    return list(read)


def _numbers(runs: list[Run], bad: int, good: int) -> dict[str, Any]:
    found = {number: next((run for run in runs if run.id == number), None) for number in (bad, good)}
    row: dict[str, Any] = {}
    for key in ("records", "errors", "size"):
        row[key] = getattr(found[bad], key, None)
        row[f"{key}_good"] = getattr(found[good], key, None)
    return row


def _seconds(lines: list[Row]) -> float | None:
    """From the first to the last log line; the API knows no duration."""
    times = [line["timestamp"] for line in lines if isinstance(line["timestamp"], int)]
    return round((max(times) - min(times)) / 1000, 3) if times else None


def _new_lines(lines: list[Row], other: list[Row]) -> list[Row]:
    """The first lines whose like, numbers aside, the other run does not have."""
    known = {shape(line) for line in other}
    found = [line for line in lines if shape(line) not in known]
    return [{key: line[key] for key in ("time", "severity", "resource", "text")} for line in found[:LINES_SHOWN]]
