"""What a run leaves behind: metrics, run status, and bad records in quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import support
from support import Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Api

DEMO_RECORDS = 500 + 13 * 480  # the run that really took place, and the past ones


def test_metrics_agree_with_the_runs(api: Api) -> None:
    runs = api.runs("data_sets/123")
    days = api.get("/data_sets/123/metrics?from=2020-01-01&aggregate=1")["metrics"]
    flow = api.get("/data_sinks/123/flow/metrics?from=2020-01-01")["metrics"]["data"]
    assert sum(run["records"] for run in runs) == DEMO_RECORDS, runs
    assert sum(day["records"] for day in days) == DEMO_RECORDS, days
    total = {"records": DEMO_RECORDS, "size": sum(run["size"] for run in runs), "errors": 0}
    assert flow["data_sets"] == [{"id": 123, "metric": total}]
    page = api.get("/data_sets/123/metrics/run_summary?page=2&size=5")["metrics"]
    assert len(page["data"]) == 5, page
    assert page["meta"] == {"currentPage": 2, "pageCount": 3, "totalCount": 14}
    latest = api.get("/flows?include_run_metrics=1&page=1&per_page=20")["metrics"]
    orders = next(row for row in latest if row["origin_node_id"] == 1230)
    assert orders["records"] == 500, orders


def test_run_status_has_one_entry_for_each_destination(api: Api) -> None:
    assert api.get("/flows/1230/run_status/latest") == [{"status": "SUCCESS", "output": {"sink_id": 123}}]
    (unknown,) = api.get("/flows/1230/run_status/1")
    assert unknown["status"] == "PENDING", unknown


def test_quarantine_holds_the_bad_records_of_a_run(api: Api) -> None:
    path = "/data_sources/123/probe/quarantine/sample"
    output = api.post(path, {"page": 1, "per_page": 2})["output"]
    assert len(output["data"]) == 2, output
    assert output["meta"]["totalCount"] == 3, output
    assert set(output["data"][0]) == {"nexlaMetaData", "error", "rawMessage"}, output
    run_id = output["data"][0]["nexlaMetaData"]["runId"]
    assert api.post(path, {"start_time": run_id + 1})["output"]["data"] == []
    assert api.post("/data_sets/123/probe/quarantine/sample", {})["output"]["data"] == []


def test_records_that_a_transform_refuses_go_to_quarantine(sandbox: Sandbox, api: Api, tmp_path: Path) -> None:
    config = support.plant_orders(sandbox)
    script = "def transform(i, m, a):\n    if i['id'] % 5 == 0: raise ValueError('fifth')\n    return i"
    config["nexsets"][0]["transform"] = [
        {"operation": "nexla.custom", "spec": {"language": "python", "encoding": "none", "script": script}}
    ]
    done = sandbox.run("deploy_flow.py", "--config", support.write_config(tmp_path, config))
    assert done.code == 0, done.err
    row = api.runs(f"data_sets/{done.data['nexsets']['clean']}")[0]
    assert row["records"] == 16, row
    assert row["errors"] == 4, row
    (kept,) = sandbox.snapshot()["quarantine"]
    assert len(Path(kept["file"]).read_text().splitlines()) == 4, kept
