"""A change that takes the caller's own access: everything else comes first, and it can be resumed from any point."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import Done, Exit, Sandbox, answers
from support.access import ANA, BOB, CHLOE, acting_as, entry, plant, user
from support.clocks import VirtualClock

MEMBERS = (("sources", 123), ("nexsets", 123), ("destinations", 123), ("flows", 1230))
STORED = {"sources": ("sources", "rules"), "nexsets": ("nexsets", "rules"), "destinations": ("sinks", "rules")}
MORE = (("sources", 123), ("sources", 456), ("nexsets", 456))
Rules = dict[tuple[str, int], set[tuple[str, int]]]


def share(sandbox: Sandbox, *resources: tuple[str, int]) -> None:
    """Bob is admin of these, which Ana owns; Chloe may use them, and Ana has a rule besides."""
    bob, chloe, ana = (user(sandbox, email) for email in (BOB, CHLOE, ANA))
    for kind, number in resources:
        plant(sandbox, kind, number, entry("USER", bob, "admin"), entry("USER", chloe, "operator"),
              entry("USER", ana, "collaborator"))  # fmt: skip


def others(sandbox: Sandbox) -> set[tuple[str, int]]:
    return {("USER", user(sandbox, email)) for email in (CHLOE, ANA)}


def who_is_left(sandbox: Sandbox, *resources: tuple[str, int]) -> Rules:
    found: Rules = {}
    snapshot = sandbox.snapshot()
    for kind, number in resources:
        stored, key = STORED.get(kind, ("sources", "flow_rules"))
        (doc,) = [row for row in snapshot[stored] if row["id"] == (number // 10 if kind == "flows" else number)]
        found[kind, number] = {(rule["type"], rule["id"]) for rule in doc.get(key, [])}
    return found


def killed_anywhere(
    sandbox: Sandbox,
    tmp_path: Path,
    resources: tuple[tuple[str, int], ...],
    words: list[str],
    left: set[tuple[str, int]],
) -> set[Exit]:
    """Kill the change before every request and after every write, and resume it; returns how the resumes ended."""
    exits, reached = set(), 0
    for method, when in ((".*", "before"), ("PUT|DELETE", "after")):
        for nth in range(1, 99):
            sandbox.reset("demo")
            share(sandbox, *resources)
            bob = acting_as(sandbox, BOB)
            bob.state = tmp_path / f"{when}-{nth}"
            done = bob.run_killed("manage_access.py", *words, nth=nth, when=when, method=method)
            if done.code == Exit.OK:
                break
            done.is_killed()
            about = f"killed {when} {method} {nth}"
            resumed = bob.run_inside("manage_access.py", *words, "--resume").ends(Exit.OK, Exit.PARTIAL, about=about)
            assert who_is_left(sandbox, *resources) == dict.fromkeys(resources, left), about
            if resumed.code == Exit.PARTIAL:
                assert all(row["accessors"] for row in resumed.data["unverified"]), resumed.out
            exits.add(Exit(resumed.code))
            reached += 1
        assert who_is_left(sandbox, *resources) == dict.fromkeys(resources, left)
    assert reached > 4 * len(resources), "the kills did not reach every request"
    return exits


@pytest.mark.parametrize(
    ("resources", "select"),
    [
        pytest.param(MEMBERS, ["--pipeline-of", "nexsets:123"], marks=pytest.mark.soak),
        (MORE[:2], ["--resource-type", "sources", "--resource-ids", "123,456"]),
    ],
)
def test_ones_own_leaving_that_is_killed_anywhere_is_resumed(
    sandbox: Sandbox, tmp_path: Path, resources: tuple[tuple[str, int], ...], select: list[str]
) -> None:
    words = ["--operation", "revoke", *select, "--accessor-type", "USER", "--accessor-email", BOB, "--yes"]
    left = others(sandbox)
    exits = killed_anywhere(sandbox, tmp_path, resources, words, left)
    assert exits == {Exit.OK}


@pytest.mark.soak
def test_a_replacement_that_is_killed_anywhere_ends_all_it_can_and_says_what_it_cannot_see(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "access.json"
    accessors = [{"type": "USER", "id": user(sandbox, ANA), "role": "collaborator"}]
    left = {("USER", user(sandbox, ANA))}
    pipeline = {"pipeline_of": {"type": "nexsets", "id": 123}, "accessors": accessors}
    file.write_text(json.dumps({"resources": [pipeline]}))
    words = ["--operation", "sync", "--file", str(file), "--prune", "--yes"]
    exits = killed_anywhere(sandbox, tmp_path, MEMBERS, words, left)
    assert exits == {Exit.OK, Exit.PARTIAL}, "the last answer of a resource is lost only in some of them"


def test_own_access_goes_last_and_that_to_sources_last_of_all(sandbox: Sandbox) -> None:
    plant(sandbox, "sources", 123, entry("USER", user(sandbox, BOB), "admin"))
    share(sandbox, ("nexsets", 123), ("destinations", 123), ("flows", 1230))
    plant(sandbox, "destinations", 123, entry("USER", user(sandbox, BOB), "admin"))
    team = entry("TEAM", 7, "operator")
    plant(sandbox, "nexsets", 123, team)
    sandbox.act_as(BOB)
    sandbox.clear_journal()
    words = ["--pipeline-of", "sources:123", "--accessor-type", "USER", "--accessor-email", BOB, "--yes"]
    sandbox.run_inside("manage_access.py", "--operation", "revoke", *words).ok()
    assert sandbox.writes()[-1] == "DELETE /data_sources/123/accessors"


def test_in_one_resource_everything_else_is_written_before_own_access_is_lost(sandbox: Sandbox, tmp_path: Path) -> None:
    """A role that is taken from somebody who keeps another one, too."""
    share(sandbox, ("nexsets", 123))
    plant(sandbox, "nexsets", 123, entry("TEAM", 42, "operator"))
    file = tmp_path / "accessors.json"
    file.write_text(json.dumps({"accessors": [{"type": "TEAM", "id": 42, "role": "operator"}]}))
    bob = acting_as(sandbox, BOB)
    one = ["--resource-type", "nexsets", "--resource-id", "123", "--accessors", str(file), "--yes"]
    bob.run_inside("manage_access.py", "--operation", "replace", *one).ok()
    (doc,) = [row for row in sandbox.snapshot()["nexsets"] if row["id"] == 123]
    assert [(rule["type"], rule["role"]) for rule in doc["rules"]] == [("TEAM", "operator")]


@pytest.mark.parametrize("fault", [{"action": "reset"}, {"action": "status", "status": 503}])
def test_a_lost_answer_to_the_end_of_own_access_is_no_failure(
    sandbox: Sandbox, clock: VirtualClock, fault: dict[str, Any]
) -> None:
    """The second attempt is refused, because the first one took effect."""
    resources = MORE[:2]
    share(sandbox, *resources)
    sandbox.faults({**fault, "when": "after", "method": "DELETE", "path": "/data_sources/123/accessors"})
    bob = acting_as(sandbox, BOB)
    words = ["--resource-type", "sources", "--resource-ids", "123,456", "--accessor-type", "USER"]
    bob.run_inside("manage_access.py", "--operation", "revoke", *words, "--accessor-email", BOB, "--yes").ok()
    left = others(sandbox)
    assert who_is_left(sandbox, *resources) == dict.fromkeys(resources, left)


def leave(sandbox: Sandbox) -> Done:
    """Bob revokes his own access to the source."""
    bob = acting_as(sandbox, BOB)
    words = ["--resource-type", "sources", "--resource-id", "123", "--accessor-type", "USER", "--accessor-email", BOB]
    return bob.run_inside("manage_access.py", "--operation", "revoke", *words, "--yes")


def test_a_refused_write_of_own_access_is_a_failure_and_named_as_refused(sandbox: Sandbox) -> None:
    share(sandbox, ("sources", 123))
    sandbox.faults({"action": "status", "status": 403, "method": "DELETE", "path": ".*accessors", "times": 9})
    leave(sandbox).fails(Exit.ROLLED_BACK, "returned 403")
    assert ("USER", user(sandbox, BOB)) in who_is_left(sandbox, ("sources", 123))["sources", 123]


def test_an_end_of_own_access_that_the_response_does_not_show_is_a_failure(sandbox: Sandbox) -> None:
    share(sandbox, ("sources", 123))
    rows = sandbox.api("GET", "/data_sources/123/accessors")[1]
    sandbox.faults(answers(rows, "/data_sources/123/accessors", "DELETE"))
    leave(sandbox).fails(Exit.ROLLED_BACK, "does not show what was written")
    assert ("USER", user(sandbox, BOB)) in who_is_left(sandbox, ("sources", 123))["sources", 123]


def test_an_end_of_own_access_that_cannot_be_seen_is_not_taken_for_done(sandbox: Sandbox, clock: VirtualClock) -> None:
    """The response was lost, the second attempt refused, and the list fails, but not because the access is gone."""
    share(sandbox, ("sources", 123))
    path = "/data_sources/123/accessors"
    sandbox.faults(
        {"action": "reset", "when": "after", "method": "DELETE", "path": path},
        {"action": "status", "status": 500, "method": "GET", "path": path, "nth": 3, "times": 99},
    )
    leave(sandbox).fails(Exit.LEFT_BEHIND)


def test_what_somebody_else_locks_the_caller_out_of_is_not_taken_for_the_callers_own_doing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The interrupted change was to take the team's access only; that the caller has none any more is a failure."""
    share(sandbox, *MORE[:2])
    bob = acting_as(sandbox, BOB)
    bob.state = tmp_path / "bob"
    words = ["--operation", "revoke", "--resource-type", "sources", "--resource-ids", "123,456", "--accessor-type",
             "USER", "--accessor-email", CHLOE]  # fmt: skip
    bob.run_killed("manage_access.py", *words, nth=1, when="before", method="DELETE").is_killed()
    gone = {"accessors": [{"type": "USER", "id": user(sandbox, BOB)}]}
    assert sandbox.api("DELETE", "/data_sources/123/accessors", gone)[0] == 200
    bob.run_inside("manage_access.py", *words, "--resume").fails(Exit.AUTH)
