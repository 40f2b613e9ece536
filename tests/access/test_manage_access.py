"""manage_access.py: nobody gets or loses more than was said; rules are counted on the sandbox, not in the output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.change.journal import Journal, open_journal
from support import Sandbox
from support.access import BOB, CHLOE, SEEDS, TEAM42, access, declared, ends, entry, plant, rules, user

# -- the seeds' commands, and repeating


def test_the_seeds_commands_work_as_written(sandbox: Sandbox) -> None:
    done = sandbox.run("manage_access.py", "--operation", "grant", *SEEDS, "--role", "operator")
    assert (done.code, done.data["changed"]) == (0, 3), done.err
    for number in (123, 456, 789):
        assert rules(sandbox, "sources", number) == {TEAM42: ["operator"]}
    listed = sandbox.run(
        "manage_access.py", "--operation", "list", "--resource-type", "sources", "--resource-id", "123"
    )
    assert [(row["accessor"], row["role"]) for row in listed.data] == [("Data Engineering", "operator")]
    sandbox.clear_journal()
    again = access(sandbox, "grant", *SEEDS, "--role", "operator")
    assert (again.code, again.data["outcome"], sandbox.writes()) == (0, "unchanged", [])


def test_a_dry_run_shows_the_difference_and_writes_nothing(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    done = access(sandbox, "grant", *SEEDS, "--role", "admin", "--dry-run")
    assert (done.code, done.data["changed"], sandbox.writes()) == (0, 3, [])
    assert done.data["resources"][0]["changes"] == {"TEAM 42 Data Engineering": [None, "admin"]}
    assert "needs --yes: gives TEAM 42 Data Engineering the role admin" in done.json["warnings"][0]


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
    done = access(sandbox, "grant", *words, "--role", role)
    assert done.code == 0, done.err
    assert rules(sandbox, "nexsets", 123) == {TEAM42: has}
    sandbox.clear_journal()
    again = access(sandbox, "grant", *words, "--role", role)
    assert (again.code, sandbox.writes()) == (0, [])
    assert again.err.count("a grant never takes away") <= 1


ONE = ["--resource-type", "nexsets", "--resource-id", "123"]
TEAM = ["--accessor-type", "TEAM", "--accessor-id", "42"]


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
    words = [*ONE, *TEAM, "--role", grant[0], *(["--expires-at", grant[1]] if grant[1] else [])]
    done = access(sandbox, "grant", *words)
    assert done.code == 0, done.err
    assert ends(sandbox, "nexsets", 123) == {("TEAM", 42, role): end for role, end in has.items()}


@pytest.mark.parametrize("end", ["24h", "30d", "2020-01-01", "99999-01-01", "soon", ""])
def test_an_end_is_a_day_to_come(sandbox: Sandbox, tmp_path: Path, end: str) -> None:
    sandbox.clear_journal()
    done = access(sandbox, "grant", *ONE, *TEAM, "--role", "operator", "--expires-at", end)
    assert (done.code, sandbox.writes()) == (2, []), done.err
    body = {
        "type": "nexsets",
        "id": 123,
        "accessors": [{"type": "TEAM", "id": 42, "role": "operator", "expires_at": end}],
    }
    assert access(sandbox, "sync", "--file", declared(tmp_path, body)).code == 2
    assert sandbox.writes() == []


def test_a_longer_strong_or_wide_role_needs_yes(sandbox: Sandbox) -> None:
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "admin", access_role_expires_at="2027-06-30T00:00:00.000Z"))
    done = access(sandbox, "grant", *ONE, *TEAM, "--role", "admin")
    assert (done.code, "the role admin" in done.error["message"]) == (2, True)
    assert ends(sandbox, "nexsets", 123) == {("TEAM", 42, "admin"): "2027-06-30"}
    ended = entry("ORG", 1, "collaborator", access_role_expires_at="2020-01-01T00:00:00.000Z")
    plant(sandbox, "nexsets", 123, ended)
    other = ["--accessor-type", "TEAM", "--accessor-id", "7", "--role", "collaborator"]
    assert access(sandbox, "grant", *ONE, *other).code == 0  # what has ended and stays is no reason


# -- which resources


def test_a_pipeline_is_all_of_its_members_however_deep(sandbox: Sandbox) -> None:
    transform = {"transforms": [{"operation": "shift", "spec": {"*": "&"}}]}
    body = {"name": "deep", "parent_data_set_id": 123, "has_custom_transform": False, "transform": transform}
    _, child = sandbox.api("POST", "/data_sets", body)
    body = {"name": "deep sink", "sink_type": "postgres", "data_credentials_id": 456, "data_set_id": child["id"]}
    _, sink = sandbox.api("POST", "/data_sinks", {**body, "sink_config": {"table": "deep"}})
    words = ["--accessor-type", "TEAM", "--accessor-name", "Data Engineering", "--role", "collaborator"]
    done = access(sandbox, "grant", "--pipeline-of", f"data_sinks:{sink['id']}", *words)
    assert done.code == 0, done.err
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
    assert access(sandbox, "grant", *words, "--resource-id", "1232").code == 0
    assert rules(sandbox, "flows", 1230) == {TEAM42: ["operator"]}
    assert rules(sandbox, "sources", 123) == {}


# -- taking away


def test_revoke_matches_type_and_identity_exactly(sandbox: Sandbox) -> None:
    bob = user(sandbox, BOB)
    sandbox.control("POST", "edit", {"kind": "users", "id": bob, "set": {}})
    plant(
        sandbox,
        "sources",
        123,
        entry("TEAM", 7, "operator"),
        entry("USER", bob, "operator"),
        entry("ORG", 1, "collaborator"),
    )
    one = ["--resource-type", "sources", "--resource-id", "123"]
    assert access(sandbox, "revoke", *one, "--accessor-type", "USER", "--accessor-id", "7").data["changed"] == 0
    done = access(sandbox, "revoke", *one, "--accessor-type", "TEAM", "--accessor-name", "analysts")
    assert done.data["changed"] == 1, done.err
    assert rules(sandbox, "sources", 123) == {("USER", bob): ["operator"], ("ORG", 1): ["collaborator"]}
    nobody = access(sandbox, "revoke", *one, "--accessor-type", "USER", "--accessor-email", "bob.smiht@example.com")
    assert (nobody.code, "no user has the email" in nobody.error["message"]) == (5, True)
    chloe = access(sandbox, "revoke", *one, "--accessor-type", "USER", "--accessor-email", CHLOE)
    assert (chloe.code, "has no rule on any" in chloe.json["warnings"][0]) == (0, True)
    assert access(sandbox, "revoke", *one, "--accessor-type", "USER", "--accessor-email", BOB.upper()).code == 0
    org = [*one, "--accessor-type", "ORG", "--accessor-domain", "example.com"]
    assert access(sandbox, "revoke", *org).code == 2  # the caller is in it
    assert access(sandbox, "revoke", *org, "--yes").code == 0
    assert rules(sandbox, "sources", 123) == {}


@pytest.mark.parametrize("by_role", [False, True])
def test_one_role_can_be_taken_whatever_the_server_thinks_of_roles_in_a_delete(sandbox: Sandbox, by_role: bool) -> None:
    sandbox.control("POST", "settings", {"delete_matches_role": by_role})
    plant(sandbox, "sources", 123, entry("TEAM", 42, "collaborator", "operator"))
    words = ["--resource-type", "sources", "--resource-id", "123", "--accessor-type", "TEAM", "--accessor-id", "42"]
    done = access(sandbox, "revoke", *words, "--role", "operator", "--yes")
    assert done.code == 0, done.err
    assert rules(sandbox, "sources", 123) == {TEAM42: ["collaborator"]}
    assert access(sandbox, "revoke", *words, "--role", "admin", "--yes").data["changed"] == 0


def test_replace_shows_the_whole_difference_and_needs_yes(sandbox: Sandbox, tmp_path: Path) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"), entry("TEAM", 42, "collaborator", "operator"))
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"accessors": [{"type": "TEAM", "id": 42, "role": "collaborator"}]}))
    words = ["--resource-type", "sources", "--resource-id", "123", "--accessors", str(file)]
    sandbox.clear_journal()
    refused = access(sandbox, "replace", *words)
    assert (refused.code, sandbox.writes()) == (2, [])
    changes = refused.json["data"]["changes"]["source 123"]
    assert changes == {
        "TEAM 7 Analysts": ["operator", None],
        "TEAM 42 Data Engineering": ["collaborator + operator", "collaborator"],
    }
    assert access(sandbox, "replace", *words, "--yes").code == 0
    assert rules(sandbox, "sources", 123) == {TEAM42: ["collaborator"]}
    assert access(sandbox, "replace", *words).code == 0  # nothing to replace: nothing to confirm
    file.write_text('{"accessors": []}')
    empty = access(sandbox, "replace", *words, "--yes")
    assert (empty.code, "remove everybody" in empty.error["message"]) == (2, True)


def test_an_empty_list_is_never_sent() -> None:
    from helpers.access import rules as access_rules
    from helpers.core.kinds import KINDS

    with pytest.raises(Exception, match="would remove everybody"):
        access_rules.Writer(None, KINDS["sources"], 1, bool, print)._send("DELETE", [])  # type: ignore[arg-type]


# -- copying and declaring


def test_copy_from_gives_the_same_and_takes_nothing(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"), entry("USER", user(sandbox, CHLOE), "collaborator"))
    plant(sandbox, "nexsets", 456, entry("TEAM", 7, "collaborator"), entry("USER", user(sandbox, CHLOE), "operator"))
    done = access(sandbox, "copy-from", "--from", "sources:123", "--resource-type", "nexsets", "--resource-id", "456")
    assert done.code == 0, done.err
    assert rules(sandbox, "nexsets", 456) == {
        TEAM42: ["operator"], ("TEAM", 7): ["collaborator"], ("USER", user(sandbox, CHLOE)): ["operator"]
    }  # fmt: skip
    nothing = access(
        sandbox, "copy-from", "--from", "sources:456", "--resource-type", "nexsets", "--resource-id", "123"
    )
    assert (nothing.code, "no access rule to copy" in nothing.error["message"]) == (2, True)


def test_sync_writes_only_the_difference_and_prune_takes_the_rest(sandbox: Sandbox, tmp_path: Path) -> None:
    file = declared(
        tmp_path,
        {"pipeline_of": {"type": "sources", "id": 123}, "accessors": [{"type": "TEAM", "id": 42, "role": "operator"}]},
        {"type": "sources", "id": 123, "accessors": [{"type": "USER", "email": BOB, "role": "collaborator"}]},
    )
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"), entry("USER", user(sandbox, BOB), "operator"))
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "operator"))
    sandbox.clear_journal()
    first = access(sandbox, "sync", "--file", file)
    assert (first.code, first.data["changed"], len(sandbox.writes())) == (0, 3, 3), first.err
    assert rules(sandbox, "sources", 123) == {
        TEAM42: ["operator"], ("TEAM", 7): ["operator"], ("USER", user(sandbox, BOB)): ["operator"]
    }  # fmt: skip
    sandbox.clear_journal()
    assert (access(sandbox, "sync", "--file", file).data["outcome"], sandbox.writes()) == ("unchanged", [])
    pruned = access(sandbox, "sync", "--file", file, "--prune", "--yes")
    assert pruned.code == 0, pruned.err
    assert rules(sandbox, "sources", 123) == {TEAM42: ["operator"], ("USER", user(sandbox, BOB)): ["collaborator"]}
    assert access(sandbox, "sync", "--file", file, "--prune").data["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ([], "names no resource"),
        ([{"accessors": []}], "type and id, or pipeline_of"),
        ([{"type": "sources", "accessors": []}], "type and id"),
        ([{"type": "users", "id": 1, "accessors": []}], "have no access rules"),
        (
            [{"type": "sources", "id": 1, "accessors": [{"type": "TEAM", "role": "operator"}]}],
            "named by either id or name",
        ),
        ([{"type": "sources", "id": 1, "accessors": [{"type": "TEAM", "id": 1, "role": "boss"}]}], "must be one of"),
        ([{"type": "sources", "id": 1, "accessors": [{"type": "TEAM", "id": 1, "role": "sharer"}]}], "nexsets only"),
        ([{"type": "sources", "id": 1, "acessors": []}], "did you mean 'accessors'"),
        ([{"type": "sources", "id": 1, "accessors": [{"type": "USER", "team_id": 1, "role": "admin"}]}], "team_id"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, resources: list[dict[str, Any]], text: str
) -> None:
    sandbox.clear_journal()
    done = access(sandbox, "sync", "--file", declared(tmp_path, *resources))
    assert (done.code, sandbox.journal()) == (2, []), done.err
    assert text in done.error["message"]


def test_two_entries_that_contradict_each_other_are_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    file = declared(
        tmp_path,
        {"project": 10, "accessors": [{"type": "TEAM", "id": 42, "role": "operator"}]},
        {"type": "sources", "id": 123, "accessors": [{"type": "TEAM", "name": "Data Engineering", "role": "admin"}]},
    )
    sandbox.clear_journal()
    done = access(sandbox, "sync", "--file", file)
    assert (done.code, sandbox.writes()) == (2, [])
    assert "both operator and admin" in done.error["message"]


# -- what needs a yes


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
            "everybody of ORG 1",
        ),
        (["revoke", *one, "--accessor-type", "TEAM", "--accessor-id", "7"], "the last accessor who is owner or admin"),
        (["revoke", *one, "--accessor-type", "USER", "--accessor-id", str(ana)], "your own access"),
        (["revoke", "--resource-type", "sources", "--resource-id", "456", *team], "your own access"),  # ana is in it
    ]
    before = {number: rules(sandbox, "sources", number) for number in (123, 456)}
    for args, text in cases:
        sandbox.clear_journal()
        done = access(sandbox, *args)
        assert (done.code, sandbox.writes()) == (2, []), args
        assert text in done.error["message"], args
        assert {number: rules(sandbox, "sources", number) for number in (123, 456)} == before
    for args, _ in cases:
        assert access(sandbox, *args, "--yes").code == 0, args


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
    done = access(sandbox, "grant", *words, "--role", "operator", "--yes")
    assert (done.code, sandbox.writes()) == (5, []), done.err
    assert text in done.error["message"]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["list"], "exactly one of"),
        (["list", "--resource-id", "1"], "needs --resource-type"),
        (["list", "--resource-type", "sources", "--resource-id", "x"], "positive number"),
        (["list", "--resource-type", "sources", "--resource-ids", ","], "names nothing"),
        (["list", "--resource-type", "users", "--resource-id", "1"], "no access rules"),
        (["list", "--resource-type", "sources", "--resource-id", "1", "--tag", "x"], "exactly one of"),
        (["list", "--resource-type", "sources", "--resource-id", "1", "--role", "admin"], "does not go with"),
        (["list", "--pipeline-of", "123"], "TYPE:ID"),
        (["grant", "--project", "10", "--role", "operator"], "type must be one of"),
        (["grant", "--project", "10", "--accessor-type", "USER", "--role", "operator"], "either id or email"),
        (["grant", "--project", "10", "--accessor-type", "TEAM", "--accessor-id", "42"], "needs --role"),
        (["grant", "--project", "10", "--accessor-type", "TEAM", "--accessor-id", "42", "--accessor-name", "x",
          "--role", "operator"], "either id or name"),
        (["grant", "--project", "10", "--accessor-type", "TEAM", "--accessor-email", "x@y", "--role", "operator"],
         "either id or name"),
        (["grant", "--project", "10", "--accessor-type", "TEAM", "--accessor-id", "42", "--role", "operator",
          "--expires-at", "soon"], "not a time"),
        (["revoke", "--project", "10", "--accessor-type", "TEAM", "--accessor-id", "42", "--expires-at", "2027-01-01"],
         "does not go with"),
        (["copy-from", "--project", "10"], "needs --from"),
        (["sync"], "needs --file"),
        (["list", "--project", "10", "--dry-run"], "changes nothing"),
    ],
)  # fmt: skip
def test_wrong_flags_are_refused_before_anything_is_sent(sandbox: Sandbox, args: list[str], text: str) -> None:
    sandbox.clear_journal()
    done = access(sandbox, *args)
    assert (done.code, sandbox.journal()) == (2, []), done.err
    assert text in done.error["message"]


# -- when something fails


def test_a_failure_takes_all_of_it_back_or_lists_what_was_done(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 7, "collaborator"))
    rule = {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9}
    sandbox.faults(rule)
    done = access(sandbox, "grant", *SEEDS, "--role", "operator")
    assert (done.code, done.json["data"]["left_behind"]) == (9, []), done.err
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["collaborator"]}
    assert rules(sandbox, "sources", 456) == {}
    sandbox.faults(rule)


KEEP = ("--role", "operator", "--on-failure", "keep")


def test_with_keep_the_others_are_done_and_each_item_is_listed(sandbox: Sandbox) -> None:
    rule = {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/456/accessors", "times": 9}
    sandbox.faults(rule)
    kept = access(sandbox, "grant", *SEEDS, *KEEP)
    data = kept.json["data"]
    assert (kept.code, data["outcome"], data["not_tried"]) == (8, "partial", [])
    assert [(row["id"], row["action"]) for row in data["steps"]] == [(123, "change"), (456, "failed"), (789, "change")]
    assert "answered 400" in data["steps"][1]["reason"]
    assert [rules(sandbox, "sources", number) for number in (123, 456, 789)] == [
        {TEAM42: ["operator"]}, {}, {TEAM42: ["operator"]}
    ]  # fmt: skip
    sandbox.faults()
    sandbox.clear_journal()
    resumed = access(sandbox, "grant", *SEEDS, *KEEP, "--resume")
    assert (resumed.code, sandbox.writes()) == (0, ["PUT /data_sources/456/accessors"])
    assert rules(sandbox, "sources", 456) == {TEAM42: ["operator"]}


def test_with_keep_a_failure_of_all_is_not_called_a_part(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 403, "method": "PUT", "path": ".*accessors", "times": 9})
    done = access(sandbox, "grant", *SEEDS, *KEEP)
    assert (done.code, [row["action"] for row in done.json["data"]["steps"]]) == (4, ["failed"] * 3)


def test_with_keep_what_stops_everything_says_what_was_not_tried(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 401, "method": "PUT", "path": "/data_sources/456/acc.*", "times": 9})
    done = access(sandbox, "grant", *SEEDS, *KEEP)
    data = done.json["data"]
    assert (done.code, data["outcome"], data["not_tried"]) == (4, "kept", ["access:sources:789"])
    assert [(row["step"], row["done"]) for row in data["kept"]] == [
        ("access:sources:123", True), ("access:sources:456", False)
    ]  # fmt: skip
    assert rules(sandbox, "sources", 789) == {}


def test_what_another_run_took_away_is_neither_counted_nor_given_back(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules are read once no other run holds the journal, not before."""
    for number in (123, 456):
        plant(sandbox, "sources", number, entry("TEAM", 42, "operator"))

    def open_when_the_other_run_has_ended(*args: Any, **kwargs: Any) -> Journal:
        sandbox.api("DELETE", "/data_sources/123/accessors", {"accessors": [{"type": "TEAM", "id": 42}]})
        return open_journal(*args, **kwargs)

    monkeypatch.setattr("helpers.journal.open_journal", open_when_the_other_run_has_ended)
    sandbox.faults({"action": "status", "status": 400, "method": "DELETE", "path": "/data_sources/456/acc.*"})
    done = access(sandbox, "revoke", *SEEDS, "--yes")
    assert done.code == 9, done.err
    assert [rules(sandbox, "sources", number) for number in (123, 456)] == [{}, {TEAM42: ["operator"]}]


