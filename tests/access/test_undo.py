"""An undo puts back what this change wrote, and leaves alone what somebody else has changed since."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.access.meanwhile import Others
from helpers.access.restore import Restoration, compare
from helpers.access.rules import AccessRule, AccessRules
from support import Exit, Sandbox
from support.access import SEEDS, SOURCE, TEAM42, THREE, access, acting_as, ends, entry, plant, rules
from support.access_machine import BOSS
from support.interference import before_request

LAST = "/data_sources/789/accessors"
LATER = {"access_role_expires_at": "2031-01-01T00:00:00.000Z"}


def refused(sandbox: Sandbox, method: str = "PUT") -> None:
    """The last of the three resources refuses the change, so that the others are undone."""
    sandbox.faults({"action": "status", "status": 400, "method": method, "path": LAST, "times": 9})


def left(done: Any) -> tuple[list[int], str]:
    rows = done.data["left_behind"]
    return [row["id"] for row in rows], " ".join(row["reason"] for row in rows)


def commands_in(reason: str) -> list[list[str]]:
    found = re.findall(r"python \S*manage_access\.py [^;]+", reason)
    assert found, reason
    return [shlex.split(command)[2:] for command in found]


def test_what_somebody_else_changed_since_is_left_and_named(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here somebody has given an end to the rule that the change had granted for good."""
    refused(sandbox)
    before_request(
        monkeypatch, "PUT", LAST, lambda: plant(sandbox, "sources", 123, entry("TEAM", 42, "operator", **LATER))
    )
    done = access(sandbox, "grant", *SEEDS, "--role", "operator")
    done.fails(Exit.LEFT_BEHIND)
    numbers, reason = left(done)
    assert numbers == [123]
    assert "changed TEAM 42 Data Engineering since: it has operator until 2031-01-01" in reason
    assert ends(sandbox, "sources", 123) == {("TEAM", 42, "operator"): "2031-01-01"}
    assert rules(sandbox, "sources", 456) == {}
    sandbox.faults()
    for command in commands_in(reason):
        sandbox.run_inside("manage_access.py", *command, "--yes").ok()  # a person decides
    assert rules(sandbox, "sources", 123) == {}, "the printed command restores what was there before"


