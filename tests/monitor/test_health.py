"""health_check.py: never a wrong healthy, within its budget of requests, whatever the API answers."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers.api.runs import Run, merged
from helpers.core.times import Schedule
from helpers.monitor.health import Facts, as_row, judge, verdict
from helpers.monitor.health_config import Limits
from support import Done, Sandbox

NOW = 1_795_240_000.0  # 2026-11-21T05:46:40Z
DAILY = "0 0 6 * * ?"


def check(sandbox: Sandbox, *args: str) -> Done:
    return sandbox.run_inside("health_check.py", *args)


def one(sandbox: Sandbox, kind: str, number: int, *args: str) -> Done:
    return check(sandbox, "--resource-type", kind, "--resource-id", str(number), *args)


def rows(done: Done) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row["type"], row["id"]): row for row in done.data}


# -- the demo flows


def test_the_demo_flows_get_the_verdicts_that_they_stand_for(sandbox: Sandbox) -> None:
    done = check(sandbox, "--all")
    assert (done.code, done.json["ok"]) == (10, False)
    found = rows(done)
    assert {key: row["verdict"] for key, row in found.items() if key[1] == 123} == dict.fromkeys(
        [("sources", 123), ("nexsets", 123), ("destinations", 123)], "healthy"
    )
    assert "it is PAUSED" in found["sources", 456]["issues"][0]
    assert "the last run failed" in found["sources", 789]["issues"][0]
    assert "missed its run" in found["sources", 321]["issues"][0]
    assert done.json["meta"] | {"total": 12, "healthy": 3, "unhealthy": 9, "unknown": 0} == done.json["meta"]
    resting = check(sandbox, "--all", "--ignore-paused")
    assert (resting.json["meta"]["paused_left_out"], len(resting.data)) == (3, 9)


def test_a_paused_destination_is_seen_although_its_flow_is_active(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    done = one(sandbox, "destinations", 123)
    assert (done.code, done.data[0]["status"], done.data[0]["verdict"]) == (10, "PAUSED", "unhealthy")
    assert one(sandbox, "sources", 123).code == 0


def test_a_missing_resource_is_unhealthy_and_stops_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps({"resources": [{"type": "sources", "id": 99999}, {"type": "sources", "id": 123}]}))
    done = check(sandbox, "--config", str(file))
    assert done.code == 10
    assert {key: row["verdict"] for key, row in rows(done).items()} == {
        ("sources", 99999): "unhealthy", ("sources", 123): "healthy"
    }  # fmt: skip


def test_nothing_to_check_is_not_success(sandbox: Sandbox) -> None:
    assert check(sandbox, "--all", "--tag", "no-such-tag").code == 5
    sandbox.reset("empty")
    assert check(sandbox, "--all").code == 5


def test_scopes(sandbox: Sandbox) -> None:
    assert {key[1] for key in rows(check(sandbox, "--all", "--project", "10"))} == {123}
    assert {key[1] for key in rows(check(sandbox, "--all", "--tag", "prod"))} == {123, 456}
    assert set(rows(one(sandbox, "flows", 1230))) == {("sources", 123), ("nexsets", 123), ("destinations", 123)}


def test_limits_of_the_config_and_sla(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    sla = {"max_age_hours": 1, "min_success_rate": 0.99, "max_error_rate": 0.5, "min_records_per_day": 400}
    file.write_text(json.dumps({"resources": [
        {"type": "data_sources", "id": 123, "sla": sla},
        {"type": "data_sinks", "id": 456, "expected_status": "PAUSED"},
        {"type": "data_sinks", "id": 789, "skip": ["freshness", "status"]},
    ]}))  # fmt: skip
    found = rows(check(sandbox, "--config", str(file)))
    source = found["sources", 123]
    assert source["verdict"] == "unhealthy"
    assert [issue.split(" is ")[0] for issue in source["issues"]] == ["min_success_rate"]
    assert source["checks"]["sla.min_records_per_day"] == "ok"
    assert found["destinations", 456]["verdict"] == "healthy"
    assert found["destinations", 789]["verdict"] == "unknown"  # nothing was left that could be good


def test_a_probe_is_made_only_when_asked_for_and_once_for_each_credential(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    assert one(sandbox, "flows", 1230).code == 0
    assert not [r for r in sandbox.journal() if r["path"].endswith("/probe")]
    sandbox.control("POST", "edit", {"kind": "credentials", "id": 123, "set": {"bad": True}})
    done = one(sandbox, "flows", 1230, "--probe")
    assert (done.code, rows(done)["sources", 123]["checks"]["credential"]) == (10, "bad")
    assert len([r for r in sandbox.journal() if r["path"].endswith("/probe")]) == 2
    sandbox.faults(
        {"action": "status", "status": 500, "method": "GET", "path": "/data_credentials/456/probe", "times": 9}
    )
    unsure = one(sandbox, "destinations", 123, "--probe")
    assert (unsure.code, unsure.data[0]["verdict"]) == (6, "unknown")


def test_a_credential_that_was_found_bad_earlier_counts(sandbox: Sandbox) -> None:
    sandbox.control("POST", "edit", {"kind": "credentials", "id": 123, "set": {"verified_status": "403 Denied"}})
    done = one(sandbox, "sources", 123)
    assert (done.code, done.data[0]["checks"]["credential"]) == (10, "bad")


def test_a_stalled_destination_and_a_volume_cliff(sandbox: Sandbox) -> None:
    sandbox.control("POST", "edit", {"kind": "sinks", "id": 123, "set": {"runtime_status": "PROCESSING"}})
    assert one(sandbox, "destinations", 123).data[0]["checks"]["stalled"] == "ok"
    sandbox.control("POST", "clock", {"advance_seconds": 3 * 3600})
    sandbox.control("POST", "history", {"kind": "sources", "id": 123, "runs": [{"ago": 7200, "records": 480}]})
    stalled = one(sandbox, "destinations", 123).data[0]
    assert (stalled["verdict"], stalled["checks"]["stalled"]) == ("unhealthy", "bad")
    sandbox.control("POST", "history", {"kind": "nexsets", "id": 123, "runs": [{"ago": 1200, "records": 9}]})
    cliff = one(sandbox, "nexsets", 123).data[0]
    assert (cliff["verdict"], cliff["checks"]["volume"]) == ("unhealthy", "bad")


# -- budgets


def test_the_budget_of_requests_is_2k_plus_1(sandbox: Sandbox, tmp_path: Path) -> None:
    resources = [
        {"type": kind, "id": number}
        for kind in ("sources", "nexsets", "destinations")
        for number in (123, 456, 789, 321)
    ]
    for count in (1, 2, 7, 12):
        file = tmp_path / "m.json"
        file.write_text(json.dumps({"resources": resources[:count]}))
        sandbox.clear_journal()
        check(sandbox, "--config", str(file))
        assert len(sandbox.journal()) <= 2 * count + 1


@pytest.mark.alone
def test_1000_resources_in_2001_requests_at_the_asked_rate(sandbox: Sandbox) -> None:
    sandbox.reset("empty")
    sandbox.control("POST", "bulk", {"count": 1000, "status": "ACTIVE"})
    sandbox.clear_journal()
    started = time.monotonic()
    done = check(sandbox, "--all", "--rps", "50", "--format", "ndjson")
    took = time.monotonic() - started
    requests = len(sandbox.journal())
    assert len(done.out.splitlines()) == 1001
    assert requests <= 2001
    assert took <= 1.3 * requests / 50, f"{requests} requests took {took:.1f} s"


# -- what the API may answer instead


FAULTS: list[dict[str, Any]] = [
    *({"action": "status", "status": status} for status in (400, 403, 404, 405, 429, 500, 502, 503, 504)),
    {"action": "cut"}, {"action": "html"}, {"action": "reset"},
    {"action": "hang", "seconds": 1}, {"action": "drip", "seconds": 3, "when": "after"},
    {"action": "status", "status": 200, "body": {}},
    {"action": "status", "status": 200, "body": {"status": 200, "metrics": None}},
    {"action": "status", "status": 200, "body": {"metrics": {"data": [{"runId": None, "records": 5, "errors": 0}]}}},
    {"action": "status", "status": 200, "body": {"metrics": {"data": [{"runId": 1795240000000, "records": None}]}}},
]  # fmt: skip


@pytest.mark.parametrize("path", ["/data_sources/123/flow", "/data_sources/123/metrics/run_summary"])
def test_no_broken_answer_ever_looks_healthy(sandbox: Sandbox, path: str) -> None:
    for fault in FAULTS:
        sandbox.faults({"when": "before", **fault, "method": "GET", "path": path, "times": 9})
        done = impatient(sandbox)
        assert done.code != 0, (fault, done.out)
        assert '"verdict": "healthy"' not in done.out, fault
    sandbox.faults({"action": "drip", "seconds": 0.1, "when": "after", "method": "GET", "path": path, "times": 9})
    assert one(sandbox, "sources", 123).code == 0  # slow, and yet whole in time


def impatient(sandbox: Sandbox) -> Done:
    """The check of source 123, with no pauses between tries, 0.2 s without a byte at most and 0.4 s for an answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("helpers.limits.Clock.sleep", staticmethod(lambda seconds: None))
        patch.setattr("helpers.session.READ_TIMEOUT", 0.2)
        patch.setattr("helpers.session.ANSWER_TIMEOUT", 0.4)
        return one(sandbox, "sources", 123)


