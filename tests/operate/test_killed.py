"""operate_flow.py under kill -9 at every request, and twice at once: it ends as one undisturbed run does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.change.journal import Journal, open_journal
from support import Sandbox
from support.operating import statuses

ALL_ON = {"sources": "ACTIVE", "nexsets": "ACTIVE", "destinations": "ACTIVE"}
ALL_OFF = dict.fromkeys(ALL_ON, "PAUSED")
NEXSET_OFF = {**ALL_ON, "nexsets": "PAUSED"}


@dataclass
class Case:
    """One operation: what is paused before it, its arguments, and how the members end."""

    paused: tuple[str, ...]
    args: tuple[str, ...]
    end: dict[str, str]
    writes: int


CASES = {
    "pause": Case((), ("--operation", "pause", "--resource-id", "1230"), ALL_OFF, 2),
    "activate": Case(("data_sinks", "data_sources"), ("--operation", "activate", "--resource-id", "1230"), ALL_ON, 3),
    "restore": Case(
        ("data_sets",), ("--operation", "activate", "--resource-id", "1230", "--restore", "{file}"), NEXSET_OFF, 3
    ),
    "run-now": Case(
        ("data_sets",), ("--operation", "run-now", "--resource-type", "sources", "--resource-id", "123"), NEXSET_OFF,
        2,
    ),
}  # fmt: skip


def prepare(sandbox: Sandbox, name: str, folder: Path) -> tuple[list[str], int]:
    """The state before the operation; its arguments, and how many runs the source has had."""
    sandbox.reset("demo")
    folder.mkdir()
    sandbox.state = folder
    case, file = CASES[name], folder / "paused.json"
    for path in case.paused:
        sandbox.api("PUT", f"/{path}/123/pause")
    if name == "restore":
        words = ["--operation", "pause", "--resource-id", "1230", "--output", str(file)]
        assert sandbox.run_inside("operate_flow.py", *words).code == 0
    return [word.replace("{file}", str(file)) for word in case.args], runs(sandbox)


def runs(sandbox: Sandbox) -> int:
    return len(sandbox.api("GET", "/data_sources/123")[1]["run_ids"])


@pytest.mark.parametrize("name", CASES)
def test_an_operation_that_is_killed_anywhere_is_resumed_to_the_same_end(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    """Before every request, and after every write; after any other answer is the same as before the next request."""
    case = CASES[name]
    for method, when in ((None, "before"), ("PUT", "after")):
        for nth in range(1, 40):
            words, before = prepare(sandbox, name, tmp_path / f"{when}-{nth}")
            child = sandbox.fork("operate_flow.py", *words)
            rule = {"action": "kill", "nth": nth, "when": when, "pid": child.pid}
            sandbox.faults(rule | ({"method": method} if method else {}))
            child.communicate("go\n", timeout=60)
            sandbox.faults()
            if child.returncode == 0:
                break
            assert child.returncode == -9
            resumed = sandbox.run_inside("operate_flow.py", *words, "--resume")
            assert resumed.code == 0, f"killed {when} {method} {nth}: {resumed.err}"
            assert statuses(sandbox) == case.end, f"killed {when} {method} {nth}"
            if name == "run-now":
                assert runs(sandbox) - before == 1, f"killed {when} {method} {nth}"
        assert nth > (case.writes if method else 3 * case.writes), "the kills did not reach every request"


@pytest.mark.parametrize("name", CASES)
def test_two_at_once_end_as_one(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    words, before = prepare(sandbox, name, tmp_path / "two")
    ends = support.at_once([sandbox.start("operate_flow.py", *words) for _ in range(2)])
    codes = sorted(code for code, _ in ends)
    assert codes in ([0, 0], [0, 1]), ends
    assert statuses(sandbox) == CASES[name].end
    if name == "run-now":
        assert runs(sandbox) - before == codes.count(0)


@pytest.mark.parametrize("operation", ["restart", "run-now"])
def test_what_was_on_is_read_once_no_other_run_holds_the_journal(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """A flow that was read in the middle of another run's change is not taken for the flow as it was before."""

    def open_when_the_other_run_has_ended(*args: Any, **kwargs: Any) -> Journal:
        sandbox.api("PUT", "/data_sets/123/pause")  # the last request of the other run
        return open_journal(*args, **kwargs)

    monkeypatch.setattr("helpers.journal.open_journal", open_when_the_other_run_has_ended)
    words = ["--operation", operation, "--resource-type", "sources", "--resource-id", "123", "--scope", "flow"]
    done = sandbox.run_inside("operate_flow.py", *words)
    assert done.code == 0, done.err
    assert statuses(sandbox) == NEXSET_OFF


@pytest.mark.parametrize("name", [name for name in CASES if name != "run-now"])  # its lost answers: test_operate_flow
def test_a_lost_answer_or_an_overloaded_server_changes_nothing_of_the_end(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("helpers.limits.Clock.sleep", staticmethod(lambda seconds: None))
    faults = [
        {"action": "reset", "when": "after"}, {"action": "cut", "when": "after"},
        {"action": "status", "status": 503, "when": "after"}, {"action": "status", "status": 503, "when": "before"},
        {"action": "status", "status": 429, "when": "before", "headers": {"Retry-After": "1"}},
    ]  # fmt: skip
    for nth in range(1, CASES[name].writes + 1):
        for number, fault in enumerate(faults):
            words, _ = prepare(sandbox, name, tmp_path / f"{nth}-{number}")
            sandbox.faults({**fault, "method": "PUT", "nth": nth})
            done = sandbox.run_inside("operate_flow.py", *words)
            assert done.code == 0, (nth, fault, done.err)
            assert statuses(sandbox) == CASES[name].end, (nth, fault)
