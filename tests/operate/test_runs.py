"""operate_flow.py: status, runs and metrics; a run is started once, and success is only what was seen."""

from __future__ import annotations

import time
from typing import Any

import pytest

from helpers.api.flow_lookup import read_flow_target
from helpers.core.errors import OperatorError
from helpers.core.kinds import KINDS
from helpers.operate.wait import wait_for_run
from support import Exit, Sandbox
from support.clocks import VirtualClock
from support.operating import branch, operate
from support.requesting import session_on


def test_status_shows_each_members_own_status_and_the_next_run(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    done = operate(sandbox, "status").ok()
    members = {(m["type"], m["id"]): m for m in done.data["members"]}
    assert [m["status"] for m in members.values()] == ["ACTIVE", "ACTIVE", "PAUSED"]
    assert members["sources", 123]["records"] == 500
    assert done.data["next_run"].endswith("T06:00:00.000Z")
    paused = operate(sandbox, "status", "flows", 4560).data
    assert (paused["next_run"], paused["next_run_reason"]) == (None, "the source is PAUSED")


def test_a_status_of_which_a_part_could_not_be_read_is_no_success(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 403, "path": "/data_sinks/123/metrics/.*", "times": 99})
    done = operate(sandbox, "status").ends(Exit.PARTIAL)
    assert [member["records"] for member in done.data["members"]] == [500, 500, None]


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "reset", "when": "after"},
        {"action": "status", "status": 503, "when": "after"},
        {"action": "html", "when": "after"},
        {"action": "cut", "when": "after"},
    ],
)
def test_a_lost_response_never_starts_two_runs(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    before = sandbox.api("GET", "/data_sources/123")[1]["run_ids"]
    sandbox.faults({**fault, "method": "PUT", "path": "/data_sources/123/activate"})
    sandbox.clear_journal()
    operate(sandbox, "run-now", "sources", 123).ok()
    after = sandbox.api("GET", "/data_sources/123")[1]["run_ids"]
    assert len(after) - len(before) == 1
    assert sandbox.writes() == ["PUT /data_sources/123/activate"]


def test_run_now_that_never_began_is_unknown_not_success(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.faults({"action": "reset", "when": "before", "method": "PUT", "path": "/data_sources/123/activate"})
    words = ["--operation", "run-now", "--resource-type", "sources", "--resource-id", "123"]
    sandbox.run_inside("operate_flow.py", *words).fails(Exit.UNKNOWN_OUTCOME)


def test_run_now_of_a_paused_source_is_refused_and_leaves_nothing(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    done = operate(sandbox, "run-now", "sources", 456)
    done.fails(Exit.ERROR)
    assert sandbox.writes() == []
    assert "activate" in done.error["hint"]
    operate(sandbox, "run-now", "sources", 456).fails(Exit.ERROR)  # no unfinished journal stands in the way


def test_wait_reports_what_became_of_the_run(sandbox: Sandbox, clock: VirtualClock) -> None:
    clock.meanwhile = sandbox.idle
    empty = operate(sandbox, "run-now", "sources", 123, "--wait").ok()
    assert empty.data["run"]["outcome"] == "empty"
    assert "read no records" in empty.json["warnings"][0]
    file = sandbox.data / "buckets" / "demo-bucket" / "orders" / "more.csv"
    header = (sandbox.data / "buckets" / "demo-bucket" / "orders" / "orders.csv").read_text().splitlines()
    file.write_text("\n".join([header[0], header[1]]) + "\n")
    try:
        done = operate(sandbox, "run-now", "sources", 123, "--wait")
    finally:
        file.unlink()
    done.ok()
    assert done.data["run"]["outcome"] == "ok"
    assert [m["records"] for m in done.data["run"]["members"]] == [1, 1, 1]
    failed = operate(sandbox, "run-now", "sources", 789, "--wait").ends(Exit.FINDINGS)
    assert failed.data["run"]["outcome"] == "errors"


def test_wait_ends_with_the_deadline_and_says_that_nothing_is_known(sandbox: Sandbox, clock: VirtualClock) -> None:
    done = operate(sandbox, "status", "sources", 123, "--wait", "--wait-timeout", "400")
    done.fails(Exit.TIMEOUT)
    assert clock.now() == pytest.approx(400)
    assert done.data["run"]["outcome"] == "unknown"


def test_wait_does_not_call_a_run_ok_that_a_destination_got_nothing_of(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.control("POST", "history", {"kind": "sources", "id": 123, "runs": [{"ago": -50, "records": 9}]})
    words = ["--operation", "status", "--resource-type", "sources", "--resource-id", "123", "--wait"]
    baseline = sandbox.run_inside("operate_flow.py", *words[:-1]).data["members"][0]["run_id"]
    session = session_on(sandbox)
    flow = read_flow_target(session, KINDS["sources"], 123).flow
    with pytest.raises(OperatorError, match="has not ended"):
        wait_for_run(session, flow, baseline - 1, 400.0, lambda text: None)


def test_wait_does_not_end_while_the_source_is_at_work(sandbox: Sandbox, clock: VirtualClock) -> None:
    """Every destination has taken something of the run, and more is on its way."""
    run_id = int(time.time() * 1000) + 60_000  # newer than every run of the demo
    for kind in ("sources", "nexsets", "sinks"):
        sandbox.control("POST", "history", {"kind": kind, "id": 123, "runs": [{"run_id": run_id, "records": 9}]})
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"runtime_status": "PROCESSING"}})
    session = session_on(sandbox)
    flow = read_flow_target(session, KINDS["sources"], 123).flow
    with pytest.raises(OperatorError, match="has not ended"):
        wait_for_run(session, flow, run_id - 1, 300.0, lambda text: None)
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"runtime_status": "IDLE"}})
    assert wait_for_run(session, flow, run_id - 1, 300.0, lambda text: None)["outcome"] == "ok"


def test_wait_does_not_end_before_every_destination_has_the_run(sandbox: Sandbox, clock: VirtualClock) -> None:
    second, run_id = branch(sandbox, "ACTIVE"), int(time.time() * 1000) + 60_000
    delivered = [{"run_id": run_id, "records": 9}]
    for kind in ("sources", "nexsets", "sinks"):
        sandbox.control("POST", "history", {"kind": kind, "id": 123, "runs": delivered})
    session = session_on(sandbox)
    flow = read_flow_target(session, KINDS["sources"], 123).flow
    with pytest.raises(OperatorError, match="has not ended"):
        wait_for_run(session, flow, run_id - 1, 300.0, lambda text: None)
    sandbox.control("POST", "history", {"kind": "sinks", "id": second, "runs": delivered})
    assert wait_for_run(session, flow, run_id - 1, 300.0, lambda text: None)["outcome"] == "ok"


def test_metrics_are_the_sum_of_the_runs_by_day_and_by_run(sandbox: Sandbox) -> None:
    data = operate(sandbox, "metrics", "sources", 123, "--days", "5").data
    assert len(data["daily"]) == 5
    assert data["totals"]["records"] == sum(run["records"] for run in data["runs"]) == 4 * 480 + 500
    assert data["totals"]["runs_with_errors"] == 1
    assert (
        data["records_by_day"][-1] == "█" or data["records_by_day"][-2] == "█" or len(set(data["records_by_day"])) == 1
    )
    csv = operate(sandbox, "metrics", "sources", 123, "--format", "csv", "--by", "run").out.splitlines()
    assert csv[0] == "run_id,started,records,errors,size"
    none = operate(sandbox, "metrics", "destinations", 789).data
    assert (none["totals"]["runs"], none["totals"]["error_share"]) == (0, None)
