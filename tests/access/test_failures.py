"""A change of access that fails: it is rolled back, or with --on-failure keep each resource is listed."""

from __future__ import annotations

from typing import Any

import pytest

from support import Exit, Sandbox, answers
from support.access import SEEDS, SOURCE, TEAM, TEAM42, access, entry, plant, rules
from support.clocks import VirtualClock


def test_a_failure_is_rolled_back(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 7, "collaborator"))
    rule = {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9}
    sandbox.faults(rule)
    done = access(sandbox, "grant", *SEEDS, "--role", "operator")
    done.fails(Exit.ROLLED_BACK)
    assert done.data["left_behind"] == []
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator"]}
    assert rules(sandbox, "sources", 456) == {}
    sandbox.faults(rule)


KEEP = ("--role", "operator", "--on-failure", "keep")


def test_with_keep_the_others_are_done_and_each_item_is_listed(sandbox: Sandbox) -> None:
    rule = {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/456/accessors", "times": 9}
    sandbox.faults(rule)
    kept = access(sandbox, "grant", *SEEDS, *KEEP)
    data = kept.data
    kept.ends(Exit.PARTIAL)
    assert data["outcome"] == "partial"
    assert data["not_tried"] == []
    assert [(row["id"], row["action"]) for row in data["steps"]] == [(123, "change"), (456, "failed"), (789, "change")]
    assert "returned 400" in data["steps"][1]["reason"]
    assert [rules(sandbox, "sources", number) for number in (123, 456, 789)] == [
        {TEAM42: ["operator"]}, {}, {TEAM42: ["operator"]}
    ]  # fmt: skip
    sandbox.faults()
    sandbox.clear_journal()
    access(sandbox, "grant", *SEEDS, *KEEP, "--resume").ok()
    assert sandbox.writes() == ["PUT /data_sources/456/accessors"]
    assert rules(sandbox, "sources", 456) == {TEAM42: ["operator"]}


def test_with_keep_a_failure_of_all_is_not_partial(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 403, "method": "PUT", "path": ".*accessors", "times": 9})
    done = access(sandbox, "grant", *SEEDS, *KEEP)
    done.fails(Exit.AUTH)
    assert [row["action"] for row in done.data["steps"]] == ["failed"] * 3


def test_with_keep_what_stops_everything_says_what_was_not_tried(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 401, "method": "PUT", "path": "/data_sources/456/acc.*", "times": 9})
    done = access(sandbox, "grant", *SEEDS, *KEEP)
    data = done.data
    done.fails(Exit.AUTH)
    assert data["outcome"] == "kept"
    assert data["not_tried"] == ["access:sources:789"]
    assert [(row["step"], row["done"]) for row in data["kept"]] == [
        ("access:sources:123", True), ("access:sources:456", False)
    ]  # fmt: skip
    assert rules(sandbox, "sources", 789) == {}


@pytest.mark.parametrize("reread", [99, 0], ids=["read again", "only the response"])
def test_a_response_without_an_effect_is_not_believed(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, reread: int
) -> None:
    """Also on so many resources that a harmless write is not followed by another read."""
    monkeypatch.setattr("helpers.access.plan.REREAD_LIMIT", reread)
    sandbox.faults({"action": "status", "status": 200, "body": [], "method": "PUT", "path": ".*accessors", "times": 9})
    done = access(sandbox, "grant", *SOURCE, *TEAM, "--role", "operator")
    done.fails(Exit.ROLLED_BACK, "does not show what was written")


def test_an_undo_that_does_not_show_is_left_behind(sandbox: Sandbox) -> None:
    sandbox.faults(
        {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9},
        {"action": "status", "status": 403, "method": "DELETE", "path": "/data_sources/123/accessors", "times": 9},
    )
    done = access(sandbox, "grant", *SEEDS, "--role", "operator")
    done.fails(Exit.LEFT_BEHIND)
    (left,) = [row for row in done.data["left_behind"] if row["id"] == 123]
    assert left["step"] == "access:sources:123"
    assert "before the change, TEAM 42 had nothing" in left["reason"]
    assert rules(sandbox, "sources", 123) == {TEAM42: ["operator"]}
    assert rules(sandbox, "sources", 456) == {}


def test_an_undo_is_verified_by_a_read_not_by_its_response(sandbox: Sandbox) -> None:
    sandbox.faults(
        {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9},
        answers([], "/data_sources/(123|456)/accessors", "DELETE"),
    )
    done = access(sandbox, "grant", *SEEDS, "--role", "operator")
    done.fails(Exit.LEFT_BEHIND)
    assert {row["id"] for row in done.data["left_behind"]} == {123, 456}
    assert "remove everything" not in done.error["hint"]


@pytest.mark.parametrize("fault", [{"action": "reset", "when": "after"}, {"action": "cut", "when": "after"},
                                   {"action": "status", "status": 503, "when": "after"},
                                   {"action": "status", "status": 429, "when": "before"}])  # fmt: skip
@pytest.mark.parametrize("operation", ["grant", "revoke", "replace"])
def test_lost_responses_do_not_change_the_result(
    sandbox: Sandbox, clock: VirtualClock, fault: dict[str, Any], operation: str
) -> None:
    for number in (123, 456, 789):
        theirs = [entry("TEAM", 42, "operator")] if operation == "revoke" else []
        plant(sandbox, "sources", number, entry("TEAM", 7, "operator"), *theirs)
    sandbox.faults({**fault, "method": "PUT|DELETE", "path": ".*accessors", "nth": 2})
    role = [] if operation == "revoke" else ["--role", "collaborator"]
    access(sandbox, operation, *SEEDS, *role, "--yes").ok()
    left = {} if operation == "replace" else {("TEAM", 7): ["operator"]}
    for number in (123, 456, 789):
        assert rules(sandbox, "sources", number) == left | ({} if operation == "revoke" else {TEAM42: ["collaborator"]})
