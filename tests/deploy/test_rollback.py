"""A deployment that fails: everything is undone, or exactly what remains is listed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import support
from support import Exit, Sandbox
from support.clocks import VirtualClock
from support.deploying import deploy, rows
from support.interference import before_request


def test_no_data_means_no_nexset_and_everything_is_undone(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["source"]["source_config"]["path"] = "shop/empty"
    before = sandbox.resources()
    done = deploy(sandbox, tmp_path, config, "--verify-timeout", "1")
    done.fails(Exit.ROLLED_BACK, "no matching nexset")
    assert done.data["left_behind"] == []
    assert sandbox.resources() == before


def test_a_transform_that_drops_everything_is_a_failure(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["nexsets"][0]["transform"] = [
        {"operation": "nexla.custom",
         "spec": {"language": "python", "encoding": "none", "script": "def transform(i, m, a):\n    return None"}}
    ]  # fmt: skip
    before = sandbox.resources()
    deploy(sandbox, tmp_path, config, "--verify-timeout", "1").fails(Exit.ROLLED_BACK, "no output sample")
    assert sandbox.resources() == before


def test_errors_at_the_destination_undo_the_deployment(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["destination"]["sink_config"] |= {"insert.mode": "UPSERT", "primary.key": "no_such_column"}
    before = sandbox.resources()
    deploy(sandbox, tmp_path, config).fails(Exit.ROLLED_BACK, "20 errors")
    assert sandbox.resources() == before


def test_keep_leaves_everything_and_says_how_to_go_on(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["verify"] = {"min_records": 21}
    done = deploy(sandbox, tmp_path, config, "--on-failure", "keep", "--verify-timeout", "1")
    done.fails(Exit.TIMEOUT, "20 records")
    assert "--resume" in done.error["hint"]
    assert {row["step"] for row in done.data["kept"]} >= {"source", "nexset:clean", "destination:warehouse"}
    assert sandbox.resources()["sinks"] == ["warehouse"]
    config["verify"] = {"min_records": 20}
    refused = deploy(sandbox, tmp_path, config)
    refused.fails(Exit.USAGE, about="an unfinished journal is not overwritten")
    assert "--resume" in refused.error["hint"]
    resumed = deploy(sandbox, tmp_path, config, "--resume").ok()
    assert resumed.data["destinations"][0]["records"] == 20, "records of the first run are not waited for again"


def test_left_behind_lists_exactly_what_remains(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["verify"] = {"min_records": 21}
    sandbox.faults({"action": "status", "status": 405, "method": "DELETE", "path": r"/data_sources/\d+", "times": 9})
    done = deploy(sandbox, tmp_path, config, "--verify-timeout", "1")
    done.fails(Exit.LEFT_BEHIND)
    left = done.data["left_behind"]
    assert [row["step"] for row in left] == ["source"]
    assert left[0]["id"] == rows(sandbox, "sources")[0]["id"]
    assert (rows(sandbox, "sinks"), [n["name"] for n in rows(sandbox, "nexsets")]) == ([], ["orders, Schema #1"])
    sandbox.faults()
    deploy(sandbox, tmp_path, config, "--teardown", "--yes").ok()
    assert rows(sandbox, "sources") == []


def test_a_project_that_does_not_show_the_flow_is_a_failure(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    _, project = sandbox.api("POST", "/projects", {"name": "Shop"})
    before = sandbox.resources()
    path = f"/projects/{project['id']}/flows"
    sandbox.faults({"action": "status", "status": 200, "body": {"flows": []}, "method": "PUT", "path": path})
    done = deploy(sandbox, tmp_path, {**config, "project": "Shop"})
    done.fails(Exit.ROLLED_BACK, f"not in project {project['id']}")
    assert sandbox.resources() == before


def test_what_was_undone_is_not_taken_for_done_by_a_resume(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["verify"] = {"min_records": 21}
    sandbox.faults({"action": "status", "status": 405, "method": "DELETE", "path": r"/data_sources/\d+", "times": 9})
    deploy(sandbox, tmp_path, config, "--verify-timeout", "1").fails(Exit.LEFT_BEHIND)
    (journal,) = sandbox.state.rglob("*.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    keys = {line["step"]: line["key"] for line in lines if line.get("event") == "intent"}
    undone = {keys[line["step"]] for line in lines if line.get("event") == "undone"}
    assert set(keys.values()) - undone == {"source"}


@pytest.mark.parametrize("body", [{"status": "PAUSED"}, {}])
def test_an_activation_that_shows_no_effect_stops_the_deployment_there(
    sandbox: Sandbox, tmp_path: Path, config: Any, body: Any
) -> None:
    """Whatever is activated after it would get records that do not come through."""
    before = sandbox.resources()
    sandbox.clear_journal()
    sandbox.faults(support.answers({"id": 1, **body}, r"/data_sets/\d+/activate", "PUT"))
    deploy(sandbox, tmp_path, config).fails(Exit.ROLLED_BACK, f"the status is {body.get('status')}")
    assert not [text for text in sandbox.writes() if re.fullmatch(r"PUT /data_sinks/\d+/activate", text)]
    assert sandbox.resources() == before


@pytest.mark.parametrize("kind", ["data_sources", "data_sets", "data_sinks"])
def test_a_member_that_is_paused_before_the_end_is_no_deployed_flow(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Also when its records have arrived: nothing more would."""
    before = sandbox.resources()
    table = {"data_sources": "sources", "data_sets": "nexsets", "data_sinks": "sinks"}[kind]

    def pause() -> None:
        sandbox.idle()  # the records have arrived
        assert sandbox.api("PUT", f"/{kind}/{rows(sandbox, table)[-1]['id']}/pause")[0] == 200

    last = r"PUT /data_sinks/\d+/activate"
    paused = before_request(monkeypatch, "GET", r"/data_sources/\d+/flow", pause, after=last)
    deploy(sandbox, tmp_path, config).fails(Exit.ROLLED_BACK, "is PAUSED, not ACTIVE")
    assert (len(paused), len(support.table(sandbox))) == (1, 20)
    assert sandbox.resources() == before


