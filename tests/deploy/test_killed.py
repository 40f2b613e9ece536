"""kill -9 at every request of a deployment, before and after its effect: resuming gives exactly one of each."""

from __future__ import annotations

from pathlib import Path

import pytest

import support
from support import Exit, Sandbox

REQUESTS = 40  # more than a deployment sends; the test below proves it


def expected() -> dict[str, list[str]]:
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
    sandbox.run("deploy_flow.py", "--config", config).ok()
    assert 20 <= len(sandbox.journal()) < REQUESTS


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("first", range(1, REQUESTS, 4))
def test_resume_after_a_kill_makes_exactly_one_of_each(sandbox: Sandbox, tmp_path: Path, first: int, when: str) -> None:
    for number in range(first, first + 4):
        config = support.write_config(tmp_path, support.plant_orders(sandbox))
        sandbox.state = tmp_path / f"state-{number}"
        sandbox.clear_journal()
        done = sandbox.run_killed("deploy_flow.py", "--config", config, nth=number, when=when)
        if done.code == Exit.OK:  # so many requests are not needed
            continue
        done.is_killed(f"{when} request {number}")
        sandbox.run_inside("deploy_flow.py", "--config", config, "--resume").ok(f"killed {when} request {number}")
        assert sandbox.resources() == expected(), f"killed {when} request {number}"
        assert len(support.table(sandbox)) == 20
        sandbox.clear_journal()
        again = sandbox.run_inside("deploy_flow.py", "--config", config, "--resume").ok()
        assert sandbox.writes() == []
        assert again.data["outcome"] == "unchanged"
