"""Following the log of a run until it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from helpers.api.flow_lookup import FlowTarget
from helpers.api.flows import Flow, MemberKey, read_flow
from helpers.api.logs import LogLine, read_run_lines
from helpers.api.session import Session
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS
from helpers.core.limits import Clock

POLL_SECONDS = 2.0
IDLE_SECONDS = 20.0  # after this long without new lines and with nothing PROCESSING, the run counts as ended


def follow(
    session: Session, target: FlowTarget, run_id: int, result: Result, report: Callable[[str], None]
) -> Iterator[LogLine]:
    """The lines of a run as they arrive. A run has ended when every active destination has written its SUMMARY line.

    At the command's deadline, the lines end and the result gets the exit code TIMEOUT.

    Args:
        session: The API session.
        target: The flow and the member whose log is read.
        run_id: The run.
        result: Receives warnings and the exit code.
        report: Called with progress lines.

    Raises:
        OperatorError: NOT_FOUND, if the flow was deleted; the log or the flow could not be read.
    """
    shown, summarised, latest = Counter[str](), set[MemberKey](), Clock.now()
    while True:
        lost: list[str] = []  # ignored: the next poll returns what this one misses
        lines = read_run_lines(session, target.api, target.member.id, run_id, lost.append)
        fresh = list(unseen_lines(lines, shown))
        for line in fresh:
            if line.counts() is not None:
                summarised.add(line.member_key)
            yield line
        latest = Clock.now() if fresh else latest
        flow = read_flow(session, KINDS[target.flow.origin.kind], target.flow.origin.id)
        if flow is None:
            raise OperatorError(Exit.NOT_FOUND, f"{target.flow.origin.label} no longer exists")
        if not fresh and _has_ended(flow, summarised):
            return
        if Clock.now() - latest > IDLE_SECONDS and flow.origin.runtime_status != "PROCESSING":
            result.warnings.append(
                f"no new line for {IDLE_SECONDS:g} s and nothing is PROCESSING: assuming that the run has ended"
            )
            return
        if session.deadline.left() <= POLL_SECONDS:  # the lines so far are worth more than an error
            result.warnings.append("the deadline passed before the run ended")
            result.code = Exit.TIMEOUT
            return
        if not fresh:
            report("waiting for more lines")
        session.deadline.sleep(POLL_SECONDS)


def unseen_lines(lines: Iterable[LogLine], shown: Counter[str]) -> Iterator[LogLine]:
    """The lines that were not shown yet, anywhere in the log: a late line may have an earlier timestamp.

    Args:
        lines: The log so far.
        shown: How often each line was shown; updated.
    """
    now: Counter[str] = Counter()
    for line in lines:
        key = f"{line.timestamp} {line.resource} {line.type} {line.text}"
        now[key] += 1
        if now[key] > shown[key]:
            shown[key] += 1
            yield line


def _has_ended(flow: Flow, summarised: set[MemberKey]) -> bool:
    waiting = [destination for destination in flow.of_kind("destinations") if flow.is_active_from_origin(destination)]
    return bool(waiting) and all(destination.key in summarised for destination in waiting)
