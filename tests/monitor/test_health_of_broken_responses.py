"""Whatever the API answers instead of the truth, nothing looks healthy for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.api import session
from support import Done, Exit, Sandbox
from support.clocks import without_sleeping
from support.health import check, one, rows

FAULTS: list[dict[str, Any]] = [
    *({"action": "status", "status": status} for status in (400, 403, 404, 405, 429, 500, 502, 503, 504)),
    {"action": "cut"}, {"action": "html"}, {"action": "reset"},
    {"action": "hang", "seconds": 1}, {"action": "drip", "seconds": 3, "when": "after"},
    {"action": "status", "status": 200, "body": {}},
    {"action": "status", "status": 200, "body": {"status": 200, "metrics": None}},
    {"action": "status", "status": 200, "body": {"metrics": {"data": [{"runId": None, "records": 5, "errors": 0}]}}},
    {"action": "status", "status": 200, "body": {"metrics": {"data": [{"runId": 1795240000000, "records": None}]}}},
]  # fmt: skip


@pytest.mark.parametrize("path", ["/data_sources/123/flow", "/data_sources/123/metrics/run_summary"])
def test_no_broken_response_ever_looks_healthy(sandbox: Sandbox, path: str) -> None:
    for fault in FAULTS:
        sandbox.faults({"when": "before", **fault, "method": "GET", "path": path, "times": 9})
        done = impatient(sandbox)
        assert done.code != Exit.OK, done.described("it passes", fault)
        assert '"verdict": "healthy"' not in done.out, fault
    sandbox.faults({"action": "drip", "seconds": 0.1, "when": "after", "method": "GET", "path": path, "times": 9})
    one(sandbox, "sources", 123).ok()  # slow, and yet whole in time


def impatient(sandbox: Sandbox) -> Done:
    """The check of source 123, with no pauses between tries, 0.2 s without a byte at most and 0.4 s for an answer."""
    with pytest.MonkeyPatch.context() as patch:
        without_sleeping(patch)
        patch.setattr(session, "READ_TIMEOUT", 0.2)
        patch.setattr(session, "RESPONSE_TIMEOUT", 0.4)
        return one(sandbox, "sources", 123)


def test_the_flow_of_another_resource_is_no_response(sandbox: Sandbox) -> None:
    _, other = sandbox.api("GET", "/data_sources/456/flow")
    sandbox.faults({"action": "status", "status": 200, "body": other, "path": "/data_sources/123/flow", "times": 9})
    done = one(sandbox, "sources", 123)
    done.ends(Exit.UPSTREAM)
    assert done.data[0]["verdict"] == "unknown"
    assert "does not contain the resource" in done.out


def test_pages_of_the_flow_list_that_shift_or_fail_are_not_taken_for_all(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 403, "method": "GET", "path": "/flows"})
    check(sandbox, "--all").fails(Exit.AUTH)
    sandbox.reset("empty")
    sandbox.control("POST", "bulk", {"count": 150})
    sandbox.faults({"action": "status", "status": 500, "method": "GET", "path": "/flows", "nth": 2, "times": 9})
    done = check(sandbox, "--all")
    done.ends(Exit.UPSTREAM)
    assert done.out == ""
    sandbox.faults()
    empty = sandbox.api("GET", "/flows?page=99&per_page=100")[1]
    rule = {"action": "status", "status": 200, "body": empty, "method": "GET", "path": "/flows", "nth": 2, "times": 99}
    sandbox.faults({**rule, "headers": {"X-Total-Count": "150"}})
    check(sandbox, "--all").fails(Exit.UPSTREAM, "list of flows is incomplete")


def test_a_malformed_response_stops_nothing_else(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps({"resources": [{"type": "sources", "id": 321}, {"type": "sources", "id": 123}]}))
    bodies: list[Any] = [{"flows": [{"data_source_id": 321}]}, {"flows": [None]}, {"flows": {"a": 1}}]
    for body in bodies:
        rule = {"action": "status", "status": 200, "body": body, "method": "GET", "path": "/data_sources/321/flow"}
        sandbox.faults({**rule, "times": 9})
        done = check(sandbox, "--config", str(file))
        assert {key[1]: row["verdict"] for key, row in rows(done).items()} == {321: "unknown", 123: "healthy"}, body
