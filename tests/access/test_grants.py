"""Granting: on which resources, which roles and ends; only what was asked for is given, and nothing is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import Exit, Sandbox
from support.access import NEXSET, SEEDS, SOURCE, TEAM, TEAM42, access, declared, ends, entry, plant, rules


def test_the_seeds_commands_work_as_written(sandbox: Sandbox) -> None:
    done = sandbox.run("manage_access.py", "--operation", "grant", *SEEDS, "--role", "operator").ok()
    assert done.data["changed"] == 3
    for number in (123, 456, 789):
        assert rules(sandbox, "sources", number) == {TEAM42: ["operator"]}
    listed = sandbox.run(
        "manage_access.py", "--operation", "list", "--resource-type", "sources", "--resource-id", "123"
    )
    assert [(row["accessor"], row["role"]) for row in listed.data] == [("Data Engineering", "operator")]
    sandbox.clear_journal()
    again = access(sandbox, "grant", *SEEDS, "--role", "operator").ok()
    assert again.data["outcome"] == "unchanged"
    assert sandbox.writes() == []


def test_a_dry_run_shows_the_difference_and_writes_nothing(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    done = access(sandbox, "grant", *SEEDS, "--role", "admin", "--dry-run").ok()
    assert done.data["changed"] == 3
    assert sandbox.writes() == []
    assert done.data["resources"][0]["changes"] == {"TEAM 42 Data Engineering": [None, "admin"]}
    assert "needs --yes: grants TEAM 42 Data Engineering the role admin" in done.json["warnings"][0]


@pytest.mark.parametrize(
    ("had", "role", "has"),
    [
        (["operator"], "collaborator", ["operator"]),  # never lowered
        (["admin"], "operator", ["admin"]),
        (["collaborator"], "operator", ["collaborator", "operator"]),
        (["sharer"], "collaborator", ["collaborator", "sharer"]),
        (["collaborator"], "sharer", ["collaborator", "sharer"]),
    ],
)
def test_a_grant_adds_and_never_lowers(sandbox: Sandbox, had: list[str], role: str, has: list[str]) -> None:
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, *had))
    words = ["--resource-type", "nexsets", "--resource-id", "123", "--accessor-type", "team", "--accessor-id", "42"]
    access(sandbox, "grant", *words, "--role", role).ok()
    assert rules(sandbox, "nexsets", 123) == {TEAM42: has}
    sandbox.clear_journal()
    again = access(sandbox, "grant", *words, "--role", role).ok()
    assert sandbox.writes() == []
    assert again.err.count("a grant never reduces access") <= 1


def test_what_is_kept_is_told_without_what_has_ended(sandbox: Sandbox) -> None:
    ended = entry("TEAM", 42, "operator", access_role_expires_at="2020-01-01T00:00:00.000Z")
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "admin"), ended)
    done = access(sandbox, "grant", *NEXSET, *TEAM, "--role", "collaborator").ok()
    assert "TEAM 42 Data Engineering keeps admin: a grant never reduces access" in done.err, done.err


@pytest.mark.parametrize("put_changes_end", [True, False])
@pytest.mark.parametrize(
    ("had", "grant", "has"),
    [
        ({}, ["collaborator", "2027-06-30"], {"collaborator": "2027-06-30"}),
        ({"collaborator": "2027-06-30"}, ["collaborator", "2028-06-30"], {"collaborator": "2028-06-30"}),
        ({"collaborator": "2028-06-30"}, ["collaborator", "2027-06-30"], {"collaborator": "2028-06-30"}),
        ({"collaborator": "2027-06-30"}, ["collaborator", None], {"collaborator": None}),
        ({"collaborator": None}, ["collaborator", "2027-06-30"], {"collaborator": None}),
        # another role is never touched: neither made longer nor shorter
        ({"admin": "2027-06-30"}, ["collaborator", None], {"admin": "2027-06-30", "collaborator": None}),
        ({"admin": "2027-06-30"}, ["collaborator", "2027-01-01"], {"admin": "2027-06-30"}),
        ({"collaborator": "2030-01-01"}, ["operator", "2027-06-30"],
         {"collaborator": "2030-01-01", "operator": "2027-06-30"}),
        ({"admin": None}, ["sharer", "2027-06-30"], {"admin": None, "sharer": "2027-06-30"}),
        ({"operator": "2020-01-01"}, ["collaborator", None], {"operator": "2020-01-01", "collaborator": None}),
    ],
)  # fmt: skip
def test_ends_belong_to_one_role_and_a_grant_only_adds(
    sandbox: Sandbox, had: dict[str, Any], grant: list[Any], has: dict[str, Any], put_changes_end: bool
) -> None:
    for role, end in had.items():
        plant(
            sandbox,
            "nexsets",
            123,
            entry("TEAM", 42, role, **({"access_role_expires_at": f"{end}T00:00:00.000Z"} if end else {})),
        )
    sandbox.control("POST", "settings", {"put_changes_end": put_changes_end})
    words = [*NEXSET, *TEAM, "--role", grant[0], *(["--expires-at", grant[1]] if grant[1] else [])]
    access(sandbox, "grant", *words).ok()
    assert ends(sandbox, "nexsets", 123) == {("TEAM", 42, role): end for role, end in has.items()}


@pytest.mark.parametrize("end", ["24h", "30d", "2020-01-01", "99999-01-01", "soon", ""])
def test_an_end_is_a_future_day(sandbox: Sandbox, tmp_path: Path, end: str) -> None:
    sandbox.clear_journal()
    access(sandbox, "grant", *NEXSET, *TEAM, "--role", "operator", "--expires-at", end).fails(Exit.USAGE)
    assert sandbox.writes() == []
    body = {
        "type": "nexsets",
        "id": 123,
        "accessors": [{"type": "TEAM", "id": 42, "role": "operator", "expires_at": end}],
    }
    access(sandbox, "sync", "--file", declared(tmp_path, body)).fails(Exit.USAGE)
    assert sandbox.writes() == []


def test_a_team_with_the_name_of_a_secret_does_not_hide_what_it_gets(sandbox: Sandbox) -> None:
    sandbox.control("POST", "edit", {"kind": "teams", "id": 7, "set": {"name": "Token"}})
    words = [*SOURCE, "--accessor-type", "TEAM", "--accessor-id", "7", "--role", "admin", "--dry-run"]
    (row,) = access(sandbox, "grant", *words).data["resources"]
    assert row["changes"] == {"TEAM 7": [None, "admin"]}


def test_a_pipeline_is_all_of_its_members_however_deep(sandbox: Sandbox) -> None:
    transform = {"transforms": [{"operation": "shift", "spec": {"*": "&"}}]}
    body = {"name": "deep", "parent_data_set_id": 123, "has_custom_transform": False, "transform": transform}
    _, child = sandbox.api("POST", "/data_sets", body)
    body = {"name": "deep sink", "sink_type": "postgres", "data_credentials_id": 456, "data_set_id": child["id"]}
    _, sink = sandbox.api("POST", "/data_sinks", {**body, "sink_config": {"table": "deep"}})
    words = ["--accessor-type", "TEAM", "--accessor-name", "Data Engineering", "--role", "collaborator"]
    access(sandbox, "grant", "--pipeline-of", f"data_sinks:{sink['id']}", *words).ok()
    for kind, number in (("sources", 123), ("nexsets", 123), ("destinations", 123), ("nexsets", child["id"]),
                         ("destinations", sink["id"])):  # fmt: skip
        assert rules(sandbox, kind, number) == {TEAM42: ["collaborator"]}, (kind, number)
    assert rules(sandbox, "flows", 1230) == {TEAM42: ["collaborator"]}
    assert rules(sandbox, "credentials", 123) == rules(sandbox, "sources", 456) == {}
    assert access(sandbox, "grant", "--pipeline-of", "sources:123", "--with-credentials", *words).data["changed"] == 2
    assert rules(sandbox, "credentials", 456) == {TEAM42: ["collaborator"]}


def test_a_project_goes_through_its_flows_and_a_tag_is_exact(sandbox: Sandbox) -> None:
    words = ["--accessor-type", "TEAM", "--accessor-id", "42", "--role", "collaborator"]
    assert access(sandbox, "grant", "--project", "10", *words).data["changed"] == 4  # with the flow itself
    assert rules(sandbox, "sources", 456) == {}
    assert access(sandbox, "grant", "--tag", "prod", *words).data["changed"] == 1  # 456; 123 has it already
    assert rules(sandbox, "sources", 789) == {}
    named = access(sandbox, "grant", "--resource-type", "sources", "--names", "payments,inventory", *words)
    assert named.data["changed"] == 2
    transform = access(sandbox, "grant", "--resource-type", "transforms", "--resource-id", "123", *words)
    assert transform.data["resources"][0]["type"] == "code_containers"


def test_rules_of_a_flow_lie_at_its_origin(sandbox: Sandbox) -> None:
    words = ["--resource-type", "flows", "--accessor-type", "TEAM", "--accessor-id", "42", "--role", "operator"]
    access(sandbox, "grant", *words, "--resource-id", "1232").ok()
    assert rules(sandbox, "flows", 1230) == {TEAM42: ["operator"]}
    assert rules(sandbox, "sources", 123) == {}


def test_a_response_that_only_seems_right_is_not_believed(sandbox: Sandbox) -> None:
    row = {"type": "TEAM", "id": 42, "name": "x", "access_roles": ["operator"]}
    sandbox.faults({"action": "status", "status": 200, "body": [row], "method": "PUT", "path": ".*accessors"})
    access(sandbox, "grant", *NEXSET, *TEAM, "--role", "operator").fails(Exit.ROLLED_BACK)
    assert rules(sandbox, "nexsets", 123) == {}


def test_read_only_blocks_every_write(sandbox: Sandbox) -> None:
    done = sandbox.run(
        "manage_access.py", "--operation", "grant", *SEEDS, "--role", "operator", env={"NEXLA_READ_ONLY": "1"}
    )
    done.fails(Exit.CONFIG)
    assert rules(sandbox, "sources", 123) == {}
