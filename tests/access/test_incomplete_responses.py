"""Responses with holes: what cannot be read is neither nobody nor nothing."""

from __future__ import annotations

from typing import Any

import pytest

from support import Exit, Sandbox, answers
from support.access import SEEDS, SOURCE, TEAM, access, audit, entry, plant, rules, seen
from support.clocks import VirtualClock


@pytest.mark.parametrize("row", [{"type": "ROBOT", "id": 1, "access_roles": ["admin"]}, {"type": "TEAM", "id": None}, 5,
                                 {"type": "TEAM", "id": 1, "access_roles": [None]}])  # fmt: skip
def test_an_entry_that_cannot_be_read_is_not_taken_for_no_access(sandbox: Sandbox, row: Any) -> None:
    rule = {"action": "status", "status": 200, "body": [row], "method": "GET", "path": ".*accessors", "times": 9}
    sandbox.faults(rule)
    done = access(sandbox, "list", "--resource-type", "sources", "--resource-id", "123")
    done.fails(Exit.UPSTREAM, "cannot be read")


def test_nobody_is_found_by_a_name_that_is_null(sandbox: Sandbox) -> None:
    people = sandbox.api("GET", "/users")[1]
    sandbox.faults(answers([{**people[1], "email": None}], "/users", headers={"X-Total-Count": "1"}))
    words = ["--accessor-type", "USER", "--accessor-email", "None", "--role", "collaborator"]
    access(sandbox, "grant", *SOURCE, *words).fails(Exit.NOT_FOUND)
    sandbox.faults(answers({"id": 7, "name": "x"}, "/teams/42"))
    access(sandbox, "grant", *SEEDS, "--role", "operator").fails(Exit.UPSTREAM, "is not for team 42")
    assert rules(sandbox, "sources", 123) == {}


def test_a_flow_without_credential_ids_is_refused_with_credentials(sandbox: Sandbox) -> None:
    body = sandbox.api("GET", "/data_sources/123/flow")[1]
    for row in [*body["data_sources"], *body["data_sinks"]]:
        row.pop("data_credentials_id", None)
        row.pop("data_credentials", None)
    sandbox.faults(answers(body, "/data_sources/123/flow"))
    words = ["--pipeline-of", "sources:123", "--with-credentials", *TEAM, "--role", "operator"]
    access(sandbox, "grant", *words).fails(Exit.UPSTREAM, "does not show which credential")
    assert rules(sandbox, "sources", 123) == {}


def test_a_member_of_an_unknown_kind_and_an_incomplete_project_are_refused(sandbox: Sandbox) -> None:
    body = sandbox.api("GET", "/data_sources/123/flow")[1]
    body["flows"][0]["children"].append({"id": 99, "robot_id": 5, "children": []})
    sandbox.faults(answers(body, "/data_sources/123/flow"))
    grant = [*TEAM, "--role", "operator"]
    access(sandbox, "grant", "--pipeline-of", "sources:123", *grant).fails(Exit.UPSTREAM)
    flows = sandbox.api("GET", "/projects/10/flows")[1]
    sandbox.faults(answers(flows, "/projects/10/flows", headers={"X-Total-Count": "60"}))
    access(sandbox, "grant", "--project", "10", *grant).fails(Exit.UPSTREAM)
    sandbox.faults(answers({"flows": None}, "/projects/10/flows"))
    access(sandbox, "grant", "--project", "10", *grant).fails(Exit.UPSTREAM)


@pytest.mark.parametrize("end", ["soon", [], {"a": 1}])
def test_an_unreadable_end_is_not_taken_for_no_end(sandbox: Sandbox, end: Any) -> None:
    row = {"type": "TEAM", "id": 7, "access_roles": ["operator"], "access_role_expires_at": end}
    sandbox.faults(answers([row], "/data_sources/123/accessors"))
    access(sandbox, "list", *SOURCE).fails(Exit.UPSTREAM, "expiry time that cannot be read")


def test_of_two_rows_of_one_role_the_later_end_counts(sandbox: Sandbox) -> None:
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
    done = audit(sandbox, *args).ends(Exit.PARTIAL)
    assert done.data["unread"] or done.json["meta"]["unknown_entries"]
    assert not [row for row in done.data.get("findings", []) if row["finding"] == "ex-member"]


@pytest.mark.parametrize(("body", "total"), [([5], "1"), ([], "60"), ([{"name": "without an id"}], "1")])
def test_an_audit_of_everything_does_not_overlook_a_row(sandbox: Sandbox, body: Any, total: str) -> None:
    sandbox.faults(answers(body, "/data_sources", headers={"X-Total-Count": total}))
    done = audit(sandbox, "--all")
    done.fails(Exit.UPSTREAM)
    assert done.out == ""


def test_a_dead_session_ends_an_audit_instead_of_filling_it_with_unread(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 401, "path": "/data_s.*/accessors", "times": 99})
    audit(sandbox, "--pipeline-of", "sources:123").fails(Exit.AUTH)


@pytest.mark.parametrize("path", ["/data_sources/456/accessors", "/data_sources/456", "/data_sources/456/audit_log"])
@pytest.mark.parametrize(
    "fault",
    [{"action": "status", "status": 403}, {"action": "status", "status": 404}, {"action": "status", "status": 500},
     {"action": "html"}, {"action": "status", "status": 200, "body": {}},
     {"action": "status", "status": 200, "body": [{"type": "TEAM"}]}],
)  # fmt: skip
def test_what_cannot_be_read_is_named_and_never_passes_for_nothing(
    sandbox: Sandbox, clock: VirtualClock, path: str, fault: dict[str, Any]
) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"))
    sandbox.faults({**fault, "path": path, "times": 99})
    done = audit(sandbox, "--resource-type", "sources", "--resource-ids", "123,456", "--changes").ends(
        Exit.PARTIAL, about=fault
    )
    assert {row["id"] for row in done.data["unread"]} == {456} or done.json["meta"]["unknown_entries"]
    assert ("sources", 123, "Data Engineering", "operator") in seen(done)
