"""Tearing a flow down: what the config names and nobody else uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import Exit, Sandbox
from support.deploying import deploy, rows


def test_teardown_needs_yes_and_removes_what_the_config_names(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    before = sandbox.resources()
    deploy(sandbox, tmp_path, config).ok()
    deploy(sandbox, tmp_path, config, "--teardown").fails(Exit.USAGE)
    looked = deploy(sandbox, tmp_path, config, "--teardown", "--dry-run")
    assert (looked.data["to_do"], sandbox.resources()["sinks"]) == (3, ["warehouse"])
    done = deploy(sandbox, tmp_path, config, "--teardown", "--yes").ok()
    assert done.data["deleted"] == 3
    assert sandbox.resources() == before
    again = deploy(sandbox, tmp_path, config, "--teardown", "--yes").ok()
    assert again.data["deleted"] == 0


def test_teardown_refuses_while_somebody_else_uses_the_flow(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    nexset = next(row for row in rows(sandbox, "nexsets") if row["name"] == "clean")
    child = {"name": "theirs", "parent_data_set_id": nexset["id"], "has_custom_transform": False}
    sandbox.api("POST", "/data_sets", child)
    deploy(sandbox, tmp_path, config, "--teardown", "--yes").fails(Exit.ERROR, "theirs")
    assert sorted(sandbox.resources()["nexsets"]) == ["clean", "orders, Schema #1", "theirs"]
    assert sandbox.resources()["sinks"] == ["warehouse"], "nothing was deleted before the refusal"


def test_a_detected_nexset_of_the_same_name_is_not_taken_for_the_configured_one(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    before = sandbox.resources()
    deploy(sandbox, tmp_path, config).ok()
    detected, derived = rows(sandbox, "nexsets")
    sandbox.control("POST", "edit", {"kind": "nexsets", "id": detected["id"], "set": {"name": "clean"}})
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config, "--teardown", "--yes").ok()
    assert done.data["deleted"] == 3
    assert [text for text in sandbox.writes() if "/data_sets" in text] == [
        f"PUT /data_sets/{derived['id']}/pause",
        f"DELETE /data_sets/{derived['id']}",
    ]
    assert sandbox.resources() == before


def test_a_teardown_needs_no_secrets_and_keeps_a_shared_credential(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    config["source"]["credential"] = {"name": "login", "credentials_type": "s3", "credentials": {"k": "${LOGIN_KEY}"}}
    deploy(sandbox, tmp_path, config, env={"LOGIN_KEY": "key-0123456789"}).ok()
    login = next(row for row in rows(sandbox, "credentials") if row["name"] == "login")
    sandbox.api("POST", "/data_sources", {"name": "x", "source_type": "s3", "data_credentials_id": login["id"]})
    done = deploy(sandbox, tmp_path, config, "--teardown", "--yes").ok()
    assert done.data["deleted"] == 3
    assert done.data["steps"][-1]["action"] == "kept"
    assert "kept" in done.json["warnings"][0]
    config["source"]["name"] = "typo"
    nothing = deploy(sandbox, tmp_path, config, "--teardown", "--yes")
    assert nothing.data["outcome"] == "nothing to do"
    assert "no source with this name" in nothing.json["warnings"][0]
