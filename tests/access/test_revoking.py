"""Revoking: whom and which role it takes, and that nobody locks themselves or everybody out."""

from __future__ import annotations

from typing import Any

import pytest

from support import Exit, Sandbox, answers
from support.access import BOB, CHLOE, NEXSET, SOURCE, TEAM42, access, ends, entry, plant, rules, user


def test_revoke_matches_type_and_identity_exactly(sandbox: Sandbox) -> None:
    bob = user(sandbox, BOB)
    sandbox.control("POST", "edit", {"kind": "users", "id": bob, "set": {}})
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"), entry("USER", bob, "operator"),
          entry("ORG", 1, "collaborator"))  # fmt: skip
    one = ["--resource-type", "sources", "--resource-id", "123"]
    assert access(sandbox, "revoke", *one, "--accessor-type", "USER", "--accessor-id", "7").data["changed"] == 0
    done = access(sandbox, "revoke", *one, "--accessor-type", "TEAM", "--accessor-name", "analysts")
    assert done.data["changed"] == 1, done.err
    assert rules(sandbox, "sources", 123) == {("USER", bob): ["operator"], ("ORG", 1): ["collaborator"]}
    nobody = access(sandbox, "revoke", *one, "--accessor-type", "USER", "--accessor-email", "bob.smiht@example.com")
    nobody.fails(Exit.NOT_FOUND, "no user has the email")
    chloe = access(sandbox, "revoke", *one, "--accessor-type", "USER", "--accessor-email", CHLOE).ok()
    assert "has no rule on any" in chloe.json["warnings"][0]
    access(sandbox, "revoke", *one, "--accessor-type", "USER", "--accessor-email", BOB.upper()).ok()
    org = [*one, "--accessor-type", "ORG", "--accessor-domain", "example.com"]
    access(sandbox, "revoke", *org).fails(Exit.USAGE)  # the caller is in it
    access(sandbox, "revoke", *org, "--yes").ok()
    assert rules(sandbox, "sources", 123) == {}


@pytest.mark.parametrize("by_role", [False, True])
def test_one_role_can_be_taken_whatever_the_server_thinks_of_roles_in_a_delete(sandbox: Sandbox, by_role: bool) -> None:
    sandbox.control("POST", "settings", {"delete_matches_role": by_role})
    plant(sandbox, "sources", 123, entry("TEAM", 42, "collaborator", "operator"))
    words = ["--resource-type", "sources", "--resource-id", "123", "--accessor-type", "TEAM", "--accessor-id", "42"]
    access(sandbox, "revoke", *words, "--role", "operator", "--yes").ok()
    assert rules(sandbox, "sources", 123) == {TEAM42: ["collaborator"]}
    assert access(sandbox, "revoke", *words, "--role", "admin", "--yes").data["changed"] == 0


@pytest.mark.parametrize("row", [{"email": None}, {}])
def test_a_revoke_by_email_finds_rules_without_an_email(sandbox: Sandbox, row: dict[str, Any]) -> None:
    bob = user(sandbox, BOB)
    for number in (123, 456):
        plant(sandbox, "sources", number, entry("USER", bob, "operator"))
    bare = {"type": "USER", "id": bob, "access_roles": ["operator"], "access_role_expires_at": None, **row}
    sandbox.faults(answers([bare], "/data_sources/456/accessors") | {"times": 2})  # for the plan, and before the write
    both = ["--resource-type", "sources", "--resource-ids", "123,456"]
    words = [*both, "--accessor-type", "USER", "--accessor-email", BOB]
    done = access(sandbox, "revoke", *words).ok()
    assert done.data["changed"] == 2
    assert [rules(sandbox, "sources", number) for number in (123, 456)] == [{}, {}]


def test_a_revoke_names_other_ways_and_other_roles(sandbox: Sandbox) -> None:
    bob = user(sandbox, BOB)
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"), entry("USER", bob, "operator"))
    words = [*SOURCE, "--accessor-type", "USER", "--accessor-email", BOB]
    wrong = access(sandbox, "revoke", *words, "--role", "admin").ok()
    assert "has no role admin to revoke" in wrong.json["warnings"][0]
    done = access(sandbox, "revoke", *words).ok()
    assert "may keep access through TEAM 42 Data Engineering" in done.json["warnings"][0]


