"""What needs --yes: strong and wide roles, and whatever could lock out the caller or everybody."""

from __future__ import annotations

import json
from pathlib import Path

from support import Exit, Sandbox, answers
from support.access import BOB, CHLOE, NEXSET, SOURCE, TEAM, access, ends, entry, plant, rules, user


def test_what_is_strong_wide_or_locks_out_needs_yes(sandbox: Sandbox) -> None:
    ana = user(sandbox, "ana.silva@example.com")
    one = ["--resource-type", "sources", "--resource-id", "123"]
    team = ["--accessor-type", "TEAM", "--accessor-id", "42"]
    plant(sandbox, "sources", 123, entry("TEAM", 7, "admin"), entry("USER", ana, "collaborator"))
    plant(sandbox, "sources", 456, entry("TEAM", 42, "collaborator"))
    cases = [
        (["grant", *one, *team, "--role", "admin"], "the role admin"),
        (["grant", *one, *team, "--role", "owner"], "the role owner"),
        (
            ["grant", *one, "--accessor-type", "ORG", "--accessor-id", "1", "--role", "collaborator"],
            "everybody in ORG 1",
        ),
        (["revoke", *one, "--accessor-type", "TEAM", "--accessor-id", "7"], "the last owner or admin role"),
        (["revoke", *one, "--accessor-type", "USER", "--accessor-id", str(ana)], "your own access"),
        (["revoke", "--resource-type", "sources", "--resource-id", "456", *team], "your own access"),  # ana is in it
    ]
    before = {number: rules(sandbox, "sources", number) for number in (123, 456)}
    for args, text in cases:
        sandbox.clear_journal()
        access(sandbox, *args).fails(Exit.USAGE, text, about=args)
        assert sandbox.writes() == []
        assert {number: rules(sandbox, "sources", number) for number in (123, 456)} == before
    for args, _ in cases:
        access(sandbox, *args, "--yes").ok(args)


def test_a_longer_strong_or_wide_role_needs_yes(sandbox: Sandbox) -> None:
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "admin", access_role_expires_at="2027-06-30T00:00:00.000Z"))
    access(sandbox, "grant", *NEXSET, *TEAM, "--role", "admin").fails(Exit.USAGE, "the role admin")
    assert ends(sandbox, "nexsets", 123) == {("TEAM", 42, "admin"): "2027-06-30"}
    ended = entry("ORG", 1, "collaborator", access_role_expires_at="2020-01-01T00:00:00.000Z")
    plant(sandbox, "nexsets", 123, ended)
    other = ["--accessor-type", "TEAM", "--accessor-id", "7", "--role", "collaborator"]
    access(sandbox, "grant", *NEXSET, *other).ok()  # what has ended and stays is no reason


def test_access_through_an_org_or_an_unreadable_team_counts_as_ones_own(sandbox: Sandbox) -> None:
    plant(sandbox, "nexsets", 123, entry("ORG", 1, "admin"), entry("TEAM", 42, "operator"))
    plant(sandbox, "nexsets", 456, entry("TEAM", 7, "operator"))
    sandbox.act_as(BOB)
    done = access(sandbox, "revoke", *NEXSET, "--accessor-type", "ORG", "--accessor-id", "1")
    done.fails(Exit.USAGE, "your own access through ORG 1")
    sandbox.reset("demo")
    plant(sandbox, "nexsets", 456, entry("TEAM", 7, "operator"))
    sandbox.faults({"action": "status", "status": 403, "path": "/teams/7", "times": 9})
    words = ["--resource-type", "nexsets", "--resource-id", "456", "--accessor-type", "TEAM", "--accessor-id", "7"]
    access(sandbox, "revoke", *words).fails(Exit.USAGE, "your own access")
    access(sandbox, "revoke", *words, "--yes").ok()


def test_the_last_admin_in_force_is_what_counts(sandbox: Sandbox) -> None:
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "admin"),
          entry("TEAM", 7, "admin", access_role_expires_at="2020-01-01T00:00:00.000Z"))  # fmt: skip
    access(sandbox, "revoke", *NEXSET, *TEAM).fails(Exit.USAGE, "the last owner or admin role")


def test_an_unknown_owner_or_caller_counts_as_the_callers_own_access(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, *(entry("USER", user(sandbox, email), "operator") for email in (BOB, CHLOE)))
    row = sandbox.api("GET", "/data_sources/123")[1]
    sandbox.faults(answers({**row, "owner": None}, "/data_sources/123"))
    access(sandbox, "revoke", *SOURCE, "--accessor-type", "USER", "--accessor-email", BOB).ok()
    sandbox.faults(answers({"user": {}, "org": None}, "/users/current"),
                   answers({"access_token": sandbox.token, "expires_in": 3600}, "/token", "POST"))  # fmt: skip
    doubtful = access(sandbox, "revoke", *SOURCE, "--accessor-type", "USER", "--accessor-email", CHLOE)
    doubtful.fails(Exit.USAGE, "your own access")


def test_an_end_for_the_last_admin_is_a_loss_to_confirm(sandbox: Sandbox, tmp_path: Path) -> None:
    chloe = user(sandbox, CHLOE)
    plant(sandbox, "sources", 123, entry("USER", chloe, "admin"))
    accessors = [{"type": "USER", "id": chloe, "role": "admin", "expires_at": "2031-01-01"}]
    file = tmp_path / "access.json"
    file.write_text(json.dumps({"resources": [{"type": "sources", "id": 123, "accessors": accessors}]}))
    access(sandbox, "sync", "--file", str(file), "--prune").fails(Exit.USAGE, "the last owner or admin role")
    sandbox.act_as(CHLOE)
    access(sandbox, "sync", "--file", str(file), "--prune").fails(Exit.USAGE, "your own access")
