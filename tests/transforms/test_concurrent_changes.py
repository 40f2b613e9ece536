"""manage_transforms.py while others are at work: nothing unproven is passed on, nobody's work is undone or doubled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.transforms.code import code_from_file
from support import Done, Exit, Sandbox, at_once
from support.access import entry, plant, user
from support.interference import before_request
from support.transforming import DEMANDS, GOOD, MUTATIONS, RECORDS, attach, live_child, manage, script, statuses_seen

LEAKING = MUTATIONS["identity"].replace("return input", "return {**input, 'more': 1}")
TOO_MANY = ["--min-samples", str(len(RECORDS) + 1), "--proof-timeout", "0.5"]  # no rehearsal, and the proof fails


def code_of(sandbox: Sandbox, name: str = "mask") -> dict[str, Any]:
    (row,) = [row for row in sandbox.api("GET", "/transforms?reusable=all")[1] if row["name"] == name]
    return dict(row)


def status(sandbox: Sandbox, nexset: int) -> str:
    return str(sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"])


def during_the_proof(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Let something happen once, when the new code is in place and its proof begins."""
    before_request(monkeypatch, "GET", "/data_sets/.*/samples", do, after="PUT /transforms/.*")


def update(sandbox: Sandbox, file: str, *more: str) -> Done:
    return manage(sandbox, "update", "--name", "mask", "--file", file, "--yes", *DEMANDS, *more)


def test_an_update_holds_every_active_user_until_it_is_proven(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nexset, before = live_child(sandbox, people, tmp_path), code_of(sandbox)["code"]
    seen: list[str] = []
    during_the_proof(monkeypatch, lambda: seen.append(status(sandbox, nexset)))
    update(sandbox, script(tmp_path, LEAKING, "leaking.py"), *TOO_MANY).fails(Exit.ROLLED_BACK)
    assert seen == ["PAUSED"]
    assert (status(sandbox, nexset), code_of(sandbox)["code"]) == ("ACTIVE", before)
    sandbox.clear_journal()
    update(sandbox, script(tmp_path, GOOD.replace("***", "xxx"), "other.py")).ok()
    assert statuses_seen(sandbox, nexset) == ["pause", "activate"]
    assert status(sandbox, nexset) == "ACTIVE"


@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.soak), "after"])
def test_an_update_that_is_killed_is_proven_when_it_is_resumed(
    sandbox: Sandbox, people: int, tmp_path: Path, when: str
) -> None:
    nexset, before = live_child(sandbox, people, tmp_path), code_of(sandbox)["code"]
    leaking = script(tmp_path, LEAKING, "leaking.py")
    words = ["--operation", "update", "--name", "mask", "--file", leaking, "--yes", *DEMANDS, *TOO_MANY]
    for nth in range(1, 5):  # hold, update, undo of both
        sandbox.state = tmp_path / f"state-{nth}"
        killed = f"killed {when} write {nth}"
        sandbox.run_killed("manage_transforms.py", *words, method="PUT", nth=nth, when=when).is_killed(killed)
        resumed = sandbox.run_inside("manage_transforms.py", *words, "--resume")
        resumed.ends(Exit.ERROR, Exit.ROLLED_BACK)
        assert (status(sandbox, nexset), code_of(sandbox)["code"]) == ("ACTIVE", before), killed


