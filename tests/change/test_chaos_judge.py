"""The judge of chaos: commands that break the contract, each in one way, are found out, and a good one is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from helpers.api.session import Session
from support import Done, Exit, Sandbox
from support.chaos.playing import play
from support.chaos.scenarios import DROP_SSN
from support.chaos.schedules import Edit, Schedule, Traits, Trouble
from support.requesting import session_on

BODY = {"name": "mask", "reusable": True, "output_type": "record", "code_type": "jolt_standard",
        "code_encoding": "none", "code": DROP_SSN}  # fmt: skip
RESET = Trouble("POST", 1, "reset")


def create(session: Session) -> int:
    """The id of a new transform; 0 when no answer came."""
    exchange = session.send("POST", "/transforms", None, BODY)
    return int(json.loads(exchange.text)["id"]) if exchange.text else 0


def transforms(session: Session, name: str) -> list[int]:
    rows = json.loads(session.send("GET", "/transforms", None, None).text)
    return [row["id"] for row in rows if row["name"] == name]


def ended(code: int, **data: Any) -> Done:
    """A command that ended as the contract says, but for what it did."""
    out = {"ok": code == 0, "command": "c", "data": data, "meta": {}, "warnings": []}
    error = {"code": code, "name": Exit(code).name, "message": "m", "hint": ""}
    return Done(code, json.dumps(out), json.dumps({"ok": False, "error": error}) if code else "", "c")


def good(session: Session) -> Done:
    return ended(0, id=(transforms(session, "mask") or [create(session)])[0])


def twice(session: Session) -> Done:
    return ended(0, ids=[create(session), create(session)])


def idle(session: Session) -> Done:
    return ended(0)


def repeating(session: Session) -> Done:
    return ended(0, id=create(session) or create(session))


def deletes_a_stranger(session: Session) -> Done:
    for number in transforms(session, "mask old"):
        session.send("DELETE", f"/transforms/{number}", None, None)
    return good(session)


def edits_a_stranger(session: Session) -> Done:
    session.send("PUT", f"/transforms/{transforms(session, 'mask old')[0]}", None, {"description": "x"})
    return good(session)


def ends(code: int, **data: Any) -> Callable[[Session], Done]:
    """It creates, and then says that it ended so."""

    def job(session: Session) -> Done:
        good(session)
        return ended(code, **data)

    return job


def changes_the_first(session: Session) -> Done:
    session.send("PUT", f"/transforms/{transforms(session, 'mask')[0]}", None, {"code": DROP_SSN})
    return ended(9)


def overwrites(session: Session) -> Done:
    number = transforms(session, "mask")[0]
    for _ in range(8):
        session.send("GET", f"/transforms/{number}", None, None)
    session.send("PUT", f"/transforms/{number}", None, {"code": DROP_SSN, "description": ""})
    return ended(0)


def deletes(session: Session) -> Done:
    number = create(session)
    for _ in range(8):
        session.send("GET", f"/transforms/{number}", None, None)
    session.send("DELETE", f"/transforms/{number}", None, None)
    return ended(9)


def says_it_twice(session: Session) -> Done:
    done = good(session)
    return Done(0, done.out * 2, "", "c")


def says_nothing(session: Session) -> Done:
    return Done(1, "", "", "c")


def endless(session: Session) -> Done:
    while True:
        session.send("GET", "/transforms", None, None)


def gives_up(session: Session) -> Done:
    return ended(1)


@dataclass
class Case:
    job: Callable[[Session], Done]
    found: str
    command: str = "create"
    more: dict[str, Any] = field(default_factory=dict)


CASES = {
    "good": Case(good, ""),
    "twice": Case(twice, "twice"),
    "nothing done": Case(idle, "false success"),
    "a late create forgotten": Case(
        repeating, "create repeated too soon", more={"troubles": (Trouble("POST", 1, "reset", "late", late=50.0),)}
    ),
    "success before a late create": Case(
        repeating, "false success", more={"troubles": (Trouble("POST", 1, "reset", "late", late=50.0),)}
    ),
    "repeated": Case(repeating, "create repeated too soon", more={"troubles": (RESET,)}),
    "a stranger's row deleted": Case(deletes_a_stranger, "stranger deleted"),
    "a stranger's row edited": Case(edits_a_stranger, "stranger edited"),
    "9, but there": Case(ends(9), "leftover"),
    "9, but changed": Case(changes_the_first, "not undone", "update"),
    "11, and what is left is not named": Case(ends(11), "leftover unnamed"),
    "11, and what is named is not left": Case(
        ends(11, left_behind=[{"step": "transform:mask", "id": 1, "made": True}]), "leftover that is none"
    ),
    "13, though all is known": Case(ends(13), "unknown without reason"),
    "6, but written": Case(ends(6), "written"),
    "1, and what is left is not named": Case(ends(1), "leftover unnamed"),
    "two documents": Case(says_it_twice, "form"),
    "no error object": Case(says_nothing, "form"),
    "no end": Case(endless, "never ends"),
    "no success ever": Case(gives_up, "never settles"),
    "an edit overwritten": Case(
        overwrites, "others' edit lost", "update", {"edits": (Edit("any", 2, "describe", 0),)}
    ),
    "an edited row deleted": Case(deletes, "others' row deleted", more={"edits": (Edit("any", 2, "describe", 0),)}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_command_that_breaks_the_contract_is_found_out(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    case = CASES[name]
    monkeypatch.setattr(Sandbox, "run_inside", lambda self, *_: case.job(session_on(self)))
    played = play(sandbox, tmp_path / "play", Schedule(0, case.command, **case.more))
    assert case.found in played.classes or (not case.found and not played.found), played.report()


def test_a_server_that_does_all_this_is_no_excuse_for_a_good_command(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a good command blamed for it."""
    monkeypatch.setattr(Sandbox, "run_inside", lambda self, *_: good(session_on(self)))
    traits = Traits(cap=2, no_total=True, bare_rows=True, no_tags=True)
    troubles = (Trouble("POST", 1, "slow", "taken", seconds=20.0), Trouble("GET", 5, "answer", status=404, html=True))
    assert play(sandbox, tmp_path / "play", Schedule(0, "create", troubles, (), traits)).found == []