def test_an_answer_without_an_effect_is_not_believed(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 200, "body": [], "method": "PUT", "path": ".*accessors", "times": 9})
    done = access(
        sandbox, "grant", "--resource-type", "sources", "--resource-id", "123", *SEEDS[4:], "--role", "operator"
    )
    assert done.code == 9, done.err
    assert "does not show what was written" in done.error["message"]


def test_an_undo_that_does_not_show_is_left_behind(sandbox: Sandbox) -> None:
    sandbox.faults(
        {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9},
        {"action": "status", "status": 403, "method": "DELETE", "path": "/data_sources/123/accessors", "times": 9},
    )
    done = access(sandbox, "grant", *SEEDS, "--role", "operator")
    assert done.code == 11, done.err
    (left,) = [row for row in done.json["data"]["left_behind"] if row["id"] == 123]
    assert (left["step"], "before, TEAM 42 had nothing" in left["reason"]) == ("access:sources:123", True)
    assert rules(sandbox, "sources", 123) == {TEAM42: ["operator"]}
    assert rules(sandbox, "sources", 456) == {}


@pytest.mark.parametrize("row", [{"type": "ROBOT", "id": 1, "access_roles": ["admin"]}, {"type": "TEAM", "id": None}, 5,
                                 {"type": "TEAM", "id": 1, "access_roles": [None]}])  # fmt: skip
