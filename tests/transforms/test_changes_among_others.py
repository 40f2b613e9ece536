"""manage_transforms.py when others are at work too: nothing unproven flows on, nobody's work is undone or doubled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.transforms import proof_steps as transform_proving
from helpers.transforms.code import from_file
from support import Done, Sandbox
from support.access import entry, plant, user
from support.transforming import DEMANDS, GOOD, MUTATIONS, RECORDS, attach, live_child, manage, script, statuses_seen

LEAKING = MUTATIONS["identity"].replace("return input", "return {**input, 'more': 1}")
TOO_MANY = [
    "--min-samples",
    str(len(RECORDS) + 1),
    "--proof-timeout",
    "0.5",
]  # the rehearsal is skipped, the proof fails


def code_of(sandbox: Sandbox, name: str = "mask") -> dict[str, Any]:
    (row,) = [row for row in sandbox.api("GET", "/transforms?reusable=all")[1] if row["name"] == name]
    return dict(row)


def status(sandbox: Sandbox, nexset: int) -> str:
    return str(sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"])


def during_the_proof(monkeypatch: pytest.MonkeyPatch, do: Any) -> None:
    """Let something happen once, when the proof has begun."""
    look, done = transform_proving.ProofStep._look, []

    def looking(self: transform_proving.ProofStep, *args: Any) -> Any:
        if not done:
            done.append(do())
        return look(self, *args)

    monkeypatch.setattr(transform_proving.ProofStep, "_look", looking)


def update(sandbox: Sandbox, file: str, *more: str) -> Done:
    return manage(sandbox, "update", "--name", "mask", "--file", file, "--yes", *DEMANDS, *more)


def test_an_update_holds_every_active_user_until_it_is_proven(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nexset, before = live_child(sandbox, people, tmp_path), code_of(sandbox)["code"]
    seen: list[str] = []
    during_the_proof(monkeypatch, lambda: seen.append(status(sandbox, nexset)))
    failed = update(sandbox, script(tmp_path, LEAKING, "leaking.py"), *TOO_MANY)
    assert (failed.code, seen) == (9, ["PAUSED"]), failed.err
    assert (status(sandbox, nexset), code_of(sandbox)["code"]) == ("ACTIVE", before)
    sandbox.clear_journal()
    done = update(sandbox, script(tmp_path, GOOD.replace("***", "xxx"), "other.py"))
    assert done.code == 0, done.err
    assert statuses_seen(sandbox, nexset) == ["pause", "activate"]
    assert status(sandbox, nexset) == "ACTIVE"


@pytest.mark.parametrize("nth", range(1, 5))
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_update_that_is_killed_is_proven_when_it_is_resumed(
    sandbox: Sandbox, people: int, tmp_path: Path, nth: int, when: str
) -> None:
    nexset, before = live_child(sandbox, people, tmp_path), code_of(sandbox)["code"]
    leaking = script(tmp_path, LEAKING, "leaking.py")
    words = ["--operation", "update", "--name", "mask", "--file", leaking, "--yes", *DEMANDS, *TOO_MANY]
    child = sandbox.fork("manage_transforms.py", *words)
    sandbox.faults({"action": "kill", "method": "PUT", "nth": nth, "when": when, "pid": child.pid})
    child.communicate("go\n", timeout=60)
    sandbox.faults()
    assert child.returncode == -9, "hold, update, undo of both"
    resumed = sandbox.run_inside("manage_transforms.py", *words, "--resume")
    assert resumed.code in (1, 9), resumed.err
    assert (status(sandbox, nexset), code_of(sandbox)["code"]) == ("ACTIVE", before)


def test_demands_are_held_also_against_code_that_is_there_already(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    live_child(sandbox, people, tmp_path)
    sandbox.clear_journal()
    words = ["--name", "mask", "--file", script(tmp_path, GOOD), "--yes"]
    done = manage(sandbox, "update", *words, "--must-not-contain", "email")
    assert (done.code, sandbox.writes()) == (9, []), done.err
    assert "HAS IT ALREADY" in done.error["message"]
    fine = manage(sandbox, "update", *words, *DEMANDS)
    assert (fine.code, fine.data["outcome"], sandbox.writes()) == (0, "unchanged", [])


def test_an_update_of_what_nothing_uses_says_that_nothing_is_proven(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.reset("empty")
    assert manage(sandbox, "create", "--file", script(tmp_path, GOOD), "--name", "mask").code == 0
    done = update(sandbox, script(tmp_path, LEAKING, "leaking.py"))
    assert (done.code, "nothing is proven" in done.json["warnings"][0]) == (0, True)


def test_an_undo_leaves_what_somebody_else_has_written_meanwhile(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_child(sandbox, people, tmp_path)
    rival = from_file(script(tmp_path, GOOD.replace("***", "RIVAL"), "rival.py"), "record").as_body()
    number = code_of(sandbox)["id"]
    during_the_proof(monkeypatch, lambda: sandbox.api("PUT", f"/transforms/{number}", {"name": "mask", **rival}))
    done = update(sandbox, script(tmp_path, LEAKING, "leaking.py"), *TOO_MANY)
    assert (done.code, "somebody else has changed" in str(done.json["data"]["left_behind"])) == (11, True), done.err
    assert "remove it all" not in done.error["hint"]
    assert code_of(sandbox)["code"] == rival["code"]


def test_two_attaches_at_once_make_one_nexset(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    file = script(tmp_path, GOOD)
    words = ["--operation", "attach", "--file", file, "--name", "mask", "--parent", str(people)]
    words += ["--nexset-name", "masked", *DEMANDS]
    children = [sandbox.start("manage_transforms.py", *words, "--journal", str(tmp_path / f"{n}")) for n in range(3)]
    ends = support.at_once(children)
    assert all(code in (0, 9) for code, _ in ends), ends
    names = [row["name"] for row in sandbox.snapshot()["nexsets"]]
    assert names.count("masked") == 1, ends
    assert any(code == 0 for code, _ in ends)


def test_a_nexset_that_somebody_else_made_meanwhile_is_not_deleted(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The POST is answered with 503; what is found then is another person's."""
    monkeypatch.setattr("helpers.limits.Clock.sleep", staticmethod(lambda seconds: None))
    assert manage(sandbox, "create", "--file", script(tmp_path, GOOD), "--name", "mask").code == 0
    number = code_of(sandbox)["id"]
    boss = sandbox.control("POST", "users", {"email": "boss@example.com", "org_admin": True})["id"]
    body = {"name": "masked", "parent_data_set_id": people, "has_custom_transform": True, "transform_id": number}
    made: list[int] = []

    def by_somebody_else(session: Any, path: str, sent: Any, find: Any, say: Any) -> Any:
        made.append(sandbox.api("POST", "/data_sets", body)[1]["id"])
        plant(sandbox, "nexsets", made[0], entry("USER", user(sandbox, "ana.silva@example.com"), "admin"))
        sandbox.control("POST", "edit", {"kind": "nexsets", "id": made[0], "set": {"owner_id": boss}})
        return find(), True

    monkeypatch.setattr("helpers.transform_attach.create", by_somebody_else)
    done = attach(sandbox, people, script(tmp_path, GOOD), *TOO_MANY)
    assert done.code in (1, 9), done.err
    assert [row["id"] for row in sandbox.snapshot()["nexsets"] if row["name"] == "masked"] == made


