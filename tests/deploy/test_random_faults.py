"""200 random fault schedules against a deployment: nothing is made twice, nothing is left behind unsaid.

The script runs in this process so that its clock can run faster; requests go to the real sandbox over HTTP.
"""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deploy_flow
import pytest

import support
from helpers.api import session, writes
from helpers.core import limits
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
STEP_KINDS = {"source": "sources", "nexset:clean": "nexsets", "destination:warehouse": "sinks"}
NAMES = {"sources": "orders", "nexsets": "clean", "sinks": "warehouse"}


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


def listed(report: Any) -> set[str]:
    """Kinds that a failed run says it left, by its own report."""
    rows = [*report.get("left_behind", []), *report.get("kept", [])]
    return {STEP_KINDS[row["step"]] for row in rows if row["step"] in STEP_KINDS}


def visible(sandbox: Sandbox) -> dict[str, Any]:
    """What a user would notice of the source, the derived nexset and the destination; None where there is none."""
    snapshot = sandbox.snapshot()
    code = {row["id"]: row["code"] for row in snapshot.get("code", [])}
    keys = ("description", "source_config", "sink_config", "tags")
    found: dict[str, Any] = {}
    for kind, name in NAMES.items():
        rows = [row for row in snapshot.get(kind, []) if row["name"] == name]
        assert len(rows) <= 1, f"made twice: {kind} {name}"
        found[kind] = rows and [rows[0].get(k) for k in keys] + [code.get(rows[0].get("code_container_id"))]
    return found


def check_failed(code: int, before: Any, after: Any, report: dict[str, Any], message: str) -> None:
    """After a failure the server holds what it held, or exactly what the report lists differs."""
    different = {kind for kind in NAMES if after[kind] != before[kind]}
    if code == 13:
        paths = {"sources": "/data_sources", "sinks": "/data_sinks", "nexsets": "/data_sets"}
        said = listed(report) | {kind for kind, path in paths.items() if path in message}
    else:
        said = listed(report) if code == 11 else set()
    assert different <= said, f"exit {code}: {different} differ, said was {said}: {message}"


def edited(config: dict[str, Any]) -> dict[str, Any]:
    """The config with a change in the source, the transform and the destination."""
    changed = copy.deepcopy(config)
    changed["source"]["description"] = "new"
    changed["source"]["source_config"]["csv.delimiter"] = ","
    changed["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"amount": ""}}]
    changed["destination"]["sink_config"]["note"] = "new"
    return changed


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
        config = support.plant_orders(sandbox)
        monkeypatch.setenv("NEXLA_API_URL", sandbox.url)
        monkeypatch.setenv("NEXLA_SERVICE_KEY", sandbox.key)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state-{seed}"))
        rules = schedule(seed)
        try:
            one_schedule(sandbox, tmp_path, config, rules, capsys, update=seed % 2 == 1)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {rules}\n{error}") from None


def one_schedule(
    sandbox: Sandbox,
    tmp_path: Path,
    config: dict[str, Any],
    rules: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    *,
    update: bool,
) -> None:
    """A deployment (or the update of one that is there) under faults, then a resume without."""
    path = support.write_config(tmp_path, config)
    if update:
        assert run(capsys, "--config", path)[0] == 0
        support.write_config(tmp_path, edited(config))
    before = visible(sandbox)
    sandbox.faults(*rules)
    code, data, message = run(capsys, "--config", path)
    sandbox.faults()
    sandbox.idle()
    after = visible(sandbox)
    assert code in (0, 1, 3, 4, 6, 7, 9, 11, 12, 13), f"exit {code}: {message}"
    if code != 0:
        check_failed(code, before, after, data, message)
    elif not update:
        assert len(support.table(sandbox)) == 20
    again, _, text = run(capsys, "--config", path, "--resume")
    assert again == 0, f"after exit {code} ({message}) the resume ended with {again}: {text}"
    sandbox.idle()
    assert sandbox.resources() == MADE
    done = visible(sandbox)
    assert all(done.values())
    if code == 0:
        assert done == after
    if update:
        assert (done["sources"][0], done["sinks"][2]["note"]) == ("new", "new")


def test_what_may_still_appear_is_listed_not_called_undone(
    environment: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The create takes effect only after the command has stopped looking for it."""
    sandbox = environment
    path = support.write_config(tmp_path, support.plant_orders(sandbox))
    for name, value in (("NEXLA_API_URL", sandbox.url), ("NEXLA_SERVICE_KEY", sandbox.key)):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sandbox.faults({"action": "late", "method": "POST", "path": "/data_sources", "seconds": 9})
    monkeypatch.setattr(writes, "RECONCILE_SECONDS", 1000.0)  # so that the deadline ends the looking
    code, data, _ = run(capsys, "--config", path, "--timeout", "150")
    assert visible(sandbox)["sources"] == [], "the effect has not come yet"
    assert code in (11, 13)
    assert listed(data) == {"sources"}
    for _ in range(100):
        if visible(sandbox)["sources"]:
            break
        time.sleep(0.1)
    assert visible(sandbox)["sources"], "it has appeared, as was said"
    sandbox.faults()
    assert run(capsys, "--config", path, "--resume")[0] == 0
    assert sandbox.resources() == MADE
