"""Random sequences of access changes, under faults, kills and resumes, against a simple model of sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from support import Sandbox
from support.access_machine import ORDER, SOURCES, AccessMachine, operation, some_sources
from support.clocks import VirtualClock


@pytest.fixture
def machine(sandbox: Sandbox, tmp_path: Path, clock: VirtualClock) -> type[AccessMachine]:
    return type("AccessMachine", (AccessMachine,), {"sandbox": sandbox, "folder": tmp_path})


def test_any_sequence_ends_as_the_model_says(machine: type[AccessMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_two_people_at_the_same_time_touch_nothing_of_each_others(machine: type[AccessMachine]) -> None:
    """One whole command of another person between any two requests of ours, which take and give roles there were."""

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        by_role=st.booleans(), first=st.lists(operation, min_size=1, max_size=3), ours=operation, sources=some_sources,
        theirs=operation, their_sources=some_sources, nth=st.integers(2, 16),
    )  # fmt: skip
    def series(by_role: bool, first: list[Any], **two: Any) -> None:
        state = machine()
        state.begin(by_role=by_role)
        for what in first:
            state.change(what=what, sources=set(SOURCES), problem=None)
        state.change_while_another_person_changes(**two)

    series()


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
