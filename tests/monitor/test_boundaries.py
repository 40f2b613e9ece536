"""What decides between healthy and unhealthy: each limit with the values around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.api.runs import ResourceRun
from helpers.core.schedule import Schedule
from helpers.monitor.health import HealthFacts, judge
from helpers.monitor.health_config import HealthLimits, load
from helpers.monitor.incidents import events, update_incidents
from helpers.monitor.request import AlertPolicy
from support.requesting import accepts, request_of

NOW = 1_795_240_000.0  # 2026-11-21T05:46:40Z
HOUR, DAY = 3600, 86_400


def run(age: float, records: int = 100, errors: int = 0) -> ResourceRun:
    """A run that began so many seconds ago."""
    return ResourceRun(int((NOW - age) * 1000), records, 0, errors)


def facts(*runs: ResourceRun, kind: str = "sources", **more: Any) -> HealthFacts:
    return HealthFacts(kind, 1, status="ACTIVE", runs=list(runs), **more)


def verdict_of(check: str, found: HealthFacts, limits: HealthLimits | None = None) -> str | None:
    """The verdict of one check by the default limits; None when there is no such check."""
    verdicts = {entry.name: entry.verdict for entry in judge(found, limits or HealthLimits(), NOW)}
    return verdicts.get(check)


@pytest.mark.parametrize(("age", "verdict"), [(899, "none"), (900, "bad"), (901, "bad")])
def test_the_volume_of_a_run_is_judged_after_15_minutes(age: int, verdict: str) -> None:
    assert verdict_of("volume", facts(run(age, 0), *(run(DAY * n) for n in (1, 2, 3)))) == verdict


@pytest.mark.parametrize(("before", "verdict"), [(2, "none"), (3, "bad"), (4, "bad")])
@pytest.mark.parametrize("check", ["volume", "quarantine"])
def test_a_median_needs_three_runs_before(check: str, before: int, verdict: str) -> None:
    assert verdict_of(check, facts(run(HOUR, 1, 99), *(run(DAY * n) for n in range(1, before + 1)))) == verdict


@pytest.mark.parametrize(("gaps", "verdict"), [(2, "ok"), (3, "bad"), (4, "bad")])
def test_silence_is_told_from_three_gaps_on(gaps: int, verdict: str) -> None:
    found = facts(*(run(DAY * (5 + n)) for n in range(gaps + 1)), source_run=int((NOW - 60) * 1000))
    assert verdict_of("volume", found, HealthLimits(last=1)) == verdict.replace("ok", "none")


@pytest.mark.parametrize(("age", "bad"), [(3 * DAY - 1, False), (3 * DAY, False), (3 * DAY + 1, True)])
def test_silence_is_three_times_the_usual_gap(age: int, bad: bool) -> None:
    found = facts(*(run(age + DAY * n) for n in range(5)), source_run=int((NOW - 60) * 1000))
    assert (verdict_of("volume", found) == "bad") is bad


@pytest.mark.parametrize(("age", "bad"), [(86_399, False), (86_400, False), (86_401, True)])
def test_silence_is_at_least_a_day(age: int, bad: bool) -> None:
    found = facts(*(run(age + HOUR * n) for n in range(5)), source_run=int((NOW - 60) * 1000))
    assert (verdict_of("volume", found) == "bad") is bad


@pytest.mark.parametrize(("ahead", "verdict"), [(3599, None), (3600, None), (3601, "unknown")])
def test_a_run_may_lie_an_hour_in_the_future(ahead: int, verdict: str | None) -> None:
    assert verdict_of("runs", facts(run(-ahead))) == verdict


@pytest.mark.parametrize(
    ("usual", "errors", "verdict"),
    [
        (0, 9, "ok"), (0, 10, "bad"), (0, 11, "bad"),  # at least 10
        (4, 12, "ok"), (4, 13, "bad"), (4, 14, "bad"),  # more than three times the median
        (100, 300, "ok"), (100, 301, "bad"), (100, 302, "bad"),
    ],
)  # fmt: skip
def test_the_quarantine_grows(usual: int, errors: int, verdict: str) -> None:
    before = (run(DAY * n, 10_000, usual) for n in (1, 2, 3))
    assert verdict_of("quarantine", facts(run(HOUR, 10_000, errors), *before)) == verdict


@pytest.mark.parametrize(("age", "verdict"), [(DAY - 1, "ok"), (DAY, "bad"), (DAY + 1, "bad")])
def test_records_per_day_are_those_of_24_hours(age: int, verdict: str) -> None:
    limits = HealthLimits(sla={"min_records_per_day": 100})
    assert verdict_of("sla.min_records_per_day", facts(run(age)), limits) == verdict


@pytest.mark.parametrize(
    ("promise", "runs", "verdict"),
    [
        ({"max_age_hours": 1}, [run(3599)], "ok"), ({"max_age_hours": 1}, [run(3600)], "ok"),
        ({"max_age_hours": 1}, [run(3601)], "bad"),
        ({"min_success_rate": 0.5}, [run(1, 1, 1), run(2), run(3)], "ok"),
        ({"min_success_rate": 0.5}, [run(1, 1, 1), run(2)], "ok"),
        ({"min_success_rate": 0.5}, [run(1, 1, 1), run(2, 1, 1), run(3)], "bad"),
        ({"max_error_rate": 0.1}, [run(1, 91, 9)], "ok"), ({"max_error_rate": 0.1}, [run(1, 90, 10)], "ok"),
        ({"max_error_rate": 0.1}, [run(1, 89, 11)], "bad"),
        ({"min_records_per_day": 100}, [run(1, 99)], "bad"), ({"min_records_per_day": 100}, [run(1, 100)], "ok"),
        ({"min_records_per_day": 100}, [run(1, 101)], "ok"),
    ],
)  # fmt: skip
def test_a_promise_is_kept_at_its_bound(promise: dict[str, float], runs: list[ResourceRun], verdict: str) -> None:
    (name,) = promise
    assert verdict_of(f"sla.{name}", facts(*runs), HealthLimits(sla=promise)) == verdict


@pytest.mark.parametrize(("age", "verdict"), [(86_399, "ok"), (86_400, "ok"), (86_401, "bad")])
def test_without_a_schedule_a_run_is_fresh_for_24_hours(age: int, verdict: str) -> None:
    assert verdict_of("freshness", facts(run(age))) == verdict


@pytest.mark.parametrize(("errors", "verdict"), [(1999, "ok"), (2000, "ok"), (2001, "bad")])
def test_a_fifth_of_the_records_may_fail(errors: int, verdict: str) -> None:
    assert verdict_of("errors", facts(run(HOUR, 10_000 - errors, errors))) == verdict


@pytest.mark.parametrize(("place", "verdict"), [(8, "bad"), (9, "bad"), (10, "ok")])
def test_shares_are_taken_over_ten_runs(place: int, verdict: str) -> None:
    """Two of the newest runs failed, just as many as may; and a third one at this place, counted from 0."""
    runs = [run(HOUR * n) for n in range(1, 13)]
    for failed in (1, 2, place):
        runs[failed] = run(HOUR * (failed + 1), 0, 100)
    assert verdict_of("errors", facts(*runs)) == verdict


@pytest.mark.parametrize(("records", "verdict"), [(2999, "bad"), (3000, "ok"), (3001, "ok")])
def test_the_volume_may_fall_to_three_tenths(records: int, verdict: str) -> None:
    assert verdict_of("volume", facts(run(HOUR, records), *(run(DAY * n, 10_000) for n in (1, 2, 3)))) == verdict


@pytest.mark.parametrize(("age", "verdict"), [(3599, "ok"), (3600, "ok"), (3601, "bad")])
def test_a_destination_may_be_busy_for_an_hour(age: int, verdict: str) -> None:
    found = facts(run(DAY * 2), kind="destinations", runtime_status="PROCESSING", source_run=int((NOW - age) * 1000))
    assert verdict_of("stalled", found) == verdict


@pytest.mark.parametrize(("late", "verdict"), [(1799, "ok"), (1800, "ok"), (1801, "bad")])
def test_a_scheduled_run_may_be_half_an_hour_late(late: int, verdict: str) -> None:
    at = 1_795_240_800 + late  # so long after 06:00
    found = HealthFacts("sources", 1, status="ACTIVE", schedule=Schedule("0 0 6 * * ?"),
                        runs=[ResourceRun((1_795_240_800 - DAY) * 1000, 100, 0, 0)])  # fmt: skip
    (check,) = [entry for entry in judge(found, HealthLimits(), at) if entry.name == "freshness"]
    assert check.verdict == verdict, check


@pytest.mark.parametrize(
    ("key", "value", "good"),
    [
        ("last", 0, False), ("last", 1, True), ("last", 99, True), ("last", 100, True), ("last", 101, False),
        ("threshold", -0.01, False), ("threshold", 0, True), ("threshold", 1, True), ("threshold", 1.01, False),
        ("stall_minutes", -0.1, False), ("stall_minutes", 0, False), ("stall_minutes", 0.01, True),
        ("grace_minutes", -0.1, False), ("grace_minutes", 0, True), ("grace_minutes", 0.1, True),
    ],
)  # fmt: skip
def test_a_limit_in_a_config_has_its_limits(tmp_path: Path, key: str, value: float, good: bool) -> None:
    file = tmp_path / "monitoring.json"
    file.write_text(json.dumps({"resources": [{"type": "sources", "id": 1, key: value}]}))
    assert accepts(lambda: load(str(file), HealthLimits())) is good


@pytest.mark.parametrize(("last", "good"), [("0", False), ("1", True), ("100", True), ("101", False)])
def test_the_command_line_may_ask_for_1_to_100_runs(last: str, good: bool) -> None:
    assert accepts(lambda: request_of("health_check", "--all", "--last", last)) is good


def test_the_command_line_has_the_same_defaults() -> None:
    request = request_of("health_check", "--all", "--state", "state.json")
    assert request.limits == HealthLimits(24.0, 0.2, 10, 0.3, 60.0, 30.0)
    assert request.alert.policy == AlertPolicy(2, 2, 6.0)


def rounds(*verdicts: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The incidents after so many checks of one resource."""
    incidents: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for verdict in verdicts:
        rows = [{"type": "sources", "id": 1, "name": "x", "verdict": verdict}]
        incidents = update_incidents(incidents, rows, AlertPolicy())
    return incidents, rows