def test_the_flow_of_another_resource_is_no_answer(sandbox: Sandbox) -> None:
    _, other = sandbox.api("GET", "/data_sources/456/flow")
    sandbox.faults({"action": "status", "status": 200, "body": other, "path": "/data_sources/123/flow", "times": 9})
    done = one(sandbox, "sources", 123)
    assert (done.code, done.data[0]["verdict"]) == (6, "unknown")
    assert "does not hold the resource" in done.out


def test_of_several_waiting_runs_the_oldest_tells_for_how_long_nothing_came() -> None:
    """A new run every day must not make the wait look short: 10 minutes, where two days have gone by."""
    now = Schedule(DAILY).last_before(NOW) or 0.0
    now += 600
    facts = Facts(
        "destinations", 1, status="ACTIVE", runtime_status="PROCESSING", schedule=Schedule(DAILY),
        source_run=int((now - 600) * 1000), runs=[Run(int((now - 2 * 86_400) * 1000), 5, 900, 0)],
    )  # fmt: skip
    (stalled,) = [check for check in judge(facts, Limits(), now) if check.name == "stalled"]
    assert stalled.verdict == "bad", stalled
    delivered = Facts(**{**facts.__dict__, "runs": [Run(int((now - 86_400) * 1000), 5, 900, 0)]})
    (fine,) = [check for check in judge(delivered, Limits(), now) if check.name == "stalled"]
    assert fine.verdict == "ok"


