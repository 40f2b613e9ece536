"""Creates whose outcome is open: found and adopted, or listed; never created twice and never called undone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.api.session import Session
from helpers.change.journal import Entry
from helpers.change.model import ChangeRun
from helpers.core.errors import OperatorError
from helpers.deploy import config as flow_config
from helpers.deploy.model import parse
from helpers.deploy.plan import deploy_steps
from helpers.deploy.state import FlowState
from support import Exit, Sandbox
from support.clocks import VirtualClock
from support.deploying import deploy, rows
from support.interference import before_request, unanswered_post
from support.requesting import session_on


@pytest.mark.parametrize("lookup", [{"action": "status", "status": 403}, {"action": "html"}])
def test_a_lost_create_that_cannot_be_searched_for_is_unknown(
    sandbox: Sandbox, tmp_path: Path, config: Any, lookup: Any
) -> None:
    sandbox.faults(
        {"action": "reset", "when": "after", "method": "POST", "path": "/data_sources"},
        {**lookup, "method": "GET", "path": "/data_sources", "nth": 3, "times": 9},
    )
    done = deploy(sandbox, tmp_path, config)
    done.fails(Exit.UNKNOWN_OUTCOME)
    assert [row["step"] for row in done.data["kept"]] == ["source"]
    sandbox.faults()
    deploy(sandbox, tmp_path, config, "--resume").ok()
    assert sandbox.resources()["sources"] == ["orders"]


@pytest.mark.parametrize("late", [2.5, 10, 50, None])
def test_a_create_that_takes_effect_late_is_not_called_undone(
    sandbox: Sandbox,
    tmp_path: Path,
    config: Any,
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
    late: float | None,
) -> None:
    """So many seconds late, or after the command has ended."""
    take_effect = unanswered_post(monkeypatch, sandbox, "/data_sources")
    clock.meanwhile = lambda: take_effect() if late is not None and clock.now() >= late else None
    done = deploy(sandbox, tmp_path, config, "--timeout", "2")
    take_effect()
    if rows(sandbox, "sources"):
        done.ends(Exit.LEFT_BEHIND, Exit.UNKNOWN_OUTCOME)
        assert "source" in json.dumps(done.data)
    else:
        done.fails(Exit.ROLLED_BACK, about="it appeared while undoing, and was removed")


def test_of_two_sources_that_two_runs_create_the_older_stays(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    body = {**config["source"], "data_credentials_id": config["credential_id"]}
    _, older = sandbox.api("POST", "/data_sources", body)
    sandbox.faults(
        {"action": "status", "status": 200, "body": [], "path": "/data_sources", "method": "GET", "times": 2}
    )
    done = deploy(sandbox, tmp_path, config).ok()
    assert [row["id"] for row in rows(sandbox, "sources")] == [older["id"]]
    assert any("another run" in warning for warning in done.json["warnings"])


def test_what_appears_with_other_content_is_not_taken_for_the_lost_create(
    sandbox: Sandbox, tmp_path: Path, config: Any, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {**config["source"], "data_credentials_id": config["credential_id"], "description": "of somebody else"}
    other |= {"source_config": {"path": "shop/other"}}
    before_request(monkeypatch, "POST", "/data_sources", lambda: sandbox.api("POST", "/data_sources", other))
    sandbox.faults({"action": "reset", "method": "POST", "path": "/data_sources", "nth": 2})
    deploy(sandbox, tmp_path, config).fails(Exit.UNKNOWN_OUTCOME, "the same name now has other content")
    assert [row["description"] for row in rows(sandbox, "sources")] == ["of somebody else"]


@pytest.mark.parametrize(("times", "end", "left"), [(1, Exit.ROLLED_BACK, 0), (9, Exit.LEFT_BEHIND, 2)])
def test_a_twin_that_could_not_be_deleted_goes_with_the_undo_or_is_named(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch, times: int, end: Exit, left: int
) -> None:
    repeat_creates(monkeypatch)
    sandbox.faults({"action": "status", "status": 400, "method": "DELETE", "path": "/data_sources/.*", "times": times})
    done = deploy(sandbox, tmp_path, config)
    ids = [row["id"] for row in rows(sandbox, "sources")]
    done.fails(end, *(f"/data_sources/{number}" for number in ids[1:]))
    assert len(ids) == left


def test_of_a_create_that_a_gateway_repeats_the_older_stays(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeat_creates(monkeypatch)
    done = deploy(sandbox, tmp_path, config).ok()
    assert [row["id"] for row in rows(sandbox, "sources")] == [done.data["source"]]
    assert any("created twice" in warning for warning in done.json["warnings"])
    writes = sandbox.writes()
    twin = next(place for place, text in enumerate(writes) if text.startswith("DELETE /data_sources/"))
    assert twin < writes.index("POST /data_sets"), "before anything builds on it"


def repeat_creates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway sends every create of a source twice."""
    send = Session.send

    def sending(self: Session, method: str, path: str, params: Any, body: Any) -> Any:
        answer = send(self, method, path, params, body)
        if (method, path) == ("POST", "/data_sources"):
            send(self, method, path, params, body)
        return answer

    monkeypatch.setattr(Session, "send", sending)


def test_a_killed_nexset_is_found_when_the_resume_fails_early(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    before = sandbox.resources()
    path = support.write_config(tmp_path, config)
    at = {"method": "POST", "path": "/data_sets", "when": "after"}
    sandbox.run_killed("deploy_flow.py", "--config", path, **at).is_killed()
    assert "clean" in sandbox.resources()["nexsets"]
    sandbox.faults({"action": "status", "status": 403, "method": "GET", "path": "/data_sources/[0-9]+"})
    sandbox.run_inside("deploy_flow.py", "--config", path, "--resume").fails(Exit.ROLLED_BACK)
    assert sandbox.resources() == before


@pytest.mark.parametrize(("age", "left"), [(0, True), (100, False)])
def test_an_unanswered_create_counts_as_not_created_only_when_it_can_no_longer_appear(
    sandbox: Sandbox, tmp_path: Path, age: int, left: bool
) -> None:

    loaded = flow_config.load(str(support.write_config(tmp_path, support.plant_orders(sandbox))))
    steps = deploy_steps(FlowState(parse(loaded)), verify=False, timeout=1.0)
    step = next(step for step in steps if step.key == "source")
    run = ChangeRun(session_on(sandbox), lambda text: None)
    entry = Entry("source", "create", 1, created=True, at=time.time() - age)
    if left:
        with pytest.raises(OperatorError) as caught:
            step.undo(run, entry)
        assert caught.value.code is Exit.LEFT_BEHIND
    else:
        step.undo(run, entry)
    assert entry.id is None
