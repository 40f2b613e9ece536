"""Access while somebody else changes it too, and when an unfinished run is resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import Exit, Sandbox
from support.access import (
    CHLOE,
    NEXSET,
    SEEDS,
    SOURCE,
    TEAM42,
    THREE,
    access,
    declared_for_three,
    entry,
    plant,
    rules,
    user,
)
from support.interference import Killed, before_request, before_the_journal, killed_at


def killed(sandbox: Sandbox, *args: str, nth: int = 1, after: bool = False) -> None:
    with pytest.raises(Killed), killed_at(nth, after=after):
        access(sandbox, *args)


def while_it_applies(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Any]) -> None:
    """Let somebody else do something when the plan is made and the first resource is about to be written."""
    before_request(monkeypatch, "PUT|DELETE", ".*/accessors", do)


def test_a_changed_file_is_not_resumed_with_its_former_content(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "access.json"
    killed(sandbox, "sync", "--file", declared_for_three(file, "admin"), "--yes")
    words = ["sync", "--file", declared_for_three(file, "collaborator")]
    access(sandbox, *words, "--resume").fails(Exit.USAGE, "has changed since")
    assert rules(sandbox, "sources", 123) == {}
    declared_for_three(file, "admin")
    access(sandbox, *words, "--resume").fails(Exit.USAGE, "grants TEAM 7")
    access(sandbox, *words, "--resume", "--yes").ok()
    assert rules(sandbox, "sources", 789) == {("TEAM", 7): ["admin"]}


def test_an_exact_change_does_not_call_itself_done_beside_a_newcomer(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"))
    words = ["replace", *SOURCE, "--accessor-type", "TEAM", "--accessor-id", "42", "--role", "operator", "--yes"]
    killed(sandbox, *words, nth=2)
    chloe = user(sandbox, CHLOE)
    plant(sandbox, "sources", 123, entry("USER", chloe, "admin"))
    access(sandbox, *words, "--resume").fails(Exit.ROLLED_BACK, CHLOE)
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["operator"], ("USER", chloe): ["admin"]}


def test_the_last_admin_who_comes_after_the_plan_is_not_pruned_unconfirmed(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (123, 456, 789):
        plant(sandbox, "sources", number, entry("TEAM", 7, "operator"), entry("TEAM", 42, "operator"))
    chloe = user(sandbox, CHLOE)
    while_it_applies(monkeypatch, lambda: plant(sandbox, "sources", 789, entry("USER", chloe, "admin")))
    done = access(sandbox, "sync", "--file", declared_for_three(tmp_path / "a.json", "operator", team=42), "--prune")
    done.fails(Exit.ROLLED_BACK, "the last owner or admin role")
    assert rules(sandbox, "sources", 789)["USER", chloe] == ["admin"]
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["operator"], TEAM42: ["operator"]}


@pytest.mark.parametrize("by_role", [False, True])
def test_a_role_that_comes_after_the_plan_stays_when_another_is_taken(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, by_role: bool
) -> None:
    sandbox.control("POST", "settings", {"delete_matches_role": by_role})
    for number in (123, 456, 789):
        plant(sandbox, "sources", number, entry("TEAM", 7, "collaborator"), entry("TEAM", 7, "operator"))
    monkeypatch.setattr("helpers.access.plan.REREAD_LIMIT", 2)  # as for many resources
    while_it_applies(monkeypatch, lambda: plant(sandbox, "sources", 789, entry("TEAM", 7, "admin")))
    words = ["--accessor-type", "TEAM", "--accessor-id", "7", "--role", "operator", "--yes"]
    access(sandbox, "revoke", *THREE, *words).ok()
    assert rules(sandbox, "sources", 789) == {("TEAM", 7): ["admin", "collaborator"]}
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator"]}


def test_a_grant_does_not_shorten_what_was_given_after_the_plan(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.access.plan.REREAD_LIMIT", 2)
    while_it_applies(monkeypatch, lambda: plant(sandbox, "sources", 789, entry("TEAM", 42, "operator")))
    access(sandbox, "grant", *SEEDS, "--role", "operator", "--expires-at", "2031-01-01").ok()
    ends = [sandbox.api("GET", f"/data_sources/{n}/accessors")[1][0].get("access_role_expires_at") for n in (123, 789)]
    assert (str(ends[0])[:10], ends[1]) == ("2031-01-01", None)


def test_an_undo_of_an_exact_change_leaves_a_newcomer_alone(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.faults(
        {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9}
    )
    newcomer = entry("USER", chloe := user(sandbox, CHLOE), "collaborator")
    before_request(monkeypatch, "PUT", "/data_sources/789/.*", lambda: plant(sandbox, "sources", 123, newcomer))
    access(sandbox, "replace", *SEEDS, "--role", "operator", "--yes").fails(Exit.ROLLED_BACK)
    assert rules(sandbox, "sources", 123) == {("USER", chloe): ["collaborator"]}


def test_what_another_run_took_away_is_neither_counted_nor_given_back(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules are read once no other run holds the journal, not before."""
    for number in (123, 456):
        plant(sandbox, "sources", number, entry("TEAM", 42, "operator"))
    last = ("DELETE", "/data_sources/123/accessors", {"accessors": [{"type": "TEAM", "id": 42}]})  # of the other run
    before_the_journal(monkeypatch, lambda: sandbox.api(*last))
    sandbox.faults({"action": "status", "status": 400, "method": "DELETE", "path": "/data_sources/456/acc.*"})
    access(sandbox, "revoke", *SEEDS, "--yes").fails(Exit.ROLLED_BACK)
    assert [rules(sandbox, "sources", number) for number in (123, 456)] == [{}, {TEAM42: ["operator"]}]


def test_somebody_elses_change_meanwhile_is_not_undone(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was touched is put back."""
    last = "/data_sources/789/accessors"
    sandbox.faults({"action": "status", "status": 400, "method": "PUT", "path": last, "times": 9})
    others = before_request(monkeypatch, "PUT", last, lambda: plant(sandbox, "sources", 123, entry("TEAM", 7, "admin")))
    access(sandbox, "grant", *SEEDS, "--role", "operator").fails(Exit.ROLLED_BACK)
    assert others
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["admin"]}


def test_what_somebody_adds_while_all_is_replaced_is_noticed(sandbox: Sandbox) -> None:
    row = {"type": "TEAM", "id": 7, "name": "Analysts", "access_roles": ["operator"]}
    row |= {"created_at": None, "updated_at": None}
    extra = {**row, "id": 42, "access_roles": ["admin"]}
    sandbox.faults({"action": "status", "status": 200, "body": [row, extra], "method": "PUT", "path": ".*accessors"})
    words = ["--accessor-type", "TEAM", "--accessor-id", "7", "--role", "operator", "--yes"]
    access(sandbox, "replace", *NEXSET, *words).fails(Exit.ROLLED_BACK, "TEAM 42")
