"""Changing the transform of an ACTIVE nexset: it is paused until the new one is proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import Exit, Sandbox
from support.transforming import DEMANDS, GOOD, MUTATIONS, live_child, manage, script, statuses_seen


def test_an_active_nexset_is_held_until_the_new_transform_is_proven(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    sandbox.clear_journal()
    words = ["--file", other, "--name", "mask-2", "--nexset", str(nexset)]
    manage(sandbox, "attach", *words, *DEMANDS).ok()
    assert statuses_seen(sandbox, nexset) == ["pause", str(nexset), "activate"]
    assert sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"] == "ACTIVE"
    sandbox.clear_journal()
    again = manage(sandbox, "attach", *words, *DEMANDS).ok()
    assert again.data["outcome"] == "unchanged"
    assert sandbox.writes() == []
    assert again.data["shared_with"] == []  # itself does not count


@pytest.mark.usefixtures("no_rehearsal")
def test_a_failed_proof_of_an_active_nexset_gives_back_all_of_it(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    before = sandbox.api("GET", f"/data_sets/{nexset}?expand=1")[1]["transform_id"]
    bad = script(tmp_path, MUTATIONS["identity"], "bad.py")
    sandbox.clear_journal()
    words = ["--file", bad, "--name", "bad", "--nexset", str(nexset)]
    sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words, *DEMANDS).fails(Exit.ROLLED_BACK)
    assert statuses_seen(sandbox, nexset) == ["pause", str(nexset), str(nexset), "activate"]
    after = sandbox.api("GET", f"/data_sets/{nexset}?expand=1")[1]
    assert (after["transform_id"], after["status"]) == (before, "ACTIVE")


@pytest.mark.usefixtures("no_rehearsal")
def test_what_cannot_be_put_back_stays_paused(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    rule = {"action": "status", "status": 400, "method": "PUT", "path": f"/data_sets/{nexset}", "nth": 2, "times": 9}
    sandbox.faults(rule)
    words = ["--file", script(tmp_path, MUTATIONS["identity"], "bad.py"), "--name", "bad", "--nexset", str(nexset)]
    done = sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words, *DEMANDS)
    done.fails(Exit.LEFT_BEHIND)
    assert "left paused" in done.out + done.err
    assert sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"] == "PAUSED"


@pytest.mark.usefixtures("no_rehearsal")
def test_an_undo_without_effect_is_not_called_undone(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    _, row = sandbox.api("GET", f"/data_sets/{nexset}")
    sandbox.faults({"action": "status", "status": 200, "body": row, "method": "PUT", "path": f"/data_sets/{nexset}",
                    "nth": 2, "times": 9})  # fmt: skip
    words = ["--file", script(tmp_path, MUTATIONS["identity"], "bad.py"), "--name", "bad", "--nexset", str(nexset)]
    done = sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words, *DEMANDS)
    done.fails(Exit.LEFT_BEHIND)
    assert "does not show the former transform" in done.out
    sandbox.faults()
    assert sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"] == "PAUSED"


def test_a_detach_of_an_active_nexset_wants_yes_and_says_what_it_means(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    sandbox.clear_journal()
    manage(sandbox, "detach", "--nexset", str(nexset)).fails(Exit.USAGE, "pass through")
    assert sandbox.writes() == []
    done = manage(sandbox, "detach", "--nexset", str(nexset), "--yes").ok()
    assert "pass through" in done.json["warnings"][0]


def test_an_update_of_what_is_used_can_be_proven_for_each_user(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    bad = script(tmp_path, MUTATIONS["one of two fields"], "bad.py")
    sandbox.clear_journal()
    manage(sandbox, "update", "--name", "mask", "--file", bad, "--yes", *DEMANDS).fails(Exit.ROLLED_BACK)
    assert sandbox.writes() == []
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    done = manage(sandbox, "update", "--name", "mask", "--file", other, "--yes", *DEMANDS).ok()
    assert done.json["warnings"] == []
    assert done.data["proof"] == {"samples": 12, "fresh": 12}
    assert sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"] == "ACTIVE"
