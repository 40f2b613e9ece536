"""The rules of health against a plain oracle: healthy exactly when nothing speaks against it."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean, median
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers.api.runs import ResourceRun, merge_runs
from helpers.core.schedule import Schedule
from helpers.monitor.health import HealthFacts, as_row, judge, verdict
from helpers.monitor.health_config import CHECKS, HealthLimits

NOW = 1_795_240_000.0  # 2026-11-21T05:46:40Z
DAILY = "0 0 6 * * ?"


def test_of_several_waiting_runs_the_oldest_shows_for_how_long_nothing_came() -> None:
    """A new run every day must not make the wait look short: 10 minutes, where two days have gone by."""
    now = Schedule(DAILY).last_before(NOW) or 0.0
    now += 600
    facts = HealthFacts(
        "destinations", 1, status="ACTIVE", runtime_status="PROCESSING", schedule=Schedule(DAILY),
        source_run=int((now - 600) * 1000), runs=[ResourceRun(int((now - 2 * 86_400) * 1000), 5, 900, 0)],
    )  # fmt: skip
    (stalled,) = [check for check in judge(facts, HealthLimits(), now) if check.name == "stalled"]
    assert stalled.verdict == "bad", stalled
    delivered = HealthFacts(**{**facts.__dict__, "runs": [ResourceRun(int((now - 86_400) * 1000), 5, 900, 0)]})
    (fine,) = [check for check in judge(delivered, HealthLimits(), now) if check.name == "stalled"]
    assert fine.verdict == "ok"


@st.composite
def histories(draw: st.DrawFn) -> HealthFacts:
    ages = sorted(draw(st.lists(st.integers(60, 10 * 86_400), max_size=12, unique=True)))
    number = st.integers(0, 1000) | st.just(0)
    runs = [ResourceRun(int((NOW - age) * 1000), draw(number), 0, draw(number)) for age in ages]
    kind = draw(st.sampled_from(["sources", "nexsets", "destinations"]))
    return HealthFacts(
        kind, 1, "x", 2,
        draw(st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "PAUSED", "INIT", "RATE_LIMITED", None])),
        draw(st.sampled_from(["IDLE", "PROCESSING", None])),
        draw(st.sampled_from([None, Schedule(DAILY), Schedule("0 0 6 * * ? 2020")])),
        draw(st.sampled_from([0, *(run.id for run in runs), int((NOW - 3600) * 1000)])),
        draw(st.sampled_from([None, "200 Ok", "403 Denied"])),
        draw(st.sampled_from([runs, runs, runs, None])),
        draw(st.sampled_from([0, 0, 0, 1])),
        draw(st.sampled_from([None, None, None, "500"])),
    )  # fmt: skip


def may_be_healthy(facts: HealthFacts) -> bool:
    """The oracle: every reason against it, written out plainly."""
    if facts.problem or facts.status != "ACTIVE" or facts.runs is None or facts.unreadable:
        return False
    marks = [run.id / 1000 for run in facts.runs]
    if facts.kind == "sources" and facts.source_run:
        marks.append(facts.source_run / 1000)
    if not marks or (facts.credential or "200").startswith("403") or max(marks) > NOW + 3600:
        return False
    return may_be_fresh(facts, max(marks)) and may_be_good_runs(facts) and may_be_delivering(facts, min(marks))


def may_be_fresh(facts: HealthFacts, newest: float) -> bool:
    due = 1_795_154_400.0  # 2026-11-20T06:00:00Z, the last run that was due before NOW - 30 min
    if facts.schedule is None:
        return NOW - newest <= 86_400
    if "2020" in facts.schedule.expression:
        return facts.kind != "sources" and NOW - newest <= 86_400
    missed = facts.kind == "sources" or facts.source_run / 1000 < due or NOW - newest > 86_400
    return newest >= due or not missed


def may_be_good_runs(facts: HealthFacts) -> bool:
    assert facts.runs is not None
    last = facts.runs[:10]
    if last:
        shares = [run.errors / (run.records + run.errors) if run.records + run.errors else 0 for run in last]
        if mean(shares) > 0.2 or (last[0].errors and not last[0].records):
            return False
    with_data = [run.id / 1000 for run in facts.runs if run.records]
    if len(with_data) > 3 and facts.source_run / 1000 > with_data[0]:
        gap = median(a - b for a, b in pairwise(with_data))
        if NOW - with_data[0] > max(86_400, 3 * gap):
            return False
    before = last[1:]
    if len(before) >= 3:
        usual = median(run.records for run in before)
        old = NOW - last[0].id / 1000 >= 900 and facts.runtime_status != "PROCESSING"
        if old and usual and last[0].records < 0.3 * usual:
            return False
        if last[0].errors >= max(10, 3 * median(run.errors for run in before) + 1):
            return False
    return True


def may_be_delivering(facts: HealthFacts, oldest: float) -> bool:
    with_data = [run.id / 1000 for run in facts.runs or [] if run.records]
    if facts.kind == "destinations" and facts.runtime_status == "PROCESSING":
        newest = with_data[0] if with_data else 0.0
        waits = facts.source_run / 1000 or newest
        hour_ago = 1_795_154_400.0  # the last 06:00 before NOW - 1 h
        fires = facts.schedule and "2020" not in facts.schedule.expression
        if fires and oldest <= hour_ago and newest < hour_ago <= facts.source_run / 1000:
            waits = hour_ago
        if (newest < waits or not facts.source_run) and NOW - waits > 3600:
            return False
    return True


PROCESSING_NOW = {"kind": "destinations", "id": 1, "status": "ACTIVE", "runtime_status": "PROCESSING"}
A_MINUTE_AGO = int((NOW - 60) * 1000)


@settings(max_examples=600, deadline=None)
@given(histories())
@example(  # its first run began a minute ago: it has not been waiting since a time that its schedule names
    HealthFacts(
        **PROCESSING_NOW, schedule=Schedule(DAILY), source_run=A_MINUTE_AGO, runs=[ResourceRun(A_MINUTE_AGO, 0, 0, 0)]
    )
)
@example(  # a schedule that is over
    HealthFacts(
        **PROCESSING_NOW,
        schedule=Schedule("0 0 6 * * ? 2020"),
        source_run=A_MINUTE_AGO,
        runs=[ResourceRun(A_MINUTE_AGO, 0, 0, 0)],
    )
)
def test_healthy_exactly_when_the_oracle_finds_nothing_against_it(facts: HealthFacts) -> None:
    row = as_row(facts, judge(facts, HealthLimits(), NOW))
    assert (row["verdict"] == "healthy") == may_be_healthy(facts), row
    assert (row["verdict"] == "healthy") == (not row["issues"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional={
    "runId": st.integers(1_795_000_000_000, 1_795_000_000_005) | st.integers(1, 9) | st.none(),
    "records": st.integers(-1, 9) | st.none() | st.booleans(),
    "size": st.integers(0, 9) | st.none(), "errors": st.integers(0, 9) | st.none() | st.text(max_size=2),
})))  # fmt: skip
def test_malformed_rows_are_counted_and_not_added(found: list[dict[str, Any]]) -> None:
    def whole(value: Any) -> bool:
        return type(value) is int and value >= 0

    good = [row for row in found if all(whole(row.get(key)) for key in ("runId", "records", "errors"))]
    good = [row for row in good if row["runId"] > 10**12]
    runs, unreadable = merge_runs(found)
    assert unreadable == len(found) - len(good)
    assert sum(run.records for run in runs) == sum(row["records"] for row in good)
    assert [run.id for run in runs] == sorted({row["runId"] for row in good}, reverse=True)


def test_runs_that_cannot_be_read_are_unknown_whatever_is_skipped() -> None:
    facts = HealthFacts("sources", 1, status="ACTIVE", runs=None, runs_problem="500")
    assert verdict(judge(facts, HealthLimits(skip=frozenset({"freshness"})), NOW)) == "unknown"
    only_status = HealthLimits(skip=frozenset({"freshness", "errors", "volume", "stalled", "quarantine", "sla"}))
    assert verdict(judge(facts, only_status, NOW)) == "healthy"


def test_a_dead_schedule_does_not_make_what_is_below_it_fresh() -> None:
    old = [ResourceRun(int((NOW - 200 * 86_400) * 1000), 5, 0, 0)]
    for expression in ("0 0 6 1 1 ? 2020", "nonsense"):
        facts = HealthFacts("destinations", 1, status="ACTIVE", schedule=Schedule(expression), runs=old)
        assert verdict(judge(facts, HealthLimits(), NOW)) == "unhealthy"
    quartz = HealthFacts(
        "sources",
        1,
        status="ACTIVE",
        schedule=Schedule("0 0 6 LW * ?"),
        runs=[ResourceRun(int(NOW * 1000) - 9, 5, 0, 0)],
    )
    assert verdict(judge(quartz, HealthLimits(), NOW)) == "healthy"  # Quartz knows it, although it cannot be read here


def test_a_source_that_runs_on_without_records_is_seen() -> None:
    days = [ResourceRun(int((NOW - day * 86_400) * 1000), 480, 0, 0) for day in range(5, 12)]
    facts = HealthFacts("sources", 1, status="ACTIVE", runs=days, source_run=int((NOW - 60) * 1000))
    row = as_row(facts, judge(facts, HealthLimits(), NOW))
    assert (row["verdict"], row["records"]) == ("unhealthy", None)  # the newest run has no row, so no records are shown
    assert "although the source keeps running" in row["issues"][0]


@given(histories(), st.sampled_from(CHECKS))
def test_every_check_can_be_skipped_by_its_name(facts: HealthFacts, skipped: str) -> None:
    limits = HealthLimits(sla={"max_age_hours": 1})
    names = {check.name.split(".")[0] for check in judge(facts, limits, NOW)}
    assert names <= {*CHECKS, "runs"}
    judged = judge(facts, limits._replace(skip=frozenset({skipped})), NOW)
    assert skipped not in {check.name.split(".")[0] for check in judged if check.verdict in ("ok", "bad")}


def test_no_check_left_is_unknown() -> None:
    assert verdict([]) == "unknown"
