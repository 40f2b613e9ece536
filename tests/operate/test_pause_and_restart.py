"""operate_flow.py: pause, activate, restart and restore change what is in scope, say so, and give back the same set."""

from __future__ import annotations

from pathlib import Path

import pytest

import support
from support import Exit, Sandbox
from support.interference import before_request
from support.operating import RESTART_WRITES, branch, operate, statuses


def test_a_dry_run_plans_and_writes_nothing(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    done = operate(sandbox, "pause", "flows", 1230, "--dry-run").ok()
    assert done.data["to_do"] == 3
    assert sandbox.writes() == []
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
    operate(sandbox, "pause", kind, number, *(["--scope", scope] if scope else [])).ok()
    assert {name for name, status in statuses(sandbox).items() if status == "PAUSED"} == paused
    sandbox.clear_journal()
    again = operate(sandbox, "pause", kind, number, *(["--scope", scope] if scope else [])).ok()
    assert again.data["outcome"] == "unchanged"
    assert sandbox.writes() == []


def test_what_will_change_is_announced_before_the_first_change(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sets/123/pause")
    lines = operate(sandbox, "pause").err.splitlines()
    (announced,) = [index for index, line in enumerate(lines) if "will pause" in line]
    assert "source 123" in lines[announced] and "destination 123" in lines[announced]
    assert "nexset" not in lines[announced]  # it rests already
    done = [index for index, line in enumerate(lines) if "pause source 123" in line and index != announced]
    assert done and min(done) > announced


def test_members_are_activated_before_what_feeds_them(sandbox: Sandbox) -> None:
    operate(sandbox, "pause").ok()
    sandbox.clear_journal()
    operate(sandbox, "activate").ok()
    assert sandbox.writes() == [f"PUT /{kind}/123/activate" for kind in ("data_sinks", "data_sets", "data_sources")]


def test_restart_gives_back_exactly_what_was_on(sandbox: Sandbox) -> None:
    resting = branch(sandbox, "INIT")
    sandbox.api("PUT", f"/data_sinks/{resting}/pause")
    sandbox.clear_journal()
    operate(sandbox, "restart").ok()
    assert set(statuses(sandbox).values()) == {"ACTIVE"}
    assert sandbox.api("GET", f"/data_sinks/{resting}")[1]["status"] == "PAUSED"
    assert len(sandbox.writes()) == RESTART_WRITES
    assert f"/data_sinks/{resting}" not in " ".join(sandbox.writes())


def test_restart_keeps_a_detected_nexset_paused_although_its_source_wakes_it(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sets/123/pause")
    operate(sandbox, "restart").ok()
    assert statuses(sandbox) == {"sources": "ACTIVE", "nexsets": "PAUSED", "destinations": "ACTIVE"}


def test_what_a_pause_turned_off_can_be_restored_and_nothing_else(sandbox: Sandbox, tmp_path: Path) -> None:
    resting = branch(sandbox, "INIT")
    sandbox.api("PUT", "/data_sets/123/pause")
    file = tmp_path / "paused.json"
    operate(sandbox, "pause", "flows", 1230, "--output", str(file)).ok()
    assert set(statuses(sandbox).values()) == {"PAUSED"}
    operate(sandbox, "activate", "flows", 1230, "--restore", str(file)).ok()
    assert statuses(sandbox) == {"sources": "ACTIVE", "nexsets": "PAUSED", "destinations": "ACTIVE"}
    assert sandbox.api("GET", f"/data_sinks/{resting}")[1]["status"] == "INIT"
    for text in ("", "{}", '{"data": {"was_active": [1]}}'):
        file.write_text(text)
        operate(sandbox, "activate", "flows", 1230, "--restore", str(file)).fails(Exit.USAGE)


def test_restart_of_a_flow_at_rest_changes_nothing_and_says_so(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    done = operate(sandbox, "restart", "flows", 4560).ok()
    assert done.data["outcome"] == "unchanged"
    assert sandbox.writes() == []
    assert "no member was ACTIVE" in done.json["warnings"][0]


def test_a_refused_member_takes_the_others_back(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 405, "method": "PUT", "path": "/data_sinks/123/pause", "times": 9})
    operate(sandbox, "pause").fails(Exit.ROLLED_BACK)
    assert set(statuses(sandbox).values()) == {"ACTIVE"}
    sandbox.faults({"action": "status", "status": 405, "method": "PUT", "path": "/data_sinks/123/pause", "times": 9})
    kept = operate(sandbox, "pause", "flows", 1230, "--on-failure", "keep")
    kept.fails(Exit.ERROR)
    assert kept.data["outcome"] == "kept"
    assert statuses(sandbox) == {"sources": "PAUSED", "nexsets": "PAUSED", "destinations": "ACTIVE"}
    sandbox.faults()
    operate(sandbox, "pause", "flows", 1230, "--resume").ok()
    assert set(statuses(sandbox).values()) == {"PAUSED"}


def test_undo_does_not_wake_a_detected_nexset_that_rested(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sets/123/pause")
    for operation in ("pause", "restart"):
        rule = {"action": "status", "status": 400, "method": "PUT", "path": "/data_sinks/123/pause", "times": 9}
        sandbox.faults(rule)
        done = operate(sandbox, operation)
        sandbox.faults()
        done.fails(Exit.ROLLED_BACK)
        assert statuses(sandbox) == {"sources": "ACTIVE", "nexsets": "PAUSED", "destinations": "ACTIVE"}


@pytest.mark.parametrize(
    ("request_without_effect", "left"),
    [
        ("/data_sources/123/activate", "it is PAUSED but was ACTIVE"),
        ("/data_sets/123/pause", "nexset 123 is ACTIVE but was paused before"),
    ],
)
def test_an_undo_without_an_effect_is_left_behind(sandbox: Sandbox, request_without_effect: str, left: str) -> None:
    sandbox.api("PUT", "/data_sets/123/pause")
    _, row = sandbox.api("GET", request_without_effect.rpartition("/")[0])
    sandbox.faults(
        {"action": "status", "status": 400, "method": "PUT", "path": "/data_sinks/123/pause", "times": 9},
        support.answers(row, request_without_effect, "PUT"),
    )
    done = operate(sandbox, "pause")
    done.fails(Exit.LEFT_BEHIND, left)
    assert [row["step"] for row in done.data["left_behind"]] == ["pause:sources:123"]


def test_restore_refuses_what_it_cannot_restore(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "paused.json"
    operate(sandbox, "pause", "flows", 1230, "--output", str(file)).ok()
    operate(sandbox, "activate", "flows", 3210, "--restore", str(file)).fails(Exit.USAGE, "another flow")
    operate(sandbox, "pause", "flows", 1230, "--output", str(file)).ok()  # again: nothing is ACTIVE now
    operate(sandbox, "activate", "flows", 1230, "--restore", str(file)).fails(Exit.USAGE, "no member was ACTIVE")


def test_a_pause_that_was_kept_halfway_can_be_restored(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "paused.json"
    sandbox.faults({"action": "status", "status": 405, "method": "PUT", "path": "/data_sinks/123/pause", "times": 9})
    operate(sandbox, "pause", "flows", 1230, "--on-failure", "keep", "--output", str(file)).fails(Exit.ERROR)
    sandbox.faults()
    operate(sandbox, "activate", "flows", 1230, "--restore", str(file)).ok()
    assert set(statuses(sandbox).values()) == {"ACTIVE"}


def test_a_response_without_an_effect_is_not_believed(sandbox: Sandbox) -> None:
    _, row = sandbox.api("GET", "/data_sinks/123")
    rule = {"action": "status", "status": 200, "body": {**row, "status": "PAUSED"}, "method": "PUT", "when": "before"}
    sandbox.faults({**rule, "path": "/data_sinks/123/pause", "times": 9})
    operate(sandbox, "pause", "destinations", 123).fails(Exit.ROLLED_BACK, "is ACTIVE after the request to pause it")


def test_a_member_that_was_never_active_needs_no_pause(sandbox: Sandbox) -> None:
    resting = branch(sandbox, "INIT")
    sandbox.clear_journal()
    done = operate(sandbox, "pause", "destinations", resting).ok()
    assert done.data["outcome"] == "unchanged"
    assert sandbox.writes() == []


def test_read_only_blocks_every_operation_that_writes(sandbox: Sandbox) -> None:
    for operation, kind, number in (("pause", "flows", 1230), ("activate", "flows", 4560), ("restart", "flows", 1230),
                                    ("run-now", "sources", 123)):  # fmt: skip
        words = ["--operation", operation, "--resource-type", kind, "--resource-id", str(number)]
        done = sandbox.run_inside("operate_flow.py", *words, env={"NEXLA_READ_ONLY": "1"})
        done.fails(Exit.CONFIG, "NEXLA_READ_ONLY", about=operation)
    assert sandbox.writes() == []
    assert set(statuses(sandbox).values()) == {"ACTIVE"}


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["--operation", "status", "--resource-id", "0"], Exit.USAGE, "positive number"),
        (["--operation", "status"], Exit.USAGE, "either --resource-id or --name"),
        (
            ["--operation", "status", "--resource-type", "teams", "--resource-id", "42"],
            Exit.USAGE,
            "not part of a flow",
        ),
        (["--operation", "status", "--resource-id", "99999"], Exit.NOT_FOUND, "flow 99999 does not exist"),
        (
            ["--operation", "status", "--resource-type", "sources", "--name", "no such"],
            Exit.NOT_FOUND,
            "no source is named",
        ),
        (["--operation", "pause", "--resource-id", "1230", "--wait"], Exit.USAGE, "--wait does not apply"),
        (["--operation", "status", "--resource-id", "1230", "--dry-run"], Exit.USAGE, "changes nothing"),
        (["--operation", "metrics", "--resource-id", "1230", "--days", "0"], Exit.USAGE, "--days"),
    ],
)
def test_wrong_input_is_reported_and_leaves_no_trace(sandbox: Sandbox, args: list[str], code: Exit, text: str) -> None:
    sandbox.clear_journal()
    sandbox.run("operate_flow.py", *args).fails(code, text)
    assert sandbox.writes() == []


def test_a_name_that_several_have_prints_the_candidates(sandbox: Sandbox) -> None:
    sandbox.api("POST", "/data_sources", {"name": "orders", "source_type": "s3"})
    done = sandbox.run("operate_flow.py", "--operation", "pause", "--resource-type", "sources", "--name", "orders")
    done.fails(Exit.NOT_FOUND)
    assert 123 in done.error["resource"]["candidates"]
    assert set(statuses(sandbox).values()) == {"ACTIVE"}


def test_a_rollback_names_what_was_active_and_is_paused(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause of a source takes its detected nexset along; its activation by somebody else does not bring it back."""

    def somebody_activates() -> None:
        sandbox.api("PUT", "/data_sources/123/activate")
        sandbox.faults({"action": "status", "status": 400, "method": "GET", "path": "/data_sources/123"})

    done = before_request(
        monkeypatch, "GET", "/data_sources/123", somebody_activates, after="PUT /data_sets/123/activate"
    )
    failed = sandbox.run_inside("operate_flow.py", "--operation", "restart", "--resource-id", "1230")
    assert done
    failed.fails(Exit.LEFT_BEHIND, "nexset 123 is PAUSED", "was ACTIVE before")
    sandbox.run_inside("operate_flow.py", "--operation", "restart", "--resource-id", "1230", "--resume").ok()
    assert set(statuses(sandbox).values()) == {"ACTIVE"}
