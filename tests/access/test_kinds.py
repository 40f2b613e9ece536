"""Every kind of resource that has access rules in the API's contract, in the scripts and in the sandbox."""

from __future__ import annotations

import re

import pytest

from helpers.access.roles import SHARED, UNLISTED, access_kind, resource_kind
from sandbox.server import contract
from support import Exit, Sandbox
from support.access import ANA, BOB, PATHS, access, acting_as, audit, rules, seen, user

IDS = {"flows": 1230, "projects": 10, "teams": 42}


def test_every_kind_with_rules_in_the_contract_is_known() -> None:
    paths = {re.fullmatch(r"/(\w+)/\{\w+\}/accessors", operation.template) for operation in contract.operations()}
    names = {match[1] for match in paths if match}
    assert len(names) == 12
    assert {access_kind(name).name for name in names} == set(SHARED)
    assert not [entry for entry in contract.DOCUMENT["x-not-built"] if entry.endswith("/accessors")]


@pytest.mark.parametrize("kind", SHARED)
def test_access_is_granted_listed_audited_and_revoked(sandbox: Sandbox, kind: str) -> None:
    number = IDS.get(kind, 123)
    one = ["--resource-type", kind, "--resource-id", str(number)]
    who = ["--accessor-type", "TEAM", "--accessor-id", "7"]
    access(sandbox, "grant", *one, *who, "--role", "operator").ok()
    assert rules(sandbox, kind, number) == {("TEAM", 7): ["operator"]}
    (row,) = access(sandbox, "list", *one).ok().data
    assert (row["type"], row["accessor"], row["role"]) == (kind, "Analysts", "operator")
    done = audit(sandbox, *one, "--expand-teams", "--changes").ok()
    assert (kind, number, BOB, "operator") in seen(done)
    owners = {row["accessor"] for row in done.data["access"] if row["role"] == "owner"}
    assert owners == (set() if kind in UNLISTED else {ANA})
    assert [(row["event"], row["after"]) for row in done.data["changes"]] == (
        [] if kind == "flows" else [("create", "operator")]
    )
    access(sandbox, "revoke", *one, *who, "--yes").ok()
    assert rules(sandbox, kind, number) == {}


def test_the_former_path_of_flows_shows_the_same_rules(sandbox: Sandbox) -> None:
    access(sandbox, "grant", "--resource-type", "data_flows", "--resource-id", "1230", "--accessor-type", "TEAM",
           "--accessor-id", "7", "--role", "operator").ok()  # fmt: skip
    assert sandbox.api("GET", "/data_flows/1231/accessors") == sandbox.api("GET", "/flows/1230/accessors")
    rule = {"type": "TEAM", "id": 42, "access_roles": ["collaborator"]}
    assert sandbox.api("POST", "/data_flows/1230/accessors", {"accessors": [rule]})[0] == 200
    assert rules(sandbox, "flows", 1230) == {("TEAM", 42): ["collaborator"]}


@pytest.mark.parametrize("kind", ["lookups", "data_schemas"])
def test_everything_that_one_owns_includes_lookups_and_schemas(sandbox: Sandbox, kind: str) -> None:
    access(sandbox, "grant", "--resource-type", kind, "--names", {"lookups": "countries"}.get(kind, "order"),
           "--accessor-type", "TEAM", "--accessor-id", "7", "--role", "operator").ok()  # fmt: skip
    assert (kind, 123, "Analysts", "operator") in seen(audit(sandbox, "--all"))


def test_what_cannot_be_listed_is_said_and_selected_by_id_only(sandbox: Sandbox) -> None:
    assert "leaves out doc_containers" in str(audit(sandbox, "--all").json["warnings"])
    for flags in (["--names", "handbook"], ["--tag", "prod"]):
        access(sandbox, "list", "--resource-type", "doc_containers", *flags).fails(Exit.USAGE, "no list of")
    access(sandbox, "grant", "--resource-type", "docs", "--resource-id", "123", "--accessor-type", "USER",
           "--accessor-email", BOB, "--role", "operator").ok()  # fmt: skip
    done = audit(sandbox, "--resource-type", "docs", "--resource-id", "123").ok()
    assert "does not show who owns" in str(done.json["warnings"])
    access(sandbox, "list", "--resource-type", "lookups", "--names", "nowhere").fails(Exit.NOT_FOUND, "list_resources")
    assert "list_resources" not in access(sandbox, "list", "--resource-type", "schema", "--names", "x").error["hint"]


@pytest.mark.parametrize("kind", sorted(set(PATHS) & {"lookups", "data_schemas", "doc_containers"}))
def test_their_rules_need_a_role_like_those_of_any_kind(sandbox: Sandbox, kind: str) -> None:
    bob = acting_as(sandbox, BOB)
    one = ["--resource-type", kind, "--resource-id", "123"]
    access(bob, "list", *one).fails(Exit.AUTH)
    person = ["--accessor-type", "USER", "--accessor-id", str(user(sandbox, BOB))]
    access(sandbox, "grant", *one, *person, "--role", "collaborator").ok()
    access(bob, "list", *one).ok()
    team = ["--accessor-type", "TEAM", "--accessor-id", "7"]
    access(bob, "grant", *one, *team, "--role", "operator").fails(Exit.ROLLED_BACK, "403")
    assert rules(sandbox, kind, 123) == {("USER", user(sandbox, BOB)): ["collaborator"]}


@pytest.mark.parametrize(
    ("alias", "name"),
    [("data_maps", "lookups"), ("Data Schema", "data_schemas"), ("doc-container", "doc_containers")],
)
def test_aliases(alias: str, name: str) -> None:
    assert resource_kind(alias).name == name
