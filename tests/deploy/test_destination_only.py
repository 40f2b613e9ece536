"""Destinations of an existing nexset: deployed, changed, undone, resumed, removed; nothing else is touched."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import support
from support import Exit, Sandbox
from support.deploying import deploy, rows


@pytest.fixture
def nexset(sandbox: Sandbox, tmp_path: Path, config: Any) -> int:
    """A nexset of a flow that runs and was deployed by itself."""
    deploy(sandbox, tmp_path, config).ok()
    found = next(row for row in rows(sandbox, "nexsets") if row["name"] == "clean")
    sandbox.clear_journal()
    return int(found["id"])


@pytest.fixture
def copied(config: Any, nexset: int) -> dict[str, Any]:
    """A config of one destination of that nexset."""
    sink = copy.deepcopy(config["destination"]) | {"name": "copy", "data_set_id": nexset}
    sink["sink_config"]["table"] = "copied"
    return {"destination": sink}


def sinks(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {f"{row['name']} {row['sink_type']}": row for row in rows(sandbox, "sinks")}


def others(sandbox: Sandbox) -> dict[str, Any]:
    """Everything that a config with the destination ``copy`` does not name."""
    snapshot = sandbox.snapshot()
    kept = ("id", "name", "status", "sink_config", "source_config", "data_set_id", "owner_id")
    found = {kind: [{k: r.get(k) for k in kept} for r in snapshot[kind]] for kind in ("sources", "nexsets", "sinks")}
    found["sinks"] = [row for row in found["sinks"] if row["name"] != "copy"]
    return found


def test_a_source_alone_is_deployed_and_its_nexsets_are_detected(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    alone = {"credential_id": config["credential_id"], "source": config["source"]}
    done = deploy(sandbox, tmp_path, alone).ok()
    assert done.data["nexsets"] == {"detected": rows(sandbox, "nexsets")[0]["id"]}
    assert rows(sandbox, "sources")[0]["status"] == "ACTIVE"
    assert deploy(sandbox, tmp_path, alone).ok().data["outcome"] == "unchanged"
    assert deploy(sandbox, tmp_path, alone, "--teardown", "--yes").ok().data["deleted"] == 1
    assert (rows(sandbox, "sources"), rows(sandbox, "nexsets")) == ([], [])


def test_a_destination_is_added_verified_and_deployed_once(sandbox: Sandbox, tmp_path: Path, copied: Any) -> None:
    before = others(sandbox)
    plan = deploy(sandbox, tmp_path, copied, "--dry-run").ok()
    assert (plan.data["to_do"], sandbox.writes()) == (2, [])
    done = deploy(sandbox, tmp_path, copied).ok()
    number = done.data["destinations"][0]["id"]
    assert (done.data["destinations"][0]["verified"], done.data["destinations"][0]["records"]) == (True, 20)
    assert len(support.table(sandbox, "copied")) == 20
    assert sandbox.writes() == ["POST /data_sinks", f"PUT /data_sinks/{number}/activate"]
    assert others(sandbox) == before
    sandbox.clear_journal()
    again = deploy(sandbox, tmp_path, copied).ok()
    assert (again.data["outcome"], sandbox.writes()) == ("unchanged", [])
    assert sum(r["method"] == "GET" for r in sandbox.journal()) <= 6


def test_a_change_is_an_update_and_a_failed_one_is_taken_back(sandbox: Sandbox, tmp_path: Path, copied: Any) -> None:
    deploy(sandbox, tmp_path, copied).ok()
    number = sinks(sandbox)["copy postgres"]["id"]
    copied["destination"]["description"] = "for the team"
    sandbox.faults({"action": "status", "status": 403, "when": "after", "method": "PUT", "path": r"/data_sinks/\d+"})
    deploy(sandbox, tmp_path, copied).fails(Exit.ROLLED_BACK)
    assert not sinks(sandbox)["copy postgres"].get("description")
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, copied).ok()
    assert sandbox.writes() == [f"PUT /data_sinks/{number}"]
    assert sinks(sandbox)["copy postgres"]["description"] == "for the team"


def test_a_failed_verification_removes_only_the_new_destination(sandbox: Sandbox, tmp_path: Path, copied: Any) -> None:
    before = others(sandbox)
    copied["verify"] = {"min_records": 21}
    deploy(sandbox, tmp_path, copied, "--verify-timeout", "2").fails(Exit.ROLLED_BACK)
    assert "copy postgres" not in sinks(sandbox)
    assert others(sandbox) == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_deployment_is_resumed_with_one_destination(
    sandbox: Sandbox, tmp_path: Path, copied: Any, when: str
) -> None:
    before = others(sandbox)
    path = support.write_config(tmp_path, copied)
    at = {"method": "PUT", "path": r"/data_sinks/\d+/activate", "when": when}
    sandbox.run_killed("deploy_flow.py", "--config", path, **at).is_killed()
    done = sandbox.run_inside("deploy_flow.py", "--config", path, "--resume").ok()
    assert done.data["destinations"][0]["records"] == 20
    assert [row["name"] for row in rows(sandbox, "sinks")].count("copy") == 1
    assert others(sandbox) == before


def test_teardown_takes_the_destination_and_nothing_of_others(sandbox: Sandbox, tmp_path: Path, copied: Any) -> None:
    before = others(sandbox)
    deploy(sandbox, tmp_path, copied).ok()
    sandbox.clear_journal()
    plan = deploy(sandbox, tmp_path, copied, "--teardown", "--dry-run").ok()
    assert (plan.data["to_do"], sandbox.writes()) == (1, [])
    number = sinks(sandbox)["copy postgres"]["id"]
    done = deploy(sandbox, tmp_path, copied, "--teardown", "--yes").ok()
    assert done.data["deleted"] == 1
    assert sandbox.writes() == [f"PUT /data_sinks/{number}/pause", f"DELETE /data_sinks/{number}"]
    assert others(sandbox) == before
    assert "copy postgres" not in sinks(sandbox)
    assert deploy(sandbox, tmp_path, copied, "--teardown", "--yes").ok().data["deleted"] == 0


def test_one_name_on_two_nexsets_is_two_destinations(
    sandbox: Sandbox, tmp_path: Path, copied: Any, nexset: int
) -> None:
    """Also in one config; removing one leaves the other."""
    raw = next(row["id"] for row in rows(sandbox, "nexsets") if row["id"] != nexset)
    first = copied["destination"]
    second = copy.deepcopy(first) | {"data_set_id": raw}
    second["sink_config"]["table"] = "raw"
    deploy(sandbox, tmp_path, copied).ok()
    done = deploy(sandbox, tmp_path, {"destinations": [first, second]}).ok()
    assert [row["data_set_id"] for row in rows(sandbox, "sinks") if row["name"] == "copy"] == [nexset, raw]
    assert any(f"of nexset {nexset} has the name 'copy', too" in text for text in done.json["warnings"])
    assert len(support.table(sandbox, "raw")) == 20
    deploy(sandbox, tmp_path, copied, "--teardown", "--yes").ok()
    assert [row["data_set_id"] for row in rows(sandbox, "sinks") if row["name"] == "copy"] == [raw]


def test_a_nexset_that_does_not_exist_or_sends_nothing_is_refused(
    sandbox: Sandbox, tmp_path: Path, copied: Any, nexset: int
) -> None:
    missing = {"destination": copied["destination"] | {"data_set_id": 99999}}
    for args in ((), ("--dry-run",)):
        deploy(sandbox, tmp_path, missing, *args).fails(Exit.NOT_FOUND, "nexset 99999 does not exist")
    gone = deploy(sandbox, tmp_path, missing, "--teardown", "--yes").ok()
    assert (gone.data["deleted"], "does not exist" in gone.json["warnings"][0]) == (0, True)
    sandbox.api("PUT", f"/data_sets/{nexset}/pause")
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, copied).fails(Exit.ERROR, "is PAUSED")
    assert sandbox.writes() == []
    deploy(sandbox, tmp_path, copied, "--no-verify").ok()
    assert sinks(sandbox)["copy postgres"]["status"] == "ACTIVE"
    assert next(row["status"] for row in rows(sandbox, "nexsets") if row["id"] == nexset) == "PAUSED"


def share(sandbox: Sandbox, path: str, user: int, role: str) -> None:
    rule = {"type": "USER", "id": user, "access_roles": [role]}
    assert sandbox.api("PUT", f"{path}/accessors", {"accessors": [rule]})[0] == 200


@pytest.mark.parametrize("reads_flow", [True, False])
def test_the_nexset_may_belong_to_somebody_else(
    sandbox: Sandbox, tmp_path: Path, copied: Any, nexset: int, reads_flow: bool
) -> None:
    """A role on the nexset is enough; without one on its flow, the deployment says what it does not see."""
    bob = next(u for u in sandbox.control("GET", "users")["users"] if u["email"].startswith("bob"))
    before = others(sandbox)
    share(sandbox, f"/data_credentials/{copied['destination']['data_credentials_id']}", bob["id"], "collaborator")
    share(sandbox, f"/data_sets/{nexset}", bob["id"], "collaborator")
    if reads_flow:
        share(sandbox, f"/data_sources/{rows(sandbox, 'sources')[0]['id']}", bob["id"], "collaborator")
    sandbox.act_as(bob["email"])
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, copied).fails(Exit.AUTH, "needs admin")
    assert sandbox.writes() == []
    share(sandbox, f"/data_sets/{nexset}", bob["id"], "admin")
    done = deploy(sandbox, tmp_path, copied).ok()
    assert any("you may not read the flow" in text for text in done.json["warnings"]) is not reads_flow
    assert sinks(sandbox)["copy postgres"]["owner_id"] == bob["id"]
    assert deploy(sandbox, tmp_path, copied).ok().data["outcome"] == "unchanged"
    deploy(sandbox, tmp_path, copied, "--teardown", "--yes").ok()
    assert others(sandbox) == before


def test_a_destination_of_another_nexset_is_not_moved_where_the_flow_may_not_be_read(
    sandbox: Sandbox, tmp_path: Path, copied: Any, nexset: int
) -> None:
    bob = next(u for u in sandbox.control("GET", "users")["users"] if u["email"].startswith("bob"))
    raw = next(row["id"] for row in rows(sandbox, "nexsets") if row["id"] != nexset)
    share(sandbox, f"/data_credentials/{copied['destination']['data_credentials_id']}", bob["id"], "collaborator")
    for number in (raw, nexset):
        share(sandbox, f"/data_sets/{number}", bob["id"], "admin")
    sandbox.act_as(bob["email"])
    for number in (raw, nexset):
        copied["destination"]["data_set_id"] = number
        done = deploy(sandbox, tmp_path, copied, "--no-verify").ok()
    assert any("you may not read the flow" in text for text in done.json["warnings"])
    assert [row["data_set_id"] for row in rows(sandbox, "sinks") if row["name"] == "copy"] == [raw, nexset]


def test_a_colleagues_destination_of_the_same_identity_is_not_made_twice(
    sandbox: Sandbox, tmp_path: Path, copied: Any, nexset: int
) -> None:
    deploy(sandbox, tmp_path, copied).ok()
    bob = next(u for u in sandbox.control("GET", "users")["users"] if u["email"].startswith("bob"))
    source = rows(sandbox, "sources")[0]["id"]
    for path in (f"/data_sets/{nexset}", f"/data_sources/{source}"):
        share(sandbox, path, bob["id"], "admin")
    share(sandbox, f"/data_credentials/{copied['destination']['data_credentials_id']}", bob["id"], "collaborator")
    sandbox.act_as(bob["email"])
    assert deploy(sandbox, tmp_path, copied).ok().data["outcome"] == "unchanged"
    assert [row["name"] for row in rows(sandbox, "sinks")].count("copy") == 1
