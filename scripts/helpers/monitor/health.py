"""Whether a resource is healthy: plain facts in, a verdict for each check out. Nothing here reads or sends anything."""

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
RUN_MAY_GROW_SECONDS = 900.0  # seconds: a younger run may still be growing, so that its volume says nothing
MIN_HISTORY_RUNS = 3  # runs that a median needs
SILENCE_FACTOR = 3  # times the usual gap between runs with records
MAX_CLOCK_SKEW = 3600.0  # seconds
RUN_CHECKS = frozenset({"freshness", "errors", "volume", "stalled", "quarantine", "sla"})
QUARANTINE_GROWTH, MIN_QUARANTINED = 3, 10  # quarantine: this many times the median, and at least this many
DAY = 86_400.0


@dataclass
class HealthFacts:
    """What is known of one resource.

    Attributes:
        source_run: the newest run that the flow's source names, in epoch ms; 0 for none.
        credential: ``verified_status``; None when it was never probed.
        runs: newest first; None when they could not be read.
        probe_problem: why its credential could not be probed, when that was asked for.
        cut: there are older runs that were not read.
        problem: why the resource itself could not be read; ``runs_problem``: why its runs could not.
        missing: the API says that there is no such resource.
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
        """When the newest known run began, in epoch seconds. Of a source, the run that it names counts as well."""
        marks = [run.id for run in (self.runs or [])[:1]]
        if self.kind == "sources" and self.source_run:
            marks.append(self.source_run)
        return max(marks) / 1000 if marks else None


@dataclass(frozen=True)
class Check:
    name: str
    verdict: str
    text: str = ""


def judge(facts: HealthFacts, limits: HealthLimits, now: float) -> list[Check]:
    """Every check that is not skipped. ``now`` is in epoch seconds, by the server's clock."""
    if facts.missing:
        return [Check("status", BAD, "there is no such resource, or it has no flow")]
    if facts.problem is not None:
        return [Check("status", UNKNOWN, f"it could not be read: {facts.problem}")]
    status = _status(facts, limits)
    if facts.status != "ACTIVE":  # a resource that rests has nothing else to show
        return [status] if "status" not in limits.skip else [Check("status", NONE)]
    checks = [status, *_of_runs(facts, limits, now), _credential(facts)]
    kept = [check for check in checks if check.name.split(".")[0] not in limits.skip]
    if limits.skip >= RUN_CHECKS:
        kept = [check for check in kept if check.name != "runs"]
    return kept or [Check("status", UNKNOWN, "every check is switched off")]


def verdict(checks: list[Check]) -> str:
    """healthy only when nothing is bad, nothing is unknown, and at least one check was good."""
    found = {check.verdict for check in checks}
    if BAD in found:
        return UNHEALTHY
    return HEALTHY if OK in found and UNKNOWN not in found else UNKNOWN


def _status(facts: HealthFacts, limits: HealthLimits) -> Check:
    if not isinstance(facts.status, str):
        return Check("status", UNKNOWN, "the answer carries no status")
    if facts.status == limits.expected_status:
        return Check("status", OK, facts.status)
    return Check("status", BAD, f"it is {facts.status}, not {limits.expected_status}")


def _of_runs(facts: HealthFacts, limits: HealthLimits, now: float) -> list[Check]:
    if facts.runs is None or facts.unreadable:
        malformed = f"{facts.unreadable} rows make no sense"
        return [Check("runs", UNKNOWN, f"its runs could not be read: {facts.runs_problem or malformed}")]
    if (facts.newest or 0) > now + MAX_CLOCK_SKEW:
        return [Check("runs", UNKNOWN, f"its last run is of {iso(int((facts.newest or 0) * 1000))}, in the future")]
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
            return Check("freshness", BAD, f"it missed its run of {when}; {age}")
        if facts.source_run / 1000 < due:
            return Check("freshness", BAD, f"its source missed the run of {when}; {age}")
    if now - newest > limits.max_age_hours * 3600:
        return Check("freshness", BAD, f"{age}; at most {limits.max_age_hours:g} h are allowed")
    return Check("freshness", OK, age)


def _errors(runs: list[ResourceRun], limits: HealthLimits) -> Check:
    """The mean of the runs' own shares, so that a small run that failed is not lost in the records of big ones."""
    if not runs:
        return Check("errors", NONE)
    if runs[0].errors and not runs[0].records:
        return Check("errors", BAD, f"the last run failed: no records, errors: {runs[0].errors}")
    share = mean(run.error_share for run in runs)
    text = f"error share {share:.1%} over {len(runs)} runs"
    if share > limits.threshold:
        return Check("errors", BAD, f"{text}; at most {limits.threshold:.1%} is allowed")
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
    """The source runs on, but there are no records, for much longer than there used to be none. Empty if not so."""
    moments = [run.id / 1000 for run in facts.runs or [] if run.records]
    gaps = [later - earlier for later, earlier in pairwise(moments)]
    if len(gaps) < MIN_HISTORY_RUNS or facts.source_run / 1000 <= moments[0]:
        return ""
    usual = median(gaps)
    if now - moments[0] <= max(limits.max_age_hours * 3600, SILENCE_FACTOR * usual):
        return ""
    return f"no records for {age_text(now - moments[0])}, although the source runs; usual is every {age_text(usual)}"


def _stalled(facts: HealthFacts, limits: HealthLimits, now: float) -> Check:
    """A destination that is busy, and has delivered nothing of a run that began a good while ago."""
    if facts.kind != "destinations" or facts.runtime_status != "PROCESSING":
        return Check("stalled", NONE)
    newest = next((run.id / 1000 for run in facts.runs or [] if run.records), 0.0)  # that it has delivered something of
    waits_for = facts.source_run / 1000 or newest
    due = facts.schedule.last_before(now - limits.stall_minutes * 60) if facts.schedule else None
    there = bool(facts.runs) and due is not None and (facts.runs or [])[-1].id / 1000 <= due  # it is older than that
    if due is not None and there and newest < due <= facts.source_run / 1000:
        waits_for = due  # of several runs that it waits for, the oldest that is certain
    behind = newest < waits_for or facts.source_run == 0
    if behind and now - waits_for > limits.stall_minutes * 60:
        return Check("stalled", BAD, f"it is PROCESSING, and has delivered nothing for {age_text(now - waits_for)}")
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
        return Check("credential", OK, "it was good when it was probed last")
    return Check("credential", BAD, f"the last probe of its credential said: {facts.credential}")


def _sla(facts: HealthFacts, limits: HealthLimits, now: float) -> list[Check]:
    runs = facts.runs or []
    found = []
    for name, bound in limits.sla.items():
        if not runs:
            found.append(Check(f"sla.{name}", BAD, f"{name} {bound:g}: it has no runs"))
            continue
        value, holds = _sla_value(name, bound, facts, runs, now)
        verdict = UNKNOWN if holds is None else OK if holds else BAD
        found.append(Check(f"sla.{name}", verdict, f"{name} is {value:.4g}, agreed is {bound:g}"))
    return found


def _sla_value(
    name: str, bound: float, facts: HealthFacts, runs: list[ResourceRun], now: float
) -> tuple[float, bool | None]:
    """The measured value, and whether it is within its bound; None when there are too few rows to tell."""
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
    """One line of the report."""
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
