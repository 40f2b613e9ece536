"""A config is deployed and its data arrives; deploying it again changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.core.marks import is_mark
from support import Exit, Sandbox
from support.deploying import deploy, rows

BOTH_SECRETS = {"SHOP_KEY": "shop-key-4711-secret", "DW_PASSWORD": "dw-password-0815"}


def test_a_flow_is_deployed_and_its_data_arrives(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    done = deploy(sandbox, tmp_path, config).ok()
    assert done.data["outcome"] == "deployed"
    sink = done.data["destinations"][0]
    assert (sink["verified"], sink["records"], sink["errors"]) == (True, 20, 0)
    assert support.table(sandbox) == [(n, n * 1.5) for n in range(1, 21)]
    assert {row["status"] for kind in ("sources", "nexsets", "sinks") for row in rows(sandbox, kind)} == {"ACTIVE"}


def test_the_seeds_config_works_as_written(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    del config["nexsets"]
    config["source"]["data_credentials_id"] = config["credential_id"]
    deploy(sandbox, tmp_path, config).ok()
    assert len(support.table(sandbox)) == 20


def test_deploying_again_changes_nothing_within_the_budget(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    sandbox.clear_journal()
    again = deploy(sandbox, tmp_path, config).ok()
    assert again.data["outcome"] == "unchanged"
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
    deploy(sandbox, tmp_path, config).ok()
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
    done = deploy(sandbox, tmp_path, config, env=BOTH_SECRETS).ok()
    assert [sink["records"] for sink in done.data["destinations"]] == [20, 20, 20]
    assert support.table(sandbox, "two")[0] == (1, 3.0)
    assert len(list((sandbox.data / "buckets" / "shop" / "out").glob("*.csv"))) == 1
    source = rows(sandbox, "sources")[0]
    assert source["source_config"]["start.cron"] == "0 0 6 * * ?"
    assert [tag for tag in source["tags"] if not is_mark(tag)] == ["t1"]
    assert source["project_id"] == rows(sandbox, "projects")[-1]["id"]
    assert len(rows(sandbox, "credentials")) == 4, "the same inline credential is made once"
    again = deploy(sandbox, tmp_path, config, env=BOTH_SECRETS).ok()
    assert again.data["outcome"] == "unchanged"
    for secret in BOTH_SECRETS.values():
        assert secret not in done.out + done.err + again.out + again.err
        assert all(secret not in file.read_text() for file in (tmp_path / "state").rglob("*.jsonl"))


def test_config_from_standard_input_and_result_to_a_file(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    target = tmp_path / "result.json"
    done = sandbox.run("deploy_flow.py", "--config", "-", "--output", str(target), stdin=json.dumps(config)).ok()
    assert done.out == ""
    assert json.loads(target.read_text())["data"]["outcome"] == "deployed"
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_variable_in_a_name_can_be_deployed_twice(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["source"]["name"] = "orders ${STAGE}"
    env = {"STAGE": "Hunter2Secret"}
    deploy(sandbox, tmp_path, config, env=env).ok()
    again = deploy(sandbox, tmp_path, config, env=env).ok()
    assert again.data["outcome"] == "unchanged"
    assert "hunter2secret" not in again.err.lower()
    assert not [file for file in (tmp_path / "state").rglob("*") if "hunter2" in file.name]


@pytest.mark.parametrize("form", ["table", "csv", "ndjson", "json"])
def test_fields_of_a_deployment_in_every_format(sandbox: Sandbox, tmp_path: Path, config: Any, form: str) -> None:
    done = deploy(sandbox, tmp_path, config, "--format", form, "--fields", "outcome,source").ok()
    assert "deployed" in done.out


def test_an_env_file_carries_through_and_can_forbid_writes(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    file = tmp_path / "my env"
    file.write_text(f"NEXLA_API_URL={sandbox.url}\nNEXLA_SERVICE_KEY={sandbox.key}\nNEXLA_READ_ONLY=1\n")
    file.chmod(0o600)
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, config, "--env-file", str(file)).fails(Exit.CONFIG)
    assert sandbox.writes() == []
    file.write_text(f"NEXLA_API_URL={sandbox.url}\nNEXLA_SERVICE_KEY={sandbox.key}\n")
    config["verify"] = {"min_records": 21}
    args = ("--env-file", str(file), "--on-failure", "keep", "--verify-timeout", "1")
    kept = deploy(sandbox, tmp_path, config, *args)
    assert f"--env-file '{file}'" in kept.error["hint"]


def test_a_read_only_environment_blocks_a_deployment(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, config, env={"NEXLA_READ_ONLY": "1"}).fails(Exit.CONFIG)
    assert sandbox.writes() == []
    deploy(sandbox, tmp_path, config, "--dry-run", env={"NEXLA_READ_ONLY": "1"}).ok()


def plant_second_shape(sandbox: Sandbox) -> None:
    file = sandbox.data / "buckets" / "shop" / "in" / "refunds.csv"
    file.write_text("refund_id,reason\n1,broken\n")


def test_several_detected_nexsets_need_a_choice(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    plant_second_shape(sandbox)
    try:
        done = deploy(sandbox, tmp_path, config)
        done.fails(Exit.ROLLED_BACK, "refund_id")
        assert '"fields"' in done.data["cause"]["hint"]
        assert rows(sandbox, "sources") == []
        deploy(sandbox, tmp_path, {**config, "nexset": {"fields": ["id", "email"]}}).ok()
        assert len(support.table(sandbox)) == 20
    finally:
        (sandbox.data / "buckets" / "shop" / "in" / "refunds.csv").unlink()


def test_a_probe_that_cannot_tell_is_a_warning_not_a_success(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.faults({"action": "status", "status": 503, "path": r".*/probe", "times": 4})
    done = deploy(sandbox, tmp_path, config).ok()
    assert any("could not be tested" in warning for warning in done.json["warnings"])


def test_a_transform_that_changes_nothing_is_warned_of(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"no_such_field": ""}}]
    done = deploy(sandbox, tmp_path, config).ok()
    assert any("changed nothing" in warning for warning in done.json["warnings"])
