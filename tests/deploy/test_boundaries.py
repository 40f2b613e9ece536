"""When a deployment counts as delivered: each constant with the values around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.change.model import Found
from helpers.core.errors import Exit, OperatorError
from helpers.deploy import model
from helpers.deploy.checks import ProveStep
from helpers.deploy.delivery import DeliverStep
from helpers.deploy.state import FlowState
from support.clocks import VirtualClock
from support.requesting import accepts, ends_with, request_of
from support.scripted import Asked, ScriptedSession, change_run, run_row

NOW = 1_795_240_000.0
CONFIG: dict[str, Any] = {
    "source": {"name": "in", "source_type": "s3", "data_credentials_id": 1},
    "destination": {"name": "out", "sink_type": "postgres", "data_credentials_id": 1},
}


@pytest.fixture(autouse=True)
def _no_waiting(clock: VirtualClock) -> None:
    """Nor a sandbox."""


def state_of() -> FlowState:
    return FlowState(model.FlowConfig.model_validate(CONFIG))


def deliver(clock: VirtualClock, *rows: Any) -> tuple[ScriptedSession, Exit]:
    """Wait for a delivery; the run rows of the destination are these, reading after reading, and then the last."""
    state, left = state_of(), list(rows)

    def answer(asked: Asked) -> Any:
        return {"metrics": {"data": left.pop(0) if len(left) > 1 else left[0]}}

    session = ScriptedSession(answer)
    step = DeliverStep(state.config.all_destinations[0], state, 30.0, set())
    try:
        step.apply(change_run(session), Found("verify", 3))
        return session, Exit.OK
    except OperatorError as error:
        return session, error.code


def test_a_delivery_has_ended_at_the_second_equal_reading(clock: VirtualClock) -> None:
    first, second = [run_row(1, 5)], [run_row(1, 9)]
    session, code = deliver(clock, [], first, second, second, second)
    assert (code, len(session.asked)) == (Exit.OK, 4)


@pytest.mark.parametrize(("records", "code"), [(0, Exit.TIMEOUT), (1, Exit.OK), (2, Exit.OK)])
def test_one_record_is_a_delivery(clock: VirtualClock, records: int, code: Exit) -> None:
    assert deliver(clock, [run_row(1, records)])[1] is code


@pytest.mark.parametrize(("errors", "code"), [(0, Exit.OK), (1, Exit.ERROR), (2, Exit.ERROR)])
def test_no_error_is_allowed(clock: VirtualClock, errors: int, code: Exit) -> None:
    assert deliver(clock, [run_row(1, 5, errors)])[1] is code


@pytest.mark.parametrize("form", [{"input": {"a": 1}, "output": None}, {"rawMessage": None},
                                  {"input": {"a": 1}, "output": {"rawMessage": None}}])  # fmt: skip
def test_samples_without_an_output_prove_nothing(clock: VirtualClock, form: Any) -> None:
    """However many there are, and in each form that the API has; one with an output among them is enough."""
    samples = [form] * 10
    session = ScriptedSession(lambda asked: samples)
    step = ProveStep(model.DerivedNexset(name="n"), 5.0)
    ends_with(Exit.TIMEOUT, lambda: step.apply(change_run(session), Found("check", 7)))
    samples.append({"input": {"a": 1}, "output": {"b": 1}})
    step.apply(change_run(session), Found("check", 7))


def test_ten_samples_are_asked_for() -> None:
    session = ScriptedSession(lambda asked: [{"a": 1}])
    ProveStep(model.DerivedNexset(name="n"), 1.0).apply(change_run(session), Found("check", 7))
    assert session.params_of("/samples")["count"] == 10


@pytest.mark.parametrize(("length", "good"), [(0, False), (1, True), (254, True), (255, True), (256, False)])
def test_a_name_has_1_to_255_characters(length: int, good: bool) -> None:
    assert accepts(lambda: model.DerivedNexset(name="n" * length)) is good
    shown = model.DerivedNexset.model_json_schema()["properties"]["name"]  # what editors check, and --print-schema
    assert (shown["minLength"] <= length <= shown["maxLength"]) is good


@pytest.mark.parametrize(("length", "good"), [(254, True), (255, True), (256, False)])
def test_a_description_has_255_characters(length: int, good: bool) -> None:
    assert accepts(lambda: model.DerivedNexset(name="n", description="d" * length)) is good


@pytest.mark.parametrize(("number", "good"), [(-1, False), (0, False), (1, True)])
def test_an_id_is_above_0(number: int, good: bool) -> None:
    assert accepts(lambda: model.DerivedNexset(name="n", transform_id=number)) is good


def test_a_first_run_is_waited_for_five_minutes(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(CONFIG))
    assert request_of("deploy_flow", "--config", str(file)).verify_seconds == 300.0
