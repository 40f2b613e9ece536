"""audit_access.py: who has access, by what; who changed it; and what cannot be read is never taken for nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support import Done, Sandbox
from support.access import ANA, BOB, CHLOE, access, audit, declared, entry, plant, seen, user


def test_owner_rules_and_ended_rules_of_each_resource(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"),
          entry("USER", user(sandbox, BOB), "admin", access_role_expires_at="2020-01-01T00:00:00Z"))  # fmt: skip
    done = audit(sandbox, "--pipeline-of", "sources:123")
    assert done.code == 0, done.err
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
    assert audit(sandbox, *words, "nobody@example.com").code == 5


def test_changes_say_who_when_what_and_for_whom(sandbox: Sandbox) -> None:
    words = ["--resource-type", "sources", "--resource-id", "123", "--accessor-type", "TEAM", "--accessor-id", "42"]
    sandbox.api("PUT", "/data_sources/123/pause")  # no access change
    assert access(sandbox, "grant", *words, "--role", "collaborator").code == 0
    assert access(sandbox, "grant", *words, "--role", "operator").code == 0
    assert access(sandbox, "revoke", *words, "--yes").code == 0
    done = audit(sandbox, *words[:4], "--changes")
    assert done.code == 0, done.err
    assert [(row["event"], row["before"], row["after"]) for row in done.data["changes"]] == [
        ("destroy", "operator", None),
        ("destroy", "collaborator", None),
        ("create", None, "operator"),
        ("create", None, "collaborator"),
    ]
    assert {(row["who"], row["accessor"], row["impersonator"]) for row in done.data["changes"]} == {
        (ANA, "Team 42", None)
    }


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
    odd = [{**good, "id": 5, "created_at": None}, {**good, "id": 6, "item_type": None}, {**good, "id": 7, "event": 5}]
    done = changes_of(sandbox, good, acl, member, flow, *odd, "text")
    assert (done.code, done.json["meta"]["unknown_entries"]) == (8, 4)
    found = [(row["who"], row["impersonator"], row["accessor"]) for row in done.data["changes"]]
    assert found == [(None, "root@nexla.com", None), (None, None, "Team 7")]
    assert changes_of(sandbox, acl).code == 0


def test_the_window_is_asked_for_and_kept(sandbox: Sandbox) -> None:
    words = ["--resource-type", "sources", "--resource-id", "123"]
    assert (
        access(sandbox, "grant", *words, "--accessor-type", "TEAM", "--accessor-id", "7", "--role", "operator").code
        == 0
    )
    sandbox.control("POST", "clock", {"advance_seconds": 300 * 86_400})
    sandbox._token = ""
    assert audit(sandbox, *words, "--changes").data["changes"] == []
    assert (
        len(audit(sandbox, *words, "--changes", "--since", "400d").data["changes"]) == 1
    )  # the API's default would not
    assert audit(sandbox, *words, "--changes", "--since", "1h", "--until", "2h").code == 2


def test_all_pages_of_a_log_are_read(sandbox: Sandbox) -> None:
    for number in range(125):
        role = "operator" if number % 2 else "collaborator"
        sandbox.api("POST", "/data_sources/123/accessors", {"accessors": [entry("TEAM", 42, role)]})
    done = audit(sandbox, "--resource-type", "sources", "--resource-id", "123", "--changes")
    assert len(done.data["changes"]) == 125 + 124  # but for the first, one rule goes and one comes


@pytest.mark.parametrize("path", ["/data_sources/456/accessors", "/data_sources/456", "/data_sources/456/audit_log"])
@pytest.mark.parametrize(
    "fault",
    [{"action": "status", "status": 403}, {"action": "status", "status": 404}, {"action": "status", "status": 500},
     {"action": "html"}, {"action": "status", "status": 200, "body": {}},
     {"action": "status", "status": 200, "body": [{"type": "TEAM"}]}],
)  # fmt: skip
def test_what_cannot_be_read_is_named_and_never_passes_for_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, path: str, fault: dict[str, Any]
) -> None:
    monkeypatch.setattr("helpers.limits.Clock.sleep", staticmethod(lambda seconds: None))
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"))
    sandbox.faults({**fault, "path": path, "times": 99})
    done = audit(sandbox, "--resource-type", "sources", "--resource-ids", "123,456", "--changes")
    assert done.code == 8, (fault, done.out)
    assert {row["id"] for row in done.data["unread"]} == {456} or done.json["meta"]["unknown_entries"]
    assert ("sources", 123, "Data Engineering", "operator") in seen(done)


def test_the_named_findings(sandbox: Sandbox) -> None:
    bob = user(sandbox, BOB)
    guest = sandbox.control("POST", "users", {"email": "guest@elsewhere.org"})
    plant(sandbox, "sources", 123, entry("ORG", 1, "collaborator"), entry("TEAM", 7, "operator"),
          entry("USER", bob, "operator", access_role_expires_at="2020-01-01T00:00:00Z"))  # fmt: skip
    plant(sandbox, "nexsets", 123, entry("USER", guest["id"], "collaborator"), entry("TEAM", 7, "operator"))
    plant(sandbox, "destinations", 123, entry("TEAM", 42, "collaborator"))
    sandbox.control("POST", "edit", {"kind": "users", "id": bob, "set": {"deactivated": True}})
    done = audit(sandbox, "--pipeline-of", "sources:123", "--findings")
    assert done.code == 10
    found = {(row["finding"], row["type"], (row["accessor"] or "").split(" ")[0]) for row in done.data["findings"]}
    assert found == {
        ("org-wide", "sources", "ORG"), ("ex-member", "sources", "TEAM"), ("ex-member", "nexsets", "TEAM"),
        ("expired", "sources", "USER"),
        ("no-owner-in-team", "sources", ""), ("no-owner-in-team", "nexsets", ""),
        ("outside-domain", "nexsets", "USER"), ("child-without-parent", "destinations", "TEAM"),
        ("ex-member", "destinations", "TEAM"),
    }  # fmt: skip
    public = audit(sandbox, "--resource-type", "code_containers", "--resource-ids", "123,456", "--findings")
    assert [(row["finding"], row["id"]) for row in public.data["findings"]] == [("public", 456)]
    clean = audit(sandbox, "--resource-type", "sources", "--resource-id", "456", "--findings")
    assert (clean.code, clean.data["findings"]) == (0, [])


def test_the_difference_to_what_is_declared(sandbox: Sandbox, tmp_path: Path) -> None:
    bob = user(sandbox, BOB)
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"), entry("TEAM", 7, "operator"),
          entry("USER", bob, "operator", access_role_expires_at="2020-01-01T00:00:00Z"))  # fmt: skip
    accessors = [
        {"type": "TEAM", "id": 42, "role": "collaborator"}, {"type": "USER", "email": CHLOE, "role": "operator"},
        {"type": "USER", "id": bob, "role": "operator"}, {"type": "USER", "email": "gone@example.com", "role": "admin"},
    ]  # fmt: skip
    file = declared(tmp_path, {"type": "sources", "id": 123, "accessors": accessors})
    done = audit(sandbox, "--expected", file)
    assert done.code == 10
    found = {(row["difference"], row["accessor"].split(" ", 2)[-1]) for row in done.data["differences"]}
    assert found == {("wrong role", "Data Engineering"), ("missing", CHLOE), ("extra", "Analysts"), ("expired", BOB),
                     ("missing", "gone@example.com (not found)")}  # fmt: skip
    exact = declared(tmp_path, {"type": "sources", "id": 123, "accessors": accessors[:2]})
    assert access(sandbox, "sync", "--file", exact, "--prune", "--yes").code == 0
    assert audit(sandbox, "--expected", exact).code == 0


def test_everything_that_one_owns(sandbox: Sandbox) -> None:
    done = audit(sandbox, "--all")
    kinds = {row["type"] for row in done.data["access"]}
    assert kinds == {
        "sources",
        "nexsets",
        "destinations",
        "credentials",
        "projects",
        "code_containers",
        "teams",
        "flows",
    }
    assert {row["accessor"] for row in done.data["access"]} == {ANA}
    plant(sandbox, "flows", 1230, entry("TEAM", 7, "operator"))
    assert ("flows", 1230, CHLOE, "operator") in seen(audit(sandbox, "--all", "--accessor", CHLOE))
    sandbox.reset("empty")
    nothing = audit(sandbox, "--resource-type", "sources", "--tag", "no-such")
    assert nothing.code == 5


def test_the_reports(sandbox: Sandbox, tmp_path: Path) -> None:
    plant(sandbox, "sources", 123, entry("ORG", 1, "collaborator"))
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"name": "<script>alert(1)</script> [x](y)"}})
    page = tmp_path / "access.html"
    done = audit(sandbox, "--pipeline-of", "sources:123", "--report", str(page), "--format", "markdown")
    assert done.code == 0, done.err
    html = page.read_text()
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html
    assert "org-wide" in html  # findings stand in the report, asked for or not
    assert not re.search(r'(src|href)="https?:', html)
    assert done.out.startswith("### Nexla access: 6 entries")
    assert "#### Warnings" not in done.out
    assert "[x](y)" not in done.out
    rows = audit(sandbox, "--pipeline-of", "sources:123", "--format", "csv").out.splitlines()
    assert rows[0] == "type,id,name,accessor_type,accessor_id,accessor,role,via,expires_at"
    assert len(rows) == 7


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "exactly one of"),
        (["--all", "--project", "10"], "exactly one of"),
        (["--all", "--since", "30d"], "go with --changes"),
        (["--all", "--changes", "--since", "soon"], "not a time"),
        (["--all", "--accessor", "bob"], "email of a user"),
        (["--expected", "no-such.json"], "cannot read"),
        (["--all", "--report", "/"], "folder"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_sent(sandbox: Sandbox, args: list[str], text: str) -> None:
    sandbox.clear_journal()
    done = audit(sandbox, *args)
    assert (done.code, sandbox.journal()) == (2, []), done.err
    assert text in done.error["message"]


def test_json_of_a_saved_report_is_whole(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "access_audit_report.json"
    done = audit(sandbox, "--pipeline-of", "sources:123", "--changes", "--output", str(file))
    assert done.code == 0
    assert json.loads(file.read_text())["data"]["changes"] == []


def test_changes_after_the_window_are_not_in_it(sandbox: Sandbox) -> None:
    words = ["--resource-type", "sources", "--resource-id", "123"]
    assert (
        access(sandbox, "grant", *words, "--accessor-type", "TEAM", "--accessor-id", "42", "--role", "operator").code
        == 0
    )
    assert len(audit(sandbox, *words, "--changes").data["changes"]) == 1
    assert audit(sandbox, *words, "--changes", "--until", "1h").data["changes"] == []
