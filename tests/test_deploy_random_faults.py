"""200 random fault schedules against a deployment: nothing is made twice, nothing is left behind unsaid.

The script runs in this process so that its clock can run faster; requests go to the real sandbox over HTTP.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deploy_flow
import pytest
import support
from helpers import limits, session
from support import Sandbox

SPEED = 50.0
SCHEDULES, PER_TEST = 200, 10
MADE = {
    "sources": ["orders"],
    "nexsets": ["clean", "orders, Schema #1"],
    "sinks": ["warehouse"],
    "code": ["clean (Transform)"],
    "credentials": ["pg", "s3"],
}
NOTHING: dict[str, list[str]] = {kind: [] for kind in MADE} | {"credentials": ["pg", "s3"]}
STEP_KINDS = {"source": "sources", "nexset:clean": "nexsets", "destination:warehouse": "sinks"}


@pytest.fixture(autouse=True)
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        if limits.STOP.wait(seconds / SPEED):
            raise limits.interrupted()

    monkeypatch.setattr(limits.Clock, "now", staticmethod(lambda: time.monotonic() * SPEED))
    monkeypatch.setattr(limits.Clock, "sleep", staticmethod(sleep))
    monkeypatch.setattr(session, "READ_TIMEOUT", 0.4)


def schedule(seed: int) -> list[dict[str, Any]]:
    """One to four faults, at random requests, before or after their effect; some hit several requests in a row."""
    pick = random.Random(seed)
    rules = []
    for _ in range(pick.randint(1, 4)):
        action = pick.choice(["status", "status", "status", "reset", "reset", "cut", "html", "hang"])
        rule = {"action": action, "nth": pick.randint(1, 36), "when": pick.choice(["before", "after"])}
        rule["times"] = pick.choice([1, 1, 1, 2, 6])
        if action == "status":
            rule["status"] = pick.choice([429, 500, 502, 503, 504, 403, 405])
            rule["when"] = "before" if rule["status"] in (403, 405, 429) else rule["when"]
        if pick.random() < 0.4:
            rule |= {"method": pick.choice(["POST", "PUT", "DELETE"]), "nth": pick.randint(1, 6)}
        rules.append({**rule, "seconds": 0.8})
    return rules


def listed(error: Any) -> set[str]:
    """Kinds that a failed run says it left, by its own report."""
    rows = [*error.get("left_behind", []), *error.get("kept", [])]
    return {STEP_KINDS[row["step"]] for row in rows if row["step"] in STEP_KINDS}


def check_failed(code: int, before: Any, after: Any, report: dict[str, Any], message: str) -> None:
    """After a failure the server holds what it held, or exactly what the report lists."""
    extra = {kind for kind in MADE if after[kind] != before[kind]}
    for kind, names in after.items():
        assert len(set(names)) == len(names), f"made twice: {kind} {names}"
    if code == 11:
        assert extra - {"code", "nexsets"} <= listed(report), f"{extra} is left, said was {report}"
    elif code == 13:
        said = listed(report) | {kind for kind, word in (("sources", "/data_sources"), ("sinks", "/data_sinks"),
                                                        ("nexsets", "/data_sets")) if word in message}  # fmt: skip
        assert extra - {"code", "nexsets"} <= said, f"{extra} is left, said was {said}"
    else:
        assert not extra, f"exit {code} left {extra}: {message}"


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, Any, str]:
    code = deploy_flow.main([*args, "--verify-timeout", "120", "--quiet"])
    out, err = capsys.readouterr()
    data = json.loads(out)["data"] if out.strip() else {}
    lines = [line for line in err.splitlines() if line.startswith("{")]
    return code, data, json.loads(lines[-1])["error"]["message"] if lines else ""


@pytest.fixture
def environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    for name in ("NEXLA_ACCESS_TOKEN", "NEXLA_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    yield sandbox
    sandbox.faults()


@pytest.mark.parametrize("first", range(0, SCHEDULES, PER_TEST))
def test_random_faults_never_duplicate_and_never_hide_leftovers(
    environment: Sandbox,
    first: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox = environment
    for seed in range(first, first + PER_TEST):
        config = support.write_config(tmp_path, support.plant_orders(sandbox))
        monkeypatch.setenv("NEXLA_API_URL", sandbox.url)
        monkeypatch.setenv("NEXLA_SERVICE_KEY", sandbox.key)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state-{seed}"))
        rules = schedule(seed)
        sandbox.faults(*rules)
        where = f"seed {seed}: {rules}"
        code, data, message = run(capsys, "--config", config)
        sandbox.faults()
        sandbox.idle()
        after = sandbox.resources()
        try:
            if code == 0:
                assert after == MADE
                assert len(support.table(sandbox)) == 20
            else:
                assert code in (1, 3, 4, 6, 7, 9, 11, 12, 13), f"exit {code}"
                check_failed(code, NOTHING, after, data, message)
            again, _, text = run(capsys, "--config", config, "--resume")
            assert again == 0, f"after exit {code} ({message}) the resume ended with {again}: {text}"
            sandbox.idle()
            assert sandbox.resources() == MADE
            assert len(support.table(sandbox)) >= 20
        except AssertionError as error:
            raise AssertionError(f"{where}\nexit {code}: {message}\n{error}") from None
