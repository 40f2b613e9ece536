"""Sources really read files: when runs start, what becomes a nexset, and what is out of reach."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engine.schedule import NEVER, next_fire
from support import Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Api

MIDNIGHT = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def put_file(sandbox: Sandbox, name: str, text: str) -> None:
    file = sandbox.data / "buckets" / "t" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def new_source(api: Api, path: str) -> dict[str, Any]:
    body = {"name": "s", "source_type": "s3", "source_config": {"path": path}}
    source: dict[str, Any] = api.post("/data_sources", body)
    return source


def discovered(api: Api, source_id: int, count: int) -> list[dict[str, Any]]:
    """The nexsets of a source, as soon as there are so many."""
    nexsets: list[dict[str, Any]] = []
    for _ in range(1000):
        nexsets = api.get(f"/data_sources/{source_id}")["data_sets"]
        if len(nexsets) >= count:
            return nexsets
        time.sleep(0.03)
    raise AssertionError(f"{count} nexsets should be discovered, but there are {nexsets}")


def test_discovery_happens_after_activation_one_nexset_per_shape(sandbox: Sandbox, empty: Api) -> None:
    sandbox.control("POST", "settings", {"discovery_seconds": 0.5})
    put_file(sandbox, "mix/a.csv", "id,x\n1,a\n2,b\n")
    put_file(sandbox, "mix/b.csv", "id,x\n3,c\n")
    put_file(sandbox, "mix/c.json", '{"k": {"deep": [1, 2]}}\nnot json\n')
    source = new_source(empty, "t/mix")
    assert source["status"] == "INIT", source
    assert source["data_sets"] == [], source
    activated = empty.put(f"/data_sources/{source['id']}/activate")
    assert activated["status"] == "ACTIVE", activated
    assert activated["data_sets"] == [], "the data is read only after the response"
    first, second = discovered(empty, source["id"], 2)
    assert first["name"] == "s, Schema #1"
    assert second["name"] == "s, Schema #2"
    sandbox.idle()
    rows = empty.runs(f"data_sources/{source['id']}")
    assert sorted((row["records"], row["errors"]) for row in rows) == [(1, 1), (3, 0)]
    nested = empty.get(f"/data_sets/{second['id']}/samples")
    assert nested[0]["rawMessage"] == {"k": {"deep": [1, 2]}}, nested
    assert len(empty.get(f"/data_sets/{first['id']}/samples?count=2")) == 2
    log = empty.log(f"data_sources/{source['id']}")
    assert any("quarantine" in line["log"] and line["severity"] == "ERROR" for line in log), log


@pytest.mark.parametrize("path", ["../../etc", "t/../../../etc", "/../x"])
def test_no_path_leaves_the_sandbox(sandbox: Sandbox, empty: Api, path: str) -> None:
    source = new_source(empty, path)
    empty.put(f"/data_sources/{source['id']}/activate")
    sandbox.idle()
    assert empty.get(f"/data_sources/{source['id']}")["data_sets"] == []
    (row,) = empty.runs(f"data_sources/{source['id']}")
    assert row["records"] == 0, row
    assert row["errors"] == 1, row


def test_activating_an_active_source_starts_no_run_and_force_does(api: Api) -> None:
    before = api.get("/data_sources/123")["last_run_id"]
    assert api.put("/data_sources/123/activate")["last_run_id"] == before
    assert api.put("/data_sources/123/activate?force=1")["last_run_id"] > before


def test_schedules_fire_on_the_virtual_clock(sandbox: Sandbox, api: Api) -> None:
    before = api.get("/data_sources/123")["run_ids"]
    sandbox.control("POST", "clock", {"advance_seconds": 90_000})
    api.login()  # the token has expired
    for _ in range(1000):
        if len(api.get("/data_sources/123")["run_ids"]) > len(before):
            return
        time.sleep(0.05)
    raise AssertionError("the daily schedule did not fire within a day and an hour")


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("0 0 6 * * ?", 6 * 3600),
        ("30 15 0 * * ?", 930),
        ("*/10 * * * * ?", 10),
        ("0 0 22 10 11 ? 2022", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_quartz_expressions(expression: str, seconds: float | None) -> None:
    assert next_fire(expression, MIDNIGHT) == (NEVER if seconds is None else MIDNIGHT + seconds)
