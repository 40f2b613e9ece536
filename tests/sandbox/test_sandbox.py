"""The sandbox behaves as the real server is known to behave, and really moves data."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

import support
from support import CLEAN, ROOT, Sandbox, _http


def source_of(sandbox: Sandbox, path: str, **more: Any) -> dict[str, Any]:
    body = {"name": "s", "source_type": "s3", "source_config": {"path": path, **more}}
    status, row = sandbox.api("POST", "/data_sources", body)
    assert status == 200
    return dict(row)


def discovered(sandbox: Sandbox, source: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
    for _ in range(200):
        sets = sandbox.api("GET", f"/data_sources/{source['id']}")[1]["data_sets"]
        if len(sets) >= count:
            return list(sets)
        time.sleep(0.03)
    raise AssertionError("nothing was discovered")


def put_file(sandbox: Sandbox, name: str, text: str) -> str:
    file = sandbox.data / "buckets" / "t" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return f"t/{Path(name).parent}" if "/" in name else f"t/{name}"


def samples(sandbox: Sandbox, number: int, query: str = "") -> Any:
    return sandbox.api("GET", f"/data_sets/{number}/samples{query}")[1]


# -- rules of the server


def test_errors_and_bodies_are_those_of_the_server(sandbox: Sandbox) -> None:
    token = f"Bearer {_http('POST', sandbox.url + '/token', None, 'Basic ' + sandbox.key)[1]['access_token']}"
    assert _http("POST", sandbox.url + "/token", None, "Basic nope") == (401, None)
    assert _http("POST", sandbox.url + "/token", None, "oneword")[0] == 400
    assert _http("GET", sandbox.url + "/data_sources") == (401, None)
    assert _http("GET", sandbox.url + "/data_sources/999999", None, token) == (404, None)
    assert _http("GET", sandbox.url + "/nothing/here", None, token) == (404, None)
    status, body = _http("GET", sandbox.url + "/health/org/all", None, token)
    assert (status, "not built" in body["message"]) == (501, True)
    assert sandbox.api("DELETE", "/data_sources/123")[0] == 405
    assert sandbox.api("PUT", "/data_sources/123", {"source_config": {"path": "x"}})[0] == 405
    assert sandbox.api("PUT", "/data_sources/123", {"description": "fine"})[0] == 200
    status, body = sandbox.api("DELETE", "/data_credentials/123")
    assert (status, body["data_sources"]) == (405, [123, 321, 456])
    assert sandbox.api("POST", "/data_sources", {"name": "x", "source_type": "nonsense"})[0] == 400
    assert sandbox.api("POST", "/data_sources", {"name": "x" * 256, "source_type": "s3"})[0] == 400
    status, _ = sandbox.api("POST", "/data_sinks", {"name": "x", "sink_type": "s3", "data_set_id": 123,
                                                    "data_credentials_id": 456})  # fmt: skip
    assert status == 403
    sandbox.problems = []
    sandbox.clear_journal()
    sandbox.problems = []  # wrong requests were sent on purpose


def test_tokens_expire_and_log_out(sandbox: Sandbox) -> None:
    answer = _http("POST", sandbox.url + "/token", None, "Basic " + sandbox.key)[1]
    token = f"Bearer {answer['access_token']}"
    assert answer["expires_in"] == 3600
    assert _http("GET", sandbox.url + "/users/current", None, token)[0] == 200
    sandbox.control("POST", "clock", {"advance_seconds": 3601})
    assert _http("GET", sandbox.url + "/users/current", None, token) == (401, None)
    token = f"Bearer {_http('POST', sandbox.url + '/token', None, 'Basic ' + sandbox.key)[1]['access_token']}"
    assert _http("POST", sandbox.url + "/token/logout", None, token) == (200, None)
    assert _http("GET", sandbox.url + "/users/current", None, token) == (401, None)


def test_brief_rows_and_whole_trees(sandbox: Sandbox) -> None:
    row = next(r for r in sandbox.api("GET", "/data_sources")[1] if r["id"] == 123)
    assert not {"source_config", "data_credentials", "poll_schedule", "api_keys"} & set(row)
    full = next(r for r in sandbox.api("GET", "/data_sources?expand=1")[1] if r["id"] == 123)
    assert full["data_credentials"]["id"] == 123
    node = sandbox.api("GET", "/data_sinks/123/flow")[1]["flows"][0]
    assert node["data_source_id"] == 123, "asked for a destination, the tree starts at the origin"
    assert "status" in node
    assert "status" not in node["children"][0]
    assert node["children"][0]["children"][0]["data_sink_id"] == 123
    only = sandbox.api("GET", f"/flows/{node['id']}?flows_only=1")[1]
    assert "data_sinks" not in only


def test_a_flow_is_paused_copied_and_deleted_as_a_whole(sandbox: Sandbox) -> None:
    assert sandbox.api("DELETE", "/flows/1230?all=1")[0] == 405
    body = sandbox.api("PUT", "/flows/1230/pause?all=1")[1]
    assert {r["status"] for kind in ("data_sources", "data_sets", "data_sinks") for r in body[kind]} == {"PAUSED"}
    twin = sandbox.api("POST", "/flows/1230/copy", {})[1]
    assert twin["data_sources"][0]["copied_from_id"] == 123
    assert sandbox.api("DELETE", "/flows/1230?all=1") == (200, None)
    assert sandbox.api("GET", "/data_sinks/123")[0] == 404
    assert sandbox.api("GET", f"/flows/{twin['flows'][0]['id']}")[0] == 200


def test_other_users_see_nothing_of_mine(sandbox: Sandbox) -> None:
    key = sandbox.control("POST", "users", {"email": "eve@example.com"})["service_key"]
    token = f"Bearer {_http('POST', sandbox.url + '/token', None, 'Basic ' + key)[1]['access_token']}"
    assert _http("GET", sandbox.url + "/data_sources", None, token)[1] == []
    for method, path in (("GET", "/data_sources/123"), ("PUT", "/data_sources/123/pause"),
                         ("DELETE", "/data_sets/123"), ("GET", "/data_sets/123/flow")):  # fmt: skip
        assert _http(method, sandbox.url + path, None, token) == (403, None), path


def test_rate_limits_answer_429(sandbox: Sandbox) -> None:
    sandbox.control("POST", "settings", {"limits": {"light": 2}})
    codes = [sandbox.api("GET", "/data_sources/123")[0] for _ in range(8)]
    assert 429 in codes
    assert sandbox.api("GET", "/limits")[1]["second"]["light"]["limit"] == 2


# -- real data


def test_discovery_happens_after_activation_one_nexset_per_shape(sandbox: Sandbox) -> None:
    sandbox.reset("empty")
    sandbox.control("POST", "settings", {"discovery_seconds": 0.5})
    put_file(sandbox, "mix/a.csv", "id,x\n1,a\n2,b\n")
    put_file(sandbox, "mix/b.csv", "id,x\n3,c\n")
    put_file(sandbox, "mix/c.json", '{"k": {"deep": [1, 2]}}\nnot json\n')
    source = source_of(sandbox, "t/mix")
    assert (source["status"], source["data_sets"]) == ("INIT", [])
    activated = sandbox.api("PUT", f"/data_sources/{source['id']}/activate")[1]
    assert (activated["status"], activated["data_sets"]) == ("ACTIVE", [])
    first, second = discovered(sandbox, source, 2)
    assert (first["name"], second["name"]) == ("s, Schema #1", "s, Schema #2")
    sandbox.idle()
    rows = sandbox.api("GET", f"/data_sources/{source['id']}/metrics/run_summary")[1]["metrics"]["data"]
    assert sorted((r["records"], r["errors"]) for r in rows) == [(1, 1), (3, 0)]
    assert samples(sandbox, second["id"])[0]["rawMessage"] == {"k": {"deep": [1, 2]}}
    assert len(samples(sandbox, first["id"], "?count=2")) == 2
    log = sandbox.api("GET", f"/data_sources/{source['id']}/flow/logs?run_id=-1&from=0")[1]["logs"]["data"]
    assert any("quarantine" in entry["log"] and entry["severity"] == "ERROR" for entry in log)


def test_activating_an_active_source_starts_no_run_and_force_does(sandbox: Sandbox) -> None:
    before = sandbox.api("GET", "/data_sources/123")[1]["last_run_id"]
    assert sandbox.api("PUT", "/data_sources/123/activate")[1]["last_run_id"] == before
    assert sandbox.api("PUT", "/data_sources/123/activate?force=1")[1]["last_run_id"] > before


def test_schedules_fire_on_the_virtual_clock(sandbox: Sandbox) -> None:
    runs = len(sandbox.api("GET", "/data_sources/123")[1]["run_ids"])
    sandbox.control("POST", "clock", {"advance_seconds": 90_000})
    sandbox._token = ""  # it has expired
    for _ in range(100):
        if len(sandbox.api("GET", "/data_sources/123")[1]["run_ids"]) > runs:
            return
        time.sleep(0.05)
    raise AssertionError("the daily schedule did not fire within a day and an hour")


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("0 0 6 * * ?", 6 * 3600), ("30 15 0 * * ?", 930), ("*/10 * * * * ?", 10), ("0 0 22 10 11 ? 2022", None),
     ("nonsense", None), ("", None)],
)  # fmt: skip
def test_quartz_expressions(expression: str, seconds: float | None) -> None:
    from sandbox.engine.schedule import NEVER, next_fire

    midnight = 1_767_225_600.0  # 2026-01-01T00:00:00Z
    assert next_fire(expression, midnight) == (NEVER if seconds is None else midnight + seconds)


def derived(sandbox: Sandbox, transform: Any, parent: int = 123, **more: Any) -> dict[str, Any]:
    body = {"name": "d", "parent_data_set_id": parent, "has_custom_transform": False, **more}
    body |= {"transform": transform} if transform is not None else {}
    status, row = sandbox.api("POST", "/data_sets", body)
    assert status == 200, row
    return dict(row)


def test_samples_of_derived_nexsets_are_pairs(sandbox: Sandbox) -> None:
    ops = [{"operation": "shift", "spec": {"order_id": "id"}}]
    nexset = derived(sandbox, {"version": 1, "data_maps": [], "transforms": ops})
    pair = samples(sandbox, nexset["id"], "?count=1")[0]
    assert pair["output"]["rawMessage"] == {"id": pair["input"]["rawMessage"]["order_id"]}
    assert samples(sandbox, nexset["id"], "?count=1&output_only=1")[0]["rawMessage"] == pair["output"]["rawMessage"]
    bare = samples(sandbox, nexset["id"], "?count=1&live=true&include_metadata=False&output_only=true")
    assert bare == [pair["output"]["rawMessage"]]
    expanded = sandbox.api("GET", f"/data_sets/{nexset['id']}?expand=1")[1]
    assert expanded["transform"]["transforms"] == ops
    assert list(expanded["output_schema"]["properties"]) == ["id"]
    assert "transform" not in sandbox.api("GET", f"/data_sets/{nexset['id']}")[1]


def test_python_transforms_run_in_a_child_with_limits(sandbox: Sandbox) -> None:
    script = "def transform(input, metadata, args):\n    return {'n': input['quantity'] * 2}\n"
    spec = {"language": "python", "encoding": "base64", "script": base64.b64encode(script.encode()).decode()}
    nexset = derived(sandbox, {"transforms": [{"operation": "nexla.custom", "spec": spec}]})
    pair = samples(sandbox, nexset["id"])[0]
    assert pair["output"]["rawMessage"]["n"] == pair["input"]["rawMessage"]["quantity"] * 2
    from sandbox.engine import transforming

    def outcome(source: str) -> Any:
        ops = [{"operation": "nexla.custom", "spec": {"language": "python", "encoding": "none", "script": source}}]
        return transforming.apply({"code": ops}, [{"a": 1}, {"a": 0}])

    good, bad = outcome("def transform(i, m, a):\n    return {'x': 1 / i['a']}")
    assert good == ({"x": 1.0}, None)
    assert bad[0] is None
    assert "ZeroDivisionError" in bad[1]
    with pytest.raises(transforming.TransformError):
        outcome("this is no python")
    assert outcome("def transform(i, m, a):\n    return {'x': len('y' * (1 << 33))}")[0][1].startswith("MemoryError")


def test_records_that_a_transform_refuses_go_to_quarantine(sandbox: Sandbox, tmp_path: Path) -> None:
    config = support.plant_orders(sandbox)
    script = "def transform(i, m, a):\n    if i['id'] % 5 == 0: raise ValueError('fifth')\n    return i"
    config["nexsets"][0]["transform"] = [
        {"operation": "nexla.custom", "spec": {"language": "python", "encoding": "none", "script": script}}
    ]
    done = sandbox.run("deploy_flow.py", "--config", support.write_config(tmp_path, config))
    assert done.code == 0, done.err
    number = done.data["nexsets"]["clean"]
    row = sandbox.api("GET", f"/data_sets/{number}/metrics/run_summary")[1]["metrics"]["data"][0]
    assert (row["records"], row["errors"]) == (16, 4)
    kept = sandbox.snapshot()["quarantine"][0]
    assert len(Path(kept["file"]).read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code_type": "jolt", "code_encoding": "json", "output_type": "json"}, 400),
        ({"code_type": "jolt_standard", "code": "text"}, 400),
        ({"code_type": "jolt_standard", "code": [{"operation": "no-such-op", "spec": {}}]}, 400),
        ({"code_type": "python", "code_encoding": "base64", "code": "%%%"}, 400),
        ({"code_type": "jolt_standard", "code": [{"operation": "remove", "spec": {"a": ""}}]}, 200),
    ],
)
def test_transforms_are_validated(sandbox: Sandbox, body: dict[str, Any], status: int) -> None:
    full = {"name": "t", "reusable": True, "output_type": "record", "code_encoding": "none", "code": []} | body
    assert sandbox.api("POST", "/transforms", full)[0] == status
    sandbox.clear_journal()
    sandbox.problems = []  # wrong bodies were sent on purpose


def test_a_transform_in_use_cannot_go_and_public_ones_are_listed(sandbox: Sandbox) -> None:
    nexset = derived(sandbox, None, transform_id=123)
    status, body = sandbox.api("DELETE", "/transforms/123")
    assert (status, str(nexset["id"]) in body["message"]) == (405, True)
    assert [row["id"] for row in sandbox.api("GET", "/attribute_transforms/public")[1]] == [456]
    assert sandbox.api("GET", "/transforms/456")[0] == 404, "an attribute transform is no record transform"


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_file_destinations_hold_what_was_read(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    config = support.plant_orders(sandbox)
    config["destination"] |= {"sink_type": "s3", "data_credentials_id": config["credential_id"]}
    config["destination"]["sink_config"] = {"path": f"shop/out-{kind}", "data_format": kind}
    done = sandbox.run("deploy_flow.py", "--config", support.write_config(tmp_path, config))
    assert done.code == 0, done.err
    pattern = sandbox.data / "buckets" / "shop" / f"out-{kind}" / f"*.{kind}"
    rows = duckdb.connect().execute(f"SELECT * FROM '{pattern}' ORDER BY id").fetchall()
    assert rows == [(n, n * 1.5) for n in range(1, 21)]


@pytest.mark.parametrize("path", ["../../etc", "t/../../../etc", "/../x"])
def test_no_path_leaves_the_sandbox(sandbox: Sandbox, path: str) -> None:
    sandbox.reset("empty")
    source = source_of(sandbox, path)
    sandbox.api("PUT", f"/data_sources/{source['id']}/activate")
    time.sleep(0.4)
    sandbox.idle()
    assert sandbox.api("GET", f"/data_sources/{source['id']}")[1]["data_sets"] == []
    row = sandbox.api("GET", f"/data_sources/{source['id']}/metrics/run_summary")[1]["metrics"]["data"][0]
    assert (row["records"], row["errors"]) == (0, 1)


def test_100_000_rows_through_jolt_into_a_table(sandbox: Sandbox, tmp_path: Path) -> None:
    config = support.plant_orders(sandbox, rows=100_000, bucket="big")
    spec = [{"operation": "shift", "spec": {"id": "order.id", "amount": "order.amount", "email": "contact"}}]
    config["nexsets"][0]["transform"] = spec
    config["destination"]["sink_config"]["table"] = "big"
    config["verify"] = {"min_records": 100_000}
    started = time.monotonic()
    done = sandbox.run("deploy_flow.py", "--config", support.write_config(tmp_path, config))
    assert done.code == 0, done.err
    assert time.monotonic() - started < 20
    file = sandbox.data / "buckets" / "big" / "in" / "orders.csv"
    with duckdb.connect(str(sandbox.data / "databases" / "dw.duckdb"), read_only=True) as db:
        different = db.execute(
            f"""WITH wanted AS (SELECT id, amount, email FROM read_csv('{file}')),
                     have AS (SELECT "order".id AS id, "order".amount AS amount, contact AS email FROM big)
                SELECT count(*) FROM (
                    (FROM wanted EXCEPT ALL FROM have) UNION ALL (FROM have EXCEPT ALL FROM wanted))"""
        ).fetchall()
        count = db.execute("SELECT count(*) FROM big").fetchall()
    assert (different, count) == ([(0,)], [(100_000,)])


def test_a_real_postgresql_is_written_to(sandbox: Sandbox, tmp_path: Path) -> None:
    pgserver = pytest.importorskip("pgserver", reason="pgserver has no wheel for this Python or platform")
    import psycopg

    server = pgserver.get_server(tmp_path / "pg")
    try:
        uri = server.get_uri()
        host = re.search(r"host=([^&]+)", uri)
        config = support.plant_orders(sandbox)
        login = {"host": host[1] if host else "127.0.0.1", "username": "postgres", "database": "postgres"}
        del config["destination"]["data_credentials_id"]
        config["destination"]["credential"] = {
            "name": "real", "credentials_type": "postgres", "credentials": login
        }  # fmt: skip
        config["destination"]["sink_config"] |= {"insert.mode": "UPSERT", "primary.key": "id"}
        done = sandbox.run("deploy_flow.py", "--config", support.write_config(tmp_path, config))
        assert done.code == 0, done.err
        with psycopg.connect(uri) as db:
            rows = db.execute("SELECT id, amount FROM orders ORDER BY id").fetchall()
        assert rows == [(n, n * 1.5) for n in range(1, 21)]
    finally:
        server.cleanup()


def test_previews_of_a_credential(sandbox: Sandbox) -> None:
    tree = sandbox.api("POST", "/data_credentials/123/probe/tree", {"depth": 2, "path": "demo-bucket"})[1]
    assert "demo-bucket/orders/orders.csv" in tree["object"]
    text = sandbox.api("POST", "/data_credentials/123/probe/sample", {"path": "demo-bucket/orders"})[1]
    assert text["output"]["response"].startswith("order_id,ordered_at")
    table = {"database": "warehouse", "table": "orders"}
    rows = sandbox.api("POST", "/data_credentials/456/probe/sample", table)[1]["output"]["response"]
    assert rows["columns"][0] == "order_id"
    assert len(rows["data"]) == 100
    listed = sandbox.api("POST", "/data_credentials/456/probe/tree", {"depth": 2, "database": "warehouse"})[1]
    assert "orders" in listed["object"]
    assert sandbox.api("POST", "/data_credentials/789/probe/tree", {"depth": 1})[0] == 403


def test_metrics_agree_with_the_runs(sandbox: Sandbox) -> None:
    runs = sandbox.api("GET", "/data_sets/123/metrics/run_summary")[1]["metrics"]["data"]
    days = sandbox.api("GET", "/data_sets/123/metrics?from=2020-01-01&aggregate=1")[1]["metrics"]
    flow = sandbox.api("GET", "/data_sinks/123/flow/metrics?from=2020-01-01")[1]["metrics"]["data"]
    total = sum(run["records"] for run in runs)
    assert total == 500 + 13 * 480
    assert sum(day["records"] for day in days) == total
    assert flow["data_sets"] == [{"id": 123, "metric": {"records": total, "size": sum(r["size"] for r in runs),
                                                        "errors": 0}}]  # fmt: skip
    page = sandbox.api("GET", "/data_sets/123/metrics/run_summary?page=2&size=5")[1]["metrics"]
    assert (len(page["data"]), page["meta"]) == (5, {"currentPage": 2, "pageCount": 3, "totalCount": 14})
    latest = sandbox.api("GET", "/flows?include_run_metrics=1&page=1&per_page=20")[1]["metrics"]
    assert next(row for row in latest if row["origin_node_id"] == 1230)["records"] == 500


def test_the_failing_and_the_stale_flow_look_it(sandbox: Sandbox) -> None:
    failing = sandbox.api("GET", "/data_sources/789/metrics/run_summary")[1]["metrics"]["data"]
    assert [(row["records"], row["errors"]) for row in failing] == [(0, 1)]
    log = sandbox.api("GET", "/data_sources/789/flow/logs?run_id=-1&from=0")[1]["logs"]["data"]
    assert "credential was refused" in log[0]["log"]
    newest = sandbox.api("GET", "/data_sources/321/metrics/run_summary")[1]["metrics"]["data"][0]["runId"]
    assert newest < (time.time() - 5 * 86_400) * 1000
    assert sandbox.api("GET", "/data_sources/456")[1]["status"] == "PAUSED"


# -- the process and its control


def test_state_survives_a_restart(tmp_path: Path) -> None:
    world = support.start_sandbox(tmp_path)
    first = next(world)
    first.api("POST", "/data_sources", {"name": "kept", "source_type": "s3"})
    world.close()
    again = support.start_sandbox(tmp_path)
    second = next(again)
    try:
        assert second.key == first.key
        assert "kept" in [row["name"] for row in second.api("GET", "/data_sources")[1]]
    finally:
        again.close()


def test_it_binds_to_loopback_only_and_says_what_it_is(sandbox: Sandbox) -> None:
    import urllib.request

    done = subprocess.run([sys.executable, "-m", "sandbox", "--host", "0.0.0.0"], cwd=ROOT, env=CLEAN,
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, "loopback" in done.stderr) == (2, True)
    with urllib.request.urlopen(f"{sandbox.url}/limits") as answer:
        assert "not Nexla" in answer.headers["Server"]


def test_control_requests(sandbox: Sandbox) -> None:
    assert sandbox.control("POST", "nonsense")["message"].startswith("known:")
    assert "ValueError" in sandbox.control("POST", "settings", {"no_such": 1})["message"]
    assert "ValueError" in sandbox.control("POST", "faults", [{"action": "explode"}])["message"]
    assert "tokens" not in sandbox.snapshot()
    assert sandbox.control("POST", "clock", {"advance_seconds": -1})["message"].startswith("ValueError")


def test_every_route_is_in_the_contract_and_the_other_way_round() -> None:
    import sandbox.__main__  # noqa: F401 - it registers every route
    from sandbox.server import contract
    from sandbox.server.routing import ROUTES

    def plain(template: str) -> str:
        return re.sub(r"\{\w+\}", "{}", template)

    routes = {(route.method, plain(route.template)) for route in ROUTES}
    known = {(op.method, plain(op.template)) for op in contract.operations()}
    assert len(routes) > 80
    assert routes == known


def test_the_contract_finds_violations() -> None:
    from sandbox.server import contract

    get = contract.operation("GET", "/data_sources/1")
    assert get
    assert get.problems_of_response(200, {"id": "one"})
    assert get.problems_of_response(299, {})
    assert get.problems_of_request({"nonsense": "1"}, None)
    post = contract.operation("POST", "/data_sinks")
    assert post
    assert post.problems_of_request({}, {"name": "x"})
    assert not post.problems_of_request(
        {}, {"name": "x", "sink_type": "s3", "data_credentials_id": 1, "data_set_id": 2}
    )
    assert json.dumps(contract.DOCUMENT["x-not-built"]).count("GET") > 50


def test_the_engine_knows_the_connector_types_of_the_contract() -> None:
    from sandbox.engine import connector_types
    from sandbox.server import contract

    assert set(contract.enum("ConnectorTypeDatabase")) == connector_types.DATABASES
    assert {*contract.enum("ConnectorTypeFile"), "file_upload"} == connector_types.FILES
    assert set(contract.enum("SourceType")) >= connector_types.WEBHOOKS


def test_notifications_are_listed_counted_and_marked(sandbox: Sandbox) -> None:
    _, rows = sandbox.api("GET", "/notifications?level=ERROR")
    assert any(row["resource_type"] == "SOURCE" and row["resource_id"] == 789 for row in rows)
    assert sandbox.api("GET", "/notifications/count?read=0")[1]["count"] == len(rows)
    assert sandbox.api("GET", f"/notifications/{rows[0]['id']}")[1]["message"] == rows[0]["message"]
    assert sandbox.api("PUT", "/notifications/mark_read", {"ids": [rows[0]["id"], 99999]})[0] == 200
    assert sandbox.api("GET", "/notifications/count?read=1")[1] == {"count": 1}
    assert sandbox.api("PUT", "/notifications/mark_unread?notification_id=all")[0] == 200
    assert sandbox.api("GET", "/notifications/count?read=0")[1]["count"] == len(rows)
    assert sandbox.api("PUT", "/notifications/mark_read")[0] == 404
    assert sandbox.api("DELETE", f"/notifications/{rows[0]['id']}")[0] == 200
    assert sandbox.api("GET", f"/notifications/{rows[0]['id']}")[0] == 404


def test_run_status_has_one_entry_for_each_destination(sandbox: Sandbox) -> None:
    assert sandbox.api("GET", "/flows/1230/run_status/latest")[1] == [{"status": "SUCCESS", "output": {"sink_id": 123}}]
    assert sandbox.api("GET", "/flows/1230/run_status/1")[1][0]["status"] == "PENDING"


def test_quarantine_holds_the_bad_records_of_a_run(sandbox: Sandbox) -> None:
    path = "/data_sources/123/probe/quarantine/sample"
    _, body = sandbox.api("POST", path, {"page": 1, "per_page": 2})
    assert (len(body["output"]["data"]), body["output"]["meta"]["totalCount"]) == (2, 3)
    assert set(body["output"]["data"][0]) == {"nexlaMetaData", "error", "rawMessage"}
    run = body["output"]["data"][0]["nexlaMetaData"]["runId"]
    assert sandbox.api("POST", path, {"start_time": run + 1})[1]["output"]["data"] == []
    assert sandbox.api("POST", "/data_sets/123/probe/quarantine/sample", {})[1]["output"]["data"] == []


def test_a_missing_table_keeps_the_records_until_it_is_there(sandbox: Sandbox) -> None:
    config = support.plant_orders(sandbox)
    sink_config = {"table": "later", "database": "dw", "mapping": {"mode": "manual", "mapping": {"id": "id"}}}
    _, source = sandbox.api(
        "POST", "/data_sources", {**config["source"], "data_credentials_id": config["credential_id"]}
    )
    sandbox.api("PUT", f"/data_sources/{source['id']}/activate")
    sandbox.idle()
    nexset = sandbox.api("GET", f"/data_sources/{source['id']}")[1]["data_sets"][0]["id"]
    body = config["destination"] | {"data_set_id": nexset, "sink_config": sink_config}
    _, sink = sandbox.api("POST", "/data_sinks", body)
    sandbox.api("PUT", f"/data_sinks/{sink['id']}/activate")
    sandbox.idle()
    waiting = sandbox.api("GET", f"/data_sinks/{sink['id']}")[1]
    assert (waiting["status"], waiting["runtime_status"]) == ("ACTIVE", "PROCESSING")
    with duckdb.connect(str(sandbox.data / "databases" / "dw.duckdb")) as db:
        db.execute("CREATE TABLE later (id INTEGER)")
    sandbox.api("PUT", f"/data_sources/{source['id']}/activate?force=1")
    sandbox.idle()
    assert len(support.table(sandbox, "later")) == 20
    assert sandbox.api("GET", f"/data_sinks/{sink['id']}")[1]["runtime_status"] == "IDLE"


def test_validators_are_a_kind_of_their_own(sandbox: Sandbox) -> None:
    script = base64.b64encode(b"def validate(record):\n    return True\n").decode()
    body = {"name": "has an id", "code_type": "python", "code_encoding": "base64", "code": script}
    body |= {"output_type": "record", "reusable": True}
    status, made = sandbox.api("POST", "/validators", body)
    assert (status, made["resource_type"], made["reusable"]) == (200, "validator", True)
    assert [row["name"] for row in sandbox.api("GET", "/validators")[1]] == ["has an id"]
    assert "has an id" not in [row["name"] for row in sandbox.api("GET", "/transforms?reusable=all")[1]]
    assert sandbox.api("GET", f"/transforms/{made['id']}")[0] == 404
    assert sandbox.api("DELETE", f"/validators/{made['id']}")[0] == 200
