"""The evidence for a diagnosis: a flow, its runs, the logs of its latest runs, samples. Reads only."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from helpers.api.flow_lookup import FlowTarget
from helpers.api.flows import Flow, Member, MemberKey
from helpers.api.logs import LogLine, read_run_lines
from helpers.api.probes import ProbeResult, try_probe
from helpers.api.runs import ResourceRun, known_run_ids, member_runs
from helpers.api.samples import read_samples
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import OperatorError
from helpers.core.kinds import KINDS, Row, item_path
from helpers.core.redact import without_quotes
from helpers.core.schedule import Schedule, schedule_of

LOG_RUNS = 3  # newest runs whose logs are read
LINES_KEPT = 1000  # per run, of each group: first lines, last lines, problems
SAMPLES = 20


@dataclass
class Evidence:
    """Everything that was read about a flow.

    Attributes:
        flow: The flow.
        now: Epoch seconds, by the server's clock.
        runs: Runs of each member, newest first.
        run_ids: Ids of all known runs, newest first.
        lines: Log lines of the newest runs, oldest first.
        pairs: Samples of derived nexsets as (input, output), by nexset id.
        probed: Probe results by credential id, if probing was requested.
        unread: What could not be read, and why.
        show_values: Whether log lines are shown with the values that they may quote.
    """

    flow: Flow
    now: float
    runs: dict[MemberKey, list[ResourceRun]]
    run_ids: list[int]
    lines: list[LogLine] = field(default_factory=list)
    pairs: dict[int, list[tuple[Any, Any]]] = field(default_factory=dict)
    probed: dict[int, ProbeResult] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    show_values: bool = False

    @property
    def schedule(self) -> Schedule | None:
        """The schedule of the source; None without one."""
        return schedule_of(self.flow.origin.row.get("source_config"))

    @property
    def latest(self) -> int | None:
        """Id of the newest run of the flow; None if it never ran."""
        return self.run_ids[0] if self.run_ids else None

    def run_of(self, member: Member, run_id: int | None) -> ResourceRun | None:
        """A member's part of a run; None if it has none."""
        return next((run for run in self.runs[member.key] if run.id == run_id), None)

    def newest(self, member: Member) -> ResourceRun | None:
        """A member's newest run; None if it has none."""
        return next(iter(self.runs[member.key]), None)

    def problems_of(self, member: Member) -> list[LogLine]:
        """Warnings and errors about a member, newest first."""
        return [line for line in reversed(self.lines) if line.is_about(member) and line.is_problem]

    def visible_text(self, line: LogLine) -> Any:
        """The text of a line, without quoted values unless ``show_values`` is set."""
        return line.text if self.show_values else without_quotes(line.text)


def collect(session: Session, target: FlowTarget, *, workers: int, probe: bool, show_values: bool) -> Evidence:
    """Read everything that a diagnosis needs. What cannot be read is recorded in ``unread``.

    Args:
        session: The API session.
        target: The flow and the member to diagnose.
        workers: How many members to read at a time.
        probe: Probe each credential; this writes ``verified_status`` on the server.
        show_values: See Evidence.

    Raises:
        OperatorError: The runs could not be read at all; INTERRUPTED; TIMEOUT.
    """
    flow = target.flow
    unread: list[str] = []
    runs = member_runs(session, flow, workers=workers, unread=unread)
    run_ids = known_run_ids(flow, runs)
    evidence = Evidence(flow, session.server_time(), runs, run_ids, unread=unread, show_values=show_values)
    for run_id in reversed(run_ids[:LOG_RUNS]):
        _try(evidence, f"the log of run {run_id}", partial(add_log, session, evidence, run_id))
    for member in flow.of_kind("nexsets"):
        if member not in flow.origin.children:
            _try(evidence, f"samples of {member.label}", partial(_add_samples, session, evidence, member))
    if probe:
        ids = {member.credential_id for member in flow.origin.walk() if member.credential_id is not None}
        evidence.probed = {credential_id: try_probe(session, credential_id) for credential_id in sorted(ids)}
    return evidence


def _try(evidence: Evidence, what: str, read: Callable[[], None]) -> None:
    try:
        read()
    except OperatorError as error:
        if error.ends_command:
            raise
        evidence.unread.append(f"{what}: {error.message}")


def add_log(session: Session, evidence: Evidence, run_id: int) -> None:
    """Add log lines of a run to the evidence: up to LINES_KEPT problems, and the first and last of the other lines.

    Raises:
        ApiError: The log could not be read.
    """
    origin = evidence.flow.origin
    lines = read_run_lines(session, KINDS[origin.kind], origin.id, run_id, evidence.unread.append)
    first: list[LogLine] = []
    last: deque[LogLine] = deque(maxlen=LINES_KEPT)
    problems: deque[LogLine] = deque(maxlen=LINES_KEPT)
    for line in lines:
        (problems if line.is_problem else first if len(first) < LINES_KEPT else last).append(line)
    evidence.lines += sorted([*first, *last, *problems], key=lambda line: line.timestamp or 0)


def _add_samples(session: Session, evidence: Evidence, member: Member) -> None:
    samples = read_samples(session, member.id, SAMPLES)
    evidence.pairs[member.id] = [(sample.input, sample.output) for sample in samples if sample.has_input]


def quarantine(session: Session, member: Member, run_id: int | None) -> list[Row]:
    """A few quarantined records, newest first.

    Source: the path and body come from public client libraries, the keys of a record from the developer guide. A
    response in another shape yields no records.

    Args:
        session: The API session.
        member: The member whose quarantine is read.
        run_id: Records since this run; None for all.

    Returns:
        Rows with ``error`` and ``record``, both including values.

    Raises:
        ApiError: They could not be read.
    """
    path = item_path(KINDS[member.kind], member.id, "probe", "quarantine", "sample")
    body = {"page": 1, "per_page": 5} | ({"start_time": run_id} if run_id else {})
    data = call(session, "POST", path, body=body, expect=(dict, list), effect="read").data
    inner: Any = data.get("output", data.get("data")) if isinstance(data, dict) else data
    rows = inner.get("data") if isinstance(inner, dict) else inner
    found = []
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            error = row.get("error")
            text = error.get("message", error) if isinstance(error, dict) else error
            found.append({"error": text, "record": row.get("rawMessage")})
    return found
