"""Every command that writes fails half-way; what it prints, run in a shell from another folder, finishes the job."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.access.request import WRITES as ACCESS_WRITES
from helpers.operate.request import WRITES as OPERATE_WRITES
from helpers.transforms.request import WRITES as TRANSFORM_WRITES
from support import Done, Exit, Sandbox, run_shell
from support.access import entry, plant
from support.clocks import VirtualClock
from support.operating import statuses
from support.transforming import GOOD

JOLT = json.dumps([{"operation": "default", "spec": {"checked": "yes"}}])
TEAM = ["--accessor-type", "TEAM", "--accessor-id", "42"]
THREE = ["--resource-type", "sources", "--resource-ids", "123,456,789"]
RUNS_OF_THE_DEMO = 1
Words = list[str]


def deploy(sandbox: Sandbox, folder: Path) -> Words:
    (folder / "my flows").mkdir()
    support.write_config(folder / "my flows", support.plant_orders(sandbox))
    (file,) = (folder / "my flows").iterdir()
    return ["deploy_flow.py", "--config", f"my flows/{file.name}", "--journal", "the journal's.jsonl"]


def teardown(sandbox: Sandbox, folder: Path) -> Words:
    words = deploy(sandbox, folder)
    sandbox.run_inside(*words[:3]).ok()
    return [*words[:3], "--teardown", "--yes"]


def operate(operation: str, *more: str) -> Callable[[Sandbox, Path], Words]:
    def prepare(sandbox: Sandbox, folder: Path) -> Words:
        if operation == "activate":
            for kind in ("data_sources", "data_sinks"):
                sandbox.api("PUT", f"/{kind}/123/pause")
        return ["operate_flow.py", "--operation", operation, *more]

    return prepare


def restore(sandbox: Sandbox, folder: Path) -> Words:
    words = ["operate_flow.py", "--operation", "pause", "--resource-id", "1230", "--output", "was on.json"]
    sandbox.run_inside(*words).ok()
    return ["operate_flow.py", "--operation", "activate", "--resource-id", "1230", "--restore", "was on.json"]


def transform(operation: str, *more: str) -> Callable[[Sandbox, Path], Words]:
    def prepare(sandbox: Sandbox, folder: Path) -> Words:
        (folder / "o'clock.json").write_text(JOLT)
        (folder / "mask.py").write_text(GOOD)
        body = {"name": "kept", "reusable": True, "output_type": "record", "code_type": "jolt_standard"}
        body |= {"code_encoding": "none", "code": [{"operation": "remove", "spec": {"a": ""}}]}
        _, stored = sandbox.api("POST", "/transforms", body)
        return ["manage_transforms.py", "--operation", operation, *(w.format(id=stored["id"]) for w in more)]

    return prepare


def detach(sandbox: Sandbox, folder: Path) -> Words:
    words = transform("attach", "--file", "o'clock.json", "--name", "m", "--parent", "123", "--nexset-name", "n 1")
    done = sandbox.run_inside(*words(sandbox, folder)).ok()
    nexset = done.data["ids"]["nexset:n 1"]
    return ["manage_transforms.py", "--operation", "detach", "--nexset", str(nexset), "--yes"]


def access(operation: str, *more: str) -> Callable[[Sandbox, Path], Words]:
    def prepare(sandbox: Sandbox, folder: Path) -> Words:
        for source_id in (123, 456, 789):
            plant(sandbox, "sources", source_id, entry("TEAM", 7, "collaborator"), entry("TEAM", 42, "collaborator"))
        plant(sandbox, "nexsets", 123, entry("TEAM", 7, "operator"), entry("ORG", 1, "collaborator"))
        accessors = [{"type": "TEAM", "id": 7, "role": "admin"}]
        resources = [{"type": "sources", "id": source_id, "accessors": accessors} for source_id in (123, 456, 789)]
        (folder / "who & what.json").write_text(json.dumps({"resources": resources}))
        (folder / "who.json").write_text(json.dumps({"accessors": accessors}))
        return ["manage_access.py", "--operation", operation, *more, "--yes"]

    return prepare


WRITES = {"method": "POST|PUT|DELETE", "path": "/(?!token).*"}
Faults = list[dict[str, Any]]


def refused_from(nth: int) -> Faults:
    """The server fails at this write, and at all that follow: undoing fails as well."""
    return [{"action": "status", "status": 500, "nth": nth, "times": 999, **WRITES}]


# The only write takes effect, is answered with a failure, and cannot be undone.
ONLY_WRITE = [{"action": "status", "status": 500, "when": "after", **WRITES}, *refused_from(2)]
# The only delete takes effect, is answered with a failure, and cannot be looked up.
ONLY_DELETE = [{"action": "status", "status": 500, "when": "after", "times": 9, "method": "DELETE"},
               {"action": "status", "status": 503, "method": "GET", "path": "/transforms/[0-9]+", "nth": 2,
               "times": 999}]  # fmt: skip
# Whether the only create happened is not known, and cannot be looked up.
LOST_CREATE = [{"action": "reset", **WRITES},
               {"action": "status", "status": 403, "method": "GET", "path": "/transforms",
               "nth": 2, "times": 999}]  # fmt: skip
# Whether the run was started is not known: neither the request nor the look for a new run gets a response.
LOST_RUN = [{"action": "reset", **WRITES},
            {"action": "status", "status": 403, "method": "GET", "path": "/data_sources/123",
               "nth": 2, "times": 999}]  # fmt: skip
CASES: dict[str, tuple[Callable[[Sandbox, Path], Words], Faults]] = {
    "deploy": (deploy, refused_from(4)),
    "teardown": (teardown, refused_from(2)),
    "operate activate": (operate("activate", "--resource-id", "1230"), refused_from(2)),
    "operate activate --restore": (restore, refused_from(2)),
    "operate pause": (operate("pause", "--resource-type", "data_sinks", "--name", "orders warehouse"), ONLY_WRITE),
    "operate pause --scope flow": (operate("pause", "--resource-id", "1230", "--on-failure", "keep"), refused_from(2)),
    "operate restart": (operate("restart", "--resource-id", "1230"), refused_from(3)),
    "operate run-now": (operate("run-now", "--resource-type", "sources", "--resource-id", "123"), LOST_RUN),
    "transforms create": (transform("create", "--file", "o'clock.json", "--name", "two words"), LOST_CREATE),
    "transforms update": (transform("update", "--id", "{id}", "--file", "o'clock.json"), ONLY_WRITE),
    "transforms copy": (transform("copy", "--id", "{id}", "--name", 'a "twin"'), LOST_CREATE),
    "transforms delete": (transform("delete", "--name", "kept", "--yes"), ONLY_DELETE),
    "transforms attach": (
        transform("attach", "--file", "o'clock.json", "--name", "m 1", "--parent", "123", "--nexset-name", "n 1"),
        refused_from(2),
    ),
    "transforms detach": (detach, ONLY_WRITE),
    "access grant": (access("grant", *THREE, *TEAM, "--role", "admin"), refused_from(2)),
    "access revoke": (access("revoke", *THREE, *TEAM), refused_from(2)),
    "access replace": (access("replace", *THREE, "--accessors", "who.json"), refused_from(2)),
    "access copy-from": (access("copy-from", *THREE, "--from", "nexsets:123"), refused_from(2)),
    "access sync": (access("sync", "--file", "who & what.json", "--prune"), refused_from(2)),
}  # fmt: skip


ENDS: dict[str, Callable[[Sandbox], bool]] = {
    "operate run-now": lambda sandbox: (
        len(sandbox.api("GET", "/data_sources/123")[1]["run_ids"]) == RUNS_OF_THE_DEMO + 1
    ),
    "operate restart": lambda sandbox: set(statuses(sandbox).values()) == {"ACTIVE"},
    "transforms delete": lambda sandbox: "kept" not in sandbox.resources()["code"],
    "transforms copy": lambda sandbox: sandbox.resources()["code"].count('a "twin"') == 1,
}


def test_every_operation_that_writes_is_among_the_cases() -> None:
    named = {("operate", op) for op in OPERATE_WRITES} | {("transforms", op) for op in TRANSFORM_WRITES}
    named |= {("access", op) for op in ACCESS_WRITES}
    assert named <= {tuple(name.split()[:2]) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_the_printed_command_finishes_what_failed(
    sandbox: Sandbox, tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    prepare, faults = CASES[name]
    here, elsewhere = tmp_path / "here", tmp_path / "else where"
    here.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(here)
    clock.meanwhile = sandbox.idle
    words = prepare(sandbox, here)
    sandbox.faults(*faults)
    failed = sandbox.run_inside(*words)
    sandbox.faults()
    sandbox.later(100.0, *here.glob("*.jsonl"))
    finished = run_shell(printed_command(failed), env=sandbox.env, cwd=elsewhere).ok(failed.err)
    sandbox.idle()
    if name in ENDS:  # these would do their work again
        assert ENDS[name](sandbox), sandbox.snapshot()
        return
    sandbox.clear_journal()
    again = sandbox.run_inside(*words)
    again.ok(finished.out)
    assert sandbox.writes() == [], "the printed command did not do all of it"


def printed_command(failed: Done) -> str:
    """The command in the hint that continues the change."""
    failed.ends(Exit.AUTH, Exit.UPSTREAM, Exit.LEFT_BEHIND, Exit.PARTIAL, Exit.UNKNOWN_OUTCOME)
    hint: str = failed.error["hint"]
    command = hint[hint.rindex(sys.executable) :]
    assert command.endswith(" --resume"), hint
    return command
