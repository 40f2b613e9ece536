"""Random faults of the server while a flow is deployed, and what must hold after them."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.api import session
from support import Done, Exit, Sandbox

HANG_SECONDS = 1.0
EXPECTED_EXITS = (
    Exit.OK, Exit.ERROR, Exit.CONFIG, Exit.AUTH, Exit.UPSTREAM, Exit.THROTTLED, Exit.ROLLED_BACK, Exit.LEFT_BEHIND,
    Exit.TIMEOUT, Exit.UNKNOWN_OUTCOME,
)  # fmt: skip
WANTED = {
    "sources": ["orders"],
    "nexsets": ["clean", "orders, Schema #1"],
    "sinks": ["warehouse"],
    "code": ["clean (Transform)"],
    "credentials": ["pg", "s3"],
}
STEP_KINDS = {"source": "sources", "nexset:clean": "nexsets", "destination:warehouse": "sinks"}
NAMES = {"sources": "orders", "nexsets": "clean", "sinks": "warehouse"}


def schedule(seed: int) -> list[dict[str, Any]]:
    """One to four faults, at random requests, before or after their effect; some hit several requests in a row."""
    pick = random.Random(seed)
    rules = []
    for _ in range(pick.randint(1, 4)):
        action = pick.choice([*["status"] * 6, *["reset"] * 5, *["cut"] * 2, *["html"] * 2, "hang"])
        rule = {"action": action, "nth": pick.randint(1, 36), "when": pick.choice(["before", "after"])}
        rule["times"] = pick.choice([1, 1, 1, 2, 6])
        if action == "status":
            rule["status"] = pick.choice([429, 500, 502, 503, 504, 403, 405])
            rule["when"] = "before" if rule["status"] in (403, 405, 429) else rule["when"]
        if pick.random() < 0.4:
            rule |= {"method": pick.choice(["POST", "PUT", "DELETE"]), "nth": pick.randint(1, 6)}
        if action == "hang":
            rule |= {"seconds": HANG_SECONDS, "times": 1}
        rules.append(rule)
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
        assert len(rows) <= 1, f"created twice: {kind} {name}"
        found[kind] = rows and [rows[0].get(k) for k in keys] + [code.get(rows[0].get("code_container_id"))]
    return found


def check_failed(code: int, before: Any, after: Any, report: dict[str, Any], message: str) -> None:
    """After a failure the server holds what it held, or exactly what the report lists differs."""
    different = {kind for kind in NAMES if after[kind] != before[kind]}
    if code == Exit.UNKNOWN_OUTCOME:
        paths = {"sources": "/data_sources", "sinks": "/data_sinks", "nexsets": "/data_sets"}
        said = listed(report) | {kind for kind, path in paths.items() if path in message}
    else:
        said = listed(report) if code == Exit.LEFT_BEHIND else set()
    assert different <= said, f"exit {code}: {different} differ, said was {said}: {message}"


def edited(config: dict[str, Any]) -> dict[str, Any]:
    """The config with a change in the source, the transform and the destination."""
    changed = copy.deepcopy(config)
    changed["source"]["description"] = "new"
    changed["source"]["source_config"]["csv.delimiter"] = ","
    changed["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"amount": ""}}]
    changed["destination"]["sink_config"]["note"] = "new"
    return changed


def run(sandbox: Sandbox, *args: str) -> tuple[Done, Any, str]:
    """A run, its report, and the message that it failed with."""
    done = sandbox.run_inside("deploy_flow.py", *args, "--verify-timeout", "120", "--quiet")
    return done, done.data if done.out.strip() else {}, "" if done.code == Exit.OK else done.error["message"]


def one_schedule(
    sandbox: Sandbox, tmp_path: Path, config: dict[str, Any], rules: list[dict[str, Any]], *, update: bool
) -> None:
    """A deployment (or the update of one that is there) under faults, then a resume without."""
    path = support.write_config(tmp_path, config)
    if update:
        run(sandbox, "--config", path)[0].ok()
        support.write_config(tmp_path, edited(config))
    before = visible(sandbox)
    sandbox.faults(*rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "READ_TIMEOUT", HANG_SECONDS / 2)
        first, data, message = run(sandbox, "--config", path)
    sandbox.faults()
    sandbox.idle()
    after = visible(sandbox)
    first.ends(*EXPECTED_EXITS)
    if first.code != Exit.OK:
        check_failed(first.code, before, after, data, message)
    elif not update:
        assert len(support.table(sandbox)) == 20
    run(sandbox, "--config", path, "--resume")[0].ok(f"after exit {first.code}: {message}")
    sandbox.idle()
    assert sandbox.resources() == WANTED
    done = visible(sandbox)
    assert all(done.values())
    if first.code == Exit.OK:
        assert done == after
    if update:
        assert (done["sources"][0], done["sinks"][2]["note"]) == ("new", "new")