@pytest.mark.parametrize(("bad", "opened"), [(1, 0), (2, 1), (3, 1)])
def test_an_incident_opens_at_the_second_bad_check(bad: int, opened: int) -> None:
    incidents, rows = rounds(*["unhealthy"] * bad)
    assert len(events(incidents, rows, AlertPolicy(), NOW)["opened"]) == opened


@pytest.mark.parametrize(("good", "state"), [(1, "open"), (2, "clear"), (3, "clear")])
def test_an_incident_clears_at_the_second_good_check(good: int, state: str) -> None:
    incidents: dict[str, Any] = {"sources 1": {"bad": 2, "good": 0, "state": "open", "told": "open", "told_at": 1.0}}
    for _ in range(good):
        incidents = update_incidents(incidents, [{"type": "sources", "id": 1, "verdict": "healthy"}], AlertPolicy())
    assert incidents["sources 1"]["state"] == state


@pytest.mark.parametrize(("age", "reminded"), [(21_599, 0), (21_600, 1), (21_601, 1)])
def test_an_open_incident_is_told_again_after_six_hours(age: int, reminded: int) -> None:
    incidents = {"sources 1": {"bad": 9, "good": 0, "state": "open", "told": "open", "told_at": NOW - age}}
    rows = [{"type": "sources", "id": 1, "name": "x", "verdict": "unhealthy"}]
    assert len(events(incidents, rows, AlertPolicy(), NOW)["still"]) == reminded