def test_a_rule_given_anew_since_it_was_revoked_keeps_its_new_end(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (123, 456, 789):
        plant(sandbox, "sources", number, entry("TEAM", 42, "operator"))
    refused(sandbox, "DELETE")
    before_request(
        monkeypatch, "DELETE", LAST, lambda: plant(sandbox, "sources", 123, entry("TEAM", 42, "operator", **LATER))
    )
    done = access(sandbox, "revoke", *SEEDS, "--yes")
    done.fails(Exit.LEFT_BEHIND)
    numbers, reason = left(done)
    assert numbers == [123]
    assert ends(sandbox, "sources", 123) == {("TEAM", 42, "operator"): "2031-01-01"}
    assert rules(sandbox, "sources", 456) == {TEAM42: ["operator"]}
    sandbox.faults()
    for command in commands_in(reason):
        sandbox.run_inside("manage_access.py", *command, "--yes").ok()  # a person decides
    assert ends(sandbox, "sources", 123) == {("TEAM", 42, "operator"): None}


@pytest.mark.parametrize("by_role", [False, True])
@pytest.mark.parametrize("moment", ["PUT /data_sources/789/.*", "DELETE /data_sources/123/.*"])
def test_another_role_that_somebody_gives_stays_when_ours_is_undone(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, by_role: bool, moment: str
) -> None:
    """Given after our write, or between the last read of the undo and its DELETE."""
    sandbox.control("POST", "settings", {"delete_matches_role": by_role})
    refused(sandbox)
    method, path = moment.split()
    others = before_request(
        monkeypatch, method, path, lambda: plant(sandbox, "sources", 123, entry("TEAM", 42, "admin"))
    )
    access(sandbox, "grant", *SEEDS, "--role", "operator").fails(Exit.ROLLED_BACK)
    assert others
    assert rules(sandbox, "sources", 123) == {TEAM42: ["admin"]}


def test_what_somebody_else_revoked_since_is_not_given_again(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grant changed an end; the role itself has been revoked since."""
    for number in (123, 456, 789):
        plant(sandbox, "sources", number, entry("TEAM", 42, "operator", **LATER))
    refused(sandbox)
    gone = ("DELETE", "/data_sources/123/accessors", {"accessors": [{"type": "TEAM", "id": 42}]})
    before_request(monkeypatch, "PUT", LAST, lambda: sandbox.api(*gone))
    done = access(sandbox, "grant", *SEEDS, "--role", "operator")
    done.fails(Exit.LEFT_BEHIND)
    assert left(done)[0] == [123]
    assert rules(sandbox, "sources", 123) == {}
    assert ends(sandbox, "sources", 456) == {("TEAM", 42, "operator"): "2031-01-01"}
    sandbox.faults()
    (command,) = commands_in(left(done)[1])
    sandbox.run_inside("manage_access.py", *command, "--yes").ok()  # a person decides
    assert ends(sandbox, "sources", 123) == {("TEAM", 42, "operator"): "2031-01-01"}


def test_a_role_that_was_revoked_is_not_given_back_when_somebody_has_revoked_the_rest_since(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (123, 456, 789):
        plant(sandbox, "sources", number, entry("TEAM", 7, "admin"))
    refused(sandbox)
    words = ["--resource-type", "sources", "--resource-ids", "123,456,789", "--accessor-type", "TEAM"]
    gone = ("DELETE", "/data_sources/123/accessors", {"accessors": [{"type": "TEAM", "id": 7}]})
    before_request(monkeypatch, "PUT", LAST, lambda: sandbox.api(*gone))
    done = access(sandbox, "replace", *words, "--accessor-id", "7", "--role", "collaborator", "--yes")
    done.fails(Exit.LEFT_BEHIND)
    assert left(done)[0] == [123]
    assert rules(sandbox, "sources", 123) == {}
    assert rules(sandbox, "sources", 456) == {("TEAM", 7): ["admin"]}


def another_admin(sandbox: Sandbox) -> Sandbox:
    """Another account that may change everything, without any rule."""
    sandbox.control("POST", "users", {"email": BOSS, "org_admin": True})
    return acting_as(sandbox, BOSS)


def team7(sandbox: Sandbox, role: str) -> None:
    for number in (123, 456, 789):
        plant(sandbox, "sources", number, entry("TEAM", 7, role))


TEAM7 = ["--accessor-type", "TEAM", "--accessor-id", "7"]
SOURCE_123 = "/data_sources/123/accessors"


@pytest.mark.parametrize("by_role", [False, True])
def test_what_others_made_of_a_rule_before_all_of_an_accessor_is_taken_is_given_back(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, by_role: bool
) -> None:
    """They replaced admin by operator after the last read; the removal of the team took operator along."""
    sandbox.control("POST", "settings", {"delete_matches_role": by_role})
    other = another_admin(sandbox)
    team7(sandbox, "admin")
    refused(sandbox, "DELETE")

    def theirs() -> None:
        other.api("DELETE", SOURCE_123, {"accessors": [{"type": "TEAM", "id": 7}]})
        plant(other, "sources", 123, entry("TEAM", 7, "operator"))

    others = before_request(monkeypatch, "DELETE", SOURCE_123, theirs)
    done = access(sandbox, "revoke", *THREE, *TEAM7, "--yes")
    done.fails(Exit.LEFT_BEHIND)
    assert others
    assert left(done)[0] == [123]
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["operator"]}
    assert rules(sandbox, "sources", 456) == {("TEAM", 7): ["admin"]}


def test_a_role_is_not_given_back_to_whom_somebody_gave_another_while_it_was_gone(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the DELETE, which takes every role, and the PUT after it: they saw an accessor without any role."""
    sandbox.control("POST", "settings", {"delete_matches_role": False})
    other = another_admin(sandbox)
    plant(sandbox, "sources", 123, entry("TEAM", 7, "admin"))
    others = before_request(
        monkeypatch, "PUT", SOURCE_123, lambda: plant(other, "sources", 123, entry("TEAM", 7, "operator")),
        after=f"DELETE {SOURCE_123}",
    )  # fmt: skip
    done = access(sandbox, "replace", *SOURCE, *TEAM7, "--role", "collaborator", "--yes")
    done.fails(Exit.LEFT_BEHIND)
    assert others
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["operator"]}
    sandbox.faults()
    (command,) = commands_in(left(done)[1])
    sandbox.run_inside("manage_access.py", *command, "--yes").ok()  # a person decides
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["admin", "operator"]}


