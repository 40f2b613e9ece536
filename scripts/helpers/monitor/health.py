"""Whether a resource is healthy: facts in, a verdict for each check out. Pure functions without any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

from helpers.api.runs import ResourceRun
from helpers.core.kinds import Row
from helpers.core.schedule import Schedule
from helpers.core.times import age_text, iso
from helpers.monitor.health_config import HealthLimits

OK, BAD, UNKNOWN, NONE = "ok", "bad", "unknown", "none"  # none: the check does not apply
HEALTHY, UNHEALTHY = "healthy", "unhealthy"
RUN_MAY_GROW_SECONDS = 900.0  # a younger run may still be growing: its volume is not judged
MIN_HISTORY_RUNS = 3  # runs needed for a median
SILENCE_FACTOR = 3  # multiple of the usual gap between runs with records
MAX_CLOCK_SKEW = 3600.0  # seconds
RUN_CHECKS = frozenset({"freshness", "errors", "volume", "stalled", "quarantine", "sla"})
QUARANTINE_GROWTH, MIN_QUARANTINED = 3, 10  # bad: more than this multiple of the median, and at least this many
DAY = 86_400.0


@dataclass
class HealthFacts:
    """What is known about one resource.

    Attributes:
        kind: Name of its kind.
        id: Its id.
        name: Its name, if known.
        flow: Id of the flow's origin node.
        status: Its status.
        runtime_status: IDLE or PROCESSING.
        schedule: The schedule of the flow's source; None without one.
        source_run: Newest run of the flow's source, in epoch milliseconds; 0 for none.
        credential: ``verified_status`` of its credential; None if it was never probed.
        runs: Its runs, newest first; None if they could not be read.
        unreadable: Number of malformed run rows.
        cut: Whether there may be older runs that were not read.
        problem: Why the resource itself could not be read; None if it was.
        runs_problem: Why its runs could not be read; empty if they were.
        probe_problem: Why its credential could not be probed, if probing was requested; else empty.
        missing: Whether the API reports that the resource does not exist.
    """

    kind: str
    id: int
    name: str | None = None
    flow: int | None = None
    status: str | None = None
    runtime_status: str | None = None
    schedule: Schedule | None = None
    source_run: int = 0
    credential: str | None = None
    runs: list[ResourceRun] | None = None
    unreadable: int = 0
    cut: bool = False
    problem: str | None = None
    runs_problem: str = ""
    probe_problem: str = ""
    missing: bool = False

    @property
    def newest(self) -> float | None:
        """Start of the newest known run, in epoch seconds. For a source, ``source_run`` counts as well."""
        marks = [run.id for run in (self.runs or [])[:1]]
        if self.kind == "sources" and self.source_run:
            marks.append(self.source_run)
        return max(marks) / 1000 if marks else None


@dataclass(frozen=True)
class Check:
    """The verdict of one check: ``ok``, ``bad``, ``unknown`` or ``none``, with a text for people."""

    name: str
    verdict: str
    text: str = ""


def judge(facts: HealthFacts, limits: HealthLimits, now: float) -> list[Check]:
    """Run every check that is not skipped.

    Args:
        facts: What is known about the resource.
        limits: What is still healthy.
        now: Epoch seconds, by the server's clock.
    """
    if facts.missing:
        return [Check("status", BAD, "the resource does not exist or has no flow")]
    if facts.problem is not None:
        return [Check("status", UNKNOWN, f"the resource could not be read: {facts.problem}")]
    status = _status(facts, limits)
    if facts.status != "ACTIVE":  # nothing else applies to a resource that is not active
        return [status] if "status" not in limits.skip else [Check("status", NONE)]
    checks = [status, *_run_checks(facts, limits, now), _credential(facts)]
    kept = [check for check in checks if check.name.split(".")[0] not in limits.skip]
    if limits.skip >= RUN_CHECKS:
        kept = [check for check in kept if check.name != "runs"]
    return kept or [Check("status", UNKNOWN, "every check is skipped")]


def verdict(checks: list[Check]) -> str:
    """The verdict for a resource: healthy only if at least one check is ok and none is bad or unknown."""
    found = {check.verdict for check in checks}
    if BAD in found:
        return UNHEALTHY
    return HEALTHY if OK in found and UNKNOWN not in found else UNKNOWN


def _status(facts: HealthFacts, limits: HealthLimits) -> Check:
    if not isinstance(facts.status, str):
        return Check("status", UNKNOWN, "the response contains no status")
    if facts.status == limits.expected_status:
        return Check("status", OK, facts.status)
    return Check("status", BAD, f"it is {facts.status}, not {limits.expected_status}")


def _run_checks(facts: HealthFacts, limits: HealthLimits, now: float) -> list[Check]:
    if facts.runs is None or facts.unreadable:
        malformed = f"{facts.unreadable} rows are malformed"
        return [Check("runs", UNKNOWN, f"its runs could not be read: {facts.runs_problem or malformed}")]
    if (facts.newest or 0) > now + MAX_CLOCK_SKEW:
        return [Check("runs", UNKNOWN, f"its last run is dated {iso(int((facts.newest or 0) * 1000))}, in the future")]
    runs = facts.runs[: limits.last]
    return [
        _freshness(facts, limits, now),
        _errors(runs, limits),
        _volume(facts, runs, limits, now),
        _stalled(facts, limits, now),
        _quarantine(runs),
        *_sla(facts, limits, now),
    ]


def _freshness(facts: HealthFacts, limits: HealthLimits, now: float) -> Check:
    newest = facts.newest
    if newest is None:
        return Check("freshness", BAD, "it has never run")
    age = f"the last run was {age_text(now - newest)} ago"
    if facts.schedule is not None and facts.schedule.never_fires(now) and facts.kind == "sources":
        return Check("freshness", BAD, f"its schedule {facts.schedule.expression!r} never fires; {age}")
    due = None
    if facts.schedule is not None and facts.schedule.next_after(now) is not None:
        due = facts.schedule.last_before(now - limits.grace_minutes * 60)
    if due is not None:
        if newest >= due:
            return Check("freshness", OK, age)
        when = iso(int(due * 1000))
        if facts.kind == "sources":
            return Check("freshness", BAD, f"it missed its run at {when}; {age}")
        if facts.source_run / 1000 < due:
            return Check("freshness", BAD, f"its source missed the run at {when}; {age}")
    if now - newest > limits.max_age_hours * 3600:
        return Check("freshness", BAD, f"{age}; the limit is {limits.max_age_hours:g} h")
    return Check("freshness", OK, age)


def _errors(runs: list[ResourceRun], limits: HealthLimits) -> Check:
    """Judge the mean of the runs' error shares, so that large runs do not hide a small run that failed."""
    if not runs:
        return Check("errors", NONE)
    if runs[0].errors and not runs[0].records:
        return Check("errors", BAD, f"the last run failed: no records, errors: {runs[0].errors}")
    share = mean(run.error_share for run in runs)
    text = f"error share {share:.1%} over {len(runs)} runs"
    if share > limits.threshold:
        return Check("errors", BAD, f"{text}; the limit is {limits.threshold:.1%}")
    return Check("errors", OK, text)


