"""What a filter of a list looks at, and what it says when nothing can match."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helpers.api.similar_names import among_names
from helpers.core import redact
from helpers.core.kinds import KINDS
from support import Exit, Sandbox

ANA = "ana.silva@example.com"


def listed(sandbox: Sandbox, *args: str) -> Any:
    return sandbox.run_inside("list_resources.py", *args).ok().json


def names(document: Any) -> list[str]:
    return sorted(row["name"] for row in document["data"])


def requests_for(sandbox: Sandbox, run: Callable[[], Any]) -> list[str]:
    """The paths of the requests that an action makes, without the login."""
    sandbox.clear_journal()
    run()
    return [entry["path"] for entry in sandbox.journal() if entry["path"] != "/token"]


def age_everything(sandbox: Sandbox) -> None:
    """A month passes, in which nobody changes anything."""
    sandbox.advance(30 * 86_400)


# -- statuses


@pytest.mark.parametrize(
    ("kind", "status", "guess"),
    [
        ("sources", "PAUSD", "did you mean 'PAUSED'?"),
        ("sources", "activ", "did you mean 'ACTIVE'?"),
        ("flows", "RATE-LIMITED", "did you mean 'RATE_LIMITED'?"),
        ("nexsets", "RATE_LIMITED", "known for nexsets: INIT, PAUSED, ACTIVE"),
        ("destinations", "ERROR", "known for destinations: INIT, PAUSED, ACTIVE"),
        ("sources", "DRAFT", "exactly:NAME"),
        ("sources", "exactly:", "known for sources"),
        ("users", "PAUSED", "DEACTIVATED"),
        ("async_tasks", "complete", "did you mean 'completed'?"),
        ("credentials", "ACTIVE", "omit the flag"),
        ("teams", "ACTIVE", "omit the flag"),
    ],
)
def test_a_status_that_no_row_can_have_is_refused(sandbox: Sandbox, kind: str, status: str, guess: str) -> None:
    sandbox.clear_journal()
    sandbox.run_inside("list_resources.py", "--type", kind, "--status", status).fails(Exit.USAGE, guess)
    assert sandbox.journal() == [], "nothing was sent"


def test_every_status_of_the_contract_is_known_in_either_case(sandbox: Sandbox) -> None:
    for status in KINDS["sources"].statuses:
        for text in (status, status.lower()):
            rows = listed(sandbox, "--type", "sources", "--status", text)["data"]
            assert all(row["status"] == status for row in rows)
    assert names(listed(sandbox, "--type", "sources", "--status", "paused")) == ["customers"]


def test_a_status_newer_than_this_version_can_be_asked_for(sandbox: Sandbox) -> None:
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"status": "HIBERNATING"}})
    rows = sandbox.api("GET", "/data_sources?status=HIBERNATING")[1]
    sandbox.run_inside("list_resources.py", "--type", "sources", "--status", "HIBERNATING").fails(Exit.USAGE)
    found = listed(sandbox, "--type", "sources", "--status", "exactly:HIBERNATING")
    assert [row["id"] for row in found["data"]] == [row["id"] for row in rows] == [123]
    sandbox.problems.clear()  # the contract does not know it either
    sandbox.clear_journal()
    sandbox.problems.clear()


# -- any member of a flow


def test_a_status_of_flows_is_that_of_the_origin_and_the_answer_says_so(sandbox: Sandbox) -> None:
    assert sandbox.api("PUT", "/data_sources/123/pause")[0] == 200  # its destination stays ACTIVE
    only_origins = listed(sandbox, "--type", "flows", "--status", "ACTIVE")
    assert "orders" not in names(only_origins)
    assert only_origins["meta"]["looked_at"] == {"status": "origin"}
    assert any("--any-member" in text for text in only_origins["warnings"])


def test_any_member_finds_a_flow_whose_source_is_paused(sandbox: Sandbox) -> None:
    assert sandbox.api("PUT", "/data_sources/123/pause")[0] == 200
    words = ["--type", "flows", "--status", "ACTIVE", "--any-member"]
    paths = requests_for(sandbox, lambda: listed(sandbox, *words))
    assert paths == ["/flows"]
    document = listed(sandbox, *words)
    (row,) = [row for row in document["data"] if row["name"] == "orders"]
    assert [(member["type"], member["id"]) for member in row["matching"]] == [("destinations", 123)]
    assert (document["meta"]["looked_at"], document["warnings"]) == ({"status": "any member"}, [])


def test_a_member_without_a_status_is_counted(sandbox: Sandbox) -> None:
    body = sandbox.api("GET", "/flows?page=1&per_page=100")[1]
    body["data_sinks"] = []
    sandbox.faults(
        {"action": "status", "status": 200, "body": body, "path": "/flows", "headers": {"X-Total-Count": "4"}}
    )
    document = listed(sandbox, "--type", "flows", "--status", "PAUSED", "--any-member")
    assert any("members without a status could not be judged" in text for text in document["warnings"])


@pytest.mark.parametrize(
    "words",
    [
        ["--type", "sources", "--status", "ACTIVE", "--any-member"],
        ["--type", "flows", "--any-member"],
        ["--type", "sources", "--with-changes"],
        ["--type", "users", "--updated-since", "7d", "--with-changes"],
    ],
)
def test_flags_that_mean_nothing_here_are_refused(sandbox: Sandbox, words: list[str]) -> None:
    sandbox.run_inside("list_resources.py", *words).fails(Exit.USAGE, "can only be used with")


# -- changed since


@pytest.mark.parametrize(
    ("kind", "path"), [("destinations", "data_sinks"), ("nexsets", "data_sets"), ("sources", "data_sources")]
)
def test_a_flow_is_changed_when_any_member_is(sandbox: Sandbox, kind: str, path: str) -> None:
    age_everything(sandbox)
    assert names(listed(sandbox, "--type", "flows", "--updated-since", "7d")) == []
    assert sandbox.api("PUT", f"/{path}/123/pause")[0] == 200
    words = ["--type", "flows", "--updated-since", "7d"]
    paths = requests_for(sandbox, lambda: listed(sandbox, *words))
    assert paths == ["/flows"]
    document = listed(sandbox, *words)
    (row,) = document["data"]
    assert row["name"] == "orders"
    assert (kind, 123) in [(member["type"], member["id"]) for member in row["matching"]]
    assert row["updated_at"] == max(member["updated_at"] for member in row["matching"])
    assert document["meta"]["looked_at"] == {"updated_since": "any member"}


def test_who_changed_a_flow_is_in_the_answer_on_request(sandbox: Sandbox) -> None:
    age_everything(sandbox)
    sandbox.api("PUT", "/data_sinks/123/pause")
    words = ["--type", "flows", "--updated-since", "24h", "--with-changes"]
    paths = requests_for(sandbox, lambda: listed(sandbox, *words))
    assert paths == ["/flows", "/data_sinks/123/audit_log"], "only the members that changed are looked up"
    (row,) = listed(sandbox, *words)["data"]
    assert row["changed_by"] == [ANA]
    (change,) = row["changes"]
    assert (change["who"], change["type"], change["id"], change["what"]) == (ANA, "destinations", 123, ["status"])
    shown = sandbox.run_inside("list_resources.py", *words, "--format", "table").ok().out
    assert ANA in shown


def test_a_change_before_the_time_is_not_shown(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    age_everything(sandbox)
    sandbox.api("PUT", "/data_sinks/123/activate")
    (row,) = listed(sandbox, "--type", "destinations", "--updated-since", "1h", "--with-changes")["data"]
    assert len(row["changes"]) == 1


def test_an_audit_log_that_cannot_be_read_is_named(sandbox: Sandbox) -> None:
    age_everything(sandbox)
    sandbox.api("PUT", "/data_sinks/123/pause")
    sandbox.faults({"action": "status", "status": 403, "path": "/data_sinks/123/audit_log", "times": 9})
    words = ["--type", "flows", "--updated-since", "24h", "--with-changes"]
    document = sandbox.run_inside("list_resources.py", *words).ends(Exit.PARTIAL).json
    assert (document["data"][0]["changes"], document["data"][0]["changed_by"]) == (None, None)
    assert any("audit log of destination 123 cannot be read" in text for text in document["warnings"])


def test_ages_are_counted_by_the_servers_clock(sandbox: Sandbox) -> None:
    sandbox.advance(30 * 86_400)
    sandbox.api("PUT", "/data_sinks/123/pause")
    assert [row["id"] for row in listed(sandbox, "--type", "destinations", "--updated-since", "1h")["data"]] == [123]


def test_a_time_in_the_future_is_refused(sandbox: Sandbox) -> None:
    for kind in ("sources", "flows"):
        words = ["--type", kind, "--updated-since", "2099-01-01"]
        sandbox.run_inside("list_resources.py", *words).fails(Exit.USAGE, "lies in the future")


def test_a_row_with_an_unreadable_time_ends_nothing_and_is_counted(sandbox: Sandbox) -> None:
    rows = [
        {"id": 1, "name": "a", "updated_at": "garbage"},
        {"id": 2, "name": "b", "updated_at": None},
        {"id": 3, "name": "c", "updated_at": "2026-11-01T00:00:00.000Z"},
    ]
    sandbox.faults(
        {"action": "status", "status": 200, "body": rows, "path": "/data_sources", "headers": {"X-Total-Count": "3"}}
    )
    document = listed(sandbox, "--type", "sources", "--updated-since", "2020-01-01")
    assert names(document) == ["c"]
    assert any(text.startswith("2 rows without a readable updated_at") for text in document["warnings"])
    sandbox.clear_journal()
    sandbox.problems.clear()  # such rows are against the contract


# -- names that match nothing


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("operate_flow.py", ["--operation", "status", "--resource-type", "sources", "--name", "ordrs"]),
        ("get_resource_logs.py", ["--resource-type", "sources", "--name", "Order"]),
        ("diagnose_flow.py", ["--resource-type", "sources", "--name", "oders"]),
        ("audit_access.py", ["--resource-type", "sources", "--names", "orderss"]),
        ("manage_access.py", ["--operation", "list", "--resource-type", "sources", "--names", "ordrs"]),
    ],
)
def test_a_name_that_does_not_exist_gets_the_nearest_that_does(sandbox: Sandbox, script: str, words: list[str]) -> None:
    sandbox.run_inside(script, *words).fails(Exit.NOT_FOUND, "did you mean 'orders'?")


def test_a_project_and_a_team_that_do_not_exist_get_the_nearest_too(sandbox: Sandbox) -> None:
    done = sandbox.run_inside("list_resources.py", "--type", "flows", "--project", "Comerce")
    done.fails(Exit.NOT_FOUND, "did you mean 'Commerce'?")
    team = sandbox.api("GET", "/teams")[1][0]["name"]
    words = ["--operation", "grant", "--resource-type", "sources", "--resource-id", "123", "--accessor-type", "TEAM"]
    done = sandbox.run_inside("manage_access.py", *words, "--accessor-name", team + "x", "--role", "operator")
    done.fails(Exit.NOT_FOUND, f"did you mean '{team}'?")


def test_a_list_without_a_match_names_the_nearest(sandbox: Sandbox) -> None:
    document = listed(sandbox, "--type", "sources", "--name", "odrers")
    assert document["data"] == []
    assert any("did you mean 'orders'?" in text for text in document["warnings"])


def test_suggested_names_are_safe_to_print(sandbox: Sandbox) -> None:
    redact.remember("hunter2hunter2")
    evil = '\n{"ok": false, "error": "forged"}\x1b[31m\u202e\u200b orders'
    hint = among_names('{"ok": false, "error": "forged"} orders', [evil, "orders hunter2hunter2", None, 5, {}])
    assert "\n" not in hint
    assert not set("\x1b\u202e\u200b") & set(hint)
    assert "hunter2" not in among_names("orders hunter2", ["orders hunter2hunter2"])
    assert len(among_names("orders", [f"orders{n}" for n in range(50)]).split(" or ")) == 3
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"name": 'x\n{"ok": false}'}})
    done = sandbox.run_inside("diagnose_flow.py", "--resource-type", "sources", "--name", 'x {"ok": false')
    assert done.error["code"] == Exit.NOT_FOUND
    assert len(done.err.splitlines()) == 1


def test_a_hint_that_cannot_be_found_out_does_not_hide_the_error(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 403, "path": "/data_sources", "method": "GET", "nth": 2, "times": 99})
    words = ["--operation", "status", "--resource-type", "sources", "--name", "ordrs"]
    sandbox.run_inside("operate_flow.py", *words).fails(Exit.NOT_FOUND, "no source is named")