def test_an_entry_that_cannot_be_read_is_not_taken_for_no_access(sandbox: Sandbox, row: Any) -> None:
    rule = {"action": "status", "status": 200, "body": [row], "method": "GET", "path": ".*accessors", "times": 9}
    sandbox.faults(rule)
    done = access(sandbox, "list", "--resource-type", "sources", "--resource-id", "123")
    assert (done.code, "cannot be read" in done.error["message"]) == (6, True)


@pytest.mark.parametrize("fault", [{"action": "reset", "when": "after"}, {"action": "cut", "when": "after"},
                                   {"action": "status", "status": 503, "when": "after"},
                                   {"action": "status", "status": 429, "when": "before"}])  # fmt: skip
@pytest.mark.parametrize("operation", ["grant", "revoke", "replace"])
def test_lost_answers_change_nothing_of_the_end(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], operation: str
) -> None:
    monkeypatch.setattr("helpers.limits.Clock.sleep", staticmethod(lambda seconds: None))
    for number in (123, 456, 789):
        plant(
            sandbox,
            "sources",
            number,
            entry("TEAM", 7, "operator"),
            *([entry("TEAM", 42, "operator")] if operation == "revoke" else []),
        )
    sandbox.faults({**fault, "method": "PUT|DELETE", "path": ".*accessors", "nth": 2})
    role = [] if operation == "revoke" else ["--role", "collaborator"]
    done = access(sandbox, operation, *SEEDS, *role, "--yes")
    assert done.code == 0, done.err
    left = {} if operation == "replace" else {("TEAM", 7): ["operator"]}
    for number in (123, 456, 789):
        assert rules(sandbox, "sources", number) == left | ({} if operation == "revoke" else {TEAM42: ["collaborator"]})


