"""Random sequences of access changes, under faults, kills and resumes, against a simple model of sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from support import Sandbox
from support.access_machine import ORDER, AccessMachine
from support.clocks import VirtualClock


@pytest.fixture
def machine(sandbox: Sandbox, tmp_path: Path, clock: VirtualClock) -> type[AccessMachine]:
    return type("AccessMachine", (AccessMachine,), {"sandbox": sandbox, "folder": tmp_path})


def test_any_sequence_ends_as_the_model_says(machine: type[AccessMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.parametrize("by_role", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_between_the_two_requests_that_take_one_role_of_two(
    machine: type[AccessMachine], by_role: bool, after: bool
) -> None:
    state = machine()
    state.begin(by_role=by_role)
    for role in ORDER[:2]:
        state.change(what=("grant", ("TEAM", 42), role), sources={123}, problem=None)
    state.change(what=("revoke", ("TEAM", 42), "operator"), sources={123}, problem=("kill", 1, after))
    state.somebody_else_gives_a_person_access(number=123, role="operator")
    state.resume()
    state.nobody_has_more_or_less_than_was_said()