def test_a_role_that_somebody_chose_to_keep_stays(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last read of the undo and its DELETE they revoke the other role, so that ours is the only one."""
    sandbox.control("POST", "settings", {"delete_matches_role": True})
    other = another_admin(sandbox)
    team7(sandbox, "operator")
    refused(sandbox)
    gone = ("DELETE", SOURCE_123, {"accessors": [entry("TEAM", 7, "operator")]})
    others = before_request(monkeypatch, "DELETE", SOURCE_123, lambda: other.api(*gone))
    done = access(sandbox, "grant", *THREE, *TEAM7, "--role", "admin", "--yes")
    done.fails(Exit.LEFT_BEHIND)
    assert others
    assert left(done)[0] == [123]
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["admin"]}
    assert rules(sandbox, "sources", 456) == {("TEAM", 7): ["operator"]}


def test_what_is_given_while_a_role_is_being_given_back_stands_alone(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last read of the undo and its PUT: they saw the accessor without the role."""
    other = another_admin(sandbox)
    team7(sandbox, "owner")
    refused(sandbox, "DELETE")
    others = before_request(
        monkeypatch, "PUT", SOURCE_123, lambda: plant(other, "sources", 123, entry("TEAM", 7, "collaborator"))
    )
    done = access(sandbox, "revoke", *THREE, *TEAM7, "--yes")
    done.fails(Exit.LEFT_BEHIND)
    assert others
    assert left(done)[0] == [123]
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator"]}
    assert rules(sandbox, "sources", 456) == {("TEAM", 7): ["owner"]}


KEYS = [("TEAM", 42, "operator"), ("TEAM", 42, "admin"), ("USER", 7, "operator")]


def rule_sets() -> st.SearchStrategy[AccessRules]:
    end = st.sampled_from([None, "2031-01-01T00:00:00.000Z", "2032-01-01T00:00:00.000Z"])
    return st.dictionaries(st.sampled_from(KEYS), end).map(
        lambda found: {key: AccessRule(*key, "", expires_at) for key, expires_at in found.items()}
    )


@given(rule_sets(), rule_sets(), rule_sets())
def test_only_what_is_as_the_change_left_it_is_restored(
    before: AccessRules, written: AccessRules, now: AccessRules
) -> None:
    found = compare(before, written, now, KEYS, done=True)
    after = found.applied_to(now)
    named = {conflict.key for conflict in found.conflicts}
    for accessor in {key[:2] for key in KEYS}:
        keys = [key for key in KEYS if key[:2] == accessor]
        as_left = all(now.get(key) == written.get(key) for key in keys)
        for key in keys:
            assert after.get(key) == (before.get(key) if as_left else now.get(key)), key
            is_named = not as_left and now.get(key) != before.get(key) != written.get(key)
            assert (key in named) == is_named, key


@given(rule_sets(), rule_sets())
def test_whatever_a_change_left_half_done_is_restored(before: AccessRules, written: AccessRules) -> None:
    """Between a DELETE and the PUT after it, an accessor that loses one role may have none."""
    changed = {key[:2] for key in KEYS if key in before and before[key] != written.get(key)}
    half_way = {key: rule for key, rule in written.items() if key[:2] not in changed}
    found = compare(before, written, half_way, KEYS, done=False)
    assert found.applied_to(half_way) == before
    assert not found.conflicts


def test_what_a_delete_took_along_is_given_back_beside_what_somebody_gave_meanwhile() -> None:
    """One role of two was to be revoked; nobody meant the other one, though they could not see it when they gave."""
    had, taken, theirs = (AccessRule("TEAM", 7, role) for role in ("collaborator", "operator", "admin"))
    others = Others({theirs.key: theirs}, {theirs.accessor: {theirs.key}})
    before, written, now = {had.key: had, taken.key: taken}, {had.key: had}, {theirs.key: theirs}
    found = compare(before, written, now, [had.key, taken.key], done=False, others=others)
    assert found.applied_to(now) == {had.key: had, theirs.key: theirs}
    assert [conflict.key for conflict in found.conflicts] == [taken.key]


def test_an_unfinished_grant_gives_back_nothing_that_it_cannot_have_taken() -> None:
    """Somebody else has revoked the role beside which another was to be given."""
    had, wanted = (AccessRule("TEAM", 7, role) for role in ("collaborator", "operator"))
    found = compare({had.key: had}, {had.key: had, wanted.key: wanted}, {}, [had.key, wanted.key], done=False)
    assert found == Restoration({}, [])


def test_a_role_that_was_undone_before_somebody_revoked_the_rest_is_not_given_again() -> None:
    had, wanted = (AccessRule("TEAM", 7, role) for role in ("collaborator", "operator"))
    others = Others({had.key: None}, {had.accessor: set()})
    before, written = {had.key: had}, {had.key: had, wanted.key: wanted}
    found = compare(before, written, {}, [had.key, wanted.key], done=False, others=others)
    assert found == Restoration({}, [])