def test_pages_of_the_flow_list_that_shift_or_fail_are_not_taken_for_all(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 403, "method": "GET", "path": "/flows"})
    assert check(sandbox, "--all").code == 4
    sandbox.reset("empty")
    sandbox.control("POST", "bulk", {"count": 150})
    sandbox.faults({"action": "status", "status": 500, "method": "GET", "path": "/flows", "nth": 2, "times": 9})
    done = check(sandbox, "--all")
    assert (done.code, done.out) == (6, "")
    sandbox.faults()
    empty = sandbox.api("GET", "/flows?page=99&per_page=100")[1]
    rule = {"action": "status", "status": 200, "body": empty, "method": "GET", "path": "/flows", "nth": 2}
    sandbox.faults({**rule, "headers": {"X-Total-Count": "150"}})
    shifted = check(sandbox, "--all")
    assert (shifted.code, "shifted while it was read" in shifted.error["message"]) == (6, True)


def test_an_answer_that_makes_no_sense_stops_nothing_else(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps({"resources": [{"type": "sources", "id": 321}, {"type": "sources", "id": 123}]}))
    bodies: list[Any] = [{"flows": [{"data_source_id": 321}]}, {"flows": [None]}, {"flows": {"a": 1}}]
    for body in bodies:
        rule = {"action": "status", "status": 200, "body": body, "method": "GET", "path": "/data_sources/321/flow"}
        sandbox.faults({**rule, "times": 9})
        done = check(sandbox, "--config", str(file))
        assert {key[1]: row["verdict"] for key, row in rows(done).items()} == {321: "unknown", 123: "healthy"}, body


