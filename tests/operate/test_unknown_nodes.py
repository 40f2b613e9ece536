"""A node of a kind that is not known here hides nothing: what is below it is switched, and it is named."""

from __future__ import annotations

from typing import Any

from support import Exit, Sandbox, answers

FLOW = ["--resource-type", "sources", "--resource-id", "123"]


def with_unknown_node(sandbox: Sandbox) -> dict[str, Any]:
    """The flow of source 123, with a node of a new kind between its nexset and its destination."""
    body: dict[str, Any] = sandbox.api("GET", "/data_sources/123/flow")[1]
    nexset = body["flows"][0]["children"][0]
    nexset["children"] = [{"id": 99_001, "ai_agent_id": 7, "name": "summariser", "children": nexset["children"]}]
    return body


def status_of_destination(sandbox: Sandbox) -> str:
    return str(sandbox.api("GET", "/data_sinks/123")[1]["status"])


def test_what_is_below_an_unknown_node_is_paused_and_the_node_is_named(sandbox: Sandbox) -> None:
    body = with_unknown_node(sandbox)
    sandbox.faults(answers(body, "/data_sources/123/flow"))
    planned = sandbox.run_inside("operate_flow.py", "--operation", "pause", *FLOW, "--scope", "flow", "--dry-run").ok()
    assert any("node 99001" in warning for warning in planned.json["warnings"])
    done = sandbox.run_inside("operate_flow.py", "--operation", "pause", *FLOW, "--scope", "flow").ends(Exit.PARTIAL)
    sandbox.problems.clear()
    assert status_of_destination(sandbox) == "PAUSED"
    assert any("node 99001 (summariser)" in warning for warning in done.json["warnings"])


def test_a_flow_that_begins_with_an_unknown_node_is_not_taken_for_none(sandbox: Sandbox) -> None:
    body = with_unknown_node(sandbox)
    origin = body["flows"][0]
    body["flows"] = [{"id": 99_002, "ai_agent_id": 8, "name": "asker", "children": [origin]}]
    sandbox.faults(answers(body, "/data_sources/123/flow"))
    done = sandbox.run_inside("operate_flow.py", "--operation", "pause", *FLOW, "--scope", "flow")
    sandbox.problems.clear()
    done.fails(Exit.UPSTREAM, "its origin is no source, nexset or destination")
    assert status_of_destination(sandbox) == "ACTIVE"
