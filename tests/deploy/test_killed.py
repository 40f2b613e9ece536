"""kill -9 at every request of a deployment, before and after its effect: resuming gives exactly one of each."""

from __future__ import annotations

from pathlib import Path

import pytest

import support
from support import Sandbox

REQUESTS = 34  # more than a deployment sends; the test below proves it


def expected(rows: int = 20) -> dict[str, list[str]]:
    return {
        "credentials": ["pg", "s3"],
        "sources": ["orders"],
        "nexsets": ["clean", "orders, Schema #1"],
        "sinks": ["warehouse"],
        "code": ["clean (Transform)"],
    }


def test_the_kills_below_reach_every_request(sandbox: Sandbox, tmp_path: Path) -> None:
    config = support.write_config(tmp_path, support.plant_orders(sandbox))
    sandbox.clear_journal()
    done = sandbox.run("deploy_flow.py", "--config", config)
    assert done.code == 0, done.err
    assert 20 <= len(sandbox.journal()) < REQUESTS


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("first", range(1, REQUESTS, 4))
def test_resume_after_a_kill_makes_exactly_one_of_each(sandbox: Sandbox, tmp_path: Path, first: int, when: str) -> None:
    for number in range(first, first + 4):
        config = support.write_config(tmp_path, support.plant_orders(sandbox))
        sandbox.state = tmp_path / f"state-{number}"
        sandbox.clear_journal()
        child = sandbox.fork("deploy_flow.py", "--config", config)
        sandbox.faults({"action": "kill", "nth": number, "when": when, "pid": child.pid})
        child.communicate("go\n", timeout=60)
        sandbox.faults()
        if child.returncode != -9:
            assert child.returncode == 0, f"request {number} was never sent, and yet it failed"
            continue
        resumed = sandbox.run_inside("deploy_flow.py", "--config", config, "--resume")
        assert resumed.code == 0, f"killed {when} request {number}: {resumed.err}"
        assert sandbox.resources() == expected(), f"killed {when} request {number}"
        assert len(support.table(sandbox)) == 20
        sandbox.clear_journal()
        again = sandbox.run_inside("deploy_flow.py", "--config", config, "--resume")
        assert (again.code, sandbox.writes()) == (0, []), again.err
        assert again.data["outcome"] == "unchanged"
