"""The log of runs or of a time window: filtered, summarised, followed, or compared with the log of a good run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from helpers.api.flow_lookup import FlowTarget, find_flow_target
from helpers.api.logs import LogLine, read_lines, read_run_lines, summaries
from helpers.api.runs import known_run_ids, member_runs
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Row
from helpers.core.times import check_order
from helpers.monitor.compare_runs import compare
from helpers.monitor.follow import follow
from helpers.monitor.request import SEVERITIES, LogsRequest

COLUMNS = ("time", "severity", "resource", "text")


class Window(NamedTuple):
    """A time window in epoch milliseconds; None as ``until`` means now."""

    since: int
    until: int | None


class RunSelection(NamedTuple):
    """The selected runs.

    Attributes:
        run_ids: Newest first.
        known: Whether they appear in the flow's run summaries; an id that the user passed may not.
    """

    run_ids: list[int]
    known: bool = True


def run(request: LogsRequest, context: Context) -> Result:
    """Read, filter, follow, summarise or compare logs.

    Returns:
        Log lines, oldest first; ``meta.runs`` lists the runs. The exit code is FINDINGS if there are no log lines.

    Raises:
        OperatorError: USAGE; NOT_FOUND, for the resource or the run; the log could not be read.
    """
    session, selector = context.session, request.resource
    target = find_flow_target(session, selector.kind, selector.id, selector.name)
    window = _window(request, session.server_time())  # the response before has brought the server's time
    if request.compare:
        return compare(session, target, request.run_id, context.workers)
    selected = RunSelection([]) if window else _select_runs(request, context, target)
    result = Result([], {"type": target.kind.name, "id": target.id, "runs": selected.run_ids}, columns=COLUMNS)
    if request.follow:
        lines = follow(session, target, selected.run_ids[0], result, context.report)
    else:
        lines = _read(context, target, selected, window, result)
    lines = _warn_if_empty(lines, selected, result)
    if not selected.known:
        first = next(lines, None)
        if first is None:
            raise _no_run(target, f"has no known run {request.run_id}")
        lines = chain([first], lines)
    kept = _filtered(request, target, lines)
    if request.summary:
        result.data = summaries(kept)
        result.columns = ()
        if not result.data:
            result.warnings.append("no resource has written a summary: run without --summary to see the log lines")
        return result
    result.data, result.live = _count_rows(kept, result), request.follow
    return result


def _window(request: LogsRequest, now: float) -> Window | None:
    """The requested time window, by the server's clock; None if no window was requested.

    Raises:
        OperatorError: USAGE.
    """
    if request.since is None:
        return None
    check_order(request.since, request.until, now)
    return Window(request.since.at(now), request.until.at(now) if request.until else None)


def _select_runs(request: LogsRequest, context: Context, target: FlowTarget) -> RunSelection:
    """The runs that the flags select.

    Raises:
        OperatorError: NOT_FOUND, if there is no such run.
    """
    unread: list[str] = []
    runs = member_runs(context.session, target.flow, workers=context.workers, unread=unread)
    for text in unread:
        context.report(f"could not be read: {text}")
    known = known_run_ids(target.flow, runs)
    if request.run_id is not None:
        return RunSelection([request.run_id], request.run_id in known)
    if request.failed:
        failed = {found.id for rows in runs.values() for found in rows if found.errors}
        if not failed:
            raise _no_run(target, "has had no run with errors, as far as its run summaries go back")
        return RunSelection([max(failed)])
    if not known:
        raise _no_run(target, "has never run")
    return RunSelection(known[: request.last or 1])


def _no_run(target: FlowTarget, text: str) -> OperatorError:
    return OperatorError(
        Exit.NOT_FOUND,
        f"{target.kind.singular} {target.id} {text}",
        hint=command_line("operate_flow", "--operation", "status", *target.flags()),
        resource={"type": target.kind.name, "id": target.id},
    )


def _read(
    context: Context, target: FlowTarget, selected: RunSelection, window: Window | None, result: Result
) -> Iterator[LogLine]:
    session, kind, resource_id, warn = context.session, target.api, target.member.id, result.warnings.append
    if window is not None:
        yield from read_lines(session, kind, resource_id, since=window.since, until=window.until, warn=warn)
    for run_id in sorted(selected.run_ids):
        yield from read_run_lines(session, kind, resource_id, run_id, warn)


def _warn_if_empty(lines: Iterator[LogLine], selected: RunSelection, result: Result) -> Iterator[LogLine]:
    """The lines unchanged; without any line, a warning and the exit code FINDINGS are set."""
    first = next(lines, None)
    if first is None:
        what = f"run {', '.join(map(str, selected.run_ids))}" if selected.run_ids else "this time window"
        result.warnings.append(f"no log lines for {what}: it may be too old, or have only just begun")
        result.code = Exit.FINDINGS
        return
    yield first
    yield from lines


def _filtered(request: LogsRequest, target: FlowTarget, lines: Iterator[LogLine]) -> Iterator[LogLine]:
    least = SEVERITIES.index(request.severity) if request.severity else 0
    for line in lines:
        if line.severity in SEVERITIES and SEVERITIES.index(line.severity) < least:
            continue
        if request.grep and not request.grep.search(str(line.text)):
            continue
        if request.own and not line.is_about(target.member):
            continue
        yield line


def _count_rows(lines: Iterator[LogLine], result: Result) -> Iterator[Row]:
    returned = 0
    for line in lines:
        yield line.as_row()
        returned += 1
    result.meta["returned"] = returned
    if not returned and result.code is Exit.OK:
        result.warnings.append("there are log lines, but none matches the filters")