def test_a_nexset_that_rests_is_said_to_rest(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    """As after a kill, when the same command is run again on another machine, which has no journal of it."""
    nexset = live_child(sandbox, people, tmp_path)
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    words = ["--operation", "attach", "--file", other, "--name", "other", "--nexset", str(nexset), *DEMANDS]
    child = sandbox.fork("manage_transforms.py", *words)
    sandbox.faults(
        {"action": "kill", "method": "PUT", "path": f"/data_sets/{nexset}", "when": "after", "pid": child.pid}
    )
    child.communicate("go\n", timeout=60)
    sandbox.faults()
    sandbox.state = tmp_path / "another-machine"
    again = sandbox.run_inside("manage_transforms.py", *words)
    assert (again.code, status(sandbox, nexset)) == (0, "PAUSED")
    assert "is PAUSED and stays so" in json.dumps(again.json["warnings"])
    woken = sandbox.run_inside("manage_transforms.py", *words, "--activate")
    assert (woken.code, status(sandbox, nexset)) == (0, "ACTIVE")


def test_a_code_that_holds_a_secret_is_not_put_back_redacted(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    """The journal keeps no secret, so a resumed run cannot give the former code back; it must not write the mark."""
    spec = [
        {"operation": "remove", "spec": {"ssn": ""}},
        {"operation": "default", "spec": {"auth_token": "hunter2secret"}},
    ]
    held = script(tmp_path, json.dumps(spec), "held.json")
    words = ["--name", "mask", "--parent", str(people), "--nexset-name", "masked", "--must-not-contain", "ssn"]
    assert manage(sandbox, "attach", "--file", held, *words).code == 0
    leaking = script(tmp_path, LEAKING, "leaking.py")
    change = ["--operation", "update", "--name", "mask", "--file", leaking, "--yes", *DEMANDS, *TOO_MANY]
    child = sandbox.fork("manage_transforms.py", *change)
    sandbox.faults({"action": "kill", "method": "PUT", "path": "/transforms/.*", "when": "after", "pid": child.pid})
    child.communicate("go\n", timeout=60)
    sandbox.faults()
    assert child.returncode == -9
    resumed = sandbox.run_inside("manage_transforms.py", *change, "--resume")
    assert (resumed.code, "holds a secret" in str(resumed.json["data"]["left_behind"])) == (11, True), resumed.err
    assert "redacted" not in json.dumps(code_of(sandbox)["code"])
