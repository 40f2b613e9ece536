"""operate_flow.py: what it says before and after, restart gives back the same set, and a killed restart is resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import support
from support import Done, Sandbox
from support.operating import statuses

RESTART_WRITES = 5  # of the demo flow: pause source and destination, activate destination, nexset, source


def operate(sandbox: Sandbox, operation: str, kind: str = "flows", number: int = 1230, *more: str) -> Done:
    return sandbox.run(
        "operate_flow.py", "--operation", operation, "--resource-type", kind, "--resource-id", str(number), *more
    )


def branch(sandbox: Sandbox, status: str) -> int:
    """A second destination below the demo flow's nexset."""
    _, sink = sandbox.api(
        "POST",
        "/data_sinks",
        {"name": "second", "sink_type": "postgres", "data_credentials_id": 456, "data_set_id": 123,
         "sink_config": {"table": "second", "database": "warehouse", "mapping": {"mode": "auto"}}},
    )  # fmt: skip
    if status == "ACTIVE":
        sandbox.api("PUT", f"/data_sinks/{sink['id']}/activate")
    return int(sink["id"])


def test_status_shows_each_members_own_status_and_the_next_run(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    done = operate(sandbox, "status")
    assert done.code == 0, done.err
    members = {(m["type"], m["id"]): m for m in done.data["members"]}
    assert [m["status"] for m in members.values()] == ["ACTIVE", "ACTIVE", "PAUSED"]
    assert members["sources", 123]["records"] == 500
    assert done.data["next_run"].endswith("T06:00:00.000Z")
    paused = operate(sandbox, "status", "flows", 4560).data
    assert (paused["next_run"], paused["next_run_reason"]) == (None, "the source is PAUSED")


def test_a_dry_run_plans_and_writes_nothing(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    done = operate(sandbox, "pause", "flows", 1230, "--dry-run")
    assert (done.code, done.data["to_do"], sandbox.writes()) == (0, 3, [])
    assert [step["changes"] for step in done.data["steps"]] == [{"status": ["ACTIVE", "PAUSED"]}] * 3
    again = operate(sandbox, "restart", "flows", 1230, "--dry-run")
    assert [step["changes"]["status"][1] for step in again.data["steps"]] == ["PAUSED"] * 3 + ["ACTIVE"] * 3
    assert sandbox.writes() == []


@pytest.mark.parametrize(
    ("kind", "number", "scope", "paused"),
    [
        ("destinations", 123, "node", {"destinations"}),
        ("sources", 123, "node", {"sources", "nexsets"}),
        ("nexsets", 123, "downstream", {"nexsets", "destinations"}),
        ("destinations", 123, "flow", {"sources", "nexsets", "destinations"}),
        ("flows", 1231, None, {"sources", "nexsets", "destinations"}),
    ],
)
def test_pause_changes_what_is_in_scope_and_nothing_else(
    sandbox: Sandbox, kind: str, number: int, scope: str | None, paused: set[str]
) -> None:
    done = operate(sandbox, "pause", kind, number, *(["--scope", scope] if scope else []))
    assert done.code == 0, done.err
    assert {name for name, status in statuses(sandbox).items() if status == "PAUSED"} == paused
    sandbox.clear_journal()
    again = operate(sandbox, "pause", kind, number, *(["--scope", scope] if scope else []))
    assert (again.code, again.data["outcome"], sandbox.writes()) == (0, "unchanged", [])


def test_what_will_change_is_said_before_the_first_change(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sets/123/pause")
    lines = operate(sandbox, "pause").err.splitlines()
    (announced,) = [index for index, line in enumerate(lines) if "will pause" in line]
    assert "source 123" in lines[announced] and "destination 123" in lines[announced]
    assert "nexset" not in lines[announced]  # it rests already
    done = [index for index, line in enumerate(lines) if "pause source 123" in line and index != announced]
    assert done and min(done) > announced


def test_restart_gives_back_exactly_what_was_on(sandbox: Sandbox) -> None:
    resting = branch(sandbox, "INIT")
    sandbox.api("PUT", f"/data_sinks/{resting}/pause")
    sandbox.clear_journal()
    done = operate(sandbox, "restart")
    assert done.code == 0, done.err
    assert set(statuses(sandbox).values()) == {"ACTIVE"}
    assert sandbox.api("GET", f"/data_sinks/{resting}")[1]["status"] == "PAUSED"
    assert len(sandbox.writes()) == RESTART_WRITES
    assert f"/data_sinks/{resting}" not in " ".join(sandbox.writes())


def test_restart_keeps_a_detected_nexset_paused_although_its_source_wakes_it(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sets/123/pause")
    done = operate(sandbox, "restart")
    assert done.code == 0, done.err
    assert statuses(sandbox) == {"sources": "ACTIVE", "nexsets": "PAUSED", "destinations": "ACTIVE"}


def test_what_a_pause_turned_off_can_be_restored_and_nothing_else(sandbox: Sandbox, tmp_path: Path) -> None:
    resting = branch(sandbox, "INIT")
    sandbox.api("PUT", "/data_sets/123/pause")
    file = tmp_path / "paused.json"
    assert operate(sandbox, "pause", "flows", 1230, "--output", str(file)).code == 0
    assert set(statuses(sandbox).values()) == {"PAUSED"}
    back = operate(sandbox, "activate", "flows", 1230, "--restore", str(file))
    assert back.code == 0, back.err
    assert statuses(sandbox) == {"sources": "ACTIVE", "nexsets": "PAUSED", "destinations": "ACTIVE"}
    assert sandbox.api("GET", f"/data_sinks/{resting}")[1]["status"] == "INIT"
    for text in ("", "{}", '{"data": {"was_active": [1]}}'):
        file.write_text(text)
        assert operate(sandbox, "activate", "flows", 1230, "--restore", str(file)).code == 2


def test_restart_of_a_flow_at_rest_changes_nothing_and_says_so(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    done = operate(sandbox, "restart", "flows", 4560)
    assert (done.code, done.data["outcome"], sandbox.writes()) == (0, "unchanged", [])
    assert "nothing was ACTIVE" in done.json["warnings"][0]


def test_a_refused_member_takes_the_others_back(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 405, "method": "PUT", "path": "/data_sinks/123/pause", "times": 9})
    done = operate(sandbox, "pause")
    assert done.code == 9, done.err
    assert set(statuses(sandbox).values()) == {"ACTIVE"}
    sandbox.faults({"action": "status", "status": 405, "method": "PUT", "path": "/data_sinks/123/pause", "times": 9})
    kept = operate(sandbox, "pause", "flows", 1230, "--on-failure", "keep")
    assert (kept.code, kept.json["data"]["outcome"]) == (1, "kept")
    assert statuses(sandbox) == {"sources": "PAUSED", "nexsets": "PAUSED", "destinations": "ACTIVE"}
    sandbox.faults()
    resumed = operate(sandbox, "pause", "flows", 1230, "--resume")
    assert (resumed.code, set(statuses(sandbox).values())) == (0, {"PAUSED"})


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restart_that_is_killed_anywhere_is_resumed_to_the_same_set(
    sandbox: Sandbox, tmp_path: Path, when: str
) -> None:
    """Every write of the restart is hit; the branch that rested must never be woken."""
    for number in range(1, RESTART_WRITES + 1):
        sandbox.reset("demo")
        resting = branch(sandbox, "INIT")
        sandbox.state = tmp_path / f"{when}-{number}"
        child = sandbox.fork("operate_flow.py", "--operation", "restart", "--resource-id", "1230")
        sandbox.clear_journal()
        sandbox.faults({"action": "kill", "method": "PUT", "nth": number, "when": when, "pid": child.pid})
        child.communicate("go\n", timeout=60)
        sandbox.faults()
        assert child.returncode == -9, f"write {number} was never sent"
        words = ["--operation", "restart", "--resource-type", "flows", "--resource-id", "1230", "--resume"]
        resumed = sandbox.run_inside("operate_flow.py", *words)
        assert resumed.code == 0, f"killed {when} write {number}: {resumed.err}"
        assert len(sandbox.writes()) <= RESTART_WRITES + 1, "what was stopped and started is not stopped again"
        assert set(statuses(sandbox).values()) == {"ACTIVE"}, number
        assert sandbox.api("GET", f"/data_sinks/{resting}")[1]["status"] == "INIT"
        sandbox.clear_journal()
        again = sandbox.run_inside("operate_flow.py", *words)  # a finished journal: the restart begins anew
        assert (again.code, len(sandbox.writes())) == (0, RESTART_WRITES)


def test_a_killed_pause_that_is_resumed_still_knows_what_was_on(sandbox: Sandbox, tmp_path: Path) -> None:
    child = sandbox.fork("operate_flow.py", "--operation", "pause", "--resource-id", "1230")
    sandbox.faults({"action": "kill", "method": "PUT", "nth": 1, "when": "after", "pid": child.pid})
    child.communicate("go\n", timeout=60)
    sandbox.faults()
    done = operate(sandbox, "pause", "flows", 1230, "--resume")
    assert done.data["was_active"] == [["sources", 123], ["nexsets", 123], ["destinations", 123]]


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "reset", "when": "after"},
        {"action": "status", "status": 503, "when": "after"},
        {"action": "html", "when": "after"},
        {"action": "cut", "when": "after"},
    ],
)
def test_a_lost_answer_never_starts_two_runs(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    before = sandbox.api("GET", "/data_sources/123")[1]["run_ids"]
    sandbox.faults({**fault, "method": "PUT", "path": "/data_sources/123/activate"})
    sandbox.clear_journal()
    done = operate(sandbox, "run-now", "sources", 123)
    assert done.code == 0, done.err
    after = sandbox.api("GET", "/data_sources/123")[1]["run_ids"]
    assert len(after) - len(before) == 1
    assert sandbox.writes() == ["PUT /data_sources/123/activate"]


def test_run_now_that_never_began_is_unknown_not_success(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helpers.writes.RECONCILE_SECONDS", 1.0)
    sandbox.faults({"action": "reset", "when": "before", "method": "PUT", "path": "/data_sources/123/activate"})
    words = ["--operation", "run-now", "--resource-type", "sources", "--resource-id", "123"]
    done = sandbox.run_inside("operate_flow.py", *words)
    assert (done.code, done.error["name"]) == (13, "UNKNOWN_OUTCOME")


def test_run_now_of_a_paused_source_is_refused_and_leaves_nothing(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    done = operate(sandbox, "run-now", "sources", 456)
    assert (done.code, sandbox.writes()) == (1, [])
    assert "activate" in done.error["hint"]
    again = operate(sandbox, "run-now", "sources", 456)
    assert again.code == 1  # no unfinished journal stands in the way


def test_wait_tells_what_became_of_the_run(sandbox: Sandbox) -> None:
    empty = operate(sandbox, "run-now", "sources", 123, "--wait")
    assert (empty.code, empty.data["run"]["outcome"]) == (0, "empty")
    assert "read no records" in empty.json["warnings"][0]
    file = sandbox.data / "buckets" / "demo-bucket" / "orders" / "more.csv"
    header = (sandbox.data / "buckets" / "demo-bucket" / "orders" / "orders.csv").read_text().splitlines()
    file.write_text("\n".join([header[0], header[1]]) + "\n")
    try:
        done = operate(sandbox, "run-now", "sources", 123, "--wait")
    finally:
        file.unlink()
    assert (done.code, done.data["run"]["outcome"]) == (0, "ok"), done.err
    assert [m["records"] for m in done.data["run"]["members"]] == [1, 1, 1]
    failed = operate(sandbox, "run-now", "sources", 789, "--wait")
    assert (failed.code, failed.data["run"]["outcome"]) == (10, "errors")


def test_wait_ends_with_the_deadline_and_says_that_nothing_is_known(sandbox: Sandbox) -> None:
    done = operate(sandbox, "status", "sources", 123, "--wait", "--wait-timeout", "0.4")
    assert (done.code, done.error["name"]) == (12, "TIMEOUT")
    assert done.json["data"]["run"]["outcome"] == "unknown"


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


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["--operation", "status", "--resource-id", "0"], 2, "positive number"),
        (["--operation", "status"], 2, "either --resource-id or --name"),
        (["--operation", "status", "--resource-type", "teams", "--resource-id", "42"], 2, "not part of a flow"),
        (["--operation", "status", "--resource-id", "99999"], 5, "no flow 99999"),
        (["--operation", "status", "--resource-type", "sources", "--name", "no such"], 5, "no source is named"),
        (["--operation", "pause", "--resource-id", "1230", "--wait"], 2, "--wait does not go"),
        (["--operation", "status", "--resource-id", "1230", "--dry-run"], 2, "changes nothing"),
        (["--operation", "metrics", "--resource-id", "1230", "--days", "0"], 2, "--days"),
    ],
)
def test_wrong_input_is_told_and_leaves_no_trace(sandbox: Sandbox, args: list[str], code: int, text: str) -> None:
    sandbox.clear_journal()
    done = sandbox.run("operate_flow.py", *args)
    assert (done.code, sandbox.writes()) == (code, []), done.err
    assert text in done.error["message"] + done.error["hint"]


def test_a_name_that_several_have_prints_the_candidates(sandbox: Sandbox) -> None:
    sandbox.api("POST", "/data_sources", {"name": "orders", "source_type": "s3"})
    done = sandbox.run("operate_flow.py", "--operation", "pause", "--resource-type", "sources", "--name", "orders")
    assert done.code == 5
    assert 123 in done.error["resource"]["candidates"]
    assert set(statuses(sandbox).values()) == {"ACTIVE"}


def test_two_at_once_do_not_mix(sandbox: Sandbox) -> None:
    words = ["--operation", "restart", "--resource-id", "1230"]
    ends = support.at_once([sandbox.start("operate_flow.py", *words) for _ in range(2)])
    assert sorted(code for code, _ in ends) in ([0, 0], [0, 1]), ends
    assert set(statuses(sandbox).values()) == {"ACTIVE"}
    for code, err in ends:
        if code:
            assert "another run holds the journal" in json.loads(err.splitlines()[-1])["error"]["message"]


def test_read_only_blocks_every_operation_that_writes(sandbox: Sandbox) -> None:
    for operation in ("pause", "activate", "restart"):
        number = "4560" if operation == "activate" else "1230"
        done = sandbox.run(
            "operate_flow.py", "--operation", operation, "--resource-id", number, env={"NEXLA_READ_ONLY": "1"}
        )
        assert done.code == 3, (operation, done.err)
    run = sandbox.run("operate_flow.py", "--operation", "run-now", "--resource-type", "sources", "--resource-id", "123",
                      env={"NEXLA_READ_ONLY": "1"})  # fmt: skip
    assert run.code == 3
    assert sandbox.writes() == []
    assert set(statuses(sandbox).values()) == {"ACTIVE"}


def test_undo_does_not_wake_a_detected_nexset_that_rested(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sets/123/pause")
    for operation in ("pause", "restart"):
        rule = {"action": "status", "status": 400, "method": "PUT", "path": "/data_sinks/123/pause", "times": 9}
        sandbox.faults(rule)
        done = operate(sandbox, operation)
        sandbox.faults()
        assert done.code == 9, done.err
        assert statuses(sandbox) == {"sources": "ACTIVE", "nexsets": "PAUSED", "destinations": "ACTIVE"}


def test_restore_refuses_what_it_cannot_restore(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "paused.json"
    assert operate(sandbox, "pause", "flows", 1230, "--output", str(file)).code == 0
    other = operate(sandbox, "activate", "flows", 3210, "--restore", str(file))
    assert (other.code, "another flow" in other.error["message"]) == (2, True)
    assert operate(sandbox, "pause", "flows", 1230, "--output", str(file)).code == 0  # again: nothing is ACTIVE now
    again = operate(sandbox, "activate", "flows", 1230, "--restore", str(file))
    assert (again.code, "nothing was ACTIVE" in again.error["message"]) == (2, True)


def test_a_pause_that_was_kept_halfway_can_be_restored(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "paused.json"
    sandbox.faults({"action": "status", "status": 405, "method": "PUT", "path": "/data_sinks/123/pause", "times": 9})
    kept = operate(sandbox, "pause", "flows", 1230, "--on-failure", "keep", "--output", str(file))
    assert kept.code == 1
    sandbox.faults()
    done = operate(sandbox, "activate", "flows", 1230, "--restore", str(file))
    assert done.code == 0, done.err
    assert set(statuses(sandbox).values()) == {"ACTIVE"}


def test_wait_does_not_call_a_run_ok_that_a_destination_got_nothing_of(sandbox: Sandbox) -> None:
    sandbox.control("POST", "history", {"kind": "sources", "id": 123, "runs": [{"ago": -50, "records": 9}]})
    words = ["--operation", "status", "--resource-type", "sources", "--resource-id", "123", "--wait"]
    baseline = sandbox.run_inside("operate_flow.py", *words[:-1]).data["members"][0]["run_id"]
    import operate_flow

    from helpers.api.flow_lookup import find_target
    from helpers.command import cli
    from helpers.operate import wait as watch

    args = operate_flow.build_parser().parse_args(words)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.env.items():
            patch.setenv(name, value)
        session = cli.Context(args, cli.Reporter(quiet=True)).session
        flow = find_target(session, args).flow
        with pytest.raises(Exception, match="has not ended"):
            watch.wait_for_run(session, flow, baseline - 1, 4.0, lambda text: None)


def test_wait_does_not_end_while_the_source_is_at_work(sandbox: Sandbox) -> None:
    """Every destination has taken something of the run, and more is on its way."""
    import operate_flow

    from helpers.api.flow_lookup import find_target
    from helpers.command import cli
    from helpers.operate import wait as watch

    words = ["--operation", "status", "--resource-type", "sources", "--resource-id", "123"]
    for kind in ("sources", "nexsets", "sinks"):
        sandbox.control("POST", "history", {"kind": kind, "id": 123, "runs": [{"run_id": 1795300000000, "records": 9}]})
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"runtime_status": "PROCESSING"}})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.env.items():
            patch.setenv(name, value)
        args = operate_flow.build_parser().parse_args(words)
        session = cli.Context(args, cli.Reporter(quiet=True)).session
        flow = find_target(session, args).flow
        with pytest.raises(Exception, match="has not ended"):
            watch.wait_for_run(session, flow, 1795299999999, 3.0, lambda text: None)
        sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"runtime_status": "IDLE"}})
        assert watch.wait_for_run(session, flow, 1795299999999, 9.0, lambda text: None)["outcome"] == "ok"


def test_an_answer_without_an_effect_is_not_believed(sandbox: Sandbox) -> None:
    _, row = sandbox.api("GET", "/data_sinks/123")
    rule = {"action": "status", "status": 200, "body": {**row, "status": "PAUSED"}, "method": "PUT", "when": "before"}
    sandbox.faults({**rule, "path": "/data_sinks/123/pause", "times": 9})
    done = operate(sandbox, "pause", "destinations", 123)
    assert done.code == 9
    assert "is ACTIVE after it was told to pause" in done.error["message"]


def test_a_member_that_was_never_on_needs_no_pause(sandbox: Sandbox) -> None:
    resting = branch(sandbox, "INIT")
    sandbox.clear_journal()
    done = operate(sandbox, "pause", "destinations", resting)
    assert (done.code, done.data["outcome"], sandbox.writes()) == (0, "unchanged", [])
