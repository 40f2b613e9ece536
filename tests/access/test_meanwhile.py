"""What others give while a change runs: it is neither taken along nor taken back, whatever the moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helpers.access.meanwhile import MeanwhileLog
from helpers.access.rules import read_rules
from helpers.access.targets import AccessTarget
from helpers.core.kinds import KINDS
from support import Done, Exit, Sandbox
from support.access import BOB, CHLOE, SOURCE, access, acting_as, ends, entry, plant, rules, user
from support.interference import before_request
from support.requesting import session_on

OPERATOR = ["--role", "operator", "--yes"]
LATER = "2031-01-01"


@pytest.fixture(params=[False, True], ids=["any role", "by role"])
def by_role(sandbox: Sandbox, request: pytest.FixtureRequest) -> bool:
    """Both kinds of server: a DELETE that takes every role, and one that takes the roles that it names."""
    sandbox.control("POST", "settings", {"delete_matches_role": request.param})
    return bool(request.param)


def team7(sandbox: Sandbox, *roles: str) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 7, *roles))


def admin_for_team_7(sandbox: Sandbox) -> Callable[[], object]:
    return lambda: plant(sandbox, "sources", 123, entry("TEAM", 7, "admin"))


def revoke_operator(sandbox: Sandbox) -> Done:
    return access(sandbox, "revoke", *SOURCE, "--accessor-type", "TEAM", "--accessor-id", "7", *OPERATOR)


def test_on_many_resources_a_role_given_after_the_listing_stays(
    sandbox: Sandbox, by_role: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.control("POST", "bulk", {"count": 101})
    numbers = [row["id"] for row in sandbox.snapshot()["sources"] if str(row["name"]).startswith("bulk-")]
    chloe, last = user(sandbox, CHLOE), numbers[-1]
    for number in numbers:
        plant(sandbox, "sources", number, entry("USER", chloe, "operator"))
    others = before_request(
        monkeypatch, "DELETE", ".*accessors", lambda: plant(sandbox, "sources", last, entry("USER", chloe, "admin"))
    )
    ids = ["--resource-type", "sources", "--resource-ids", ",".join(map(str, numbers))]
    done = access(sandbox, "revoke", *ids, "--accessor-type", "USER", "--accessor-email", CHLOE, "--role", "operator")
    assert others
    assert done.ok().data["changed"] == 101
    assert rules(sandbox, "sources", last) == {("USER", chloe): ["admin"]}
    assert all(rules(sandbox, "sources", number) == {} for number in numbers[:-1])


@pytest.mark.parametrize("had", [["operator"], ["collaborator", "operator"]])
@pytest.mark.parametrize("by_another_account", [False, True])
def test_a_role_given_between_the_last_read_and_the_delete_is_restored(
    sandbox: Sandbox, by_role: bool, monkeypatch: pytest.MonkeyPatch, had: list[str], by_another_account: bool
) -> None:
    team7(sandbox, *had)
    other = sandbox
    if by_another_account:
        plant(sandbox, "sources", 123, entry("USER", user(sandbox, BOB), "admin"))
        other = acting_as(sandbox, BOB)
    others = before_request(monkeypatch, "DELETE", ".*accessors", admin_for_team_7(other))
    done = revoke_operator(sandbox).ok()
    assert others
    assert rules(sandbox, "sources", 123)["TEAM", 7] == sorted({*had, "admin"} - {"operator"})
    restored = [warning for warning in done.json["warnings"] if "somebody else gave TEAM 7" in warning]
    assert len(restored) == (not by_role), done.json["warnings"]


def test_a_role_given_in_that_moment_is_restored_with_its_end(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    team7(sandbox, "operator")
    given = entry("TEAM", 7, "admin", access_role_expires_at=f"{LATER}T00:00:00.000Z")
    before_request(monkeypatch, "DELETE", ".*accessors", lambda: plant(sandbox, "sources", 123, given))
    revoke_operator(sandbox).ok()
    assert ends(sandbox, "sources", 123) == {("TEAM", 7, "admin"): LATER}


def test_a_role_that_another_account_revokes_in_that_moment_is_not_given_back(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    team7(sandbox, "collaborator", "operator")
    plant(sandbox, "sources", 123, entry("USER", user(sandbox, BOB), "admin"))
    other, theirs = acting_as(sandbox, BOB), {"accessors": [{"type": "TEAM", "id": 7}]}
    before_request(
        monkeypatch, "DELETE", ".*accessors", lambda: other.api("DELETE", "/data_sources/123/accessors", theirs)
    )
    revoke_operator(sandbox).ok()
    assert ("TEAM", 7) not in rules(sandbox, "sources", 123)


def test_nobody_else_gets_back_what_the_same_account_revokes_from_them_in_that_moment(
    sandbox: Sandbox, by_role: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log cannot tell such a revocation from our own, which is made good."""
    team7(sandbox, "collaborator", "operator")
    plant(sandbox, "sources", 123, chloe := entry("USER", user(sandbox, CHLOE), "operator"))
    gone = ("DELETE", "/data_sources/123/accessors", {"accessors": [chloe]})
    before_request(monkeypatch, "DELETE", ".*accessors", lambda: sandbox.api(*gone))
    revoke_operator(sandbox).ok()
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator"]}


