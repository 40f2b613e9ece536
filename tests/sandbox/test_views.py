"""What a list, a single resource and a flow tree show."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sandbox.conftest import Api


def test_lists_are_brief_unless_expanded(api: Api) -> None:
    brief = next(row for row in api.get("/data_sources") if row["id"] == 123)
    shown = {"source_config", "data_credentials", "poll_schedule", "api_keys"} & set(brief)
    assert not shown, "a row of a list has no config, credential or keys"
    full = next(row for row in api.get("/data_sources?expand=1") if row["id"] == 123)
    assert full["data_credentials"]["id"] == 123, full


def test_a_flow_tree_starts_at_the_origin(api: Api) -> None:
    origin = api.get("/data_sinks/123/flow")["flows"][0]
    assert origin["data_source_id"] == 123, "asked for a destination, the tree starts at the origin"
    nexset = origin["children"][0]
    assert "status" in origin, origin
    assert "status" not in nexset, "only the origin has a status"
    assert nexset["children"][0]["data_sink_id"] == 123, nexset
    trees = api.get(f"/flows/{origin['id']}?flows_only=1")
    assert "data_sinks" not in trees, "flows_only leaves the resources out"


def test_a_flow_is_paused_copied_and_deleted_from_its_origin(api: Api) -> None:
    api.expect(405, "DELETE", "/flows/1230?all=1")
    paused = api.put("/flows/1230/pause?all=1")
    for resource_type in ("data_sources", "data_sets", "data_sinks"):
        assert {row["status"] for row in paused[resource_type]} == {"PAUSED"}, paused[resource_type]
    copy = api.post("/flows/1230/copy", {})
    assert copy["data_sources"][0]["copied_from_id"] == 123, copy["data_sources"]
    assert api.delete("/flows/1230?all=1") is None
    api.expect(404, "GET", "/data_sinks/123")
    api.get(f"/flows/{copy['flows'][0]['id']}")


def test_public_attribute_transforms_are_listed(api: Api) -> None:
    assert [row["id"] for row in api.get("/attribute_transforms/public")] == [456]
    api.expect(404, "GET", "/transforms/456")  # an attribute transform is not a record transform


def test_validators_are_a_type_of_their_own(api: Api) -> None:
    script = base64.b64encode(b"def validate(record):\n    return True\n").decode()
    body = {"name": "has an id", "code_type": "python", "code_encoding": "base64", "code": script}
    created = api.post("/validators", body | {"output_type": "record", "reusable": True})
    assert created["resource_type"] == "validator", created
    assert created["reusable"] is True, created
    assert [row["name"] for row in api.get("/validators")] == ["has an id"]
    assert "has an id" not in [row["name"] for row in api.get("/transforms?reusable=all")]
    api.expect(404, "GET", f"/transforms/{created['id']}")
    api.delete(f"/validators/{created['id']}")


def test_previews_of_a_credential(api: Api) -> None:
    tree = api.post("/data_credentials/123/probe/tree", {"depth": 2, "path": "demo-bucket"})
    assert "demo-bucket/orders/orders.csv" in tree["object"], tree
    text = api.post("/data_credentials/123/probe/sample", {"path": "demo-bucket/orders"})["output"]["response"]
    assert text.startswith("order_id,ordered_at"), text[:200]
    table = api.post("/data_credentials/456/probe/sample", {"database": "warehouse", "table": "orders"})
    assert table["output"]["response"]["columns"][0] == "order_id", table
    assert len(table["output"]["response"]["data"]) == 100
    tables = api.post("/data_credentials/456/probe/tree", {"depth": 2, "database": "warehouse"})
    assert "orders" in tables["object"], tables
    api.expect(403, "POST", "/data_credentials/789/probe/tree", {"depth": 1})


def test_the_demo_has_a_failing_a_stale_and_a_paused_flow(api: Api) -> None:
    (failed,) = api.runs("data_sources/789")
    assert failed["records"] == 0, failed
    assert failed["errors"] == 1, failed
    newest_line = api.log("data_sources/789")[0]
    assert "credential was refused" in newest_line["log"], newest_line
    newest_run = api.runs("data_sources/321")[0]
    assert newest_run["runId"] < (time.time() - 5 * 86_400) * 1000, newest_run
    assert api.get("/data_sources/456")["status"] == "PAUSED"
