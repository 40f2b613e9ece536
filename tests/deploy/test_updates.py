"""Deploying a changed config: only what changed is written, and an update that fails is taken back."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import support
from support import Exit, Sandbox
from support.deploying import deploy, rows
from support.interference import before_request


def test_a_changed_config_updates_only_what_changed(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    changed = copy.deepcopy(config)
    changed["destination"]["sink_config"]["insert.mode"] = "UPSERT"
    changed["destination"]["sink_config"]["primary.key"] = "id"
    plan = deploy(sandbox, tmp_path, changed, "--dry-run")
    step = next(s for s in plan.data["steps"] if s["step"] == "destination:warehouse")
    assert step["changes"]["sink_config.insert.mode"] == [None, "UPSERT"]
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, changed).ok()
    number = done.data["destinations"][0]["id"]
    assert sandbox.writes() == [f"PUT /data_sinks/{number}"]
    assert any("next run" in warning for warning in done.json["warnings"])
    config_now = rows(sandbox, "sinks")[0]["sink_config"]
    assert config_now == changed["destination"]["sink_config"]


def test_a_config_change_of_an_active_source_pauses_around_it(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    config["source"]["source_config"]["csv.delimiter"] = ","
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config).ok()
    number = done.data["source"]
    assert sandbox.writes() == [
        f"PUT /data_sources/{number}/pause",
        f"PUT /data_sources/{number}",
        f"PUT /data_sources/{number}/activate",
    ]
    assert rows(sandbox, "sources")[0]["status"] == "ACTIVE"


def test_a_changed_transform_is_proven_on_samples(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    config["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"amount": ""}}]
    deploy(sandbox, tmp_path, config).ok()
    assert len(rows(sandbox, "code")) == 1, "the nexset's own transform was changed in place"
    assert rows(sandbox, "code")[0]["code"] == config["nexsets"][0]["transform"]


def test_a_shared_transform_is_never_edited_in_place(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    shared = {"name": "shared", "reusable": True, "code_type": "jolt_standard", "code_encoding": "none",
              "output_type": "record", "code": [{"operation": "remove", "spec": {"email": ""}}]}  # fmt: skip
    _, transform = sandbox.api("POST", "/transforms", shared)
    config["nexsets"] = [{"name": "clean", "transform_id": transform["id"]}]
    deploy(sandbox, tmp_path, config).ok()
    config["nexsets"] = [{"name": "clean", "transform": [{"operation": "remove", "spec": {"amount": ""}}]}]
    deploy(sandbox, tmp_path, config).ok()
    kept = next(row for row in rows(sandbox, "code") if row["id"] == transform["id"])
    assert kept["code"] == shared["code"]


def test_a_paused_branch_that_is_not_ours_stays_paused(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    nexset = next(row for row in rows(sandbox, "nexsets") if row["name"] == "clean")
    other = {**config["destination"], "name": "somebody else's", "data_set_id": nexset["id"]}
    _, foreign = sandbox.api("POST", "/data_sinks", other)
    sandbox.api("PUT", f"/data_sinks/{foreign['id']}/pause")
    sandbox.api("PUT", f"/data_sources/{rows(sandbox, 'sources')[0]['id']}/pause")
    deploy(sandbox, tmp_path, config).ok()
    assert next(s for s in rows(sandbox, "sinks") if s["id"] == foreign["id"])["status"] == "PAUSED"


def test_changing_the_path_keeps_the_flow_deployable(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    other = sandbox.data / "buckets" / "shop" / "refunds"
    other.mkdir(exist_ok=True)
    (other / "r.csv").write_text("refund_id,reason\n1,broken\n")
    changed = copy.deepcopy(config)
    changed["source"]["source_config"]["path"] = "shop/refunds"
    assert any("paused while" in w for w in deploy(sandbox, tmp_path, changed, "--dry-run").json["warnings"])
    deploy(sandbox, tmp_path, changed).ok()
    sandbox.idle()
    back = deploy(sandbox, tmp_path, config).ok()
    assert any("now has 2 nexsets" in warning for warning in back.json["warnings"])


def test_warnings_name_only_what_concerns_a_destination(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    first = config.pop("destination")
    second = copy.deepcopy(first) | {"name": "second"}
    second["sink_config"]["table"] = "second"
    done = deploy(sandbox, tmp_path, {**config, "destinations": [first, second]}).ok()
    assert [sink["verified"] for sink in done.data["destinations"]] == [False, True]
    assert not done.json["warnings"]
    alone = deploy(sandbox, tmp_path, {**config, "destination": first})
    assert any("'second'" in warning for warning in alone.json["warnings"]), "removed from the config, still there"
    deploy(sandbox, tmp_path, {**config, "destination": first}, "--teardown", "--yes").fails(Exit.ERROR)
    assert len(rows(sandbox, "sinks")) == 2


def test_a_plan_shows_that_a_new_credential_changes_the_source(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    config["source"]["credential"] = {"name": "new login", "credentials_type": "s3", "credentials": {"key": "k" * 9}}
    plan = deploy(sandbox, tmp_path, config, "--dry-run")
    step = next(step for step in plan.data["steps"] if step["step"] == "source")
    assert step["changes"]["data_credentials_id"] == [config["credential_id"], "(new)"]
    assert deploy(sandbox, tmp_path, config).data["outcome"] == "deployed"
    assert deploy(sandbox, tmp_path, config).data["outcome"] == "unchanged"


def stored(sandbox: Sandbox) -> dict[str, Any]:
    """What a user would notice of every resource."""
    keys = ("name", "description", "status", "source_config", "sink_config", "data_credentials_id", "tags", "code")
    kinds = ("sources", "nexsets", "sinks", "code", "credentials")
    return {kind: [{k: row.get(k) for k in keys} for row in rows(sandbox, kind)] for kind in kinds}


def edited(config: dict[str, Any]) -> dict[str, Any]:
    """The config with a change in every resource."""
    changed = copy.deepcopy(config)
    changed["source"]["description"] = "new"
    changed["source"]["source_config"]["csv.delimiter"] = ","
    changed["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"amount": ""}}]
    changed["destination"]["description"] = "new"
    return changed


@pytest.mark.parametrize("how", ["refused", "lost"])
@pytest.mark.parametrize("path", [r"/data_sources/\d+/pause", r"/data_sources/\d+", r"/data_sources/\d+/activate",
                                  r"/data_sets/\d+", r"/data_sinks/\d+"])  # fmt: skip
def test_an_update_that_fails_anywhere_is_taken_back(
    sandbox: Sandbox, tmp_path: Path, config: Any, path: str, how: str
) -> None:
    deploy(sandbox, tmp_path, config).ok()
    before = stored(sandbox)
    rule = {"action": "status", "method": "PUT", "path": path}
    rule |= {"status": 403} if how == "refused" else {"status": 500, "when": "after", "times": 2}
    sandbox.faults(rule)
    deploy(sandbox, tmp_path, edited(config)).fails(Exit.ROLLED_BACK)
    assert stored(sandbox) == before


def test_an_update_that_was_killed_is_taken_back_after_a_resume(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    before = stored(sandbox)
    path = support.write_config(tmp_path, edited(config))
    at = {"method": "PUT", "path": r"/data_sets/\d+", "when": "after"}
    sandbox.run_killed("deploy_flow.py", "--config", path, **at).is_killed()
    sandbox.faults({"action": "status", "status": 403, "method": "PUT", "path": r"/data_sinks/\d+"})
    sandbox.run_inside("deploy_flow.py", "--config", path, "--resume").fails(Exit.ROLLED_BACK)
    assert stored(sandbox) == before


def test_an_update_that_does_not_show_is_not_believed(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    source_id = rows(sandbox, "sources")[0]["id"]
    config["source"]["description"] = "new words"
    path = f"/data_sources/{source_id}"
    sandbox.faults({"action": "status", "status": 200, "body": {"id": source_id}, "method": "PUT", "path": path})
    deploy(sandbox, tmp_path, config).fails(Exit.ROLLED_BACK, "still differs in description")


def test_a_new_tag_leaves_those_of_others(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    source = rows(sandbox, "sources")[0]
    sandbox.api("PUT", f"/data_sources/{source['id']}", {"tags": [*(source["tags"] or []), "theirs"]})
    deploy(sandbox, tmp_path, {**config, "tags": ["ours"]}).ok()
    assert {"ours", "theirs"} <= set(rows(sandbox, "sources")[0]["tags"])


def test_a_changed_key_leaves_those_that_only_the_server_has(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    """A PUT replaces a config entirely, and Nexla adds keys of its own."""
    deploy(sandbox, tmp_path, config).ok()
    for kind, key in (("sources", "source_config"), ("sinks", "sink_config")):
        (row,) = rows(sandbox, kind)
        grown = {**row[key], "added.by.nexla": {"a": [1]}}
        sandbox.control("POST", "edit", {"kind": kind, "id": row["id"], "set": {key: grown}})
    config["source"]["source_config"]["csv.delimiter"] = ","
    config["destination"]["sink_config"]["insert.mode"] = "INSERT"
    deploy(sandbox, tmp_path, config).ok()
    added = {"added.by.nexla": {"a": [1]}}
    assert rows(sandbox, "sources")[0]["source_config"] == config["source"]["source_config"] | added
    assert rows(sandbox, "sinks")[0]["sink_config"] == config["destination"]["sink_config"] | added


def test_records_from_before_an_activation_are_no_delivery_of_it(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    (sink,) = rows(sandbox, "sinks")
    sandbox.api("PUT", f"/data_sinks/{sink['id']}/pause")
    deploy(sandbox, tmp_path, config, "--verify-timeout", "1").fails(Exit.ROLLED_BACK, ": 0 records after 1 s")
    assert rows(sandbox, "sinks")[0]["status"] == "PAUSED"


def test_an_undo_pauses_what_was_paused_before(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    sink_id = rows(sandbox, "sinks")[0]["id"]
    sandbox.api("PUT", f"/data_sinks/{sink_id}/pause")
    done = deploy(sandbox, tmp_path, {**config, "verify": {"min_records": 1000}}, "--verify-timeout", "1")
    done.fails(Exit.ROLLED_BACK)
    assert rows(sandbox, "sinks")[0]["status"] == "PAUSED"


def test_an_undo_that_does_not_show_is_left_behind(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    source_id = rows(sandbox, "sources")[0]["id"]
    config["source"]["description"] = "new words"
    config["destination"]["description"] = "new words too"
    sandbox.faults(
        {"action": "reset", "method": "PUT", "path": r"/data_sinks/\d+", "times": 4},
        {"action": "status", "status": 200, "body": {"id": source_id}, "method": "PUT",
         "path": f"/data_sources/{source_id}", "nth": 2},
    )  # fmt: skip
    done = deploy(sandbox, tmp_path, config)
    done.fails(Exit.LEFT_BEHIND)
    assert [row["step"] for row in done.data["left_behind"]] == ["source"]
    assert rows(sandbox, "sources")[0]["description"] == "new words"


def test_a_failed_update_is_restored(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(sandbox, tmp_path, config).ok()
    before = {kind: rows(sandbox, kind) for kind in ("sources", "nexsets", "sinks", "code")}
    known = {row["id"] for row in before["nexsets"]}
    config["source"]["description"] = "new words"
    config["source"]["source_config"]["csv.delimiter"] = ";"
    config["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"amount": ""}}]
    config["destination"]["description"] = "new words too"
    before_request(monkeypatch, "PUT", r"/data_sinks/\d+", sandbox.idle)  # the source has read with the new delimiter
    sandbox.faults({"action": "reset", "method": "PUT", "path": r"/data_sinks/\d+", "times": 4})
    done = deploy(sandbox, tmp_path, config)
    done.fails(Exit.ROLLED_BACK)
    for kind, old in before.items():
        now_there = {row["id"]: row for row in rows(sandbox, kind)}
        for was, now in [(row, now_there[row["id"]]) for row in old]:
            for key in ("name", "description", "source_config", "sink_config", "status", "code"):
                assert now.get(key) == was.get(key), (kind, key)
    sandbox.idle()
    new = [row["id"] for row in rows(sandbox, "nexsets") if row["id"] not in known]
    reported = " ".join(done.data["warnings"])
    assert new, "the other delimiter gives another shape"
    assert "were detected meanwhile" in reported