def test_somebody_elses_change_meanwhile_is_not_undone(sandbox: Sandbox) -> None:
    """Only what was touched is put back."""
    sandbox.faults(
        {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9}
    )
    child = sandbox.start("manage_access.py", "--operation", "grant", *SEEDS, "--role", "operator", "--rps", "2")
    assert child.stdin and child.stderr
    child.stdin.write("go\n")
    child.stdin.flush()
    for line in child.stderr:
        if "source 456" in line:
            plant(sandbox, "sources", 123, entry("TEAM", 7, "admin"))
            break
    child.communicate(timeout=60)
    assert child.returncode == 9
    assert rules(sandbox, "sources", 123) == {("TEAM", 7): ["admin"]}


def test_read_only_blocks_every_write(sandbox: Sandbox) -> None:
    done = sandbox.run(
        "manage_access.py", "--operation", "grant", *SEEDS, "--role", "operator", env={"NEXLA_READ_ONLY": "1"}
    )
    assert (done.code, rules(sandbox, "sources", 123)) == (3, {})


# -- who could lock themselves or everybody out


def as_bob(sandbox: Sandbox) -> None:
    sandbox.key = next(u["service_key"] for u in sandbox.control("GET", "users")["users"] if u["email"] == BOB)


@pytest.mark.parametrize("by_role", [False, True])
@pytest.mark.parametrize(
    ("rules_", "args", "fine"),
    [
        # the caller's own rule is never taken before what is given, nor taken to be given anew
        ([("USER", "admin", "2027-06-30")],
         ["grant", "USER", "--role", "admin", "--expires-at", "2028-06-30", "--yes"], True),
        ([("USER", "admin", None), ("USER", "collaborator", None)],
         ["revoke", "USER", "--role", "collaborator"], False),
        ([("TEAM", "admin", "2027-06-30")], ["grant", "TEAM", "--role", "admin", "--yes"], True),
        ([("USER", "admin", None)], ["replace", "TEAM", "--role", "admin", "--yes"], True),
    ],
)  # fmt: skip
def test_nobody_locks_themselves_out_half_way(
    sandbox: Sandbox, rules_: list[Any], args: list[str], fine: bool, by_role: bool
) -> None:
    bob = user(sandbox, BOB)
    for kind, role, end in rules_:
        more = {"access_role_expires_at": f"{end}T00:00:00.000Z"} if end else {}
        plant(sandbox, "nexsets", 123, entry(kind, bob if kind == "USER" else 7, role, **more))
    sandbox.control("POST", "settings", {"delete_matches_role": by_role})
    before = ends(sandbox, "nexsets", 123)
    as_bob(sandbox)
    operation, kind, *more_args = args
    accessor = ["--accessor-type", kind, "--accessor-id", str(bob if kind == "USER" else 7)]
    done = access(sandbox, operation, *ONE, *accessor, *more_args)
    assert done.code == (0 if fine else 9), done.err
    now = ends(sandbox, "nexsets", 123)
    assert [key for key in now if key[2] == "admin"], "somebody is admin still"
    assert now == before or fine


