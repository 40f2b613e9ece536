"""Wrong flags, files, names and ids are refused before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import Exit, Sandbox, answers
from support.access import BOB, NEXSET, SOURCE, access, audit, declared, entry, plant, rules, seen, user


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["list"], "exactly one of"),
        (["list", "--resource-id", "1"], "needs --resource-type"),
        (["list", "--resource-type", "sources", "--resource-id", "x"], "positive number"),
        (["list", "--resource-type", "sources", "--resource-ids", ","], "--resource-ids is empty"),
        (["list", "--resource-type", "users", "--resource-id", "1"], "no access rules"),
        (["list", "--resource-type", "sources", "--resource-id", "1", "--tag", "x"], "exactly one of"),
        (["list", "--resource-type", "sources", "--resource-id", "1", "--role", "admin"], "cannot be used with"),
        (["list", "--pipeline-of", "123"], "TYPE:ID"),
        (["grant", "--project", "10", "--role", "operator"], "type must be one of"),
        (["grant", "--project", "10", "--accessor-type", "USER", "--role", "operator"], "exactly one of id, email"),
        (["grant", "--project", "10", "--accessor-type", "TEAM", "--accessor-id", "42"], "needs --role"),
        (["grant", "--project", "10", "--accessor-type", "TEAM", "--accessor-id", "42", "--accessor-name", "x",
          "--role", "operator"], "exactly one of id, name"),
        (["grant", "--project", "10", "--accessor-type", "TEAM", "--accessor-email", "x@y", "--role", "operator"],
         "exactly one of id, name"),
        (["grant", "--project", "10", "--accessor-type", "TEAM", "--accessor-id", "42", "--role", "operator",
          "--expires-at", "soon"], "not a time"),
        (["revoke", "--project", "10", "--accessor-type", "TEAM", "--accessor-id", "42", "--expires-at", "2027-01-01"],
         "cannot be used with"),
        (["copy-from", "--project", "10"], "needs --from"),
        (["sync"], "needs --file"),
        (["list", "--project", "10", "--dry-run"], "changes nothing"),
    ],
)  # fmt: skip
def test_wrong_flags_are_refused_before_anything_is_sent(sandbox: Sandbox, args: list[str], text: str) -> None:
    sandbox.clear_journal()
    access(sandbox, *args).fails(Exit.USAGE, text)
    assert sandbox.journal() == []


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ([], "names no resource"),
        ([{"accessors": []}], "exactly one of type with id, pipeline_of, project"),
        ([{"type": "sources", "accessors": []}], "type with id"),
        ([{"type": "users", "id": 1, "accessors": []}], "have no access rules"),
        (
            [{"type": "sources", "id": 1, "accessors": [{"type": "TEAM", "role": "operator"}]}],
            "by exactly one of id, name",
        ),
        ([{"type": "sources", "id": 1, "accessors": [{"type": "TEAM", "id": 1, "role": "boss"}]}], "must be one of"),
        (
            [{"type": "sources", "id": 1, "accessors": [{"type": "TEAM", "id": 1, "role": "sharer"}]}],
            "only for nexsets",
        ),
        ([{"type": "sources", "id": 1, "acessors": []}], "did you mean 'accessors'"),
        ([{"type": "sources", "id": 1, "accessors": [{"type": "USER", "team_id": 1, "role": "admin"}]}], "team_id"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, resources: list[dict[str, Any]], text: str
) -> None:
    sandbox.clear_journal()
    access(sandbox, "sync", "--file", declared(tmp_path, *resources)).fails(Exit.USAGE, text)
    assert sandbox.journal() == []


@pytest.mark.parametrize(
    ("accessor", "text"),
    [
        (["USER", "--accessor-email", "bob.smth@example.com"], "no user has the email"),
        (["USER", "--accessor-id", "99999"], "no user has the id"),
        (["TEAM", "--accessor-name", "Data Enginering"], "no team has the name"),
        (["TEAM", "--accessor-id", "43"], "no team has the id"),
        (["ORG", "--accessor-domain", "exmple.com"], "no org has the domain"),
        (["ORG", "--accessor-id", "2"], "no org has the id"),
    ],
)
def test_a_typo_gives_nobody_access(sandbox: Sandbox, accessor: list[str], text: str) -> None:
    sandbox.clear_journal()
    words = ["--resource-type", "sources", "--resource-ids", "123,456", "--accessor-type", *accessor]
    access(sandbox, "grant", *words, "--role", "operator", "--yes").fails(Exit.NOT_FOUND, text)
    assert sandbox.writes() == []


def test_two_of_one_name_are_not_both_meant(sandbox: Sandbox) -> None:
    sandbox.control("POST", "edit", {"kind": "teams", "id": 7, "set": {"name": "Data Engineering"}})
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "operator"), entry("TEAM", 7, "operator"))
    done = access(sandbox, "revoke", *NEXSET, "--accessor-type", "TEAM", "--accessor-name", "Data Engineering", "--yes")
    done.fails(Exit.NOT_FOUND, "ids 7, 42")
    assert len(rules(sandbox, "nexsets", 123)) == 2


def test_an_ambiguous_name_lists_the_candidates_for_a_grant_and_an_audit(sandbox: Sandbox) -> None:
    bob, people = user(sandbox, BOB), sandbox.api("GET", "/users")[1]
    two = [*people, {**people[0], "id": 99, "email": BOB}]
    sandbox.faults(answers(two, "/users", headers={"X-Total-Count": str(len(two))}))
    words = ["--accessor-type", "USER", "--accessor-email", BOB, "--role", "collaborator"]
    done = access(sandbox, "grant", *SOURCE, *words)
    done.fails(Exit.NOT_FOUND)
    assert done.error["resource"]["candidates"] == [bob, 99]
    asked = audit(sandbox, *SOURCE, "--accessor", BOB)
    asked.fails(Exit.NOT_FOUND)
    assert asked.error["resource"]["candidates"] == [bob, 99]
    sandbox.faults()
    plant(sandbox, "sources", 123, entry("USER", bob, "operator"))
    assert seen(audit(sandbox, *SOURCE, "--accessor", str(bob))) == {("sources", 123, BOB, "operator")}
