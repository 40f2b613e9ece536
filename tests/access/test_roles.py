"""The table of roles in ACCESS_CONTROL.md is what the commands do, for each role; the patterns run for three users."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import support
from support import ROOT, Exit, Sandbox
from support.access import BOB, entry, plant, rules, user

TEXT = (ROOT / "ACCESS_CONTROL.md").read_text(encoding="utf-8")
SHOP = {"SHOP_KEY_ID": "AKDEMO0001", "SHOP_SECRET": "demo-secret"}  # of the config that the table deploys


def table() -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The roles of the table's head, and each command with its cells."""
    lines = [line for line in TEXT.splitlines() if re.match(r"\| (Command|`\w+\.py)", line)]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [cell.strip(" |") for cell in rows[0][1:]], [
        (row[0].strip("`"), [c.strip(" |") for c in row[1:]]) for row in rows[1:]
    ]


ROLES, ROWS = table()


def act_as_bob(sandbox: Sandbox, role: str) -> None:
    """Be a user who has this role on everything in the demo's first pipeline, and on its source's credential."""
    if role != "nobody":
        for kind in ("sources", "nexsets", "destinations", "credentials"):
            plant(sandbox, kind, 123, entry("USER", user(sandbox, BOB), role))
    sandbox.act_as(BOB)


def resources(sandbox: Sandbox) -> dict[str, Any]:
    """All that there is, without the history of runs, which nothing takes back."""
    history = ("batches", "metrics", "logs", "nodes")
    return {kind: rows for kind, rows in sandbox.snapshot().items() if kind not in history}


def test_the_table_was_found() -> None:
    assert ROLES == ["nobody", "collaborator", "operator", "admin", "owner"]
    assert len(ROWS) >= 17
    assert {cell for _, cells in ROWS for cell in cells} == {"yes", "no"}


@pytest.mark.parametrize("command", [command for command, _ in ROWS])
def test_each_role_may_do_what_the_table_says_and_nothing_more(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name, value in SHOP.items():
        monkeypatch.setitem(support.CLEAN, name, value)
    script, *args = shlex.split(command)
    for role, cell in zip(ROLES, dict(ROWS)[command], strict=True):
        sandbox.reset("demo")
        sandbox.state = tmp_path / role
        act_as_bob(sandbox, role)
        before = resources(sandbox)
        done = sandbox.run_inside(script, *args)
        if cell == "yes":
            done.ok(role)
        else:
            done.ends(Exit.AUTH, Exit.ROLLED_BACK, about=role)
            assert done.error["http_status"] == 403 or "needs admin" in done.error["message"]
            assert resources(sandbox) == before, f"{role} changed something"


def patterns() -> list[list[str]]:
    """The command lines of the chapter Patterns."""
    chapter = TEXT[TEXT.index("## Patterns") : TEXT.index("## What asks for --yes")]
    return [shlex.split(line)[1:] for line in chapter.splitlines() if line.startswith("python scripts/")]


@pytest.mark.parametrize("who", ["the owner", "an admin of the org", "an admin of the resources"])
def test_the_patterns_work_for_three_different_users(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    if who == "an admin of the org":
        sandbox.key = sandbox.control("POST", "users", {"email": "boss@example.com", "org_admin": True})["service_key"]
    elif who == "an admin of the resources":
        bob = sandbox.control("POST", "users", {"email": "deputy@example.com"})
        for kind, numbers in (
            ("sources", [123]),
            ("nexsets", [123, 456]),
            ("destinations", [123]),
            ("credentials", [456]),
        ):
            for number in numbers:
                plant(sandbox, kind, number, entry("USER", bob["id"], "admin"))
        sandbox.key = bob["service_key"]
    lines = patterns()
    assert len(lines) >= 15
    sandbox.state = tmp_path / "state"
    monkeypatch.chdir(tmp_path)
    for name in ("examples", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    for script, *args in lines:
        if "--prune" in args and who == "an admin of the resources":
            continue  # it would take the caller's own role away, which is not declared
        done = sandbox.run_inside(Path(script).name, *args)
        differs = "--expected" in args and who == "an admin of the resources"  # whom the file does not declare
        done.ends(Exit.FINDINGS if differs else Exit.OK, about=(who, args))
    assert rules(sandbox, "nexsets", 123)["TEAM", 42] == ["operator"]