def test_the_deadline_of_the_command_undoes_and_ends(
    sandbox: Sandbox, tmp_path: Path, config: Any, clock: VirtualClock
) -> None:
    before = sandbox.resources()
    sandbox.control("POST", "settings", {"discovery_seconds": 600})
    clock.meanwhile = lambda: None
    done = deploy(sandbox, tmp_path, config, "--timeout", "3")
    done.fails(Exit.ROLLED_BACK)
    assert done.data["cause"]["name"] == "TIMEOUT"
    assert clock.now() < 6, "it waits no longer than it may, but for undoing"
    assert sandbox.resources() == before


@pytest.mark.parametrize(
    ("rule", "nth"),
    [
        ({"action": "status", "status": 404}, 2),
        ({"action": "status", "status": 200, "body": {"flows": [None]}}, 2),
        ({"action": "status", "status": 200, "body": {"flows": []}}, 3),
        ({"action": "status", "status": 200, "body": {"flows": [{"id": 1}]}}, 2),
        ({"action": "status", "status": 200, "body": {}}, 4),
    ],
)
def test_a_malformed_flow_response_ends_in_an_undo(
    sandbox: Sandbox, tmp_path: Path, config: Any, rule: Any, nth: int
) -> None:
    before = sandbox.resources()
    sandbox.faults({**rule, "method": "GET", "path": r"/data_sources/\d+/flow", "nth": nth})
    done = deploy(sandbox, tmp_path, config)
    if done.code == Exit.OK:
        assert sandbox.resources()["sinks"] == ["warehouse"]
    else:
        done.fails(Exit.ROLLED_BACK)
        assert sandbox.resources() == before


def test_delivered_rows_and_lost_states_are_reported(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.api("POST", "/data_sources", {**config["source"], "data_credentials_id": config["credential_id"]})
    config["verify"] = {"min_records": 21}
    done = deploy(sandbox, tmp_path, config, "--verify-timeout", "1")
    done.fails(Exit.ROLLED_BACK)
    text = " ".join(done.data["warnings"])
    assert "20 records were already delivered to warehouse" in text
    assert "was INIT before and is PAUSED now" in text
    assert done.error["retryable"] is False
    assert len(support.table(sandbox)) == 20