def _volume(facts: HealthFacts, runs: list[ResourceRun], limits: HealthLimits, now: float) -> Check:
    silent = _silent(facts, limits, now)
    if silent:
        return Check("volume", BAD, silent)
    before = [run.records for run in runs[1:]]
    growing = bool(runs) and (facts.runtime_status == "PROCESSING" or now - runs[0].id / 1000 < RUN_MAY_GROW_SECONDS)
    if len(before) < MIN_HISTORY_RUNS or growing or not median(before):
        return Check("volume", NONE)
    usual = median(before)
    text = f"{runs[0].records} records in the last run, {usual:g} is usual"
    return Check("volume", BAD if runs[0].records < limits.min_volume * usual else OK, text)


def _silent(facts: HealthFacts, limits: HealthLimits, now: float) -> str:
    """Why the lack of records is bad: the source keeps running, but the gap is far longer than usual. Empty if not."""
    moments = [run.id / 1000 for run in facts.runs or [] if run.records]
    gaps = [later - earlier for later, earlier in pairwise(moments)]
    if len(gaps) < MIN_HISTORY_RUNS or facts.source_run / 1000 <= moments[0]:
        return ""
    usual = median(gaps)
    if now - moments[0] <= max(limits.max_age_hours * 3600, SILENCE_FACTOR * usual):
        return ""
    silence = age_text(now - moments[0])
    return f"no records for {silence}, although the source keeps running; usually every {age_text(usual)}"