def test_access_through_an_org_or_an_unreadable_team_counts_as_ones_own(sandbox: Sandbox) -> None:
    plant(sandbox, "nexsets", 123, entry("ORG", 1, "admin"), entry("TEAM", 42, "operator"))
    plant(sandbox, "nexsets", 456, entry("TEAM", 7, "operator"))
    as_bob(sandbox)
    done = access(sandbox, "revoke", *ONE, "--accessor-type", "ORG", "--accessor-id", "1")
    assert (done.code, "your own access, by ORG 1" in done.error["message"]) == (2, True)
    sandbox.reset("demo")
    plant(sandbox, "nexsets", 456, entry("TEAM", 7, "operator"))
    sandbox.faults({"action": "status", "status": 403, "path": "/teams/7", "times": 9})
    words = ["--resource-type", "nexsets", "--resource-id", "456", "--accessor-type", "TEAM", "--accessor-id", "7"]
    unsure = access(sandbox, "revoke", *words)
    assert (unsure.code, "your own access" in unsure.error["message"]) == (2, True)
    assert access(sandbox, "revoke", *words, "--yes").code == 0


def test_the_last_admin_in_force_is_what_counts(sandbox: Sandbox) -> None:
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "admin"),
          entry("TEAM", 7, "admin", access_role_expires_at="2020-01-01T00:00:00.000Z"))  # fmt: skip
    done = access(sandbox, "revoke", *ONE, *TEAM)
    assert (done.code, "the last accessor who is owner or admin" in done.error["message"]) == (2, True)