@pytest.mark.parametrize("by_role", [False, True])
@pytest.mark.parametrize(
    ("rules_", "args", "fine"),
    [
        # the caller's own rule is never taken before what is given, nor taken to be given again
        ([("USER", "admin", "2027-06-30")],
         ["grant", "USER", "--role", "admin", "--expires-at", "2028-06-30", "--yes"], True),
        ([("USER", "admin", None), ("USER", "collaborator", None)],
         ["revoke", "USER", "--role", "collaborator"], False),
        ([("TEAM", "admin", "2027-06-30")], ["grant", "TEAM", "--role", "admin", "--yes"], True),
        ([("USER", "admin", None)], ["replace", "TEAM", "--role", "admin", "--yes"], True),
        # beside a strong role through a team, one's own weak roles can be taken singly
        ([("TEAM", "admin", None), ("USER", "collaborator", None), ("USER", "operator", None)],
         ["revoke", "USER", "--role", "operator", "--yes"], True),
    ],
)  # fmt: skip
def test_nobody_locks_themselves_out_half_way(
    sandbox: Sandbox, rules_: list[Any], args: list[str], fine: bool, by_role: bool
) -> None:
    bob = user(sandbox, BOB)
    for kind, role, end in rules_:
        more = {"access_role_expires_at": f"{end}T00:00:00.000Z"} if end else {}
        plant(sandbox, "nexsets", 123, entry(kind, bob if kind == "USER" else 7, role, **more))
    sandbox.control("POST", "settings", {"delete_matches_role": by_role})
    before = ends(sandbox, "nexsets", 123)
    sandbox.act_as(BOB)
    operation, kind, *more_args = args
    accessor = ["--accessor-type", kind, "--accessor-id", str(bob if kind == "USER" else 7)]
    access(sandbox, operation, *NEXSET, *accessor, *more_args).ends(Exit.OK if fine else Exit.ROLLED_BACK)
    now = ends(sandbox, "nexsets", 123)
    assert [key for key in now if key[2] == "admin"], "somebody is admin still"
    assert now == before or fine


def test_nobody_loses_their_own_role_only_to_get_it_with_another_end(sandbox: Sandbox) -> None:
    """Where PUT leaves an end as it was, a new one takes a DELETE first, after which the caller could not go on."""
    bob = user(sandbox, BOB)
    plant(sandbox, "nexsets", 123, entry("USER", bob, "admin", access_role_expires_at="2031-06-30T00:00:00.000Z"))
    sandbox.control("POST", "settings", {"put_changes_end": False})
    before = ends(sandbox, "nexsets", 123)
    sandbox.act_as(BOB)
    words = ["--accessor-type", "USER", "--accessor-id", str(bob), "--role", "admin", "--expires-at", "2032-06-30"]
    access(sandbox, "grant", *NEXSET, *words, "--yes").fails(Exit.ROLLED_BACK, "could lock you out halfway")
    assert ends(sandbox, "nexsets", 123) == before


def test_ones_own_access_goes_last(sandbox: Sandbox) -> None:
    """An admin of the resource who replaces everybody, themselves included, gets through."""
    bob, chloe = user(sandbox, BOB), user(sandbox, CHLOE)
    other = sandbox.control("POST", "users", {"email": "other@example.com"})["id"]
    plant(sandbox, "sources", 123, *(entry("USER", bob, "admin"), entry("USER", other, "operator")))
    sandbox.act_as(BOB)
    words = ["--accessor-type", "USER", "--accessor-email", CHLOE, "--role", "admin", "--yes"]
    access(sandbox, "replace", *SOURCE, *words).ok()
    assert {(rule["type"], rule["id"]) for rule in rule_rows(sandbox)} == {("USER", chloe)}


def rule_rows(sandbox: Sandbox) -> list[dict[str, Any]]:
    """As they are stored, whoever may read them."""
    (row,) = [row for row in sandbox.snapshot()["sources"] if row["id"] == 123]
    return list(row["rules"])
