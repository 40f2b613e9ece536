"""The main job on real input: plan, apply, verify, update, roll back, resume, tear down."""

from __future__ import annotations

import copy
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import support
from support import Sandbox
from support.deploying import deploy, rows

BOTH_SECRETS = {"SHOP_KEY": "shop-key-4711-secret", "DW_PASSWORD": "dw-password-0815"}


# -- the way that goes well


def test_a_flow_is_deployed_and_its_data_arrives(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 0, done.err
    assert done.data["outcome"] == "deployed"
    sink = done.data["destinations"][0]
    assert (sink["verified"], sink["records"], sink["errors"]) == (True, 20, 0)
    assert support.table(sandbox) == [(n, n * 1.5) for n in range(1, 21)]
    assert {row["status"] for kind in ("sources", "nexsets", "sinks") for row in rows(sandbox, kind)} == {"ACTIVE"}


def test_the_seed_shape_works_as_it_stands(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    del config["nexsets"]
    config["source"]["data_credentials_id"] = config["credential_id"]
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 0, done.err
    assert len(support.table(sandbox)) == 20


def test_deploying_again_changes_nothing_within_the_budget(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    sandbox.clear_journal()
    again = deploy(sandbox, tmp_path, config)
    assert (again.code, again.data["outcome"]) == (0, "unchanged")
    assert sandbox.writes() == []
    assert sum(r["method"] == "GET" for r in sandbox.journal()) <= 6
    assert sum(r["path"] == "/token" for r in sandbox.journal()) == 1
    assert again.data["destinations"][0]["verified"] is False, "nothing was seen, so nothing is claimed"


def test_a_plan_after_a_deployment_is_empty(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.clear_journal()
    before = deploy(sandbox, tmp_path, config, "--dry-run")
    assert before.data["to_do"] > 0
    assert sandbox.writes() == []
    assert not list((tmp_path / "state").rglob("*.jsonl")), "a dry run leaves no journal"
    assert deploy(sandbox, tmp_path, config).code == 0
    assert deploy(sandbox, tmp_path, config, "--dry-run").data["to_do"] == 0


def test_everything_beyond_the_seed_shape(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    _, transform = sandbox.api(
        "POST",
        "/transforms",
        {"name": "drop-email", "reusable": True, "code_type": "jolt_standard", "code_encoding": "none",
         "output_type": "record", "code": [{"operation": "remove", "spec": {"email": ""}}]},
    )  # fmt: skip
    sandbox.api("POST", "/projects", {"name": "Shop"})
    del config["credential_id"], config["destination"]
    config["source"]["credential"] = {
        "name": "shop-bucket", "credentials_type": "s3", "credentials": {"secret_key": "${SHOP_KEY}"}
    }  # fmt: skip
    warehouse = {"name": "dw-login", "credentials_type": "postgres", "credentials": {"password": "${DW_PASSWORD}"}}
    config["nexsets"] = [
        {"name": "no-email", "transform_name": "drop-email"},
        {"name": "doubled", "transform": [{"operation": "modify-overwrite-beta",
                                           "spec": {"amount": "=doubleSum(@(1,amount),@(1,amount))"}}]},
        {"name": "by-id", "parent": "no-email", "transform_id": transform["id"]},
    ]  # fmt: skip
    config["destinations"] = [
        {"name": "one", "sink_type": "postgres", "credential": warehouse, "nexset": "no-email",
         "sink_config": {"table": "one", "database": "dw"}},
        {"name": "two", "sink_type": "postgres", "credential": warehouse, "nexset": "doubled",
         "sink_config": {"table": "two", "database": "dw"}},
        {"name": "files", "sink_type": "s3", "credential": config["source"]["credential"], "nexset": "by-id",
         "sink_config": {"path": "shop/out", "data_format": "csv"}},
    ]  # fmt: skip
    config |= {"project": "Shop", "tags": ["t1"], "schedule": "0 0 6 * * ?"}
    config["verify"] = {"min_records": 20, "max_errors": 0}
    done = deploy(sandbox, tmp_path, config, env=BOTH_SECRETS)
    assert done.code == 0, done.err
    assert [sink["records"] for sink in done.data["destinations"]] == [20, 20, 20]
    assert support.table(sandbox, "two")[0] == (1, 3.0)
    assert len(list((sandbox.data / "buckets" / "shop" / "out").glob("*.csv"))) == 1
    source = rows(sandbox, "sources")[0]
    assert source["source_config"]["start.cron"] == "0 0 6 * * ?"
    assert (source["tags"], source["project_id"]) == (["t1"], rows(sandbox, "projects")[-1]["id"])
    assert len(rows(sandbox, "credentials")) == 4, "the same inline credential is made once"
    again = deploy(sandbox, tmp_path, config, env=BOTH_SECRETS)
    assert (again.code, again.data["outcome"]) == (0, "unchanged"), again.err
    for secret in BOTH_SECRETS.values():
        assert secret not in done.out + done.err + again.out + again.err
        assert all(secret not in file.read_text() for file in (tmp_path / "state").rglob("*.jsonl"))


def test_config_from_standard_input_and_result_to_a_file(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    target = tmp_path / "result.json"
    done = sandbox.run("deploy_flow.py", "--config", "-", "--output", str(target), stdin=json.dumps(config))
    assert (done.code, done.out) == (0, "")
    assert json.loads(target.read_text())["data"]["outcome"] == "deployed"
    assert target.stat().st_mode & 0o777 == 0o600


# -- several nexsets


def plant_second_shape(sandbox: Sandbox) -> None:
    file = sandbox.data / "buckets" / "shop" / "in" / "refunds.csv"
    file.write_text("refund_id,reason\n1,broken\n")


def test_several_detected_nexsets_need_a_choice(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    plant_second_shape(sandbox)
    try:
        done = deploy(sandbox, tmp_path, config)
        assert done.code == 9, done.err
        assert "refund_id" in done.error["message"]
        assert '"fields"' in done.json["data"]["cause"]["hint"]
        assert rows(sandbox, "sources") == []
        chosen = deploy(sandbox, tmp_path, {**config, "nexset": {"fields": ["id", "email"]}})
        assert chosen.code == 0, chosen.err
        assert len(support.table(sandbox)) == 20
    finally:
        (sandbox.data / "buckets" / "shop" / "in" / "refunds.csv").unlink()


# -- changes of what is there


def test_a_changed_config_updates_only_what_changed(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    changed = copy.deepcopy(config)
    changed["destination"]["sink_config"]["insert.mode"] = "UPSERT"
    changed["destination"]["sink_config"]["primary.key"] = "id"
    plan = deploy(sandbox, tmp_path, changed, "--dry-run")
    step = next(s for s in plan.data["steps"] if s["step"] == "destination:warehouse")
    assert step["changes"]["sink_config.insert.mode"] == [None, "UPSERT"]
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, changed)
    assert done.code == 0, done.err
    number = done.data["destinations"][0]["id"]
    assert sandbox.writes() == [f"PUT /data_sinks/{number}"]
    assert any("next run" in warning for warning in done.json["warnings"])
    config_now = rows(sandbox, "sinks")[0]["sink_config"]
    assert config_now == changed["destination"]["sink_config"]


def test_a_config_change_of_an_active_source_pauses_around_it(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    config["source"]["source_config"]["csv.delimiter"] = ","
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 0, done.err
    number = done.data["source"]
    assert sandbox.writes() == [
        f"PUT /data_sources/{number}/pause",
        f"PUT /data_sources/{number}",
        f"PUT /data_sources/{number}/activate",
    ]
    assert rows(sandbox, "sources")[0]["status"] == "ACTIVE"


def test_a_changed_transform_is_proven_on_samples(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    config["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"amount": ""}}]
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 0, done.err
    assert len(rows(sandbox, "code")) == 1, "the nexset's own transform was changed in place"
    assert rows(sandbox, "code")[0]["code"] == config["nexsets"][0]["transform"]


def test_a_shared_transform_is_never_edited_in_place(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    shared = {"name": "shared", "reusable": True, "code_type": "jolt_standard", "code_encoding": "none",
              "output_type": "record", "code": [{"operation": "remove", "spec": {"email": ""}}]}  # fmt: skip
    _, transform = sandbox.api("POST", "/transforms", shared)
    config["nexsets"] = [{"name": "clean", "transform_id": transform["id"]}]
    assert deploy(sandbox, tmp_path, config).code == 0
    config["nexsets"] = [{"name": "clean", "transform": [{"operation": "remove", "spec": {"amount": ""}}]}]
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 0, done.err
    kept = next(row for row in rows(sandbox, "code") if row["id"] == transform["id"])
    assert kept["code"] == shared["code"]


def test_a_paused_branch_that_is_not_ours_stays_paused(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    nexset = next(row for row in rows(sandbox, "nexsets") if row["name"] == "clean")
    other = {**config["destination"], "name": "somebody else's", "data_set_id": nexset["id"]}
    _, foreign = sandbox.api("POST", "/data_sinks", other)
    sandbox.api("PUT", f"/data_sinks/{foreign['id']}/pause")
    sandbox.api("PUT", f"/data_sources/{rows(sandbox, 'sources')[0]['id']}/pause")
    assert deploy(sandbox, tmp_path, config).code == 0
    assert next(s for s in rows(sandbox, "sinks") if s["id"] == foreign["id"])["status"] == "PAUSED"


# -- wrong input: an error, the right code, no trace


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sorce": {}}, "did you mean 'source'"),
        ({"source": {"name": "x", "source_type": "s3", "sorce_config": {}}}, "did you mean 'source_config'"),
        ({"destination": {"name": "w", "sink_type": "postgres", "sink_confg": {}}}, "did you mean 'sink_config'"),
        ({"nexsets": [{"name": "a", "transfrm": []}]}, "did you mean 'transform'"),
        ({"nexsets": [{"name": "a"}]}, "exactly one of transform"),
        ({"nexsets": [{"name": "a", "transform_id": 1}, {"name": "a", "transform_id": 1}]}, "same name: a"),
        ({"nexsets": [{"name": "a", "transform_id": 1, "parent": "b"}]}, "not an earlier entry"),
        ({"source": {"source_type": "s3"}}, "source.name"),
        ({"source": {"name": "", "source_type": "s3"}}, "source.name"),
        ({"credential_id": "8"}, "credential_id"),
        ({"credential_id": None}, "has no credential"),
        ({"destinations": [{"name": "x", "sink_type": "s3"}]}, "not both"),
        ({"destination": None}, "needs a destination"),
        ({"verify": {"min_records": -1}}, "verify.min_records"),
        ({"nexset": {}}, "either name or fields"),
        ({"source": {"name": "${NOT_SET_ANYWHERE}", "source_type": "s3"}}, "NOT_SET_ANYWHERE"),
    ],
)
def test_a_wrong_config_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, tmp_path: Path, config: Any, change: Any, words: str
) -> None:
    sandbox.clear_journal()
    if "credential_id" in change and change["credential_id"] is None:
        del config["destination"]["data_credentials_id"]
    done = deploy(sandbox, tmp_path, {**config, **change})
    assert done.code == 2, done.err
    assert words in done.error["message"]
    assert (done.out, sandbox.journal()) == ("", [])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3"])
def test_a_file_that_is_no_config(sandbox: Sandbox, tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    assert sandbox.run("deploy_flow.py", "--config", str(file)).code == 2
    assert sandbox.run("deploy_flow.py", "--config", str(tmp_path / "missing.json")).code == 2
    assert sandbox.run("deploy_flow.py").error["name"] == "USAGE"


def test_two_sources_of_one_name_are_listed_not_guessed(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    made = [sandbox.api("POST", "/data_sources", {"name": "orders", "source_type": "s3"})[1]["id"] for _ in range(2)]
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 5
    assert sorted(done.error["resource"]["candidates"]) == sorted(made)
    assert sandbox.writes() == []


def test_a_destination_of_another_flow_is_not_taken(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    second = copy.deepcopy(config)
    second["source"]["name"] = "orders-2"
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, second)
    assert done.code == 1
    assert "another flow" in done.error["message"]
    assert sandbox.writes() == []


@pytest.mark.parametrize("which", ["source", "sink"])
def test_a_refused_credential_stops_before_the_first_write(
    sandbox: Sandbox, tmp_path: Path, config: Any, which: str
) -> None:
    number = config["credential_id"] if which == "source" else config["destination"]["data_credentials_id"]
    sandbox.control("POST", "edit", {"kind": "credentials", "id": number, "set": {"bad": True}})
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config)
    assert (done.code, sandbox.writes()) == (4, [])
    assert done.error["resource"] == {"type": "credentials", "id": number}


def test_a_probe_that_cannot_tell_is_a_warning_not_a_success(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.faults({"action": "status", "status": 503, "path": r".*/probe", "times": 4})
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 0, done.err
    assert any("could not be tested" in warning for warning in done.json["warnings"])


@pytest.mark.parametrize(("key", "value"), [("project", "Nowhere"), ("credential_id", 999)])
def test_what_does_not_exist_is_not_found(sandbox: Sandbox, tmp_path: Path, config: Any, key: str, value: Any) -> None:
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, {**config, key: value})
    assert (done.code, sandbox.writes()) == (5, [])


# -- failures on the way


def test_no_data_means_no_nexset_and_everything_is_undone(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["source"]["source_config"]["path"] = "shop/empty"
    before = sandbox.resources()
    done = deploy(sandbox, tmp_path, config, "--verify-timeout", "1")
    assert done.code == 9, done.err
    assert "no fitting nexset" in done.error["message"]
    assert done.json["data"]["left_behind"] == []
    assert sandbox.resources() == before


def test_a_transform_that_drops_everything_is_a_failure(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["nexsets"][0]["transform"] = [
        {"operation": "nexla.custom",
         "spec": {"language": "python", "encoding": "none", "script": "def transform(i, m, a):\n    return None"}}
    ]  # fmt: skip
    before = sandbox.resources()
    done = deploy(sandbox, tmp_path, config, "--verify-timeout", "1")
    assert done.code == 9, done.err
    assert "no output sample" in done.error["message"]
    assert sandbox.resources() == before


def test_a_transform_that_changes_nothing_is_warned_of(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"no_such_field": ""}}]
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 0
    assert any("changed nothing" in warning for warning in done.json["warnings"])


def test_errors_at_the_destination_undo_the_deployment(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["destination"]["sink_config"] |= {"insert.mode": "UPSERT", "primary.key": "no_such_column"}
    before = sandbox.resources()
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 9, done.err
    assert "20 errors" in done.error["message"]
    assert sandbox.resources() == before


def test_keep_leaves_everything_and_says_how_to_go_on(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["verify"] = {"min_records": 21}
    done = deploy(sandbox, tmp_path, config, "--on-failure", "keep", "--verify-timeout", "1")
    assert done.code == 12, done.err
    assert "20 records" in done.error["message"]
    assert "--resume" in done.error["hint"]
    assert {row["step"] for row in done.json["data"]["kept"]} >= {"source", "nexset:clean", "destination:warehouse"}
    assert sandbox.resources()["sinks"] == ["warehouse"]
    config["verify"] = {"min_records": 20}
    refused = deploy(sandbox, tmp_path, config)
    assert refused.code == 2, "an unfinished journal is not overwritten"
    assert "--resume" in refused.error["hint"]
    resumed = deploy(sandbox, tmp_path, config, "--resume")
    assert resumed.code == 0, resumed.err
    assert resumed.data["destinations"][0]["records"] == 20, "records of the first run are not waited for again"


def test_a_failed_update_is_restored(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    before = {kind: rows(sandbox, kind) for kind in ("sources", "nexsets", "sinks", "code")}
    known = {row["id"] for row in before["nexsets"]}
    config["source"]["description"] = "new words"
    config["source"]["source_config"]["csv.delimiter"] = ";"
    config["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"amount": ""}}]
    config["destination"]["description"] = "new words too"
    slow = {"action": "hang", "seconds": 0.5, "times": 4}  # time enough for the source to read with the new delimiter
    sandbox.faults({**slow, "method": "PUT", "path": r"/data_sinks/\d+"})
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 9, done.err
    for kind, old in before.items():
        now_there = {row["id"]: row for row in rows(sandbox, kind)}
        for was, now in [(row, now_there[row["id"]]) for row in old]:
            for key in ("name", "description", "source_config", "sink_config", "status", "code"):
                assert now.get(key) == was.get(key), (kind, key)
    sandbox.idle()
    new = [row["id"] for row in rows(sandbox, "nexsets") if row["id"] not in known]
    told = " ".join(done.json["data"]["warnings"])
    assert new, "the other delimiter gives another shape"
    assert "were detected meanwhile" in told


def test_left_behind_lists_exactly_what_remains(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["verify"] = {"min_records": 21}
    sandbox.faults({"action": "status", "status": 405, "method": "DELETE", "path": r"/data_sources/\d+", "times": 9})
    done = deploy(sandbox, tmp_path, config, "--verify-timeout", "1")
    assert done.code == 11, done.err
    left = done.json["data"]["left_behind"]
    assert [row["step"] for row in left] == ["source"]
    assert left[0]["id"] == rows(sandbox, "sources")[0]["id"]
    assert (rows(sandbox, "sinks"), [n["name"] for n in rows(sandbox, "nexsets")]) == ([], ["orders, Schema #1"])
    sandbox.faults()
    assert deploy(sandbox, tmp_path, config, "--teardown", "--yes").code == 0
    assert rows(sandbox, "sources") == []


# -- two at once, signals, journals


def test_two_runs_with_one_journal_exclude_each_other(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    path = support.write_config(tmp_path, config)
    sandbox.control("POST", "settings", {"discovery_seconds": 3})
    first = sandbox.start("deploy_flow.py", "--config", path)
    assert first.stdin
    first.stdin.write("go\n")
    first.stdin.flush()
    for _ in range(200):
        if rows(sandbox, "sources"):
            break
        time.sleep(0.05)
    second = sandbox.run("deploy_flow.py", "--config", path, "--resume")
    assert (second.code, second.error["retryable"]) == (1, True)
    assert "another run holds the journal" in second.error["message"]
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert sandbox.resources()["sources"] == ["orders"]


def test_two_runs_with_two_journals_still_make_one_of_each(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    path = support.write_config(tmp_path, config)
    for attempt in range(4):
        config_now = support.plant_orders(sandbox)
        Path(path).write_text(json.dumps(config_now))
        children = [
            sandbox.start("deploy_flow.py", "--config", path, "--journal", str(tmp_path / f"{attempt}-{n}.jsonl"))
            for n in range(2)
        ]
        ends = support.at_once(children)
        codes = [code for code, _ in ends]
        found = sandbox.resources()
        for kind in ("sources", "sinks"):
            assert len(found[kind]) <= 1, f"{codes}: {found}"
        if 0 not in codes and found["sources"]:  # each stood in the other's way: what is left is said
            left = [err.splitlines()[-1] for code, err in ends if code == 11]
            assert any("not everything could be undone" in line and "source (id " in line for line in left), ends
        last = sandbox.run("deploy_flow.py", "--config", path, "--journal", str(tmp_path / f"{attempt}-last.jsonl"))
        assert last.code == 0, last.err
        assert sandbox.resources()["sinks"] == ["warehouse"]
        assert sorted(sandbox.resources()["nexsets"]) == ["clean", "orders, Schema #1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_at_a_safe_point_and_undoes(sandbox: Sandbox, tmp_path: Path, config: Any, number: int) -> None:
    before = sandbox.resources()
    sandbox.control("POST", "settings", {"discovery_seconds": 30})
    child = sandbox.start("deploy_flow.py", "--config", support.write_config(tmp_path, config))
    assert child.stdin
    child.stdin.write("go\n")
    child.stdin.flush()
    for _ in range(200):
        if any(s["status"] == "ACTIVE" for s in rows(sandbox, "sources")):
            break
        time.sleep(0.05)
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130, err
    assert json.loads(out)["data"]["outcome"] == "rolled_back"
    assert sandbox.resources() == before


def test_an_unwritable_journal_stops_before_the_first_request(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config, "--journal", str(tmp_path))
    assert (done.code, sandbox.writes()) == (3, [])
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text(json.dumps({"journal": 1, "command": "other", "host": "x", "subject": "y"}) + "\n")
    assert deploy(sandbox, tmp_path, config, "--journal", str(foreign)).code == 3


def test_a_journal_with_a_cut_last_line_is_resumed(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    journal = tmp_path / "j.jsonl"
    config["verify"] = {"min_records": 21}
    kept = deploy(sandbox, tmp_path, config, "--on-failure", "keep", "--verify-timeout", "1", "--journal", str(journal))
    assert kept.code == 12
    with journal.open("a") as file:
        file.write('{"event": "inten')
    config["verify"] = {"min_records": 1}
    assert deploy(sandbox, tmp_path, config, "--resume", "--journal", str(journal)).code == 0
    assert len(rows(sandbox, "sinks")) == 1
    assert journal.stat().st_mode & 0o777 == 0o600


# -- tearing down


def test_teardown_needs_yes_and_removes_what_the_config_names(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    before = sandbox.resources()
    assert deploy(sandbox, tmp_path, config).code == 0
    assert deploy(sandbox, tmp_path, config, "--teardown").code == 2
    looked = deploy(sandbox, tmp_path, config, "--teardown", "--dry-run")
    assert (looked.data["to_do"], sandbox.resources()["sinks"]) == (3, ["warehouse"])
    done = deploy(sandbox, tmp_path, config, "--teardown", "--yes")
    assert (done.code, done.data["deleted"]) == (0, 3)
    assert sandbox.resources() == before
    again = deploy(sandbox, tmp_path, config, "--teardown", "--yes")
    assert (again.code, again.data["deleted"]) == (0, 0)


def test_teardown_refuses_while_somebody_else_uses_the_flow(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    nexset = next(row for row in rows(sandbox, "nexsets") if row["name"] == "clean")
    child = {"name": "theirs", "parent_data_set_id": nexset["id"], "has_custom_transform": False}
    sandbox.api("POST", "/data_sets", child)
    done = deploy(sandbox, tmp_path, config, "--teardown", "--yes")
    assert done.code == 1, done.err
    assert "theirs" in done.error["message"]
    assert sorted(sandbox.resources()["nexsets"]) == ["clean", "orders, Schema #1", "theirs"]
    assert sandbox.resources()["sinks"] == ["warehouse"], "nothing was deleted before the refusal"


def test_a_read_only_environment_blocks_a_deployment(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config, env={"NEXLA_READ_ONLY": "1"})
    assert (done.code, sandbox.writes()) == (3, [])
    assert deploy(sandbox, tmp_path, config, "--dry-run", env={"NEXLA_READ_ONLY": "1"}).code == 0


def test_the_deadline_of_the_command_undoes_and_ends(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    before = sandbox.resources()
    sandbox.control("POST", "settings", {"discovery_seconds": 60})
    started = time.monotonic()
    done = deploy(sandbox, tmp_path, config, "--timeout", "3")
    assert done.code == 9, done.err
    assert done.json["data"]["cause"]["name"] == "TIMEOUT"
    assert time.monotonic() - started < 15
    assert sandbox.resources() == before