# -- the rules, against a plain oracle


@st.composite
def histories(draw: st.DrawFn) -> Facts:
    ages = sorted(draw(st.lists(st.integers(60, 10 * 86_400), max_size=12, unique=True)))
    number = st.integers(0, 1000) | st.just(0)
    runs = [Run(int((NOW - age) * 1000), draw(number), 0, draw(number)) for age in ages]
    kind = draw(st.sampled_from(["sources", "nexsets", "destinations"]))
    return Facts(
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


def may_be_healthy(facts: Facts) -> bool:
    """The oracle: every reason against it, written out plainly."""
    if facts.problem or facts.status != "ACTIVE" or facts.runs is None or facts.unreadable:
        return False
    marks = [run.id / 1000 for run in facts.runs]
    if facts.kind == "sources" and facts.source_run:
        marks.append(facts.source_run / 1000)
    if not marks or (facts.credential or "200").startswith("403"):
        return False
    if max(marks) > NOW + 3600:
        return False
    newest, due = max(marks), 1_795_154_400.0  # 2026-11-20T06:00:00Z, the last run that was due before NOW - 30 min
    if facts.schedule is None:
        if NOW - newest > 86_400:
            return False
    elif "2020" in facts.schedule.expression:
        if facts.kind == "sources":
            return False
        if NOW - newest > 86_400:
            return False
    elif newest < due and (facts.kind == "sources" or facts.source_run / 1000 < due or NOW - newest > 86_400):
        return False
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
    if facts.kind == "destinations" and facts.runtime_status == "PROCESSING":
        newest = with_data[0] if with_data else 0.0
        waits = facts.source_run / 1000 or newest
        hour_ago = 1_795_154_400.0  # the last 06:00 before NOW - 1 h
        fires = facts.schedule and "2020" not in facts.schedule.expression
        if fires and min(marks) <= hour_ago and newest < hour_ago <= facts.source_run / 1000:
            waits = hour_ago
        if (newest < waits or not facts.source_run) and NOW - waits > 3600:
            return False
    return True


PROCESSING_NOW = {"kind": "destinations", "id": 1, "status": "ACTIVE", "runtime_status": "PROCESSING"}
A_MINUTE_AGO = int((NOW - 60) * 1000)


@settings(max_examples=600, deadline=None)
@given(histories())
@example(  # its first run began a minute ago: it has not been waiting since a time that its schedule names
    Facts(**PROCESSING_NOW, schedule=Schedule(DAILY), source_run=A_MINUTE_AGO, runs=[Run(A_MINUTE_AGO, 0, 0, 0)])
)
@example(  # a schedule that is over
    Facts(
        **PROCESSING_NOW,
        schedule=Schedule("0 0 6 * * ? 2020"),
        source_run=A_MINUTE_AGO,
        runs=[Run(A_MINUTE_AGO, 0, 0, 0)],
    )
)
def test_healthy_exactly_when_the_oracle_finds_nothing_against_it(facts: Facts) -> None:
    row = as_row(facts, judge(facts, Limits(), NOW))
    assert (row["verdict"] == "healthy") == may_be_healthy(facts), row
    assert (row["verdict"] == "healthy") == (not row["issues"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional={
    "runId": st.integers(1_795_000_000_000, 1_795_000_000_005) | st.integers(1, 9) | st.none(),
    "records": st.integers(-1, 9) | st.none() | st.booleans(),
    "size": st.integers(0, 9) | st.none(), "errors": st.integers(0, 9) | st.none() | st.text(max_size=2),
})))  # fmt: skip
def test_rows_that_make_no_sense_are_counted_and_not_added(found: list[dict[str, Any]]) -> None:
    def whole(value: Any) -> bool:
        return type(value) is int and value >= 0

    good = [row for row in found if all(whole(row.get(key)) for key in ("runId", "records", "errors"))]
    good = [row for row in good if row["runId"] > 10**12]
    runs, unreadable = merged(found)
    assert unreadable == len(found) - len(good)
    assert sum(run.records for run in runs) == sum(row["records"] for row in good)
    assert [run.id for run in runs] == sorted({row["runId"] for row in good}, reverse=True)


