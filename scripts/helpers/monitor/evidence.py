"""What a diagnosis is made from: a flow, its runs, the log of its latest runs, samples. Reading only."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from helpers.api.flow_lookup import Target
from helpers.api.flows import Flow, Member
from helpers.api.logs import EARLY, belongs_to, read_lines
from helpers.api.probes import try_probe
from helpers.api.runs import Run, known_run_ids, member_runs
from helpers.api.samples import read_samples
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path
from helpers.core.redact import without_quotes
from helpers.core.times import Schedule, schedule_of
from helpers.monitor.health_facts import credential_id

LOG_RUNS = 3  # newest runs whose logs are read
LINES_KEPT = 1000  # of each kind, for each run
SAMPLES = 20
Key = tuple[str, int]


@dataclass
class Evidence:
    """Everything that was read, and (``unread``) what could not be.

    Attributes:
        runs: by (kind, id), newest first.
        run_ids: every run that is known of, newest first.
        lines: log lines of the newest runs, oldest first.
        pairs: samples of derived nexsets, by id, as (input, output).
        show: whether log texts are shown with the values that they may quote.
        probed: credential id → (verdict, why), when probing was asked for.
    """

    flow: Flow
    now: float
    runs: dict[Key, list[Run]]
    run_ids: list[int]
    lines: list[Row] = field(default_factory=list)
    pairs: dict[int, list[tuple[Any, Any]]] = field(default_factory=dict)
    probed: dict[int, tuple[str, str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    show: bool = False

    @property
    def schedule(self) -> Schedule | None:
        return schedule_of(self.flow.origin.row.get("source_config"))

    @property
    def latest(self) -> int | None:
        """The newest run of the flow."""
        return self.run_ids[0] if self.run_ids else None

    def run_of(self, member: Member, number: int | None) -> Run | None:
        """A member's row of a run; None when it has none."""
        return next((run for run in self.runs[member.kind, member.id] if run.id == number), None)

    def newest(self, member: Member) -> Run | None:
        return next(iter(self.runs[member.kind, member.id]), None)

    def lines_of(self, member: Member, *, worst: bool = True) -> list[Row]:
        """Log lines about a member, newest first; by default only warnings and errors."""
        found = [line for line in self.lines if belongs_to(line, member)]
        return [line for line in reversed(found) if not worst or line["severity"] not in ("INFO", None)]

    def is_on(self, member: Member) -> bool:
        """Whether the member and everything above it is ACTIVE."""
        return all(above.status == "ACTIVE" for above in self.flow.path_to(member))


def gather(session: Session, target: Target, *, workers: int, probing: bool, show: bool) -> Evidence:
    """Read everything that a diagnosis needs. What cannot be read is noted, and ends nothing.

    Raises:
        OperatorError: the runs could not be read at all; INTERRUPTED; TIMEOUT.
    """
    flow = target.flow
    unread: list[str] = []
    runs = member_runs(session, flow, workers=workers, unread=unread)
    found = Evidence(flow, session.server_time(), runs, known_run_ids(flow, runs), unread=unread, show=show)
    for run in reversed(found.run_ids[:LOG_RUNS]):
        _read(found, f"the log of run {run}", partial(read_log, session, found, run))
    for member in flow.of_kind("nexsets"):
        if member not in flow.origin.children:
            _read(found, f"samples of {member.label}", partial(_samples, session, found, member))
    if probing:
        numbers = {number for member in flow.origin.walk() if (number := credential_id(member)) is not None}
        found.probed = {number: try_probe(session, number) for number in sorted(numbers)}
    return found


def _read(found: Evidence, what: str, read: Callable[[], None]) -> None:
    try:
        read()
    except OperatorError as error:
        if error.code in (Exit.INTERRUPTED, Exit.TIMEOUT) or error.http_status == 401:
            raise
        found.unread.append(f"{what}: {error.message}")


def read_log(session: Session, found: Evidence, run: int) -> None:
    """Add the lines of a run: every warning and error, and of the others the first and the last."""
    origin = found.flow.origin
    lines = read_lines(session, KINDS[origin.kind], origin.id, run_id=run, since=run - EARLY, warn=found.unread.append)
    first: list[Row] = []
    last: deque[Row] = deque(maxlen=LINES_KEPT)
    bad: deque[Row] = deque(maxlen=LINES_KEPT)
    for line in lines:
        line["shown"] = line["text"] if found.show else without_quotes(line["text"])
        worst = line["severity"] not in ("INFO", None)
        (bad if worst else first if len(first) < LINES_KEPT else last).append(line)
    found.lines += sorted([*first, *last, *bad], key=lambda line: line["timestamp"] or 0)


def _samples(session: Session, found: Evidence, member: Member) -> None:
    samples = read_samples(session, member.id, SAMPLES)
    found.pairs[member.id] = [(sample.input, sample.output) for sample in samples if sample.has_input]


def quarantine(session: Session, member: Member, run: int | None) -> list[Row]:
    """A few records that went to quarantine, newest first: ``error`` and ``record``, both with their values.

    The path and body are known from public client libraries, the keys of a record from the developer guide; an
    answer in another shape gives nothing.

    Raises:
        ApiError: they could not be read.
    """
    path = item_path(KINDS[member.kind], member.id, "probe", "quarantine", "sample")
    body = {"page": 1, "per_page": 5} | ({"start_time": run} if run else {})
    answer = call(session, "POST", path, body=body, expect=(dict, list), effect="read").data
    inner: Any = answer.get("output", answer.get("data")) if isinstance(answer, dict) else answer
    rows = inner.get("data") if isinstance(inner, dict) else inner
    found = []
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            error = row.get("error")
            text = error.get("message", error) if isinstance(error, dict) else error
            found.append({"error": text, "record": row.get("rawMessage")})
    return found
