"""What decides a diagnosis, and how much is read for one: each constant with the values around it."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.api.flow_lookup import FlowTarget
from helpers.api.flows import parse_flow
from helpers.api.logs import LogLine
from helpers.api.probes import ProbeResult
from helpers.api.runs import ResourceRun, member_runs
from helpers.command.output import Result
from helpers.core.kinds import KINDS
from helpers.monitor.causes import find_causes
from helpers.monitor.compare_runs import difference
from helpers.monitor.diagnose_flow import RULES
from helpers.monitor.evidence import Evidence, add_log, collect, quarantine
from helpers.monitor.follow import follow
from helpers.monitor.health_facts import all_flows, facts_of
from support.clocks import VirtualClock
from support.scripted import (
    NEXSET,
    SINK,
    SOURCE,
    Asked,
    ScriptedSession,
    derived_flow_body,
    flow_body,
    log_row,
    paged,
    run_row,
)

SIX = 1_795_240_800  # 2026-11-21T06:00:00Z
DAY = 86_400


def evidence(now: float, *, body: dict[str, Any] | None = None, **runs: ResourceRun) -> Evidence:
    """The flow with one run at each of the named members."""
    flow = parse_flow(body or flow_body())
    assert flow is not None
    kinds = {"source": ("sources", SOURCE), "nexset": ("nexsets", NEXSET), "sink": ("destinations", SINK)}
    found = {key: [runs[name]] if name in runs else [] for name, key in kinds.items()}
    return Evidence(flow, now, found, sorted({run.id for run in runs.values()}, reverse=True))


def faults(found: Evidence) -> set[str]:
    own, _ = find_causes(RULES, found, found.flow.origin)
    return {cause.fault for cause in own}


def test_the_ranks_of_the_faults() -> None:
    """What stops a flow at its source comes before what follows from it."""
    assert {rule.fault: rule.rank for rule in RULES} == {
        "rate_limited": 10, "paused_source": 12, "bad_credential": 14, "schedule_never_fires": 16, "never_ran": 17,
        "upstream_file_gone": 18, "empty_file": 20, "schema_drift": 22, "record_errors": 24, "transform_raises": 24,
        "missing_table": 26, "partial_write": 28, "write_fails": 28, "read_errors": 30, "paused_nexset": 35,
        "paused_destination": 35, "transform_no_op": 50, "not_delivered": 55,
    }  # fmt: skip


@pytest.mark.parametrize(("age", "late"), [(899, False), (900, False), (901, True)])
def test_a_destination_may_be_15_minutes_behind(age: int, late: bool) -> None:
    found = evidence(SIX + age, nexset=ResourceRun(SIX * 1000, 5, 0, 0))
    assert ("not_delivered" in faults(found)) is late


@pytest.mark.parametrize(
    ("paused", "fault"), [(None, "not_delivered"), ("nexset", "paused_nexset"), ("sink", "paused_destination")]
)
def test_a_paused_branch_is_blamed_for_its_pause_and_not_for_what_it_does_not_get(
    paused: str | None, fault: str
) -> None:
    body = flow_body()
    place = {"nexset": "data_sets", "sink": "data_sinks"}
    if paused:
        body[place[paused]][0]["status"] = "PAUSED"
    found = evidence(
        SIX + 901, body=body, source=ResourceRun(SIX * 1000, 5, 0, 0), nexset=ResourceRun(SIX * 1000, 5, 0, 0)
    )
    assert faults(found) == {fault}


@pytest.mark.parametrize(("verdict", "blamed"), [("", True), ("unknown", True), ("failed", True), ("ok", False)])
def test_a_credential_that_passes_its_probe_is_not_blamed_for_an_older_refusal(verdict: str, blamed: bool) -> None:
    """Somebody has mended it since the newest run; only a probe can know that."""
    body = flow_body(data_credentials={"id": 9})
    found = evidence(SIX, body=body, source=ResourceRun(SIX * 1000, 0, 0, 1))
    text = "Access denied: the credential was rejected"
    found.lines = [LogLine(None, "ERROR", "SOURCE 1", "LOG", text, SIX * 1000, SIX * 1000, "SOURCE", SOURCE)]
    found.probed = {9: ProbeResult(verdict, "x")} if verdict else {}
    assert ("bad_credential" in faults(found)) is blamed


@pytest.mark.parametrize(("late", "missed"), [(1799, False), (1800, False), (1801, True)])
def test_a_run_is_missed_half_an_hour_after_its_time(late: int, missed: bool) -> None:
    body = flow_body(source_config={"start.cron": "0 0 6 * * ?"})
    found = evidence(SIX + late, body=body, source=ResourceRun((SIX - DAY) * 1000, 5, 0, 0))
    assert ("schedule_never_fires" in faults(found)) is missed


@pytest.mark.parametrize(("errors", "reported"), [(1999, False), (2000, False), (2001, True)])
def test_a_fifth_of_what_a_source_reads_may_fail(errors: int, reported: bool) -> None:
    found = evidence(SIX, source=ResourceRun(SIX * 1000, 10_000 - errors, 0, errors))
    assert ("read_errors" in faults(found)) is reported


def answering(*, runs: int = 0, lines: list[Any] | None = None, body: dict[str, Any] | None = None) -> ScriptedSession:
    """A server with the flow, so many runs of each member, and a log."""

    def answer(asked: Asked) -> Any:
        if asked.path.endswith("/run_summary"):
            return {"metrics": {"data": [run_row(SIX * 1000 - n) for n in range(runs)]}}
        if asked.path.endswith("/logs"):
            return paged(lines or [], asked)
        return [] if asked.path.endswith("/samples") else body or flow_body()

    return ScriptedSession(answer)


def target(body: dict[str, Any] | None = None) -> FlowTarget:
    flow = parse_flow(body or flow_body())
    assert flow is not None
    return FlowTarget(KINDS["sources"], SOURCE, flow, flow.origin)


@pytest.mark.parametrize(("runs", "read"), [(2, 2), (3, 3), (4, 3), (9, 3)])
def test_the_logs_of_the_three_newest_runs_are_read(runs: int, read: int) -> None:
    session = answering(runs=runs)
    collect(session, target(), workers=1, probe=False, show_values=False)
    assert session.hits("/logs") == read


def test_twenty_samples_are_asked_for_and_an_hour_before_a_run_its_log() -> None:
    session = answering(runs=1, body=derived_flow_body())
    collect(session, target(derived_flow_body()), workers=1, probe=False, show_values=False)
    assert session.params_of("/data_sets/4/samples")["count"] == 20
    assert session.params_of("/logs")["from"] == SIX * 1000 - 3_600_000


@pytest.mark.parametrize(
    ("severity", "lines", "kept"),
    [("INFO", 1999, 1999), ("INFO", 2000, 2000), ("INFO", 2001, 2000),  # the first 1000 and the last 1000
     ("ERROR", 999, 999), ("ERROR", 1000, 1000), ("ERROR", 1001, 1000)],
)  # fmt: skip
def test_of_a_long_log_a_thousand_lines_are_kept(severity: str, lines: int, kept: int) -> None:
    session, found = answering(lines=[log_row(SIX * 1000 + n, severity) for n in range(lines)]), evidence(SIX)
    add_log(session, found, SIX * 1000)
    assert len(found.lines) == kept


def test_five_quarantined_records_are_asked_for() -> None:
    session = ScriptedSession(lambda asked: {"data": []})
    quarantine(session, target().member, None)
    assert session.asked[0].body["per_page"] == 5


@pytest.mark.parametrize(("lines", "shown"), [(4, 4), (5, 5), (6, 5)])
def test_five_lines_that_differ_are_shown(lines: int, shown: int) -> None:
    def line(run_id: int, text: str) -> LogLine:
        return LogLine(None, "ERROR", "SOURCE 1", "LOG", text, run_id, run_id, "SOURCE", SOURCE)

    flow = target().flow
    found: dict[Any, Any] = {member.key: [] for member in flow.origin.walk()}
    new = [line(2, "x" * n) for n in range(1, lines + 1)]
    assert len(difference(flow, found, [line(1, "known"), *new], 2, 1)["only_in_failed"]) == shown


@pytest.mark.parametrize(("runs", "cut"), [(24, False), (25, True), (26, True)])
def test_with_25_runs_there_may_be_more(runs: int, cut: bool) -> None:
    session = answering(runs=runs)
    assert facts_of(session, target().flow, target().member).cut is cut


def test_a_hundred_rows_are_asked_for() -> None:
    session = answering(runs=1)
    facts_of(session, target().flow, target().member)
    assert session.params_of("/run_summary")["size"] == 100
    member_runs(session, target().flow)
    assert [asked.params["size"] for asked in session.asked] == [100] * 4
    list(all_flows(session, {}, lambda text: None))
    assert session.params_of("/flows")["per_page"] == 100


@pytest.mark.parametrize(("silence", "readings"), [(19, 2), (20, 2), (21, 1)])
def test_a_log_that_stays_silent_for_20_seconds_has_ended(clock: VirtualClock, silence: int, readings: int) -> None:
    """The first reading takes so long."""
    session = answering()
    plain, times = session.answer, iter([silence, 0, 0])

    def slowly(asked: Asked) -> Any:
        if asked.path.endswith("/logs"):
            clock.sleep(next(times))
        return plain(asked)

    session.answer = slowly
    result = Result(None)
    assert not list(follow(session, target(), SIX * 1000, result, lambda text: None))
    assert (session.hits("/logs"), len(result.warnings)) == (readings, 1)


@pytest.mark.parametrize(("seconds", "readings"), [(3.9, 2), (4.0, 2), (4.1, 3)])
def test_a_log_is_read_every_two_seconds_until_the_deadline(clock: VirtualClock, seconds: float, readings: int) -> None:
    session = ScriptedSession(answering().answer, seconds)
    list(follow(session, target(), SIX * 1000, Result(None), lambda text: None))
    assert clock.slept == [2.0] * (readings - 1)
    assert session.hits("/logs") == readings