def test_two_of_one_name_are_not_both_meant(sandbox: Sandbox) -> None:
    sandbox.control("POST", "edit", {"kind": "teams", "id": 7, "set": {"name": "Data Engineering"}})
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "operator"), entry("TEAM", 7, "operator"))
    done = access(sandbox, "revoke", *ONE, "--accessor-type", "TEAM", "--accessor-name", "Data Engineering", "--yes")
    assert (done.code, "ids 7, 42" in done.error["message"]) == (5, True)
    assert len(rules(sandbox, "nexsets", 123)) == 2


def test_one_flow_under_two_numbers_is_one_resource(sandbox: Sandbox, tmp_path: Path) -> None:
    file = declared(
        tmp_path,
        {"type": "flows", "id": 1230, "accessors": [{"type": "TEAM", "id": 42, "role": "operator"}]},
        {"type": "flows", "id": 1232, "accessors": [{"type": "TEAM", "id": 7, "role": "operator"}]},
    )
    for _ in range(2):
        done = access(sandbox, "sync", "--file", file, "--prune", "--yes")
        assert done.code == 0, done.err
        assert rules(sandbox, "flows", 1230) == {TEAM42: ["operator"], ("TEAM", 7): ["operator"]}
    assert done.data["outcome"] == "unchanged"


