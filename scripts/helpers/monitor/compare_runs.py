"""Comparing a failed run with the last good one before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from helpers.api.flow_lookup import FlowTarget
from helpers.api.flows import Flow, Member, MemberKey
from helpers.api.logs import LogLine, read_run_lines
from helpers.api.runs import ResourceRun, member_runs
from helpers.api.session import Session
from helpers.command.output import Result
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Row
from helpers.core.times import iso

LINES_SHOWN = 5
Runs = dict[MemberKey, list[ResourceRun]]


def compare(session: Session, target: FlowTarget, run_id: int | None, workers: int) -> Result:
    """Compare two runs: counts of each member, durations from log timestamps, and the first log lines that differ.

    Args:
        session: The API session.
        target: The flow and the member to compare.
        run_id: The failed run; None for the newest run with errors.
        workers: How many members to read at a time.

    Raises:
        OperatorError: NOT_FOUND, if there is no failed run or no good one before it; the runs could not be read.
    """
    runs = member_runs(session, target.flow, workers=workers)
    failed, good = runs_to_compare(target.flow, runs, run_id)
    warnings: list[str] = []
    lines = [
        line
        for run in (failed, good)
        for line in read_run_lines(session, target.api, target.member.id, run, warnings.append)
    ]
    data = difference(target.flow, runs, lines, failed, good)
    columns = ("member", "records", "records_good", "errors", "errors_good", "size", "size_good")
    return Result(data, {"failed_run": failed, "good_run": good}, warnings, columns=columns, table="members")


def difference(flow: Flow, runs: Runs, lines: Iterable[LogLine], failed: int, good: int) -> Row:
    """The difference between a failed and a good run.

    Args:
        flow: The flow.
        runs: Runs of every member.
        lines: Log lines; those of other runs are ignored.
        failed: Id of the failed run.
        good: Id of the good run.

    Returns:
        ``failed_run`` and ``good_run`` with their start and seconds of log time, ``members`` with the counts of both
        runs, the first log lines that only one of them has, and ``no_log_of``: runs without log lines.
    """
    logs: dict[int, list[LogLine]] = {failed: [], good: []}
    for line in lines:
        if line.run_id in logs:
            logs[line.run_id].append(line)
    rows = []
    for member in flow.origin.walk():
        row = {"member": member.label, "type": member.kind, "id": member.id}
        rows.append(row | _counts(runs[member.key], failed, good))
    without_log = [run for run, found in logs.items() if not found]
    return {
        "failed_run": {"run_id": failed, "started": iso(failed), "seconds": _seconds(logs[failed])},
        "good_run": {"run_id": good, "started": iso(good), "seconds": _seconds(logs[good])},
        "members": rows,
        "only_in_failed": [] if without_log else _new_lines(logs[failed], logs[good]),
        "only_in_good": [] if without_log else _new_lines(logs[good], logs[failed]),
        "no_log_of": without_log,  # without both logs, lines cannot be compared
    }


def runs_to_compare(flow: Flow, runs: Runs, run_id: int | None) -> tuple[int, int]:
    """The ids of the failed run and of the last good one before it.

    Args:
        flow: The flow.
        runs: Runs of every member.
        run_id: The failed run; None for the newest run with errors anywhere in the flow.

    Raises:
        OperatorError: NOT_FOUND, if there is no such run.
    """
    errors: dict[int, int] = {}
    records: dict[int, int] = {}
    for rows in runs.values():
        for run in rows:
            errors[run.id] = errors.get(run.id, 0) + run.errors
            records[run.id] = records.get(run.id, 0) + run.records
    with_errors = [found for found, count in errors.items() if count]
    if run_id is None and not with_errors:
        raise _nothing_to_compare(flow.origin, "has had no run with errors")
    failed = run_id if run_id is not None else max(with_errors)
    good = [found for found, count in errors.items() if found < failed and not count and records[found]]
    if not good:
        raise _nothing_to_compare(flow.origin, f"has had no good run before run {failed}")
    return failed, max(good)


def _nothing_to_compare(origin: Member, text: str) -> OperatorError:
    flags = ("--operation", "metrics", "--by", "run", "--resource-type", origin.kind, "--resource-id", origin.id)
    return OperatorError(
        Exit.NOT_FOUND,
        f"the flow of {origin.label} {text}, as far as its run summaries go back",
        hint=command_line("operate_flow", *flags),
        resource={"type": origin.kind, "id": origin.id},
    )


def _counts(runs: list[ResourceRun], failed: int, good: int) -> dict[str, Any]:
    found = {run_id: next((run for run in runs if run.id == run_id), None) for run_id in (failed, good)}
    row: dict[str, Any] = {}
    for key in ("records", "errors", "size"):
        row[key] = getattr(found[failed], key, None)
        row[f"{key}_good"] = getattr(found[good], key, None)
    return row


def _seconds(lines: list[LogLine]) -> float | None:
    """Seconds from the first to the last log line; the API has no duration of a run."""
    times = [line.timestamp for line in lines if isinstance(line.timestamp, int)]
    return round((max(times) - min(times)) / 1000, 3) if times else None


def _new_lines(lines: list[LogLine], other: list[LogLine]) -> list[Row]:
    """The first lines that, ignoring numbers, the other run does not have."""
    known = {line.masked_text() for line in other}
    found = [line for line in lines if line.masked_text() not in known]
    return [
        {"time": line.time, "severity": line.severity, "resource": line.resource, "text": line.text}
        for line in found[:LINES_SHOWN]
    ]
