"""Statuses, bodies, sessions and rate limits are those of the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support import Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Api


def test_the_token_request_is_checked(api: Api) -> None:
    assert api.expect(401, "POST", "/token", authorization="Basic nope") is None
    api.expect(400, "POST", "/token", authorization="oneword")
    assert api.expect(401, "GET", "/data_sources", authorization="") is None


def test_errors_and_bodies_are_those_of_the_server(api: Api, contract_is_broken_on_purpose: None) -> None:
    for path in ("/data_sources/999999", "/nothing/here"):
        assert api.expect(404, "GET", path) is None, path
    assert "not built" in api.expect(501, "GET", "/health/org/all")["message"]
    api.expect(405, "DELETE", "/data_sources/123")
    api.expect(405, "PUT", "/data_sources/123", {"source_config": {"path": "x"}})
    api.put("/data_sources/123", {"description": "fine"})
    in_use = api.expect(405, "DELETE", "/data_credentials/123")
    assert in_use["data_sources"] == [123, 321, 456], in_use
    api.expect(400, "POST", "/data_sources", {"name": "x", "source_type": "nonsense"})
    api.expect(400, "POST", "/data_sources", {"name": "x" * 256, "source_type": "s3"})
    other_type = {"name": "x", "sink_type": "s3", "data_set_id": 123, "data_credentials_id": 456}
    api.expect(403, "POST", "/data_sinks", other_type)


def test_tokens_expire_and_log_out(sandbox: Sandbox, api: Api) -> None:
    session = api.login()
    assert session["expires_in"] == 3600, session
    api.get("/users/current")
    sandbox.control("POST", "clock", {"advance_seconds": 3601})
    assert api.expect(401, "GET", "/users/current") is None
    api.login()
    assert api.expect(200, "POST", "/token/logout") is None
    assert api.expect(401, "GET", "/users/current") is None


def test_rate_limits_answer_429(sandbox: Sandbox) -> None:
    sandbox.control("POST", "settings", {"limits": {"light": 2}})
    statuses = [sandbox.api("GET", "/data_sources/123")[0] for _ in range(8)]
    assert 429 in statuses
    limits = sandbox.api("GET", "/limits")[1]
    assert limits["second"]["light"]["limit"] == 2, limits


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"code_type": "jolt", "code_encoding": "json", "output_type": "json"}, 400),
        ({"code_type": "jolt_standard", "code": "text"}, 400),
        ({"code_type": "jolt_standard", "code": [{"operation": "no-such-op", "spec": {}}]}, 400),
        ({"code_type": "python", "code_encoding": "base64", "code": "%%%"}, 400),
        ({"code_type": "jolt_standard", "code": [{"operation": "remove", "spec": {"a": ""}}]}, 200),
    ],
)
def test_transforms_are_validated(
    api: Api, contract_is_broken_on_purpose: None, changed: dict[str, Any], status: int
) -> None:
    body = {"name": "t", "reusable": True, "output_type": "record", "code_encoding": "none", "code": []} | changed
    api.expect(status, "POST", "/transforms", body)


def test_a_transform_in_use_cannot_be_deleted(api: Api) -> None:
    body = {"name": "d", "parent_data_set_id": 123, "has_custom_transform": False, "transform_id": 123}
    nexset = api.post("/data_sets", body)
    refused = api.expect(405, "DELETE", "/transforms/123")
    assert str(nexset["id"]) in refused["message"], refused


def test_notifications_are_listed_counted_and_marked(api: Api) -> None:
    rows = api.get("/notifications?level=ERROR")
    assert any(row["resource_type"] == "SOURCE" and row["resource_id"] == 789 for row in rows), rows
    first = rows[0]["id"]
    assert api.get("/notifications/count?read=0") == {"count": len(rows)}
    assert api.get(f"/notifications/{first}")["message"] == rows[0]["message"]
    api.put("/notifications/mark_read", {"ids": [first, 99999]})
    assert api.get("/notifications/count?read=1") == {"count": 1}
    api.put("/notifications/mark_unread?notification_id=all")
    assert api.get("/notifications/count?read=0") == {"count": len(rows)}
    api.expect(404, "PUT", "/notifications/mark_read")
    api.delete(f"/notifications/{first}")
    api.expect(404, "GET", f"/notifications/{first}")