def test_a_role_that_was_given_and_taken_before_is_not_given_again(sandbox: Sandbox) -> None:
    """Whatever the log of the last seconds says: only what comes after the last read counts."""
    team7(sandbox, "operator", "admin")
    words = [*SOURCE, "--accessor-type", "TEAM", "--accessor-id", "7", "--yes"]
    access(sandbox, "revoke", *words, "--role", "admin").ok()
    access(sandbox, "revoke", *words, "--role", "operator").ok()
    assert rules(sandbox, "sources", 123) == {}


def test_a_grant_does_not_shorten_what_is_given_between_the_last_read_and_the_write(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_request(monkeypatch, "PUT", ".*accessors", lambda: team7(sandbox, "operator"))
    words = ["--accessor-type", "TEAM", "--accessor-id", "7", "--role", "operator", "--expires-at", LATER]
    access(sandbox, "grant", *SOURCE, *words).ok()
    assert ends(sandbox, "sources", 123) == {("TEAM", 7, "operator"): None}


def test_a_revoke_of_everything_takes_what_is_given_in_that_moment_too(
    sandbox: Sandbox, by_role: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    team7(sandbox, "operator")
    before_request(monkeypatch, "DELETE", ".*accessors", admin_for_team_7(sandbox))
    access(sandbox, "revoke", *SOURCE, "--accessor-type", "TEAM", "--accessor-name", "Analysts").ok()
    assert rules(sandbox, "sources", 123) == {}


MALFORMED = {"id": 2, "item_type": "DataSourceAccessControl", "association_resource": {"type": "Team", "id": 7},
       "object_changes": {"access_roles": [None, ["admin"]], "access_role_expires_at": [None, "soon"]}}  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [{"action": "status", "status": 403}, {"action": "status", "status": 200, "body": {}},
     {"action": "status", "status": 200, "body": [MALFORMED]},
     {"action": "status", "status": 200, "body": [{**MALFORMED, "object_changes": {
         "access_roles": [None, ["admin"]], "access_role_expires_at": [None, {}]}}]}],
)  # fmt: skip
def test_a_log_that_cannot_be_read_is_said_and_stops_nothing(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    team7(sandbox, "collaborator", "operator")
    sandbox.faults({**fault, "path": ".*/audit_log", "nth": 2})
    done = revoke_operator(sandbox).ok()
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator"]}
    assert "may have been taken along unnoticed" in str(done.json["warnings"]), done.json["warnings"]


TOOK = {"id": 9002, "item_type": "DataSourceAccessControl", "association_resource": {"type": "Team", "id": 7},
        "object_changes": {"access_roles": [["collaborator"], None]}}  # fmt: skip
GAVE = {**TOOK, "user": {"id": 9009}, "object_changes": {"access_roles": [None, ["admin"]]}}


@pytest.mark.parametrize("user", [{}, {"user": None}, {"user": {}}, {"user": {"id": None}}], ids=str)
def test_an_entry_of_nobody_may_be_our_own(sandbox: Sandbox, user: dict[str, Any]) -> None:
    """Or else the role that our DELETE took along would be taken for revoked by somebody else."""
    team7(sandbox, "collaborator", "operator")
    sandbox.faults({"action": "status", "status": 200, "body": [{**TOOK, **user}], "path": ".*/audit_log", "nth": 2})
    revoke_operator(sandbox).ok()
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator"]}


@pytest.mark.parametrize(
    "other",
    [{"item_type": "TeamMembership"}, {"item_type": None}, {"association_resource": None},
     {"association_resource": {"type": "Flow", "id": 7}}, {"association_resource": {"type": "Team", "id": [7]}},
     {"association_resource": {"type": ["Team"], "id": 7}}, {"object_changes": None},
     {"object_changes": {"access_roles": ["admin"]}}, {"object_changes": {"access_roles": [None, [["admin"]]]}}],
)  # fmt: skip
def test_an_entry_that_is_not_about_access_gives_none(sandbox: Sandbox, other: dict[str, Any]) -> None:
    team7(sandbox, "collaborator", "operator")
    sandbox.faults({"action": "status", "status": 200, "body": [{**GAVE, **other}], "path": ".*/audit_log", "nth": 2})
    revoke_operator(sandbox).ok()
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator"]}


def test_a_log_without_a_mark_gives_nothing_of_before(sandbox: Sandbox) -> None:
    """Somebody else gave the role, and this account has revoked it, long before: only the newest entry is unread."""
    plant(sandbox, "sources", 123, entry("USER", user(sandbox, BOB), "admin"))
    team7(acting_as(sandbox, BOB), "collaborator", "operator", "admin")
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"))
    words = [*SOURCE, "--accessor-type", "TEAM", "--accessor-id", "7", "--yes"]
    access(sandbox, "revoke", *words, "--role", "admin").ok()
    sandbox.faults({"action": "status", "status": 403, "path": ".*/audit_log"})
    revoke_operator(sandbox).ok()
    assert rules(sandbox, "sources", 123)["TEAM", 7] == ["collaborator"]


def test_what_others_left_is_what_was_there_after_their_last_change(sandbox: Sandbox) -> None:
    """They gave two roles; between the two, a removal of everything by this account took the first and what was there.

    Who gave the second one has seen a team without any role.
    """
    team7(sandbox, "admin")
    plant(sandbox, "sources", 123, entry("USER", user(sandbox, BOB), "admin"))
    session, other = session_on(sandbox), acting_as(sandbox, BOB)
    log = MeanwhileLog(session, AccessTarget(KINDS["sources"], 123))
    log.set_mark()
    start = read_rules(session, KINDS["sources"], 123)
    team7(other, "operator")
    sandbox.api("DELETE", "/data_sources/123/accessors", {"accessors": [{"type": "TEAM", "id": 7}]})
    team7(other, "collaborator")
    found = log.others(start, [])
    assert found.seen == {("TEAM", 7): {("TEAM", 7, "collaborator")}}
    assert set(found.changes) == {("TEAM", 7, "operator"), ("TEAM", 7, "collaborator")}


def test_flows_have_no_log_and_are_not_asked_for_one(sandbox: Sandbox) -> None:
    plant(sandbox, "flows", 1230, entry("TEAM", 7, "collaborator", "operator"))
    sandbox.clear_journal()
    words = ["--resource-type", "flows", "--resource-id", "1230", "--accessor-type", "TEAM", "--accessor-id", "7"]
    access(sandbox, "revoke", *words, *OPERATOR).ok()
    assert rules(sandbox, "flows", 1230) == {("TEAM", 7): ["collaborator"]}
    assert not [entry for entry in sandbox.journal() if "audit_log" in entry["path"]]


def test_a_session_that_ends_while_the_log_is_read_ends_the_change(sandbox: Sandbox) -> None:
    team7(sandbox, "collaborator", "operator")
    sandbox.faults({"action": "status", "status": 401, "path": ".*/audit_log", "times": 99})
    revoke_operator(sandbox).fails(Exit.AUTH)
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator", "operator"]}
