"""audit_access.py: who has access, by what, and who changed it."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.access.roles import SHARED, UNLISTED
from support import Done, Exit, Sandbox, answers
from support.access import ANA, BOB, CHLOE, access, audit, entry, plant, seen, user


def test_owner_rules_and_ended_rules_of_each_resource(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"),
          entry("USER", user(sandbox, BOB), "admin", access_role_expires_at="2020-01-01T00:00:00Z"))  # fmt: skip
    done = audit(sandbox, "--pipeline-of", "sources:123").ok()
    assert seen(done) == {
        ("sources", 123, ANA, "owner"), ("sources", 123, "Data Engineering", "operator"), ("sources", 123, BOB, None),
        ("nexsets", 123, ANA, "owner"), ("destinations", 123, ANA, "owner"), ("flows", 1230, ANA, "owner"),
        ("flows", 1230, "Data Engineering", "operator"), ("flows", 1230, BOB, None),  # by the source's rules
    }  # fmt: skip
    by_source = {row["via"] for row in done.data["access"] if row["type"] == "flows" and row["role"] == "operator"}
    assert by_source == {"rule on source 123: operator"}


def test_teams_expand_to_persons_with_the_strongest_role(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 42, "collaborator"), entry("TEAM", 7, "operator"))
    plant(sandbox, "sources", 123, entry("USER", user(sandbox, BOB), "collaborator"))
    done = audit(sandbox, "--resource-type", "sources", "--resource-id", "123", "--expand-teams")
    assert seen(done) == {
        ("sources", 123, ANA, "owner"),
        ("sources", 123, BOB, "operator"),
        ("sources", 123, CHLOE, "operator"),
    }
    (bob,) = [row for row in done.data["access"] if row["accessor"] == BOB]
    assert set(bob["via"].split("; ")) == {
        "team Data Engineering: collaborator",
        "team Analysts: operator",
        "rule: collaborator",
    }


def test_what_has_ended_gives_no_person_anything(sandbox: Sandbox) -> None:
    ended = {"access_role_expires_at": "2020-01-01T00:00:00Z"}
    plant(
        sandbox, "sources", 123, entry("TEAM", 7, "admin", **ended), entry("USER", user(sandbox, BOB), "admin", **ended)
    )
    done = audit(sandbox, "--resource-type", "sources", "--resource-id", "123", "--expand-teams")
    assert seen(done) == {("sources", 123, ANA, "owner")}


def test_one_person_the_other_way_round(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"))
    plant(sandbox, "sources", 456, entry("ORG", 1, "collaborator"))
    plant(sandbox, "sources", 789, entry("USER", user(sandbox, BOB), "admin"))
    words = ["--resource-type", "sources", "--resource-ids", "123,456,789,321", "--accessor"]
    found = {row["id"]: (row["role"], row["via"]) for row in audit(sandbox, *words, CHLOE).data["access"]}
    assert found == {
        123: ("operator", "team Analysts: operator"),
        456: ("collaborator", "org example.com: collaborator"),
    }
    owner = audit(sandbox, *words, ANA)
    assert {row["role"] for row in owner.data["access"]} == {"owner"}
    boss = sandbox.control("POST", "users", {"email": "boss@example.com", "org_admin": True})
    assert len(audit(sandbox, *words, boss["email"]).data["access"]) == 4
    audit(sandbox, *words, "nobody@example.com").fails(Exit.NOT_FOUND)


def test_everything_that_one_owns(sandbox: Sandbox) -> None:
    done = audit(sandbox, "--all")
    kinds = {row["type"] for row in done.data["access"]}
    assert kinds == set(SHARED) - set(UNLISTED)
    assert {row["accessor"] for row in done.data["access"]} == {ANA}
    plant(sandbox, "flows", 1230, entry("TEAM", 7, "operator"))
    assert ("flows", 1230, CHLOE, "operator") in seen(audit(sandbox, "--all", "--accessor", CHLOE))
    sandbox.reset("empty")
    audit(sandbox, "--resource-type", "sources", "--tag", "no-such").fails(Exit.NOT_FOUND)


def test_a_flow_is_its_owners_and_of_those_who_have_its_source(sandbox: Sandbox) -> None:
    bob = user(sandbox, BOB)
    plant(sandbox, "sources", 123, entry("USER", bob, "admin"), entry("TEAM", 7, "operator"))
    flow = ["--resource-type", "flows", "--resource-id", "1230"]
    assert {row[2:] for row in seen(audit(sandbox, *flow))} == {
        (ANA, "owner"),
        (BOB, "admin"),
        ("Analysts", "operator"),
    }
    for target in (flow, ["--all"]):
        mine = [row for row in audit(sandbox, *target, "--accessor", BOB).data["access"] if row["id"] == 1230]
        assert [row["role"] for row in mine] == ["admin"], target
        assert "on its source" in mine[0]["via"]
    everything = audit(sandbox, "--all", "--accessor", ANA)
    assert sum(row["type"] == "flows" for row in everything.data["access"]) == 4
    assert "was not checked" in everything.json["warnings"][-1]


def test_changes_say_who_when_what_and_for_whom(sandbox: Sandbox) -> None:
    words = ["--resource-type", "sources", "--resource-id", "123", "--accessor-type", "TEAM", "--accessor-id", "42"]
    sandbox.api("PUT", "/data_sources/123/pause")  # no access change
    access(sandbox, "grant", *words, "--role", "collaborator").ok()
    access(sandbox, "grant", *words, "--role", "operator").ok()
    access(sandbox, "revoke", *words, "--yes").ok()
    done = audit(sandbox, *words[:4], "--changes").ok()
    assert [(row["event"], row["before"], row["after"]) for row in done.data["changes"]] == [
        ("destroy", "operator", None),
        ("destroy", "collaborator", None),
        ("create", None, "operator"),
        ("create", None, "collaborator"),
    ]
    assert {(row["who"], row["accessor"], row["impersonator"]) for row in done.data["changes"]} == {
        (ANA, "Team 42", None)
    }


LATER = "2031-01-01T00:00:00.000Z"
SOON = "2029-01-01T00:00:00.000Z"


@pytest.mark.parametrize("view", [["--accessor", CHLOE], ["--expand-teams"], []])
def test_the_end_of_access_is_in_every_view(sandbox: Sandbox, view: list[str]) -> None:
    plant(sandbox, "sources", 123, entry("USER", user(sandbox, CHLOE), "operator", access_role_expires_at=LATER))
    done = audit(sandbox, "--resource-type", "sources", "--resource-id", "123", *view)
    (row,) = [row for row in done.data["access"] if row["accessor"] == CHLOE]
    assert (row["role"], row["expires_at"]) == ("operator", LATER)
    assert LATER in row["via"]


BY_RULE, BY_PERSON, BY_TEAMS = list[str](), ["--accessor", CHLOE], ["--expand-teams"]


@pytest.mark.parametrize(
    ("rules", "views", "role", "end"),
    [
        # the role in force, and its own end: a weaker role may last longer
        ([("USER", "operator", LATER), ("USER", "collaborator", None)], [BY_RULE, BY_PERSON, BY_TEAMS],
         "operator", LATER),
        ([("USER", "operator", LATER), ("TEAM", "operator", None)], [BY_PERSON, BY_TEAMS], "operator", None),
        ([("USER", "operator", SOON), ("TEAM", "operator", LATER)], [BY_PERSON, BY_TEAMS], "operator", LATER),
        ([("TEAM", "admin", SOON), ("USER", "operator", None)], [BY_PERSON, BY_TEAMS], "admin", SOON),
        ([("ORG", "admin", SOON), ("USER", "operator", None)], [BY_PERSON], "admin", SOON),
    ],
)  # fmt: skip
def test_the_end_is_that_of_the_strongest_role(
    sandbox: Sandbox, rules: list[Any], views: list[list[str]], role: str, end: str | None
) -> None:
    ids = {"USER": user(sandbox, CHLOE), "TEAM": 7, "ORG": 1}
    for kind, name, expires in rules:
        more = {"access_role_expires_at": expires} if expires else {}
        plant(sandbox, "sources", 123, entry(kind, ids[kind], name, **more))
    for view in views:
        done = audit(sandbox, "--resource-type", "sources", "--resource-id", "123", *view)
        (row,) = [row for row in done.data["access"] if row["accessor"] == CHLOE]
        assert (row["role"], row["expires_at"]) == (role, end), view


FLOW = ["--resource-type", "flows", "--resource-id", "1230"]


def test_a_team_on_the_source_is_expanded_when_the_flow_is_audited_alone(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"))
    done = audit(sandbox, *FLOW, "--expand-teams").ok()
    assert seen(done) == {("flows", 1230, person, role)
                          for person, role in ((ANA, "owner"), (BOB, "operator"), (CHLOE, "operator"))}  # fmt: skip
    sandbox.faults({"action": "status", "status": 403, "path": "/teams/7/members", "times": 9})
    dark = audit(sandbox, *FLOW, "--expand-teams").ends(Exit.PARTIAL)
    assert [(row["type"], row["id"]) for row in dark.data["unread"]] == [("teams", 7)]


def test_what_is_found_about_the_source_is_found_about_the_flow_audited_alone(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("ORG", 1, "collaborator"))
    found = [(row["finding"], row["type"]) for row in audit(sandbox, *FLOW, "--findings").data["findings"]]
    assert found == [("org-wide", "flows")]
    both = audit(sandbox, "--pipeline-of", "sources:123", "--findings").data["findings"]
    assert [(row["finding"], row["type"]) for row in both] == [("org-wide", "sources")], "once is enough"


@pytest.mark.parametrize("select", [FLOW, ["--pipeline-of", "nexsets:456"]])
def test_a_flow_that_begins_at_a_nexset_has_the_rules_of_that_nexset(sandbox: Sandbox, select: list[str]) -> None:
    """Not those of the source that happens to have the same id."""
    plant(sandbox, "sources", 456, entry("TEAM", 42, "admin"))
    plant(sandbox, "nexsets", 456, entry("TEAM", 7, "operator"))
    nexset = {"id": 456, "name": "shared", "owner_id": user(sandbox, ANA), "status": "ACTIVE"}
    node = {"id": 1230, "origin_node_id": 1230, "data_set_id": 456, "children": []}
    body = {"flows": [node], "data_sets": [nexset], "data_sources": [], "data_sinks": []}
    sandbox.faults(answers(body, "/flows/1230|/data_sets/456/flow"))
    done = audit(sandbox, *select).ok()
    rows = [row for row in done.data["access"] if row["type"] == "flows"]
    assert [(row["accessor"], row["via"]) for row in rows] == [
        (ANA, "owner"), ("Analysts", "rule on nexset 456: operator")
    ]  # fmt: skip
    people = audit(sandbox, *select, "--accessor", BOB).ok()
    assert {row["via"] for row in people.data["access"] if row["type"] == "flows"} == {
        "team Analysts on its nexset: operator"
    }


def test_teams_of_others_are_not_in_question(sandbox: Sandbox) -> None:
    bob = user(sandbox, BOB)
    sandbox.control("POST", "edit", {"kind": "teams", "id": 42, "set": {"owner_id": bob}})
    sandbox.clear_journal()
    done = audit(sandbox, "--all").ok()
    assert {row["id"] for row in done.data["access"] if row["type"] == "teams"} == {7}
    assert not [request for request in sandbox.journal() if request["path"].startswith("/teams/42")]
    token = audit_with_token(sandbox)
    assert {row["id"] for row in token.data["access"] if row["type"] == "teams"} == {7}


def audit_with_token(sandbox: Sandbox) -> Done:
    """With an access token there is no login that says who the caller is."""
    env = {"NEXLA_ACCESS_TOKEN": sandbox.token, "NEXLA_SERVICE_KEY": ""}
    return sandbox.run_inside("audit_access.py", "--all", env=env).ok()


def test_members_of_the_org_are_in_question_only_where_people_are(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 403, "path": "/orgs/1/members", "times": 99})
    one = ["--resource-type", "sources", "--resource-id", "123"]
    audit(sandbox, *one).ok()
    for flags in (["--expand-teams"], ["--findings"]):
        audit(sandbox, *one, *flags).ends(Exit.PARTIAL)


def changes_of(sandbox: Sandbox, *entries: Any, total: int | None = None) -> Done:
    """The audit of source 123 where its log answers with these entries."""
    rule = {"action": "status", "status": 200, "body": list(entries), "path": "/data_sources/123/audit_log", "times": 9}
    sandbox.faults(rule | {"headers": {"X-Total-Count": str(len(entries) if total is None else total)}})
    return audit(sandbox, "--resource-type", "sources", "--resource-id", "123", "--changes")


def test_entries_are_known_by_what_they_hold_and_unreadable_ones_are_counted(sandbox: Sandbox) -> None:
    good = {"id": 1, "item_id": 1, "event": "update", "item_type": "DataSource", "created_at": "2026-11-20T00:00:00Z"}
    acl = {
        **good,
        "id": 2,
        "change_summary": ["acl"],
        "user": None,
        "impersonator": {"id": 9, "email": "root@nexla.com"},
    }
    member = {**good, "id": 3, "event": "association_added", "association_resource": {"type": "Team", "id": 7}}
    flow = {**good, "id": 4, "event": "association_added", "association_resource": {"type": "Project", "id": 7}}
    bad = [{**good, "id": 5, "created_at": None}, {**good, "id": 6, "item_type": None}, {**good, "id": 7, "event": 5}]
    done = changes_of(sandbox, good, acl, member, flow, *bad, "text").ends(Exit.PARTIAL)
    assert done.json["meta"]["unknown_entries"] == 4
    found = [(row["who"], row["impersonator"], row["accessor"]) for row in done.data["changes"]]
    assert found == [(None, "root@nexla.com", None), (None, None, "Team 7")]
    changes_of(sandbox, acl).ok()


def test_the_window_is_asked_for_and_kept(sandbox: Sandbox) -> None:
    words = ["--resource-type", "sources", "--resource-id", "123"]
    access(sandbox, "grant", *words, "--accessor-type", "TEAM", "--accessor-id", "7", "--role", "operator").ok()
    sandbox.advance(300 * 86_400)
    assert audit(sandbox, *words, "--changes").data["changes"] == []
    assert (
        len(audit(sandbox, *words, "--changes", "--since", "400d").data["changes"]) == 1
    )  # the API's default would not
    audit(sandbox, *words, "--changes", "--since", "1h", "--until", "2h").fails(Exit.USAGE)


def test_all_pages_of_a_log_are_read(sandbox: Sandbox) -> None:
    for number in range(125):
        role = "operator" if number % 2 else "collaborator"
        sandbox.api("POST", "/data_sources/123/accessors", {"accessors": [entry("TEAM", 42, role)]})
    done = audit(sandbox, "--resource-type", "sources", "--resource-id", "123", "--changes")
    assert len(done.data["changes"]) == 125 + 124  # but for the first, one rule goes and one comes


def test_changes_after_the_window_are_not_in_it(sandbox: Sandbox) -> None:
    words = ["--resource-type", "sources", "--resource-id", "123"]
    access(sandbox, "grant", *words, "--accessor-type", "TEAM", "--accessor-id", "42", "--role", "operator").ok()
    assert len(audit(sandbox, *words, "--changes").data["changes"]) == 1
    assert audit(sandbox, *words, "--changes", "--until", "1h").data["changes"] == []


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "exactly one of"),
        (["--all", "--project", "10"], "exactly one of"),
        (["--all", "--since", "30d"], "can only be used with --changes"),
        (["--all", "--changes", "--since", "soon"], "not a time"),
        (["--all", "--accessor", "bob"], "a user's email or id"),
        (["--expected", "no-such.json"], "cannot read"),
        (["--all", "--report", "/"], "directory"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_sent(sandbox: Sandbox, args: list[str], text: str) -> None:
    sandbox.clear_journal()
    audit(sandbox, *args).fails(Exit.USAGE, text)
    assert sandbox.journal() == []
