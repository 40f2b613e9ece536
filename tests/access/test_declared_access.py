"""Replacing, copying, and syncing with a file: exactly the difference is written."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.access.rules import AccessRule, AccessRules
from helpers.access.targets import AccessTarget
from helpers.access.writer import Goal, RuleWriter
from helpers.api.session import Exchange
from helpers.core import limits
from helpers.core.kinds import KINDS
from support import Exit, Sandbox
from support.access import BOB, CHLOE, SOURCE, TEAM42, access, declared, entry, plant, rules, user


def test_replace_shows_the_whole_difference_and_needs_yes(sandbox: Sandbox, tmp_path: Path) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"), entry("TEAM", 42, "collaborator", "operator"))
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"accessors": [{"type": "TEAM", "id": 42, "role": "collaborator"}]}))
    words = ["--resource-type", "sources", "--resource-id", "123", "--accessors", str(file)]
    sandbox.clear_journal()
    refused = access(sandbox, "replace", *words)
    refused.fails(Exit.USAGE)
    assert sandbox.writes() == []
    changes = refused.data["changes"]["source 123"]
    assert changes == {
        "TEAM 7 Analysts": ["operator", None],
        "TEAM 42 Data Engineering": ["collaborator + operator", "collaborator"],
    }
    access(sandbox, "replace", *words, "--yes").ok()
    assert rules(sandbox, "sources", 123) == {TEAM42: ["collaborator"]}
    access(sandbox, "replace", *words).ok()  # nothing to replace: nothing to confirm
    file.write_text('{"accessors": []}')
    access(sandbox, "replace", *words, "--yes").fails(Exit.USAGE, "remove everybody")


def rule_sets() -> st.SearchStrategy[AccessRules]:
    """Some rules: each accessor in each role, for good or until one of two days."""
    ends = st.sampled_from([None, "2031-01-01T00:00:00.000Z", "2032-01-01T00:00:00.000Z"])
    who = st.tuples(st.sampled_from(["USER", "TEAM"]), st.sampled_from([7, 42]), st.sampled_from(["operator", "admin"]))
    return st.dictionaries(who, ends, max_size=5).map(
        lambda found: {key: AccessRule(*key, "", end) for key, end in found.items()}
    )


class Server:
    """The accessors of one resource, behind Session.send; what is not known of the real one is a setting."""

    def __init__(self, rules: AccessRules, *, by_role: bool, put_changes_end: bool) -> None:
        self.rules = {key: rule.expires_at for key, rule in rules.items()}
        self.by_role, self.put_changes_end = by_role, put_changes_end
        self.sent: list[list[Any]] = []
        self.settings, self.has_written = SimpleNamespace(read_only=False, dry_run=False, host="h"), False
        self.deadline = limits.Deadline(None)

    def send(self, method: str, path: str, params: Any, body: Any) -> Exchange:
        self.sent.append(body["accessors"])
        if method == "DELETE" and not body["accessors"]:
            self.rules.clear()
        for row in body["accessors"]:
            who, roles, end = (row["type"], row["id"]), row.get("access_roles"), row.get("access_role_expires_at")
            if method == "DELETE":
                for key in [key for key in self.rules if key[:2] == who]:
                    if not self.by_role or not roles or key[2] in roles:
                        del self.rules[key]
                continue
            for role in roles:
                if self.put_changes_end or (*who, role) not in self.rules:
                    self.rules[*who, role] = end
        rows = [{"type": kind, "id": number, "access_roles": [role], "access_role_expires_at": end}
                for (kind, number, role), end in self.rules.items()]  # fmt: skip
        return Exchange(method, path, status=200, text=json.dumps(rows))


@given(rule_sets(), rule_sets(), st.booleans(), st.booleans())
def test_an_empty_list_is_never_sent(
    before: AccessRules, after: AccessRules, by_role: bool, put_changes_end: bool
) -> None:
    """It would remove everybody. And whatever is to change, it is changed, on every kind of server."""
    server: Any = Server(before, by_role=by_role, put_changes_end=put_changes_end)
    writer = RuleWriter(server, AccessTarget(KINDS["sources"], 1), lambda rule: False, lambda text: None, [])
    writer.change(before, Goal(lambda rules: after, lambda accessor: accessor not in {key[:2] for key in after}))
    assert [] not in server.sent
    assert server.rules == {key: rule.expires_at for key, rule in after.items()}


def test_copy_from_gives_the_same_and_takes_nothing(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("TEAM", 42, "operator"), entry("USER", user(sandbox, CHLOE), "collaborator"))
    plant(sandbox, "nexsets", 456, entry("TEAM", 7, "collaborator"), entry("USER", user(sandbox, CHLOE), "operator"))
    access(sandbox, "copy-from", "--from", "sources:123", "--resource-type", "nexsets", "--resource-id", "456").ok()
    assert rules(sandbox, "nexsets", 456) == {
        TEAM42: ["operator"], ("TEAM", 7): ["collaborator"], ("USER", user(sandbox, CHLOE)): ["operator"]
    }  # fmt: skip
    nothing = access(
        sandbox, "copy-from", "--from", "sources:456", "--resource-type", "nexsets", "--resource-id", "123"
    )
    nothing.fails(Exit.USAGE, "no access rule to copy")


def test_copying_leaves_what_has_ended_and_refuses_sharers_where_there_are_none(sandbox: Sandbox) -> None:
    ended = {"access_role_expires_at": "2020-01-01T00:00:00Z"}
    plant(sandbox, "nexsets", 123, entry("TEAM", 7, "operator", **ended), entry("TEAM", 42, "operator"))
    access(sandbox, "copy-from", "--from", "nexsets:123", *SOURCE).ok()
    assert rules(sandbox, "sources", 123) == {TEAM42: ["operator"]}
    plant(sandbox, "nexsets", 123, entry("TEAM", 7, "sharer"))
    sandbox.clear_journal()
    access(sandbox, "copy-from", "--from", "nexsets:123", *SOURCE).fails(Exit.USAGE)
    assert sandbox.writes() == []


def test_sync_writes_only_the_difference_and_prune_takes_the_rest(sandbox: Sandbox, tmp_path: Path) -> None:
    file = declared(
        tmp_path,
        {"pipeline_of": {"type": "sources", "id": 123}, "accessors": [{"type": "TEAM", "id": 42, "role": "operator"}]},
        {"type": "sources", "id": 123, "accessors": [{"type": "USER", "email": BOB, "role": "collaborator"}]},
    )
    plant(sandbox, "sources", 123, entry("TEAM", 7, "operator"), entry("USER", user(sandbox, BOB), "operator"))
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "operator"))
    sandbox.clear_journal()
    first = access(sandbox, "sync", "--file", file).ok()
    assert first.data["changed"] == 3
    assert len(sandbox.writes()) == 3
    assert rules(sandbox, "sources", 123) == {
        TEAM42: ["operator"], ("TEAM", 7): ["operator"], ("USER", user(sandbox, BOB)): ["operator"]
    }  # fmt: skip
    sandbox.clear_journal()
    assert (access(sandbox, "sync", "--file", file).data["outcome"], sandbox.writes()) == ("unchanged", [])
    access(sandbox, "sync", "--file", file, "--prune", "--yes").ok()
    assert rules(sandbox, "sources", 123) == {TEAM42: ["operator"], ("USER", user(sandbox, BOB)): ["collaborator"]}
    assert access(sandbox, "sync", "--file", file, "--prune").data["outcome"] == "unchanged"


def test_one_flow_under_two_ids_is_one_resource(sandbox: Sandbox, tmp_path: Path) -> None:
    file = declared(
        tmp_path,
        {"type": "flows", "id": 1230, "accessors": [{"type": "TEAM", "id": 42, "role": "operator"}]},
        {"type": "flows", "id": 1232, "accessors": [{"type": "TEAM", "id": 7, "role": "operator"}]},
    )
    for _ in range(2):
        done = access(sandbox, "sync", "--file", file, "--prune", "--yes").ok()
        assert rules(sandbox, "flows", 1230) == {TEAM42: ["operator"], ("TEAM", 7): ["operator"]}
    assert done.data["outcome"] == "unchanged"


def test_taking_everything_by_a_file_needs_yes_and_an_empty_project_is_an_error(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "operator"))
    file = declared(tmp_path, {"type": "nexsets", "id": 123, "accessors": []})
    access(sandbox, "sync", "--file", file, "--prune").fails(Exit.USAGE, "revokes all access")
    _, project = sandbox.api("POST", "/projects", {"name": "empty"})
    one = {"project": project["id"], "accessors": [{"type": "TEAM", "id": 42, "role": "operator"}]}
    access(sandbox, "sync", "--file", declared(tmp_path, one)).fails(Exit.NOT_FOUND, "has no flow")


def test_two_entries_that_contradict_each_other_are_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    file = declared(
        tmp_path,
        {"project": 10, "accessors": [{"type": "TEAM", "id": 42, "role": "operator"}]},
        {"type": "sources", "id": 123, "accessors": [{"type": "TEAM", "name": "Data Engineering", "role": "admin"}]},
    )
    sandbox.clear_journal()
    access(sandbox, "sync", "--file", file).fails(Exit.USAGE, "both operator and admin")
    assert sandbox.writes() == []


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
    access(sandbox, "sync", "--file", str(file), "--yes").fails(Exit.USAGE, "the file grants TEAM 7")
    (tmp_path / "list.json").write_text(json.dumps({"accessors": accessors[:1] * 2}))
    twice = access(sandbox, "replace", "--resource-type", "nexsets", "--resource-id", "123", "--yes",
                   "--accessors", str(tmp_path / "list.json"))  # fmt: skip
    twice.fails(Exit.USAGE, "names an accessor twice")
