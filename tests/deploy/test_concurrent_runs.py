"""Two deployments at once, and signals: one of each, and a safe end."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

import support
from support import Exit, Sandbox, at_once, until
from support.deploying import rows


def test_two_runs_with_one_journal_exclude_each_other(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    path = support.write_config(tmp_path, config)
    sandbox.control("POST", "settings", {"discovery_seconds": 600})
    first = sandbox.start("deploy_flow.py", "--config", path)
    first.go()
    until(lambda: any(row["status"] == "ACTIVE" for row in rows(sandbox, "sources")), "the source is active")
    second = sandbox.run("deploy_flow.py", "--config", path, "--resume")
    second.fails(Exit.ERROR, "another run holds the journal")
    assert second.error["retryable"] is True
    sandbox.control("POST", "settings", {"discovery_seconds": 0.02})
    sandbox.advance(600)
    first.wait().ok()
    assert sandbox.resources()["sources"] == ["orders"]


def test_two_runs_with_two_journals_still_make_one_of_each(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    path = support.write_config(tmp_path, config)
    for attempt in range(4):
        config_now = support.plant_orders(sandbox)
        Path(path).write_text(json.dumps(config_now))
        children = [
            sandbox.fork("deploy_flow.py", "--config", path, "--journal", str(tmp_path / f"{attempt}-{n}.jsonl"))
            for n in range(2)
        ]
        ends = at_once(children)
        found = sandbox.resources()
        for kind in ("sources", "sinks"):
            assert len(found[kind]) <= 1, ends
        if found["sources"] and not any(done.code == Exit.OK for done in ends):  # each stood in the other's way
            left = [done.error["message"] for done in ends if done.code == Exit.LEFT_BEHIND]
            assert any("not everything could be undone" in text and "source (id " in text for text in left), ends
        last = ["--config", path, "--journal", str(tmp_path / f"{attempt}-last.jsonl")]
        sandbox.run_inside("deploy_flow.py", *last).ok()
        assert sandbox.resources()["sinks"] == ["warehouse"]
        assert sorted(sandbox.resources()["nexsets"]) == ["clean", "orders, Schema #1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_at_a_safe_point_and_undoes(
    sandbox: Sandbox, tmp_path: Path, config: Any, number: signal.Signals
) -> None:
    before = sandbox.resources()
    sandbox.control("POST", "settings", {"discovery_seconds": 600})
    child = sandbox.start("deploy_flow.py", "--config", support.write_config(tmp_path, config))
    child.go()
    until(lambda: any(row["status"] == "ACTIVE" for row in rows(sandbox, "sources")), "the source is active")
    child.send(number)
    done = child.wait()
    done.fails(Exit.INTERRUPTED)
    assert done.data["outcome"] == "rolled_back"
    assert sandbox.resources() == before
