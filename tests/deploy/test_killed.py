"""kill -9 before every request of a deployment and after every write: resuming gives exactly one of each."""

from __future__ import annotations

from pathlib import Path

import pytest

import support
from support import Exit, Sandbox

REQUESTS, WRITES = 40, 12  # more than a deployment sends; the test below proves it
KILLS = [("before", ".*", number) for number in range(1, REQUESTS)]
KILLS += [("after", "POST|PUT", number) for number in range(1, WRITES)]  # after a read is before what follows it
SHARES = 10


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
    assert 6 <= len(sandbox.writes()) < WRITES


@pytest.mark.parametrize("share", [0, *(pytest.param(share, marks=pytest.mark.soak) for share in range(1, SHARES))])
def test_resume_after_a_kill_makes_exactly_one_of_each(sandbox: Sandbox, tmp_path: Path, share: int) -> None:
    for when, method, number in KILLS[share::SHARES]:
        config = support.write_config(tmp_path, support.plant_orders(sandbox))
        sandbox.state, killed = tmp_path / f"{when}-{number}", f"killed {when} {method} {number}"
        sandbox.clear_journal()
        at = {"path": "/(?!token).*", "method": method, "nth": number, "when": when}
        done = sandbox.run_killed("deploy_flow.py", "--config", config, **at)
        if done.code == Exit.OK:  # so many requests are not needed
            continue
        done.is_killed(killed)
        sandbox.run_inside("deploy_flow.py", "--config", config, "--resume").ok(killed)
        assert sandbox.resources() == expected(), killed
        assert len(support.table(sandbox)) == 20
        sandbox.clear_journal()
        again = sandbox.run_inside("deploy_flow.py", "--config", config, "--resume").ok()
        assert sandbox.writes() == []
        assert again.data["outcome"] == "unchanged"
