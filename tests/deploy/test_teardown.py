"""Tearing a flow down: what the config names and nobody else uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import Exit, Sandbox
from support.deploying import deploy, rows
from support.interference import before_request


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


def test_a_nexset_of_the_same_name_below_another_parent_is_not_taken_for_the_configured_one(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    """Somebody has put theirs below ours, and ours is gone: by its name alone, theirs would be deleted."""
    deploy(sandbox, tmp_path, config).ok()
    _, derived = rows(sandbox, "nexsets")
    body = {"name": "clean", "parent_data_set_id": derived["id"], "has_custom_transform": False}
    theirs = sandbox.api("POST", "/data_sets", body)[1]["id"]
    sandbox.control("POST", "edit", {"kind": "nexsets", "id": derived["id"], "set": {"name": "renamed"}})
    config["nexsets"][0]["name"] = "clean"
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config, "--teardown", "--yes")
    done.fails(Exit.ERROR, "members that are not in the config", str(theirs), "renamed")
    assert sandbox.writes() == []


@pytest.mark.parametrize(
    ("twice", "source"),
    [("/data_sets", True), ("/data_sinks", True), ("/data_credentials", True), ("/data_sinks", False),
     ("/data_credentials", False)],
)  # fmt: skip
def test_two_of_one_name_are_refused_before_anything_is_deleted(
    sandbox: Sandbox, tmp_path: Path, config: Any, twice: str, source: bool
) -> None:
    login = {"name": "login", "credentials_type": "postgres", "credentials": {"key": "k" * 12}}
    first = config.pop("destination")
    config["destinations"] = [first, {**first, "name": "second"} | {"credential": login}]
    del config["destinations"][1]["data_credentials_id"]
    deploy(sandbox, tmp_path, config).ok()
    detected, last = (row["id"] for row in rows(sandbox, "nexsets"))
    by_hand = {
        "/data_sets": {"name": "clean", "parent_data_set_id": detected, "has_custom_transform": False},
        "/data_sinks": {**first, "name": "second", "data_set_id": last},
        "/data_credentials": login,
    }
    assert sandbox.api("POST", twice, by_hand[twice])[0] == 200
    if not source:
        config = {"destinations": [{**sink, "data_set_id": last} for sink in config["destinations"]]}
    before = sandbox.resources()
    sandbox.clear_journal()
    for word in ("--dry-run", "--yes"):
        deploy(sandbox, tmp_path, config, "--teardown", word).fails(Exit.NOT_FOUND, "are named")
    assert (sandbox.writes(), sandbox.resources()) == ([], before)


def test_a_teardown_that_stops_halfway_does_not_say_that_nothing_was_changed(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second nexset of the name comes when the destination is being deleted."""
    deploy(sandbox, tmp_path, config).ok()
    nexset = rows(sandbox, "nexsets")[-1]["id"]
    twin = {"name": "clean", "parent_data_set_id": nexset, "has_custom_transform": False}
    before_request(monkeypatch, "DELETE", r"/data_sinks/\d+", lambda: sandbox.api("POST", "/data_sets", twin))
    error = deploy(sandbox, tmp_path, config, "--teardown", "--yes").fails(Exit.PARTIAL, "stays deleted", "--resume")
    assert "nothing was" not in error["hint"]
    assert (sandbox.resources()["sinks"], sandbox.resources()["nexsets"].count("clean")) == ([], 2)


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


def test_what_somebody_attaches_during_a_teardown_does_not_go_with_the_source(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(sandbox, tmp_path, config).ok()
    detected = next(row["id"] for row in rows(sandbox, "nexsets") if row.get("data_source_id"))
    child = {"name": "theirs", "parent_data_set_id": detected, "has_custom_transform": False}
    sent = before_request(monkeypatch, "DELETE", "/data_sets/.*", lambda: sandbox.api("POST", "/data_sets", child))
    deploy(sandbox, tmp_path, config, "--teardown", "--yes").fails(Exit.PARTIAL, "theirs", "stays deleted")
    assert sent
    assert sandbox.resources()["sources"] == ["orders"]
    assert sorted(sandbox.resources()["nexsets"]) == ["orders, Schema #1", "theirs"]


def test_a_source_that_is_renamed_during_a_teardown_is_not_taken_for_deleted(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(sandbox, tmp_path, config).ok()
    (source,) = rows(sandbox, "sources")
    path = f"/data_sources/{source['id']}"
    before_request(monkeypatch, "DELETE", "/data_sinks/.*", lambda: sandbox.api("PUT", path, {"name": "renamed"}))
    words = ["--teardown", "--yes"]
    deploy(sandbox, tmp_path, config, *words).fails(Exit.PARTIAL, "is called 'renamed' by now", "its former name")
    deploy(sandbox, tmp_path, config, *words, "--resume").fails(Exit.PARTIAL, "is called 'renamed' by now")
    sandbox.api("PUT", path, {"name": "orders"})
    done = deploy(sandbox, tmp_path, config, *words, "--resume").ok()
    assert sandbox.resources()["sources"] == []
    assert "before" not in [row["step"] for row in done.data["steps"]]


def test_a_teardown_that_fails_in_its_first_deletion_says_that_something_may_be_gone(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    deploy(sandbox, tmp_path, config).ok()
    (sink,) = rows(sandbox, "sinks")
    sandbox.faults({"action": "status", "status": 400, "method": "GET", "path": f"/data_sinks/{sink['id']}", "nth": 2})
    done = deploy(sandbox, tmp_path, config, "--teardown", "--yes")
    done.fails(Exit.PARTIAL, "what was being deleted may be paused or gone")
    assert sandbox.resources()["sinks"] == []


def test_a_namesake_of_what_was_deleted_is_not_deleted_by_the_resume(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(sandbox, tmp_path, config).ok()
    detected = next(row["id"] for row in rows(sandbox, "nexsets") if row.get("data_source_id"))
    twin = {"name": "clean", "parent_data_set_id": detected, "has_custom_transform": False}
    sent = before_request(monkeypatch, "PUT", "/data_sources/.*/pause", lambda: sandbox.api("POST", "/data_sets", twin))
    words = ["--teardown", "--yes"]
    deploy(sandbox, tmp_path, config, *words).fails(Exit.PARTIAL)
    assert sent
    deploy(sandbox, tmp_path, config, *words, "--resume").fails(Exit.PARTIAL)
    assert "clean" in sandbox.resources()["nexsets"]
