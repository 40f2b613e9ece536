"""audit_access.py: its named findings, the difference to what is declared, and its reports."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support import Done, Exit, Sandbox, answers
from support.access import (
    ANA,
    BOB,
    CHLOE,
    SOURCE,
    TEAM,
    access,
    audit,
    declared,
    declared_for_three,
    entry,
    plant,
    user,
)


def test_the_named_findings(sandbox: Sandbox) -> None:
    bob = user(sandbox, BOB)
    guest = sandbox.control("POST", "users", {"email": "guest@elsewhere.org"})
    plant(sandbox, "sources", 123, entry("ORG", 1, "collaborator"), entry("TEAM", 7, "operator"),
          entry("USER", bob, "operator", access_role_expires_at="2020-01-01T00:00:00Z"))  # fmt: skip
    plant(sandbox, "nexsets", 123, entry("USER", guest["id"], "collaborator"), entry("TEAM", 7, "operator"))
    plant(sandbox, "destinations", 123, entry("TEAM", 42, "collaborator"))
    sandbox.control("POST", "edit", {"kind": "users", "id": bob, "set": {"deactivated": True}})
    done = audit(sandbox, "--pipeline-of", "sources:123", "--findings").ends(Exit.FINDINGS)
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
    clean = audit(sandbox, "--resource-type", "sources", "--resource-id", "456", "--findings").ok()
    assert clean.data["findings"] == []


def test_findings_count_every_way_to_the_parent(sandbox: Sandbox) -> None:
    ana, chloe = user(sandbox, ANA), user(sandbox, CHLOE)
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"))  # chloe is in it
    plant(sandbox, "nexsets", 123, entry("USER", ana, "operator"), entry("USER", chloe, "operator"))
    done = audit(sandbox, "--pipeline-of", "sources:123", "--findings")
    assert "child-without-parent" not in {row["finding"] for row in done.data["findings"]}
    sandbox.faults({"action": "status", "status": 403, "path": "/teams/7/members", "times": 9})
    dark = audit(sandbox, "--pipeline-of", "sources:123", "--findings")
    assert "no-owner-in-team" not in {row["finding"] for row in dark.data["findings"]}


def test_an_owner_who_has_left_is_found(sandbox: Sandbox) -> None:
    members = [row for row in sandbox.api("GET", "/orgs/1/members")[1] if row["email"] != BOB]
    bob = user(sandbox, BOB)
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"owner_id": bob}})
    row = {"id": 123, "name": "orders", "owner": {"id": bob}}
    sandbox.faults(answers(members, "/orgs/1/members"), answers(row, "/data_sources/123"),
                   answers([], "/data_sources/123/accessors"))  # fmt: skip
    done = audit(sandbox, *SOURCE, "--findings")
    assert [row["text"] for row in done.data["findings"]] == ["the owner is not an active member of the org"], done.out


def test_the_difference_to_what_is_declared(sandbox: Sandbox, tmp_path: Path) -> None:
    bob = user(sandbox, BOB)
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"), entry("TEAM", 7, "operator"),
          entry("USER", bob, "operator", access_role_expires_at="2020-01-01T00:00:00Z"))  # fmt: skip
    accessors = [
        {"type": "TEAM", "id": 42, "role": "collaborator"}, {"type": "USER", "email": CHLOE, "role": "operator"},
        {"type": "USER", "id": bob, "role": "operator"}, {"type": "USER", "email": "gone@example.com", "role": "admin"},
    ]  # fmt: skip
    file = declared(tmp_path, {"type": "sources", "id": 123, "accessors": accessors})
    done = audit(sandbox, "--expected", file).ends(Exit.FINDINGS)
    found = {(row["difference"], row["accessor"].split(" ", 2)[-1]) for row in done.data["differences"]}
    assert found == {("wrong role", "Data Engineering"), ("missing", CHLOE), ("extra", "Analysts"), ("expired", BOB),
                     ("missing", "gone@example.com (not found)")}  # fmt: skip
    exact = declared(tmp_path, {"type": "sources", "id": 123, "accessors": accessors[:2]})
    access(sandbox, "sync", "--file", exact, "--prune", "--yes").ok()
    audit(sandbox, "--expected", exact).ok()


def test_the_reports(sandbox: Sandbox, tmp_path: Path) -> None:
    plant(sandbox, "sources", 123, entry("ORG", 1, "collaborator"))
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"name": "<script>alert(1)</script> [x](y)"}})
    page = tmp_path / "access.html"
    done = audit(sandbox, "--pipeline-of", "sources:123", "--report", str(page), "--format", "markdown").ok()
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


def test_json_of_a_saved_report_is_complete(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "access_audit_report.json"
    audit(sandbox, "--pipeline-of", "sources:123", "--changes", "--output", str(file)).ok()
    assert json.loads(file.read_text())["data"]["changes"] == []


def report(sandbox: Sandbox, tmp_path: Path) -> tuple[Done, str]:
    file = tmp_path / "expected.json"
    words = [
        "--expected",
        declared_for_three(file, "operator", team=42),
        "--changes",
        "--findings",
        "--format",
        "markdown",
    ]
    done = audit(sandbox, *words, "--report", str(tmp_path / "r.html"))
    return done, (tmp_path / "r.html").read_text()


def test_the_page_and_the_markdown_hold_all_of_it(sandbox: Sandbox, tmp_path: Path) -> None:
    access(sandbox, "grant", *SOURCE, *TEAM, "--role", "collaborator").ok()
    sandbox.faults({"action": "status", "status": 403, "path": "/data_sources/789/accessors", "times": 99})
    done, page = report(sandbox, tmp_path)
    done.ends(Exit.FINDINGS)
    for part in ("wrong role: expected operator, has collaborator", "missing: expected operator, has nothing",
                 "create by ana.silva@example.com at 20", "not read: "):  # fmt: skip
        assert part in page, part
    assert "#### Findings: none" in done.out or "#### Findings\n" in done.out
    assert "#### Warnings" in done.out and "sources 789" in done.out
    assert "['" not in done.out.replace("\\", "")
