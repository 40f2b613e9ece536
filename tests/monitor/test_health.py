"""health_check.py: the verdicts of the demo flows, within the budget of requests; wrong input is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import Exit, Sandbox
from support.clocks import VirtualClock
from support.health import check, one, rows


def test_the_demo_flows_get_the_verdicts_that_they_stand_for(sandbox: Sandbox) -> None:
    done = check(sandbox, "--all").ends(Exit.FINDINGS)
    assert done.json["ok"] is False
    found = rows(done)
    assert {key: row["verdict"] for key, row in found.items() if key[1] == 123} == dict.fromkeys(
        [("sources", 123), ("nexsets", 123), ("destinations", 123)], "healthy"
    )
    assert "it is PAUSED" in found["sources", 456]["issues"][0]
    assert "the last run failed" in found["sources", 789]["issues"][0]
    assert "missed its run" in found["sources", 321]["issues"][0]
    assert done.json["meta"] | {"total": 12, "healthy": 3, "unhealthy": 9, "unknown": 0} == done.json["meta"]
    resting = check(sandbox, "--all", "--ignore-paused")
    assert (resting.json["meta"]["paused_left_out"], len(resting.data)) == (3, 9)


def test_a_paused_destination_is_seen_although_its_flow_is_active(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    done = one(sandbox, "destinations", 123).ends(Exit.FINDINGS)
    assert done.data[0]["status"] == "PAUSED"
    assert done.data[0]["verdict"] == "unhealthy"
    one(sandbox, "sources", 123).ok()


def test_a_missing_resource_is_unhealthy_and_stops_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps({"resources": [{"type": "sources", "id": 99999}, {"type": "sources", "id": 123}]}))
    done = check(sandbox, "--config", str(file)).ends(Exit.FINDINGS)
    assert {key: row["verdict"] for key, row in rows(done).items()} == {
        ("sources", 99999): "unhealthy", ("sources", 123): "healthy"
    }  # fmt: skip


def test_nothing_to_check_is_not_success(sandbox: Sandbox) -> None:
    check(sandbox, "--all", "--tag", "no-such-tag").fails(Exit.NOT_FOUND)
    sandbox.reset("empty")
    check(sandbox, "--all").fails(Exit.NOT_FOUND)


def test_scopes(sandbox: Sandbox) -> None:
    assert {key[1] for key in rows(check(sandbox, "--all", "--project", "10"))} == {123}
    assert {key[1] for key in rows(check(sandbox, "--all", "--tag", "prod"))} == {123, 456}
    assert set(rows(one(sandbox, "flows", 1230))) == {("sources", 123), ("nexsets", 123), ("destinations", 123)}


def test_limits_of_the_config_and_sla(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    sla = {"max_age_hours": 1, "min_success_rate": 0.99, "max_error_rate": 0.5, "min_records_per_day": 400}
    file.write_text(json.dumps({"resources": [
        {"type": "data_sources", "id": 123, "sla": sla},
        {"type": "data_sinks", "id": 456, "expected_status": "PAUSED"},
        {"type": "data_sinks", "id": 789, "skip": ["freshness", "status"]},
    ]}))  # fmt: skip
    found = rows(check(sandbox, "--config", str(file)))
    source = found["sources", 123]
    assert source["verdict"] == "unhealthy"
    assert [issue.split(" is ")[0] for issue in source["issues"]] == ["min_success_rate"]
    assert source["checks"]["sla.min_records_per_day"] == "ok"
    assert found["destinations", 456]["verdict"] == "healthy"
    assert found["destinations", 789]["verdict"] == "unknown"  # nothing was left that could be good


def test_a_probe_is_sent_only_when_asked_for_and_once_for_each_credential(sandbox: Sandbox) -> None:
    sandbox.clear_journal()
    one(sandbox, "flows", 1230).ok()
    assert not [r for r in sandbox.journal() if r["path"].endswith("/probe")]
    sandbox.control("POST", "edit", {"kind": "credentials", "id": 123, "set": {"bad": True}})
    done = one(sandbox, "flows", 1230, "--probe").ends(Exit.FINDINGS)
    assert rows(done)["sources", 123]["checks"]["credential"] == "bad"
    assert len([r for r in sandbox.journal() if r["path"].endswith("/probe")]) == 2
    sandbox.faults(
        {"action": "status", "status": 500, "method": "GET", "path": "/data_credentials/456/probe", "times": 9}
    )
    unsure = one(sandbox, "destinations", 123, "--probe")
    unsure.ends(Exit.UPSTREAM)
    assert unsure.data[0]["verdict"] == "unknown"


def test_a_credential_that_was_found_bad_earlier_counts(sandbox: Sandbox) -> None:
    sandbox.control("POST", "edit", {"kind": "credentials", "id": 123, "set": {"verified_status": "403 Denied"}})
    done = one(sandbox, "sources", 123).ends(Exit.FINDINGS)
    assert done.data[0]["checks"]["credential"] == "bad"


def test_a_stalled_destination_and_a_volume_cliff(sandbox: Sandbox) -> None:
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"stuck": True}})  # it runs at 6 o'clock
    sandbox.control("POST", "edit", {"kind": "sinks", "id": 123, "set": {"runtime_status": "PROCESSING"}})
    assert one(sandbox, "destinations", 123).data[0]["checks"]["stalled"] == "ok"
    sandbox.control("POST", "clock", {"advance_seconds": 3 * 3600})
    sandbox.control("POST", "history", {"kind": "sources", "id": 123, "runs": [{"ago": 7200, "records": 480}]})
    stalled = one(sandbox, "destinations", 123).data[0]
    assert (stalled["verdict"], stalled["checks"]["stalled"]) == ("unhealthy", "bad")
    sandbox.control("POST", "history", {"kind": "nexsets", "id": 123, "runs": [{"ago": 1200, "records": 9}]})
    cliff = one(sandbox, "nexsets", 123).data[0]
    assert (cliff["verdict"], cliff["checks"]["volume"]) == ("unhealthy", "bad")


def test_the_budget_of_requests_is_2k_plus_1(sandbox: Sandbox, tmp_path: Path) -> None:
    resources = [
        {"type": kind, "id": number}
        for kind in ("sources", "nexsets", "destinations")
        for number in (123, 456, 789, 321)
    ]
    for count in (1, 2, 7, 12):
        file = tmp_path / "m.json"
        file.write_text(json.dumps({"resources": resources[:count]}))
        sandbox.clear_journal()
        check(sandbox, "--config", str(file))
        assert len(sandbox.journal()) <= 2 * count + 1


def test_1000_resources_in_2001_requests_at_the_asked_rate(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.reset("empty")
    sandbox.control("POST", "bulk", {"count": 1000, "status": "ACTIVE"})
    sandbox.clear_journal()
    done = check(sandbox, "--all", "--rps", "50", "--format", "ndjson")
    requests = len(sandbox.journal())
    assert len(done.out.splitlines()) == 1001
    assert requests <= 2001
    assert requests / 50 - 1 <= clock.now() <= 1.1 * requests / 50, f"{requests} requests took {clock.now():.1f} s"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "exactly one of"),
        (["--all", "--config", "x"], "exactly one of"),
        (["--resource-type", "sources"], "must be used together"),
        (["--config", "x", "--tag", "y"], "only be used with --all"),
        (["--all", "--skip", "statos"], "unknown checks in --skip: statos"),
        (["--all", "--threshold", "20"], "share from 0 to 1"),
        (["--resource-type", "teams", "--resource-id", "42"], "cannot be checked"),
        (["--all", "--alert-webhook-file", "x"], "needs --state"),
    ],
)
def test_wrong_input_is_usage(sandbox: Sandbox, args: list[str], text: str) -> None:
    sandbox.clear_journal()
    check(sandbox, *args).fails(Exit.USAGE, text)
    assert sandbox.journal() == []


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"resources": []}, "names no resource"),
        ({"resource": []}, "did you mean 'resources'"),
        ({"resources": [{"type": "sources", "id": "123"}]}, "resources.0.id: must be an integer"),
        ({"resources": [{"type": "sources", "id": 123, "max_age_hour": 3}]}, "did you mean 'max_age_hours'"),
        ({"resources": [{"type": "sources", "id": 123, "sla": {"min_succes_rate": 1}}]}, "did you mean"),
        ({"resources": [{"type": "sources", "id": 1}, {"type": "data_sources", "id": 1}]}, "twice"),
        ({"resources": [{"type": "sauces", "id": 1}]}, "unknown resource type"),
    ],
)
def test_a_wrong_config_names_its_key(sandbox: Sandbox, tmp_path: Path, config: Any, text: str) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps(config))
    check(sandbox, "--config", str(file)).fails(Exit.USAGE, text)