def _stalled(facts: HealthFacts, limits: HealthLimits, now: float) -> Check:
    """A destination that is PROCESSING, but has delivered nothing from a run that began long ago."""
    if facts.kind != "destinations" or facts.runtime_status != "PROCESSING":
        return Check("stalled", NONE)
    newest = next(
        (run.id / 1000 for run in facts.runs or [] if run.records), 0.0
    )  # newest run it delivered records from
    waits_for = facts.source_run / 1000 or newest
    due = facts.schedule.last_before(now - limits.stall_minutes * 60) if facts.schedule else None
    there = (
        bool(facts.runs) and due is not None and (facts.runs or [])[-1].id / 1000 <= due
    )  # it existed before that run
    if due is not None and there and newest < due <= facts.source_run / 1000:
        waits_for = due  # the oldest run that it certainly waits for
    behind = newest < waits_for or facts.source_run == 0
    if behind and now - waits_for > limits.stall_minutes * 60:
        return Check("stalled", BAD, f"it is PROCESSING but has delivered nothing for {age_text(now - waits_for)}")
    return Check("stalled", OK)


def _quarantine(runs: list[ResourceRun]) -> Check:
    before = [run.errors for run in runs[1:]]
    if len(before) < MIN_HISTORY_RUNS:
        return Check("quarantine", NONE)
    usual = median(before)
    text = f"{runs[0].errors} records went to quarantine in the last run, {usual:g} is usual"
    return Check(
        "quarantine", BAD if runs[0].errors >= max(MIN_QUARANTINED, QUARANTINE_GROWTH * usual + 1) else OK, text
    )


def _credential(facts: HealthFacts) -> Check:
    if facts.probe_problem:
        return Check("credential", UNKNOWN, facts.probe_problem)
    if facts.credential is None:
        return Check("credential", NONE)
    if facts.credential.startswith("200"):
        return Check("credential", OK, "its last probe succeeded")
    return Check("credential", BAD, f"the last probe of its credential failed: {facts.credential}")


def _sla(facts: HealthFacts, limits: HealthLimits, now: float) -> list[Check]:
    runs = facts.runs or []
    found = []
    for name, bound in limits.sla.items():
        if not runs:
            found.append(Check(f"sla.{name}", BAD, f"{name} {bound:g}: it has no runs"))
            continue
        value, holds = _sla_value(name, bound, facts, runs, now)
        verdict = UNKNOWN if holds is None else OK if holds else BAD
        found.append(Check(f"sla.{name}", verdict, f"{name} is {value:.4g}, the SLA is {bound:g}"))
    return found


def _sla_value(
    name: str, bound: float, facts: HealthFacts, runs: list[ResourceRun], now: float
) -> tuple[float, bool | None]:
    """The measured value, and whether it meets its bound; None if there are too few rows to decide."""
    if name == "max_age_hours":
        value = (now - (facts.newest or 0)) / 3600
        return value, value <= bound
    if name == "min_success_rate":
        value = sum(not run.errors for run in runs) / len(runs)
        return value, value >= bound
    if name == "max_error_rate":
        errors = sum(run.errors for run in runs)
        value = errors / ((errors + sum(run.records for run in runs)) or 1)
        return value, value <= bound
    recent = [run.records for run in runs if run.id / 1000 > now - DAY]
    value = float(sum(recent))
    cut = len(recent) == len(runs) and facts.cut
    return value, True if value >= bound else None if cut else False


def as_row(facts: HealthFacts, checks: list[Check]) -> Row:
    """The row of the report for a resource, with its checks and up to 30 runs of history."""
    runs, newest = facts.runs or [], facts.newest
    shown = runs[0] if runs and newest and runs[0].id / 1000 >= newest else None  # the newest run may have no row
    return {
        "verdict": verdict(checks),
        "type": facts.kind,
        "id": facts.id,
        "name": facts.name,
        "flow": facts.flow,
        "status": facts.status,
        "last_run": iso(int(newest * 1000)) if newest else None,
        "records": shown.records if shown else None,
        "errors": shown.errors if shown else None,
        "issues": [check.text for check in checks if check.verdict in (BAD, UNKNOWN)],
        "checks": {check.name: check.verdict for check in checks},
        "history": [[run.id, run.records, run.errors] for run in runs[:30]],
    }
