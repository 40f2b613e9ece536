"""What a change creates carries its mark; what carries no mark of it is never the change's to delete."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.core.marks import is_mark
from support import Exit, Sandbox
from support.access import BOB, acting_as
from support.deploying import deploy, rows, two_people_deploy
from support.interference import before_request

KINDS = ("sources", "sinks", "credentials")


def marks(sandbox: Sandbox, kind: str) -> list[str]:
    return [tag for row in rows(sandbox, kind) for tag in row.get("tags") or [] if is_mark(tag)]


def stranger(sandbox: Sandbox, config: Any, **more: Any) -> int:
    """A source of the same name, made by hand."""
    body = {**config["source"], "data_credentials_id": config["credential_id"], **more}
    return int(sandbox.api("POST", "/data_sources", body)[1]["id"])


def test_everything_that_a_deployment_creates_carries_the_mark_of_its_change(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    config["source"]["credential"] = {"name": "own", "credentials_type": "s3", "credentials": {"key": "k" * 12}}
    del config["credential_id"]
    deploy(sandbox, tmp_path, config).ok()
    found = [*(marks(sandbox, kind) for kind in KINDS), marks(sandbox, "nexsets")]
    assert [len(tags) for tags in found] == [1, 1, 1, 1], "one each; a detected nexset has none"
    changes = {tag.rpartition("-")[0] for tags in found for tag in tags}
    assert len(changes) == 1, "all of the same change"
    change = changes.pop().removeprefix("nexla-operator/")
    for kind in ("sources", "destinations", "credentials"):
        for value in ([], [change]):
            listed = sandbox.run_inside("list_resources.py", "--type", kind, "--mark", *value).ok()
            assert len(listed.data) == 1, (kind, value)
    assert sandbox.run_inside("list_resources.py", "--type", "sources", "--mark", "f" * 12).ok().data == []
    sandbox.run_inside("list_resources.py", "--type", "teams", "--mark").fails(Exit.USAGE, "--mark can only be used")
    assert deploy(sandbox, tmp_path, config).ok().data["outcome"] == "unchanged"


def test_without_marks_nothing_is_tagged(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config, "--no-mark").ok()
    assert [marks(sandbox, kind) for kind in KINDS] == [[], [], []]


def test_a_namesake_that_somebody_made_by_hand_outlives_a_killed_create(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    """Killed before its POST took effect; then somebody makes the same name; the resume fails and rolls back."""
    path = support.write_config(tmp_path, config)
    sandbox.run_killed("deploy_flow.py", "--config", path, method="POST", path="/data_sources").is_killed()
    theirs = stranger(sandbox, config)
    sandbox.faults({"action": "status", "status": 403, "method": "PUT", "path": "/data_sources/[0-9]+/activate"})
    done = sandbox.run_inside("deploy_flow.py", "--config", path, "--resume")
    assert [row["id"] for row in rows(sandbox, "sources")] == [theirs], "it is still there, and no second one"
    done.ends(Exit.LEFT_BEHIND, Exit.ROLLED_BACK)


@pytest.mark.parametrize("lag", [1, 3])
def test_a_resume_reads_what_the_journal_knows_by_its_id(
    sandbox: Sandbox, tmp_path: Path, config: Any, lag: int
) -> None:
    """The lists do not have the new source yet."""
    path = support.write_config(tmp_path, config)
    at = {"method": "PUT", "path": "/data_sources/[0-9]+/activate"}
    sandbox.run_killed("deploy_flow.py", "--config", path, later=0.0, **at).is_killed()
    sandbox.faults(support.answers([], "/data_sources", times=lag))
    sandbox.run_inside("deploy_flow.py", "--config", path, "--resume").ok()
    assert len(rows(sandbox, "sources")) == 1


@pytest.mark.parametrize(("file", "server"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_are_equal_in_every_unicode_form(
    sandbox: Sandbox, tmp_path: Path, config: Any, file: Any, server: Any
) -> None:
    """The file came from a Mac and the server stores the composed form, or the other way round."""
    for entry in (config["source"], *config["nexsets"], config["destination"]):
        entry["name"] = unicodedata.normalize(file, "Bestände")
    deploy(sandbox, tmp_path, config).ok()
    stored = unicodedata.normalize(server, "Bestände")
    for kind in ("sources", "nexsets", "sinks"):
        row = rows(sandbox, kind)[-1]
        sandbox.control("POST", "edit", {"kind": kind, "id": row["id"], "set": {"name": stored}})
    again = deploy(sandbox, tmp_path, config).ok()
    assert (again.data["outcome"], again.json["warnings"]) == ("unchanged", [])
    (sandbox.data / "buckets" / "shop" / "in" / "other.csv").write_text("refund,reason\n1,broken\n")
    sandbox.api("PUT", f"/data_sources/{rows(sandbox, 'sources')[0]['id']}/activate?force=1")
    sandbox.idle()
    assert len(rows(sandbox, "nexsets")) == 3, "of two that are detected, the one with the flow's nexset is the flow's"
    assert deploy(sandbox, tmp_path, config).ok().data["outcome"] == "unchanged"
    assert (len(rows(sandbox, "sources")), len(rows(sandbox, "sinks"))) == (1, 1)
    assert deploy(sandbox, tmp_path, config, "--teardown", "--yes").ok().data["deleted"] == 3


def test_a_flow_of_somebody_else_is_not_deployed_a_second_time(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    bob = acting_as(sandbox, BOB)
    source, sink = rows(sandbox, "sources")[0], rows(sandbox, "sinks")[0]
    for role, code in (("operator", Exit.AUTH), ("admin", Exit.OK)):
        for place in (
            f"data_sources/{source['id']}",
            f"data_sinks/{sink['id']}",
            f"data_credentials/{config['credential_id']}",
            f"data_credentials/{config['destination']['data_credentials_id']}",
        ):
            body = {"accessors": [{"type": "USER", "email": BOB, "access_roles": [role]}]}
            assert sandbox.api("POST", f"/{place}/accessors", body)[0] == 200
        for nexset in rows(sandbox, "nexsets"):
            sandbox.api("POST", f"/data_sets/{nexset['id']}/accessors", body)
        done = deploy(bob, tmp_path, config).ends(code)
        assert len(rows(sandbox, "sources")) == 1, role
        assert len(support.table(sandbox)) == 20, "every row once"
        if code is Exit.OK:
            assert done.data["outcome"] == "unchanged"
            owners = [row.get("owner") for row in done.data["steps"] if row["step"] == "source"]
            assert owners != [None], "the plan says whose it is"
        else:
            assert "belongs to" in done.error["message"]


def test_what_a_colleague_adds_while_a_change_runs_survives_its_rollback(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    deploy(sandbox, tmp_path, config).ok()
    (sink,) = rows(sandbox, "sinks")
    config["destination"]["sink_config"]["mode"] = "append"
    config["destination"]["sink_config"]["batch"] = 5
    path = support.write_config(tmp_path, config)
    at = {"method": "PUT", "path": f"/data_sinks/{sink['id']}", "when": "after"}
    sandbox.run_killed("deploy_flow.py", "--config", path, **at).is_killed()
    now = rows(sandbox, "sinks")[0]["sink_config"]
    edited = {**now, "batch": 6, "colleague": "was here"}
    sandbox.api("PUT", f"/data_sinks/{sink['id']}", {"sink_config": edited})
    sandbox.faults(
        {"action": "status", "status": 403, "method": "GET", "path": "/data_sources/[0-9]+/flow", "times": 1}
    )
    done = sandbox.run_inside("deploy_flow.py", "--config", path, "--resume")
    kept = rows(sandbox, "sinks")[0]["sink_config"]
    assert kept["colleague"] == "was here"
    if done.code != Exit.OK:
        done.fails(Exit.LEFT_BEHIND, "sink_config.batch")
        assert (kept["batch"], kept.get("mode")) == (6, sink["sink_config"].get("mode"))


def test_gone_is_what_the_api_says_is_gone(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    """A gateway answers every item request with its own 404 page: nothing may be called deleted."""
    deploy(sandbox, tmp_path, config).ok()
    before = sandbox.resources()
    for body in ("<html><h1>404</h1></html>", ""):
        page = {"action": "status", "status": 404, "body": body, "headers": {"content-type": "text/html"}, "times": 999}
        sandbox.faults({**page, "method": "DELETE"}, {**page, "method": "GET", "path": "/data_s(ink|et|ource)s/[0-9]+"})
        done = deploy(sandbox, tmp_path, config, "--teardown", "--yes", "--journal", str(tmp_path / f"j{len(body)}"))
        done.ends(Exit.UPSTREAM, Exit.UNKNOWN_OUTCOME, Exit.PARTIAL)
        assert sandbox.resources() == before
        sandbox.faults()


@pytest.mark.parametrize("number", range(4))
def test_two_people_who_deploy_one_config_at_the_same_moment_make_one_flow(
    sandbox: Sandbox, tmp_path: Path, number: int
) -> None:
    two_people_deploy(sandbox, tmp_path, support.plant_orders(sandbox))


@pytest.mark.parametrize(
    "change", [{"name": "theirs"}, {"description": "theirs"}, {"source_config": {"path": "theirs"}}]
)
def test_a_new_resource_that_somebody_edited_is_left_and_named_when_the_change_fails(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    def edit() -> None:
        (row,) = rows(sandbox, "sources")
        sandbox.control("POST", "edit", {"kind": "sources", "id": row["id"], "set": change})

    before_request(monkeypatch, "POST", "/data_sinks", edit)
    sandbox.faults({"action": "status", "status": 400, "method": "POST", "path": "/data_sinks", "times": 9})
    done = deploy(sandbox, tmp_path, config)
    done.fails(Exit.LEFT_BEHIND, "somebody else changed its")
    (row,) = rows(sandbox, "sources")
    assert [entry["id"] for entry in done.data["left_behind"] if entry["step"] == "source"] == [row["id"]]
    key, value = next(iter(change.items()))
    assert row[key] == value


def test_a_colleagues_credential_of_the_same_name_is_not_used_instead_of_ones_own(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    """It may open another bucket: who deploys an inline credential means that one."""
    bob = acting_as(sandbox, BOB)
    own = {"name": "files", "credentials_type": "s3", "credentials": {"key": "k" * 12}}
    _, theirs = bob.api("POST", "/data_credentials", own)
    mine = next(p["id"] for p in sandbox.control("GET", "users")["users"] if p["service_key"] == sandbox.key)
    rule = {"type": "USER", "id": mine, "access_roles": ["collaborator"]}
    assert bob.api("PUT", f"/data_credentials/{theirs['id']}/accessors", {"accessors": [rule]})[0] == 200
    config["source"]["credential"] = own
    del config["credential_id"]
    deploy(sandbox, tmp_path, config).ok()
    (source,) = rows(sandbox, "sources")
    assert source["data_credentials_id"] != theirs["id"]
    assert len([row for row in rows(sandbox, "credentials") if row["name"] == "files"]) == 2


def test_a_resume_that_fails_before_it_comes_to_a_step_undoes_that_step_too(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    """The nexset was created and seen by the run before; this one does not get as far as to know its parent."""
    before, path = sandbox.resources(), support.write_config(tmp_path, config)
    sandbox.run_killed("deploy_flow.py", "--config", path, method="POST", path="/data_sinks").is_killed()
    sandbox.faults({"action": "status", "status": 403, "method": "GET", "path": "/data_sources/[0-9]+"})
    sandbox.run_inside("deploy_flow.py", "--config", path, "--resume").fails(Exit.ROLLED_BACK)
    assert sandbox.resources() == before


def test_a_destination_that_a_colleague_pauses_stays_paused_when_the_change_is_undone(
    sandbox: Sandbox, tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(sandbox, tmp_path, config).ok()
    sandbox.clear_journal()
    (sink,) = rows(sandbox, "sinks")
    config["destination"]["description"] = "changed"
    place = f"/data_sinks/{sink['id']}"
    before_request(
        monkeypatch,
        "GET",
        "/data_sources/[0-9]+/flow",
        lambda: sandbox.api("PUT", f"{place}/pause"),
        after=f"PUT {place}",
    )
    sandbox.faults({"action": "status", "status": 400, "method": "PUT", "path": f"{place}/activate", "times": 9})
    deploy(sandbox, tmp_path, config).ends(Exit.ROLLED_BACK, Exit.LEFT_BEHIND)
    (sink,) = rows(sandbox, "sinks")
    assert sink["status"] == "PAUSED"
    tried = [request for request in sandbox.writes() if request == f"PUT {place}/activate"]
    assert len(tried) == 1, "by the deployment itself, and not again by its undo"