def test_runs_that_cannot_be_read_are_unknown_whatever_is_skipped() -> None:
    facts = Facts("sources", 1, status="ACTIVE", runs=None, runs_problem="500")
    assert verdict(judge(facts, Limits(skip=frozenset({"freshness"})), NOW)) == "unknown"
    only_status = Limits(skip=frozenset({"freshness", "errors", "volume", "stalled", "quarantine", "sla"}))
    assert verdict(judge(facts, only_status, NOW)) == "healthy"


def test_a_dead_schedule_does_not_make_what_is_below_it_fresh() -> None:
    old = [Run(int((NOW - 200 * 86_400) * 1000), 5, 0, 0)]
    for expression in ("0 0 6 1 1 ? 2020", "nonsense"):
        facts = Facts("destinations", 1, status="ACTIVE", schedule=Schedule(expression), runs=old)
        assert verdict(judge(facts, Limits(), NOW)) == "unhealthy"
    quartz = Facts(
        "sources", 1, status="ACTIVE", schedule=Schedule("0 0 6 LW * ?"), runs=[Run(int(NOW * 1000) - 9, 5, 0, 0)]
    )
    assert verdict(judge(quartz, Limits(), NOW)) == "healthy"  # Quartz knows it, although it cannot be read here


def test_a_source_that_runs_on_without_records_is_seen() -> None:
    days = [Run(int((NOW - day * 86_400) * 1000), 480, 0, 0) for day in range(5, 12)]
    facts = Facts("sources", 1, status="ACTIVE", runs=days, source_run=int((NOW - 60) * 1000))
    row = as_row(facts, judge(facts, Limits(), NOW))
    assert (row["verdict"], row["records"]) == ("unhealthy", None)  # the newest run has no row, so no records are shown
    assert "although the source runs" in row["issues"][0]


def test_no_check_left_is_unknown() -> None:
    assert verdict([]) == "unknown"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "exactly one of"),
        (["--all", "--config", "x"], "exactly one of"),
        (["--resource-type", "sources"], "go together"),
        (["--config", "x", "--tag", "y"], "go with --all"),
        (["--all", "--skip", "statos"], "knows no statos"),
        (["--all", "--threshold", "20"], "share from 0 to 1"),
        (["--resource-type", "teams", "--resource-id", "42"], "cannot be checked"),
        (["--all", "--alert-webhook-file", "x"], "needs --state"),
    ],
)
def test_wrong_input_is_usage(sandbox: Sandbox, args: list[str], text: str) -> None:
    sandbox.clear_journal()
    done = check(sandbox, *args)
    assert (done.code, sandbox.journal()) == (2, []), done.err
    assert text in done.error["message"]


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"resources": []}, "names no resource"),
        ({"resource": []}, "did you mean 'resources'"),
        ({"resources": [{"type": "sources", "id": "123"}]}, "resources.0.id: must be a whole number"),
        ({"resources": [{"type": "sources", "id": 123, "max_age_hour": 3}]}, "did you mean 'max_age_hours'"),
        ({"resources": [{"type": "sources", "id": 123, "sla": {"min_succes_rate": 1}}]}, "did you mean"),
        ({"resources": [{"type": "sources", "id": 1}, {"type": "data_sources", "id": 1}]}, "twice"),
        ({"resources": [{"type": "sauces", "id": 1}]}, "unknown resource type"),
    ],
)
def test_a_wrong_config_names_its_key(sandbox: Sandbox, tmp_path: Path, config: Any, text: str) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps(config))
    done = check(sandbox, "--config", str(file))
    assert done.code == 2, done.err
    assert text in done.error["message"]
