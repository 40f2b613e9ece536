"""Waiting for a run, and the numbers of a flow: each constant with the values around it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from helpers.api.flow_lookup import FlowTarget
from helpers.api.flows import parse_flow
from helpers.core.errors import Exit
from helpers.core.kinds import KINDS
from helpers.operate.status import metrics, status
from helpers.operate.wait import wait_for_run
from support.clocks import VirtualClock
from support.requesting import accepts, ends_with, request_of
from support.scripted import SOURCE, Asked, ScriptedSession, flow_body, run_row

NOW = 1_795_240_000
RUN = NOW * 1000


def target() -> FlowTarget:
    flow = parse_flow(flow_body())
    assert flow is not None
    return FlowTarget(KINDS["sources"], SOURCE, flow, flow.origin)


def answering(runs: dict[str, list[Any]] | list[Any]) -> ScriptedSession:
    """A server with the flow and these run rows, of each member or by the list of its kind."""

    def answer(asked: Asked) -> Any:
        if asked.path.endswith("/run_summary"):
            kind = asked.path.split("/")[1]
            return {"metrics": {"data": runs if isinstance(runs, list) else runs.get(kind, [])}}
        return {"metrics": []} if asked.path.endswith("/metrics") else flow_body()

    return ScriptedSession(answer)


def wait(session: ScriptedSession, timeout: float = 300.0) -> Any:
    return wait_for_run(session, target().flow, RUN - 1, timeout, lambda text: None)


def test_a_run_with_errors_is_over_after_three_equal_readings(clock: VirtualClock) -> None:
    """Three that are like the one before."""
    session = answering({"data_sets": [run_row(RUN, 5, 1)]})
    assert wait(session)["outcome"] == "errors"
    assert session.hits("/flow") == 4
    assert {asked.params["size"] for asked in session.asked if asked.path.endswith("/run_summary")} == {20}


def test_a_delivered_run_is_over_after_one(clock: VirtualClock) -> None:
    session = answering([run_row(RUN)])
    assert wait(session)["outcome"] == "ok"
    assert session.hits("/flow") == 2


def test_the_readings_grow_apart_to_ten_seconds(clock: VirtualClock) -> None:
    ends_with(Exit.TIMEOUT, lambda: wait(answering([]), 60.0))
    assert clock.slept[:9] == pytest.approx([0.5, 0.75, 1.125, 1.6875, 2.53125, 3.796875, 5.6953125, 8.54296875, 10.0])


@pytest.mark.parametrize(("runs", "more"), [(24, False), (25, True), (26, True)])
def test_with_25_runs_there_may_be_more(monkeypatch: pytest.MonkeyPatch, runs: int, more: bool) -> None:
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    session = answering([run_row(RUN - n) for n in range(runs)])
    assert bool(metrics(session, target(), days=7, by="day").warnings) is more
    assert session.params_of("/run_summary")["size"] == 100


def test_a_status_asks_for_20_rows() -> None:
    session = answering([])
    status(session, target(), workers=1)
    assert session.params_of("/run_summary")["size"] == 20


def test_the_defaults_of_a_wait_and_of_metrics() -> None:
    request = request_of("operate_flow", "--operation", "run-now", "--resource-id", "1", "--wait")
    assert (request.wait_seconds, request.days) == (300.0, 7)


@pytest.mark.parametrize(
    ("script", "flag", "number", "good"),
    [
        ("operate_flow", "--days", "0", False), ("operate_flow", "--days", "1", True),
        ("operate_flow", "--days", "366", True), ("operate_flow", "--days", "367", False),
        ("get_resource_logs", "--last", "0", False), ("get_resource_logs", "--last", "1", True),
        ("get_resource_logs", "--last", "100", True), ("get_resource_logs", "--last", "101", False),
    ],
)  # fmt: skip
def test_a_number_of_days_or_runs_has_its_limits(script: str, flag: str, number: str, good: bool) -> None:
    words = ["--operation", "metrics"] if script == "operate_flow" else ["--resource-type", "sources"]
    assert accepts(lambda: request_of(script, *words, "--resource-id", "1", flag, number)) is good
