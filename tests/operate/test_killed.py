"""operate_flow.py under kill -9 at every request, and twice at once: it ends as one undisturbed run does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from support import Exit, Sandbox, at_once, ended_as
from support.clocks import VirtualClock
from support.interference import before_the_journal
from support.operating import RESTART_WRITES, branch, operate, statuses

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
        sandbox.run_inside("operate_flow.py", *words).ok()
    return [word.replace("{file}", str(file)) for word in case.args], runs(sandbox)


def runs(sandbox: Sandbox) -> int:
    return len(sandbox.api("GET", "/data_sources/123")[1]["run_ids"])


@pytest.mark.parametrize(
    "name", ["run-now", *(pytest.param(name, marks=pytest.mark.soak) for name in CASES if name != "run-now")]
)
def test_an_operation_that_is_killed_anywhere_is_resumed_to_the_same_end(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    """Before every request, and after every write; after any other answer is the same as before the next request."""
    case = CASES[name]
    for method, when in ((".*", "before"), ("PUT", "after")):
        for nth in range(1, 40):
            words, before = prepare(sandbox, name, tmp_path / f"{when}-{nth}")
            done = sandbox.run_killed("operate_flow.py", *words, nth=nth, when=when, method=method)
            if done.code == Exit.OK:
                break
            done.is_killed()
            sandbox.run_inside("operate_flow.py", *words, "--resume").ok(f"killed {when} {method} {nth}")
            assert statuses(sandbox) == case.end, f"killed {when} {method} {nth}"
            if name == "run-now":
                assert runs(sandbox) - before == 1, f"killed {when} {method} {nth}"
        assert nth > (case.writes if when == "after" else 3 * case.writes), "the kills did not reach every request"


@pytest.mark.parametrize("name", CASES)
def test_two_at_once_end_as_one(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    words, before = prepare(sandbox, name, tmp_path / "two")
    ends = at_once([sandbox.fork("operate_flow.py", *words) for _ in range(2)])
    codes = ended_as(ends, [Exit.OK, Exit.OK], [Exit.OK, Exit.ERROR])
    assert statuses(sandbox) == CASES[name].end
    if name == "run-now":
        assert runs(sandbox) - before == codes.count(Exit.OK)


@pytest.mark.parametrize("operation", ["restart", "run-now"])
def test_what_was_on_is_read_once_no_other_run_holds_the_journal(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """A flow that was read in the middle of another run's change is not taken for the flow as it was before."""
    before_the_journal(monkeypatch, lambda: sandbox.api("PUT", "/data_sets/123/pause"))  # last of the other run
    words = ["--operation", operation, "--resource-type", "sources", "--resource-id", "123", "--scope", "flow"]
    sandbox.run_inside("operate_flow.py", *words).ok()
    assert statuses(sandbox) == NEXSET_OFF


@pytest.mark.parametrize("name", [name for name in CASES if name != "run-now"])  # its lost answers: test_runs.py
def test_a_lost_response_or_an_overloaded_server_does_not_change_the_result(
    sandbox: Sandbox, tmp_path: Path, clock: VirtualClock, name: str
) -> None:
    faults = [
        {"action": "reset", "when": "after"}, {"action": "cut", "when": "after"},
        {"action": "status", "status": 503, "when": "after"}, {"action": "status", "status": 503, "when": "before"},
        {"action": "status", "status": 429, "when": "before", "headers": {"Retry-After": "1"}},
    ]  # fmt: skip
    for nth in range(1, CASES[name].writes + 1):
        for number, fault in enumerate(faults):
            words, _ = prepare(sandbox, name, tmp_path / f"{nth}-{number}")
            sandbox.faults({**fault, "method": "PUT", "nth": nth})
            sandbox.run_inside("operate_flow.py", *words).ok((nth, fault))
            assert statuses(sandbox) == CASES[name].end, (nth, fault)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restart_that_is_killed_anywhere_is_resumed_to_the_same_set(
    sandbox: Sandbox, tmp_path: Path, when: str
) -> None:
    """Every write of the restart is hit; the branch that rested must never be woken."""
    for number in range(1, RESTART_WRITES + 1):
        sandbox.reset("demo")
        resting = branch(sandbox, "INIT")
        sandbox.state = tmp_path / f"{when}-{number}"
        sandbox.clear_journal()
        words = ["--operation", "restart", "--resource-type", "flows", "--resource-id", "1230"]
        done = sandbox.run_killed("operate_flow.py", *words, method="PUT", nth=number, when=when)
        done.is_killed(f"write {number} was never sent")
        words.append("--resume")
        sandbox.run_inside("operate_flow.py", *words).ok(f"killed {when} write {number}")
        assert len(sandbox.writes()) <= RESTART_WRITES + 1, "what was stopped and started is not stopped again"
        assert set(statuses(sandbox).values()) == {"ACTIVE"}, number
        assert sandbox.api("GET", f"/data_sinks/{resting}")[1]["status"] == "INIT"
        sandbox.clear_journal()
        sandbox.run_inside("operate_flow.py", *words).ok()  # the journal is finished: a new restart begins
        assert len(sandbox.writes()) == RESTART_WRITES


def test_a_killed_pause_that_is_resumed_still_knows_what_was_on(sandbox: Sandbox, tmp_path: Path) -> None:
    words = ["--operation", "pause", "--resource-id", "1230"]
    sandbox.run_killed("operate_flow.py", *words, method="PUT", when="after").is_killed()
    done = operate(sandbox, "pause", "flows", 1230, "--resume")
    assert done.data["was_active"] == [["sources", 123], ["nexsets", 123], ["destinations", 123]]


def test_two_at_once_do_not_mix(sandbox: Sandbox) -> None:
    words = ["--operation", "restart", "--resource-id", "1230"]
    ends = at_once([sandbox.fork("operate_flow.py", *words) for _ in range(2)])
    ended_as(ends, [Exit.OK, Exit.OK], [Exit.OK, Exit.ERROR])
    assert set(statuses(sandbox).values()) == {"ACTIVE"}
    for done in ends:
        if done.code != Exit.OK:
            done.fails(Exit.ERROR, "another run holds the journal")
