"""Attaching a transform: only with a proof, to one nexset, and back to what was there when the proof fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import Exit, Sandbox, answers
from support.interference import before_request
from support.transforming import DEMANDS, GOOD, LAST, MUTATIONS, attach, live_child, manage, script


def test_a_proven_transform_is_attached_to_a_derived_nexset(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    done = attach(sandbox, people, script(tmp_path, GOOD)).ok()
    assert done.data["proof"] == {"samples": 12, "fresh": 12}
    assert ("ssn", "removed") in {(row["field"], row["change"]) for row in done.data["schema_changes"]}
    child = sandbox.api("GET", f"/data_sets/{done.data['ids']['nexset:masked']}?expand=1")[1]
    assert child["transform_id"] == done.data["ids"]["transform:mask"]
    assert child["status"] == "INIT"  # activation is a step of its own
    sandbox.clear_journal()
    again = attach(sandbox, people, script(tmp_path, GOOD)).ok()
    assert again.data["outcome"] == "unchanged"
    assert sandbox.writes() == []
    attach(sandbox, people, script(tmp_path, GOOD), "--activate").ok()
    assert sandbox.api("GET", f"/data_sets/{child['id']}")[1]["status"] == "ACTIVE"


def test_attaching_to_a_detected_nexset_is_refused(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    file = script(tmp_path, GOOD)
    done = manage(sandbox, "attach", "--file", file, "--name", "mask", "--nexset", str(people), *DEMANDS)
    done.fails(Exit.ROLLED_BACK)
    assert "--parent" in done.error["hint"]
    assert sandbox.resources()["code"] == []


def test_a_failed_proof_gives_back_the_former_transform(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    inline = [{"operation": "remove", "spec": {"ssn": ""}}]
    body = {"name": "child", "parent_data_set_id": people, "has_custom_transform": False,
            "transform": {"transforms": inline}}  # fmt: skip
    _, child = sandbox.api("POST", "/data_sets", body)
    bad = script(tmp_path, MUTATIONS["identity"])
    onto = ["--nexset", str(child["id"])]
    manage(sandbox, "attach", "--file", bad, "--name", "mask", *onto, *DEMANDS).fails(Exit.ROLLED_BACK)
    after = sandbox.api("GET", f"/data_sets/{child['id']}?expand=1")[1]
    assert after["transform"]["transforms"] == inline
    good = script(tmp_path, GOOD)
    fine = manage(sandbox, "attach", "--file", good, "--name", "mask", *onto, *DEMANDS).ok()
    other = script(tmp_path, MUTATIONS["it raises"], "other.py")
    manage(sandbox, "attach", "--file", other, "--name", "other", *onto).fails(Exit.ROLLED_BACK)
    kept = sandbox.api("GET", f"/data_sets/{child['id']}?expand=1")[1]["transform_id"]
    assert kept == fine.data["ids"]["transform:mask"]
    manage(sandbox, "detach", *onto).ok()
    assert sandbox.api("GET", f"/data_sets/{child['id']}?expand=1")[1]["transform_id"] is None
    assert sandbox.resources()["code"] == ["mask"]


def test_a_transform_that_fails_on_some_records_is_not_attached(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    some = GOOD.replace(
        LAST, "    if input['customer_id'] > 8:\n        return output['no such field']\n    return output"
    )
    attach(sandbox, people, script(tmp_path, some)).fails(Exit.ROLLED_BACK, "KeyError", "4 of 12")
    dropping = GOOD.replace(LAST, "    return output if input['customer_id'] <= 8 else None")
    reported = attach(sandbox, people, script(tmp_path, dropping, "dropping.py")).ok()
    assert "drops 4 of 12 samples" in reported.json["warnings"][0]


def test_what_is_attached_already_and_fails_the_proof_is_reported_as_attached(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    done = attach(sandbox, people, script(tmp_path, GOOD), "--must-not-contain", "email")
    done.fails(Exit.ROLLED_BACK, f"nexset {nexset} ALREADY USES IT")
    again = manage(sandbox, "attach", "--name", "mask", "--nexset", str(nexset), "--must-not-contain", "email",
                   "--run-remote-code")  # fmt: skip
    assert f"nexset {nexset} ALREADY USES IT" in again.error["message"]


@pytest.mark.usefixtures("no_rehearsal")
def test_nothing_is_activated_before_it_is_proven(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    sandbox.clear_journal()
    words = ["--file", script(tmp_path, MUTATIONS["identity"]), "--name", "bad", "--parent", str(people), "--activate"]
    words += ["--nexset-name", "bad", *DEMANDS, "--proof-timeout", "0.5"]
    sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words).fails(Exit.ROLLED_BACK)
    assert not [write for write in sandbox.writes() if write.endswith("/activate")]


def test_two_nexsets_of_one_name_below_one_parent_are_candidates(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    for _ in range(2):
        sandbox.api(
            "POST", "/data_sets", {"name": "masked", "parent_data_set_id": people, "has_custom_transform": False}
        )
    attach(sandbox, people, script(tmp_path, GOOD)).fails(Exit.ROLLED_BACK, "2 nexsets are named 'masked'")
    assert sandbox.resources()["code"] == []


def test_a_nexset_of_the_name_below_another_parent_is_left_alone(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    def below(parent: int, name: str) -> int:
        body = {"name": name, "parent_data_set_id": parent, "has_custom_transform": False}
        return int(sandbox.api("POST", "/data_sets", body)[1]["id"])

    others = below(below(people, "between"), "masked")
    done = attach(sandbox, people, script(tmp_path, GOOD)).ok()
    assert done.data["ids"]["nexset:masked"] != others
    assert sandbox.api("GET", f"/data_sets/{others}?expand=1")[1]["transform_id"] is None


def test_an_undo_leaves_a_transform_that_somebody_else_has_attached(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"name": "child", "parent_data_set_id": people, "has_custom_transform": False}
    child = sandbox.api("POST", "/data_sets", body)[1]["id"]
    rival = manage(sandbox, "create", "--file", script(tmp_path, GOOD), "--name", "rival").ok()
    number = rival.data["ids"]["transform:rival"]
    before_request(monkeypatch, "GET", f"/data_sets/{child}/samples",
                   lambda: sandbox.api("PUT", f"/data_sets/{child}", {"transform_id": number}),
                   after=f"PUT /data_sets/{child}")  # fmt: skip
    bad = script(tmp_path, GOOD.replace("***", "xxx"), "bad.py")
    words = ["--file", bad, "--name", "mask", "--nexset", str(child), *DEMANDS, "--min-samples", "99"]
    done = manage(sandbox, "attach", *words, "--proof-timeout", "0.5")
    done.fails(Exit.LEFT_BEHIND)
    assert f"somebody else attached transform {number}" in str(done.data["left_behind"])
    assert sandbox.api("GET", f"/data_sets/{child}?expand=1")[1]["transform_id"] == number


def test_a_plan_does_not_call_unchanged_what_is_yet_to_be_created(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    _, child = sandbox.api(
        "POST", "/data_sets", {"name": "bare", "parent_data_set_id": people, "has_custom_transform": False}
    )
    words = ["--file", script(tmp_path, GOOD), "--name", "mask", *DEMANDS, "--dry-run"]
    plan = manage(sandbox, "attach", *words, "--nexset", str(child["id"]))
    assert [step["action"] for step in plan.data["steps"]][1:4] == ["create", "unchanged", "attach"]
    taken = manage(sandbox, "attach", *words, "--parent", str(people), "--nexset-name", "bare")
    taken.fails(Exit.ERROR, "exists below nexset")


def test_a_filter_may_change_nothing_when_a_flag_allows_it(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    file = script(tmp_path, "def transform(input, metadata, args):\n    return input\n")
    words = ["--file", file, "--name", "keep", "--parent", str(people), "--nexset-name", "kept"]
    manage(sandbox, "attach", *words, "--must-keep", "email").fails(Exit.ROLLED_BACK)
    manage(sandbox, "attach", *words, "--must-keep", "email", "--may-change-nothing").ok()


def test_an_attach_that_has_no_effect_is_not_believed(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    body = {"name": "child", "parent_data_set_id": people, "has_custom_transform": False,
            "transform": {"transforms": [{"operation": "remove", "spec": {"ssn": ""}}]}}  # fmt: skip
    _, child = sandbox.api("POST", "/data_sets", body)
    place = f"/data_sets/{child['id']}"
    sandbox.faults(answers(sandbox.api("GET", place)[1], place, "PUT", times=1))
    file = script(tmp_path, GOOD)
    done = manage(sandbox, "attach", "--file", file, "--name", "mask", "--nexset", str(child["id"]), *DEMANDS)
    done.fails(Exit.ROLLED_BACK, "the server shows transform")
