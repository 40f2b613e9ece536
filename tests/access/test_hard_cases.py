"""Access when others are at work, when answers have holes, and when an unfinished run is picked up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.access.steps import AccessStep
from support import Done, Sandbox
from support.access import BOB, CHLOE, SEEDS, TEAM42, access, audit, entry, plant, rules, seen, user
from support.killing import Killed, killed_at

SOURCE = ["--resource-type", "sources", "--resource-id", "123"]
ANA = "ana.silva@example.com"
THREE = ["--resource-type", "sources", "--resource-ids", "123,456,789"]


def declared(path: Path, role: str, team: int = 7) -> str:
    accessors = [{"type": "TEAM", "id": team, "role": role}]
    resources = [{"type": "sources", "id": number, "accessors": accessors} for number in (123, 456, 789)]
    path.write_text(json.dumps({"resources": resources}))
    return str(path)


def killed(sandbox: Sandbox, *args: str, nth: int = 1, after: bool = False) -> None:
    with pytest.raises(Killed), killed_at(nth, after=after):
        access(sandbox, *args)


def while_it_applies(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Any]) -> None:
    """Let somebody else do something when the plan is made and the first resource is about to be written."""
    find, done = AccessStep.find, []

    def finding(self: AccessStep, run: Any) -> Any:
        if not done:
            done.append(do())
        return find(self, run)

    monkeypatch.setattr(AccessStep, "find", finding)


def answers(body: Any, path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"action": "status", "status": 200, "body": body, "method": method, "path": path, "times": 99, **more}


# -- an unfinished run


def test_a_changed_file_is_not_resumed_with_its_former_content(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "access.json"
    killed(sandbox, "sync", "--file", declared(file, "admin"), "--yes")
    words = ["sync", "--file", declared(file, "collaborator")]
    refused = access(sandbox, *words, "--resume")
    assert (refused.code, "says something else" in refused.error["message"]) == (2, True), refused.err
    assert rules(sandbox, "sources", 123) == {}
    declared(file, "admin")
    unconfirmed = access(sandbox, *words, "--resume")
    assert (unconfirmed.code, "gives TEAM 7" in unconfirmed.error["message"]) == (2, True), unconfirmed.err
    assert access(sandbox, *words, "--resume", "--yes").code == 0
    assert rules(sandbox, "sources", 789) == {("TEAM", 7): ["admin"]}


def test_an_exact_change_does_not_call_itself_done_beside_a_newcomer(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"))
    words = ["replace", *SOURCE, "--accessor-type", "TEAM", "--accessor-id", "42", "--role", "operator", "--yes"]
    killed(sandbox, *words, nth=2)
    chloe = user(sandbox, CHLOE)
    plant(sandbox, "sources", 123, entry("USER", chloe, "admin"))
    resumed = access(sandbox, *words, "--resume")
    assert (resumed.code, CHLOE in resumed.error["message"]) == (9, True), resumed.err
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["operator"], ("USER", chloe): ["admin"]}


# -- somebody else meanwhile


def test_the_last_admin_who_comes_after_the_plan_is_not_pruned_unconfirmed(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (123, 456, 789):
        plant(sandbox, "sources", number, entry("TEAM", 7, "operator"), entry("TEAM", 42, "operator"))
    chloe = user(sandbox, CHLOE)
    while_it_applies(monkeypatch, lambda: plant(sandbox, "sources", 789, entry("USER", chloe, "admin")))
    done = access(sandbox, "sync", "--file", declared(tmp_path / "a.json", "operator", team=42), "--prune")
    assert (done.code, "last accessor who is owner or admin" in done.error["message"]) == (9, True), done.err
    assert rules(sandbox, "sources", 789)["USER", chloe] == ["admin"]
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["operator"], TEAM42: ["operator"]}


@pytest.mark.parametrize("by_role", [False, True])
def test_a_role_that_comes_after_the_plan_stays_when_another_is_taken(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, by_role: bool
) -> None:
    sandbox.control("POST", "settings", {"delete_matches_role": by_role})
    for number in (123, 456, 789):
        plant(sandbox, "sources", number, entry("TEAM", 7, "collaborator"), entry("TEAM", 7, "operator"))
    monkeypatch.setattr("helpers.access_plan.REREAD", 2)  # as for many resources
    while_it_applies(monkeypatch, lambda: plant(sandbox, "sources", 789, entry("TEAM", 7, "admin")))
    words = ["--accessor-type", "TEAM", "--accessor-id", "7", "--role", "operator", "--yes"]
    done = access(sandbox, "revoke", *THREE, *words)
    assert done.code == 0, done.err
    assert rules(sandbox, "sources", 789) == {("TEAM", 7): ["admin", "collaborator"]}
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator"]}


def test_a_grant_does_not_shorten_what_was_given_after_the_plan(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.access_plan.REREAD", 2)
    while_it_applies(monkeypatch, lambda: plant(sandbox, "sources", 789, entry("TEAM", 42, "operator")))
    done = access(sandbox, "grant", *SEEDS, "--role", "operator", "--expires-at", "2031-01-01")
    assert done.code == 0, done.err
    ends = [sandbox.api("GET", f"/data_sources/{n}/accessors")[1][0].get("access_role_expires_at") for n in (123, 789)]
    assert (str(ends[0])[:10], ends[1]) == ("2031-01-01", None)


def test_an_undo_is_looked_at_and_not_taken_from_the_answer(sandbox: Sandbox) -> None:
    sandbox.faults(
        {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9},
        answers([], "/data_sources/(123|456)/accessors", "DELETE"),
    )
    done = access(sandbox, "grant", *SEEDS, "--role", "operator")
    assert done.code == 11, done.err
    assert {row["id"] for row in done.json["data"]["left_behind"]} == {123, 456}
    assert "remove it all" not in done.error["hint"]


def test_an_undo_of_an_exact_change_leaves_a_newcomer_alone(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.faults(
        {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9}
    )
    chloe, writer = user(sandbox, CHLOE), AccessStep.undo

    def undo(self: AccessStep, run: Any, entry_of: Any) -> None:
        if self.target.id == 123:
            plant(sandbox, "sources", 123, entry("USER", chloe, "collaborator"))
        writer(self, run, entry_of)

    monkeypatch.setattr(AccessStep, "undo", undo)
    done = access(sandbox, "replace", *SEEDS, "--role", "operator", "--yes")
    assert (done.code, rules(sandbox, "sources", 123)) == (9, {("USER", chloe): ["collaborator"]}), done.err


# -- names and ids


@pytest.mark.parametrize("row", [{"email": None}, {}])
def test_a_revoke_by_email_finds_rules_that_do_not_tell_it(sandbox: Sandbox, row: dict[str, Any]) -> None:
    bob = user(sandbox, BOB)
    for number in (123, 456):
        plant(sandbox, "sources", number, entry("USER", bob, "operator"))
    bare = {"type": "USER", "id": bob, "access_roles": ["operator"], "access_role_expires_at": None, **row}
    sandbox.faults(answers([bare], "/data_sources/456/accessors") | {"times": 2})  # for the plan, and before the write
    words = [
        "--resource-type",
        "sources",
        "--resource-ids",
        "123,456",
        "--accessor-type",
        "USER",
        "--accessor-email",
        BOB,
    ]
    done = access(sandbox, "revoke", *words)
    assert (done.code, done.data["changed"]) == (0, 2), done.err
    assert [rules(sandbox, "sources", number) for number in (123, 456)] == [{}, {}]


def test_nobody_is_found_by_a_name_that_is_null(sandbox: Sandbox) -> None:
    people = sandbox.api("GET", "/users")[1]
    sandbox.faults(answers([{**people[1], "email": None}], "/users", headers={"X-Total-Count": "1"}))
    words = ["--accessor-type", "USER", "--accessor-email", "None", "--role", "collaborator"]
    assert access(sandbox, "grant", *SOURCE, *words).code == 5
    sandbox.faults(answers({"id": 7, "name": "x"}, "/teams/42"))
    other = access(sandbox, "grant", *SEEDS, "--role", "operator")
    assert (other.code, "is not team 42" in other.error["message"]) == (6, True)
    assert rules(sandbox, "sources", 123) == {}


def test_two_of_one_name_are_candidates_for_a_grant_and_for_an_audit(sandbox: Sandbox) -> None:
    bob, people = user(sandbox, BOB), sandbox.api("GET", "/users")[1]
    two = [*people, {**people[0], "id": 99, "email": BOB}]
    sandbox.faults(answers(two, "/users", headers={"X-Total-Count": str(len(two))}))
    words = ["--accessor-type", "USER", "--accessor-email", BOB, "--role", "collaborator"]
    done = access(sandbox, "grant", *SOURCE, *words)
    assert (done.code, done.error["resource"]["candidates"]) == (5, [bob, 99])
    asked = audit(sandbox, *SOURCE, "--accessor", BOB)
    assert (asked.code, asked.error["resource"]["candidates"]) == (5, [bob, 99])
    sandbox.faults()
    plant(sandbox, "sources", 123, entry("USER", bob, "operator"))
    assert seen(audit(sandbox, *SOURCE, "--accessor", str(bob))) == {("sources", 123, BOB, "operator")}


@pytest.mark.parametrize(
    "entries",
    [
        [("sharer", None), ("operator", None), ("admin", None)],
        [("operator", "2031-01-01"), ("operator", "2032-01-01")],
        [("sharer", "2031-01-01"), ("sharer", "2032-01-01")],
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    sandbox: Sandbox, tmp_path: Path, entries: list[tuple[str, str | None]]
) -> None:
    accessors = [
        {"type": "TEAM", "id": 7, "role": role} | ({"expires_at": end} if end else {}) for role, end in entries
    ]
    file = tmp_path / "access.json"
    file.write_text(json.dumps({"resources": [{"type": "nexsets", "id": 123, "accessors": accessors}]}))
    done = access(sandbox, "sync", "--file", str(file), "--yes")
    assert (done.code, "the file gives TEAM 7" in done.error["message"]) == (2, True), done.err
    (tmp_path / "list.json").write_text(json.dumps({"accessors": accessors[:1] * 2}))
    twice = access(sandbox, "replace", "--resource-type", "nexsets", "--resource-id", "123", "--yes",
                   "--accessors", str(tmp_path / "list.json"))  # fmt: skip
    assert (twice.code, "names an accessor twice" in twice.error["message"]) == (2, True), twice.err


def test_copying_leaves_what_has_ended_and_refuses_sharers_where_there_are_none(sandbox: Sandbox) -> None:
    ended = {"access_role_expires_at": "2020-01-01T00:00:00Z"}
    plant(sandbox, "nexsets", 123, entry("TEAM", 7, "operator", **ended), entry("TEAM", 42, "operator"))
    assert access(sandbox, "copy-from", "--from", "nexsets:123", *SOURCE).code == 0
    assert rules(sandbox, "sources", 123) == {TEAM42: ["operator"]}
    plant(sandbox, "nexsets", 123, entry("TEAM", 7, "sharer"))
    sandbox.clear_journal()
    done = access(sandbox, "copy-from", "--from", "nexsets:123", *SOURCE)
    assert (done.code, sandbox.writes()) == (2, []), done.err


def test_a_revoke_says_which_other_ways_and_other_roles_there_are(sandbox: Sandbox) -> None:
    bob = user(sandbox, BOB)
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"), entry("USER", bob, "operator"))
    words = [*SOURCE, "--accessor-type", "USER", "--accessor-email", BOB]
    wrong = access(sandbox, "revoke", *words, "--role", "admin")
    assert (wrong.code, "nobody has the role admin" in wrong.json["warnings"][0]) == (0, True)
    done = access(sandbox, "revoke", *words)
    assert (done.code, "TEAM 42 Data Engineering also have access" in done.json["warnings"][0]) == (0, True)


def test_a_resource_without_an_owner_and_a_caller_who_is_not_told_count_as_ones_own(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, *(entry("USER", user(sandbox, email), "operator") for email in (BOB, CHLOE)))
    row = sandbox.api("GET", "/data_sources/123")[1]
    sandbox.faults(answers({**row, "owner": None}, "/data_sources/123"))
    assert access(sandbox, "revoke", *SOURCE, "--accessor-type", "USER", "--accessor-email", BOB).code == 0
    sandbox.faults(answers({"user": {}, "org": None}, "/users/current"),
                   answers({"access_token": token_of(sandbox), "expires_in": 3600}, "/token", "POST"))  # fmt: skip
    doubtful = access(sandbox, "revoke", *SOURCE, "--accessor-type", "USER", "--accessor-email", CHLOE)
    assert (doubtful.code, "your own access" in doubtful.error["message"]) == (2, True), doubtful.err


def token_of(sandbox: Sandbox) -> str:
    sandbox.api("GET", "/users/current")
    return sandbox._token


def test_a_team_with_the_name_of_a_secret_does_not_hide_what_it_gets(sandbox: Sandbox) -> None:
    sandbox.control("POST", "edit", {"kind": "teams", "id": 7, "set": {"name": "Token"}})
    words = [*SOURCE, "--accessor-type", "TEAM", "--accessor-id", "7", "--role", "admin", "--dry-run"]
    (row,) = access(sandbox, "grant", *words).data["resources"]
    assert row["changes"] == {"TEAM 7": [None, "admin"]}


# -- answers with holes


def test_the_credential_that_a_flow_does_not_tell_is_not_left_out(sandbox: Sandbox) -> None:
    body = sandbox.api("GET", "/data_sources/123/flow")[1]
    for row in [*body["data_sources"], *body["data_sinks"]]:
        row.pop("data_credentials_id", None)
        row.pop("data_credentials", None)
    sandbox.faults(answers(body, "/data_sources/123/flow"))
    words = ["--pipeline-of", "sources:123", "--with-credentials", *SEEDS[4:], "--role", "operator"]
    done = access(sandbox, "grant", *words)
    assert (done.code, "does not tell which credential" in done.error["message"]) == (6, True), done.err
    assert rules(sandbox, "sources", 123) == {}


def test_a_member_of_an_unknown_kind_and_a_project_that_is_not_whole_are_refused(sandbox: Sandbox) -> None:
    body = sandbox.api("GET", "/data_sources/123/flow")[1]
    body["flows"][0]["children"].append({"id": 99, "robot_id": 5, "children": []})
    sandbox.faults(answers(body, "/data_sources/123/flow"))
    grant = [*SEEDS[4:], "--role", "operator"]
    assert access(sandbox, "grant", "--pipeline-of", "sources:123", *grant).code == 6
    flows = sandbox.api("GET", "/projects/10/flows")[1]
    sandbox.faults(answers(flows, "/projects/10/flows", headers={"X-Total-Count": "60"}))
    assert access(sandbox, "grant", "--project", "10", *grant).code == 6
    sandbox.faults(answers({"flows": None}, "/projects/10/flows"))
    assert access(sandbox, "grant", "--project", "10", *grant).code == 6


@pytest.mark.parametrize("end", ["soon", [], {"a": 1}])
def test_an_end_that_cannot_be_read_is_not_for_ever(sandbox: Sandbox, end: Any) -> None:
    row = {"type": "TEAM", "id": 7, "access_roles": ["operator"], "access_role_expires_at": end}
    sandbox.faults(answers([row], "/data_sources/123/accessors"))
    done = access(sandbox, "list", *SOURCE)
    assert (done.code, "end that cannot be read" in done.error["message"]) == (6, True), done.err


def test_of_two_rows_of_one_role_the_longer_counts(sandbox: Sandbox) -> None:
    ends = ["2031-01-01T00:00:00Z", None, "2032-01-01T00:00:00Z"]
    rows = [{"type": "TEAM", "id": 7, "access_roles": ["operator"], "access_role_expires_at": end} for end in ends]
    sandbox.faults(answers(rows, "/data_sources/123/accessors"))
    assert [row["expires_at"] for row in access(sandbox, "list", *SOURCE).data] == [None]


@pytest.mark.parametrize(
    ("args", "path", "body", "more"),
    [
        ([*SOURCE, "--changes"], "/data_sources/123/audit_log", [], {"headers": {"X-Total-Count": "7"}}),
        ([*SOURCE, "--changes"], "/data_sources/123/audit_log", [5], {}),
        ([*SOURCE, "--expand-teams"], "/teams/42/members", [5, None], {}),
        ([*SOURCE, "--findings"], "/orgs/1/members", [{"id": None, "is_admin?": True}], {}),
        ([*SOURCE, "--findings"], "/orgs/1/members", [], {}),
    ],
)
def test_what_an_audit_cannot_read_is_unread_and_not_nothing(
    sandbox: Sandbox, args: list[str], path: str, body: Any, more: dict[str, Any]
) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"))
    sandbox.faults(answers(body, path, **more))
    done = audit(sandbox, *args)
    assert done.code == 8, (done.out, done.err)
    assert done.data["unread"] or done.json["meta"]["unknown_entries"]
    assert not [row for row in done.data.get("findings", []) if row["finding"] == "ex-member"]


@pytest.mark.parametrize(("body", "total"), [([5], "1"), ([], "60"), ([{"name": "without an id"}], "1")])
def test_an_audit_of_everything_does_not_overlook_a_row(sandbox: Sandbox, body: Any, total: str) -> None:
    sandbox.faults(answers(body, "/data_sources", headers={"X-Total-Count": total}))
    done = audit(sandbox, "--all")
    assert (done.code, done.out) == (6, ""), done.out


def test_a_dead_session_ends_an_audit_instead_of_filling_it_with_unread(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 401, "path": "/data_s.*/accessors", "times": 99})
    assert audit(sandbox, "--pipeline-of", "sources:123").code == 4


# -- who has access to a flow, and findings


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
    assert "was not looked at" in everything.json["warnings"][-1]


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
    assert [row["text"] for row in done.data["findings"]] == ["the owner is no active member of the org"], done.out


def report(sandbox: Sandbox, tmp_path: Path) -> tuple[Done, str]:
    file = tmp_path / "expected.json"
    words = ["--expected", declared(file, "operator", team=42), "--changes", "--findings", "--format", "markdown"]
    done = audit(sandbox, *words, "--report", str(tmp_path / "r.html"))
    return done, (tmp_path / "r.html").read_text()


def test_the_page_and_the_markdown_hold_all_of_it(sandbox: Sandbox, tmp_path: Path) -> None:
    assert access(sandbox, "grant", *SOURCE, *SEEDS[4:], "--role", "collaborator").code == 0
    sandbox.faults({"action": "status", "status": 403, "path": "/data_sources/789/accessors", "times": 99})
    done, page = report(sandbox, tmp_path)
    assert done.code == 10
    for part in ("wrong role: expected operator, has collaborator", "missing: expected operator, has nothing",
                 "create by ana.silva@example.com at 20", "not read: "):  # fmt: skip
        assert part in page, part
    assert "#### Findings: none" in done.out or "#### Findings\n" in done.out
    assert "#### Warnings" in done.out and "sources 789" in done.out
    assert "['" not in done.out.replace("\\", "")


# -- whoever acts


def test_ones_own_access_goes_last(sandbox: Sandbox) -> None:
    """An admin of the resource who replaces everybody, themselves included, gets through."""
    bob, chloe = user(sandbox, BOB), user(sandbox, CHLOE)
    other = sandbox.control("POST", "users", {"email": "other@example.com"})["id"]
    plant(sandbox, "sources", 123, *(entry("USER", bob, "admin"), entry("USER", other, "operator")))
    sandbox.key = next(u["service_key"] for u in sandbox.control("GET", "users")["users"] if u["email"] == BOB)
    words = ["--accessor-type", "USER", "--accessor-email", CHLOE, "--role", "admin", "--yes"]
    done = access(sandbox, "replace", *SOURCE, *words)
    assert done.code == 0, done.err
    assert {(rule["type"], rule["id"]) for rule in rule_rows(sandbox)} == {("USER", chloe)}


def rule_rows(sandbox: Sandbox) -> list[dict[str, Any]]:
    """As they are stored, whoever may read them."""
    (row,) = [row for row in sandbox.snapshot()["sources"] if row["id"] == 123]
    return list(row["rules"])


def test_an_end_for_the_last_admin_is_a_loss_to_confirm(sandbox: Sandbox, tmp_path: Path) -> None:
    chloe = user(sandbox, CHLOE)
    plant(sandbox, "sources", 123, entry("USER", chloe, "admin"))
    accessors = [{"type": "USER", "id": chloe, "role": "admin", "expires_at": "2031-01-01"}]
    file = tmp_path / "access.json"
    file.write_text(json.dumps({"resources": [{"type": "sources", "id": 123, "accessors": accessors}]}))
    done = access(sandbox, "sync", "--file", str(file), "--prune")
    assert (done.code, "last accessor who is owner or admin" in done.error["message"]) == (2, True), done.err
    sandbox.key = next(u["service_key"] for u in sandbox.control("GET", "users")["users"] if u["email"] == CHLOE)
    own = access(sandbox, "sync", "--file", str(file), "--prune")
    assert (own.code, "your own access" in own.error["message"]) == (2, True), own.err
