"""The process and its control interface."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import support
from support import CLEAN, ROOT, Sandbox


def test_state_survives_a_restart(tmp_path: Path) -> None:
    world = support.start_sandbox(tmp_path)
    first = next(world)
    first.api("POST", "/data_sources", {"name": "kept", "source_type": "s3"})
    world.close()
    again = support.start_sandbox(tmp_path)
    second = next(again)
    try:
        assert second.key == first.key
        assert "kept" in [row["name"] for row in second.api("GET", "/data_sources")[1]]
    finally:
        again.close()


def test_it_binds_to_loopback_only() -> None:
    command = [sys.executable, "-m", "sandbox", "--host", "0.0.0.0"]
    done = subprocess.run(command, cwd=ROOT, env=CLEAN, capture_output=True, text=True)
    assert "loopback" in done.stderr
    assert done.returncode == 2, done.stderr


def test_it_says_what_it_is(sandbox: Sandbox) -> None:
    with urllib.request.urlopen(f"{sandbox.url}/limits") as response:
        assert "not Nexla" in response.headers["Server"]


def test_control_requests(sandbox: Sandbox) -> None:
    assert sandbox.control("POST", "nonsense")["message"].startswith("known:")
    assert "ValueError" in sandbox.control("POST", "settings", {"no_such": 1})["message"]
    assert "ValueError" in sandbox.control("POST", "faults", [{"action": "explode"}])["message"]
    assert "tokens" not in sandbox.snapshot()
    assert sandbox.control("POST", "clock", {"advance_seconds": -1})["message"].startswith("ValueError")


def test_a_reset_keeps_the_records_that_the_demo_has_already_read(sandbox: Sandbox) -> None:
    """A new destination of its nexset gets them, as at the first start."""
    for seed in ("empty", "demo"):
        sandbox.reset(seed)
    body = {"name": "late", "sink_type": "s3", "data_credentials_id": 123, "data_set_id": 123,
            "sink_config": {"path": "late", "data_format": "json"}}  # fmt: skip
    number = sandbox.api("POST", "/data_sinks", body)[1]["id"]
    sandbox.api("PUT", f"/data_sinks/{number}/activate")
    sandbox.idle()
    runs = sandbox.api("GET", f"/data_sinks/{number}/metrics/run_summary?groupby=runId&page=1&size=5")[1]
    assert [(row["records"], row["errors"]) for row in runs["metrics"]["data"]] == [(500, 0)]