def test_taking_everything_by_a_file_needs_yes_and_an_empty_project_is_an_error(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "operator"))
    file = declared(tmp_path, {"type": "nexsets", "id": 123, "accessors": []})
    done = access(sandbox, "sync", "--file", file, "--prune")
    assert (done.code, "takes away everything" in done.error["message"]) == (2, True)
    _, project = sandbox.api("POST", "/projects", {"name": "empty"})
    one = {"project": project["id"], "accessors": [{"type": "TEAM", "id": 42, "role": "operator"}]}
    empty = access(sandbox, "sync", "--file", declared(tmp_path, one))
    assert (empty.code, "has no flow" in empty.error["message"]) == (5, True)


def test_what_somebody_adds_while_all_is_replaced_is_noticed(sandbox: Sandbox) -> None:
    row = {
        "type": "TEAM",
        "id": 7,
        "name": "Analysts",
        "access_roles": ["operator"],
        "created_at": None,
        "updated_at": None,
    }
    extra = {**row, "id": 42, "access_roles": ["admin"]}
    sandbox.faults({"action": "status", "status": 200, "body": [row, extra], "method": "PUT", "path": ".*accessors"})
    words = ["--accessor-type", "TEAM", "--accessor-id", "7", "--role", "operator", "--yes"]
    done = access(sandbox, "replace", *ONE, *words)
    assert (done.code, "TEAM 42" in done.error["message"]) == (9, True)


def test_an_answer_that_only_looks_right_is_not_believed(sandbox: Sandbox) -> None:
    row = {"type": "TEAM", "id": 42, "name": "x", "access_roles": ["operator"]}
    sandbox.faults({"action": "status", "status": 200, "body": [row], "method": "PUT", "path": ".*accessors"})
    done = access(sandbox, "grant", *ONE, *TEAM, "--role", "operator")
    assert (done.code, rules(sandbox, "nexsets", 123)) == (9, {}), done.err