def test_a_nexset_that_somebody_activates_before_it_is_proven_is_held_again(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    leaking = script(tmp_path, LEAKING, "leaking.py")
    words = ["--operation", "update", "--name", "mask", "--file", leaking, "--yes", *DEMANDS, *TOO_MANY]
    at = {"method": "PUT", "path": "/transforms/.*", "when": "after"}
    sandbox.run_killed("manage_transforms.py", *words, **at).is_killed()
    sandbox.api("PUT", f"/data_sets/{nexset}/activate")
    seen: list[str] = []
    before_request(monkeypatch, "GET", "/data_sets/.*/samples", lambda: seen.append(status(sandbox, nexset)),
                   after=f"PUT /data_sets/{nexset}/pause")  # fmt: skip
    sandbox.run_inside("manage_transforms.py", *words, "--resume").fails(Exit.ROLLED_BACK)
    assert (seen, status(sandbox, nexset)) == (["PAUSED"], "ACTIVE")


def test_a_proven_nexset_is_not_held_again_by_a_resume(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    words = ["--operation", "update", "--name", "mask", "--file", other, "--yes", *DEMANDS]
    at = {"method": "PUT", "path": f"/data_sets/{nexset}/activate", "when": "after"}
    sandbox.run_killed("manage_transforms.py", *words, **at).is_killed()
    sandbox.clear_journal()
    sandbox.run_inside("manage_transforms.py", *words, "--resume").ok()
    assert (statuses_seen(sandbox, nexset), status(sandbox, nexset)) == ([], "ACTIVE")


def test_demands_are_held_also_against_code_that_is_there_already(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    live_child(sandbox, people, tmp_path)
    sandbox.clear_journal()
    words = ["--name", "mask", "--file", script(tmp_path, GOOD), "--yes"]
    manage(sandbox, "update", *words, "--must-not-contain", "email").fails(Exit.ROLLED_BACK, "ALREADY USES IT")
    assert sandbox.writes() == []
    fine = manage(sandbox, "update", *words, *DEMANDS).ok()
    assert fine.data["outcome"] == "unchanged"
    assert sandbox.writes() == []


def test_an_update_of_what_nothing_uses_says_that_nothing_is_proven(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.reset("empty")
    manage(sandbox, "create", "--file", script(tmp_path, GOOD), "--name", "mask").ok()
    done = update(sandbox, script(tmp_path, LEAKING, "leaking.py")).ok()
    assert "nothing is proven" in done.json["warnings"][0]


def test_an_undo_leaves_what_somebody_else_has_written_meanwhile(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_child(sandbox, people, tmp_path)
    rival = code_from_file(script(tmp_path, GOOD.replace("***", "RIVAL"), "rival.py"), "record").as_body()
    number = code_of(sandbox)["id"]
    during_the_proof(monkeypatch, lambda: sandbox.api("PUT", f"/transforms/{number}", {"name": "mask", **rival}))
    done = update(sandbox, script(tmp_path, LEAKING, "leaking.py"), *TOO_MANY)
    done.fails(Exit.LEFT_BEHIND)
    assert "somebody else changed" in str(done.data["left_behind"])
    assert "remove everything" not in done.error["hint"]
    assert code_of(sandbox)["code"] == rival["code"]


def test_an_undo_restores_the_code_and_leaves_a_description_that_somebody_else_has_written(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_child(sandbox, people, tmp_path)
    before, number = code_of(sandbox), code_of(sandbox)["id"]
    during_the_proof(monkeypatch, lambda: sandbox.api("PUT", f"/transforms/{number}", {"description": "theirs"}))
    leaking = script(tmp_path, LEAKING, "leaking.py")
    done = update(sandbox, leaking, "--description", "ours", *TOO_MANY)
    done.fails(Exit.LEFT_BEHIND)
    assert "somebody else changed description" in str(done.data["left_behind"])
    assert (code_of(sandbox)["code"], code_of(sandbox)["description"]) == (before["code"], "theirs")


def test_an_undo_leaves_the_code_of_somebody_else_and_restores_the_description(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_child(sandbox, people, tmp_path)
    rival = code_from_file(script(tmp_path, GOOD.replace("***", "RIVAL"), "rival.py"), "record").as_body()
    before, number = code_of(sandbox), code_of(sandbox)["id"]
    during_the_proof(monkeypatch, lambda: sandbox.api("PUT", f"/transforms/{number}", {"name": "mask", **rival}))
    leaking = script(tmp_path, LEAKING, "leaking.py")
    done = update(sandbox, leaking, "--description", "ours", *TOO_MANY)
    done.fails(Exit.LEFT_BEHIND)
    assert "somebody else changed the code" in str(done.data["left_behind"])
    assert (code_of(sandbox)["code"], code_of(sandbox)["description"]) == (rival["code"], before["description"])


def test_two_attaches_at_once_make_one_nexset(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    file = script(tmp_path, GOOD)
    words = ["--operation", "attach", "--file", file, "--name", "mask", "--parent", str(people)]
    words += ["--nexset-name", "masked", *DEMANDS]
    children = [sandbox.fork("manage_transforms.py", *words, "--journal", str(tmp_path / f"{n}")) for n in range(3)]
    ends = [done.ends(Exit.OK, Exit.ROLLED_BACK) for done in at_once(children)]
    names = [row["name"] for row in sandbox.snapshot()["nexsets"]]
    assert names.count("masked") == 1, ends
    assert Exit.OK in [done.code for done in ends], ends


def test_a_nexset_that_somebody_else_creates_meanwhile_is_not_deleted(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The POST is answered with 503; what is found then is another person's."""
    manage(sandbox, "create", "--file", script(tmp_path, GOOD), "--name", "mask").ok()
    number = code_of(sandbox)["id"]
    boss = sandbox.control("POST", "users", {"email": "boss@example.com", "org_admin": True})["id"]
    body = {"name": "masked", "parent_data_set_id": people, "has_custom_transform": True, "transform_id": number}

    def somebody_else_creates_it() -> int:
        nexset = int(sandbox.api("POST", "/data_sets", body)[1]["id"])
        plant(sandbox, "nexsets", nexset, entry("USER", user(sandbox, "ana.silva@example.com"), "admin"))
        sandbox.control("POST", "edit", {"kind": "nexsets", "id": nexset, "set": {"owner_id": boss}})
        return nexset

    theirs = before_request(monkeypatch, "POST", "/data_sets", somebody_else_creates_it)
    sandbox.faults({"action": "status", "status": 503, "method": "POST", "path": "/data_sets", "nth": 2, "times": 9})
    attach(sandbox, people, script(tmp_path, GOOD), *TOO_MANY).ends(Exit.ERROR, Exit.ROLLED_BACK)
    assert [row["id"] for row in sandbox.snapshot()["nexsets"] if row["name"] == "masked"] == theirs


def test_a_nexset_that_stays_paused_is_reported_as_paused(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    """As after a kill, when the same command is run again on another machine, which has no journal of it."""
    nexset = live_child(sandbox, people, tmp_path)
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    words = ["--operation", "attach", "--file", other, "--name", "other", "--nexset", str(nexset), *DEMANDS]
    done = sandbox.run_killed("manage_transforms.py", *words, method="PUT", path=f"/data_sets/{nexset}", when="after")
    done.is_killed()
    sandbox.state = tmp_path / "another-machine"
    again = sandbox.run_inside("manage_transforms.py", *words).ok()
    assert status(sandbox, nexset) == "PAUSED"
    assert "is PAUSED and remains PAUSED" in json.dumps(again.json["warnings"])
    sandbox.run_inside("manage_transforms.py", *words, "--activate").ok()
    assert status(sandbox, nexset) == "ACTIVE"


def test_a_code_that_holds_a_secret_is_not_put_back_redacted(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    """The journal keeps no secret, so a resumed run cannot give the former code back; it must not write the mark."""
    spec = [
        {"operation": "remove", "spec": {"ssn": ""}},
        {"operation": "default", "spec": {"auth_token": "hunter2secret"}},
    ]
    held = script(tmp_path, json.dumps(spec), "held.json")
    words = ["--name", "mask", "--parent", str(people), "--nexset-name", "masked", "--must-not-contain", "ssn"]
    manage(sandbox, "attach", "--file", held, *words).ok()
    leaking = script(tmp_path, LEAKING, "leaking.py")
    change = ["--operation", "update", "--name", "mask", "--file", leaking, "--yes", *DEMANDS, *TOO_MANY]
    sandbox.run_killed("manage_transforms.py", *change, method="PUT", path="/transforms/.*", when="after").is_killed()
    resumed = sandbox.run_inside("manage_transforms.py", *change, "--resume")
    resumed.fails(Exit.LEFT_BEHIND)
    assert "held a secret" in str(resumed.data["left_behind"])
    assert "redacted" not in json.dumps(code_of(sandbox)["code"])
