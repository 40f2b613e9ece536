"""Following the log of a run until it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from helpers.api.flow_lookup import Target
from helpers.api.flows import Flow, read_flow
from helpers.api.logs import EARLY, LABELS, numbers_in, read_lines
from helpers.api.session import Session
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row
from helpers.core.limits import Clock

PAUSE = 2.0
IDLE_SECONDS = 20.0  # without a new line and with nothing PROCESSING: the run counts as ended


def follow(session: Session, target: Target, run_id: int, result: Result, say: Callable[[str], None]) -> Iterator[Row]:
    """The lines of a run as they come. It has ended when every destination that is on has written its SUMMARY line.

    At the command's deadline it ends with TIMEOUT, and the lines so far.
    """
    shown, summed, latest = Counter[str](), set[tuple[str, int]](), Clock.now()
    while True:
        lost: list[str] = []  # what one look misses, the next one sees
        lines = read_lines(session, target.api, target.member.id, run_id=run_id, since=run_id - EARLY, warn=lost.append)
        fresh = list(_unseen(lines, shown))
        for line in fresh:
            if numbers_in(line) is not None:
                summed.add((LABELS.get(str(line["resource_type"]), ""), line["resource_id"]))
            yield line
        latest = Clock.now() if fresh else latest
        flow = read_flow(session, KINDS[target.flow.origin.kind], target.flow.origin.id)
        if flow is None:
            raise OperatorError(Exit.NOT_FOUND, f"{target.flow.origin.label} is gone")
        if not fresh and _ended(flow, summed):
            return
        if Clock.now() - latest > IDLE_SECONDS and flow.origin.runtime_status != "PROCESSING":
            result.warnings.append(f"no new line for {IDLE_SECONDS:g} s, and nothing is PROCESSING: taken as the end")
            return
        if session.deadline.left() <= PAUSE:  # the lines so far are worth more than an error in their place
            result.warnings.append("the deadline came before the run ended")
            result.code = Exit.TIMEOUT
            return
        if not fresh:
            say("waiting for more lines")
        session.deadline.sleep(PAUSE)


def _unseen(lines: Iterator[Row], shown: Counter[str]) -> Iterator[Row]:
    """Lines that were not shown yet, wherever they stand: a late one may carry an earlier time."""
    now: Counter[str] = Counter()
    for line in lines:
        key = f"{line['timestamp']} {line['resource']} {line['type']} {line['text']}"
        now[key] += 1
        if now[key] > shown[key]:
            shown[key] += 1
            yield line


def _ended(flow: Flow, summed: set[tuple[str, int]]) -> bool:
    waiting = [
        sink for sink in flow.of_kind("destinations") if all(above.status == "ACTIVE" for above in flow.path_to(sink))
    ]
    return bool(waiting) and all((sink.kind, sink.id) in summed for sink in waiting)
