"""The defaults of the public retry helpers: how often, how long, and for which statuses."""

from __future__ import annotations

import random
from typing import Any

import pytest
from nexla_sdk import NexlaError

from scripts import retry_helpers as rh


@pytest.fixture(autouse=True)
def _longest_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every random wait is the longest that it may be."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


class Failing:
    """A call that always fails with one status; the waits between its tries are kept."""

    def __init__(self, status: int = 503, asked: str | None = None) -> None:
        self.calls, self.slept, self.status, self.asked = 0, list[float](), status, asked

    def __call__(self) -> None:
        self.calls += 1
        error: Any = NexlaError("x", status_code=self.status)
        error.headers = {"Retry-After": self.asked} if self.asked else {}
        raise error

    def tried(self, retry: Any, **options: Any) -> tuple[int, list[float]]:
        with pytest.raises(NexlaError):
            retry(self, sleep=self.slept.append, **options)
        return self.calls, self.slept


@pytest.mark.parametrize(
    ("status", "repeated"),
    [(428, False), (429, True), (430, False), (500, False), (501, False), (502, True), (503, True), (504, True),
     (505, False)],
)  # fmt: skip
def test_only_these_statuses_are_repeated(status: int, repeated: bool) -> None:
    assert rh.is_retryable(NexlaError("x", status_code=status)) is repeated


def test_five_tries_with_waits_that_double() -> None:
    assert Failing().tried(rh.exponential_backoff_retry) == (5, [1.0, 2.0, 4.0, 8.0])


def test_a_wait_is_at_most_a_minute() -> None:
    _, slept = Failing().tried(rh.exponential_backoff_retry, max_attempts=9)
    assert slept == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


@pytest.mark.parametrize(("asked", "calls"), [("59", 5), ("60", 5), ("61", 1)])
def test_a_server_may_ask_for_a_minute(asked: str, calls: int) -> None:
    assert Failing(asked=asked).tried(rh.exponential_backoff_retry)[0] == calls


def test_a_simple_retry_is_three_tries() -> None:
    assert Failing().tried(rh.simple_retry) == (3, [1.0, 2.0])


def test_a_simple_retry_waits_at_most_eight_times_its_delay() -> None:
    assert Failing().tried(rh.simple_retry, attempts=6) == (6, [1.0, 2.0, 4.0, 8.0, 8.0])


def test_a_wait_strategy_of_its_own_begins_at_a_second_and_ends_at_a_minute() -> None:
    failing = Failing()
    state: Any = type("State", (), {"outcome": None, "attempt_number": 1})()
    assert rh.wait_as_requested()(state) == 1.0
    state.attempt_number = 9
    assert rh.wait_as_requested()(state) == 60.0
    assert failing.calls == 0


@pytest.mark.parametrize("make", ["class", "decorator"])
def test_a_breaker_opens_at_the_fifth_failure_for_a_minute(make: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    failing = Failing()
    if make == "class":
        breaker = rh.CircuitBreaker(clock=lambda: now[0])
    else:
        decorated: Any = rh.circuit_breaker()(failing)
        breaker = decorated.breaker
        assert breaker.failure_threshold == 5
        assert breaker.timeout == 60.0
        return
    states = []
    for _ in range(5):
        with pytest.raises(NexlaError):
            breaker.call(failing)
        states.append(breaker.state)
    assert states == ["closed"] * 4 + ["open"]
    for moment, state in ((59.0, "open"), (60.0, "half-open"), (61.0, "half-open")):
        now[0] = moment
        assert breaker.state == state, f"after {moment:g} s"


@pytest.mark.parametrize(
    ("status", "state"),
    [(428, "closed"), (429, "open"), (430, "closed"), (499, "closed"), (500, "open"), (501, "open")],
)
def test_a_breaker_counts_429_and_what_is_the_servers_fault(status: int, state: str) -> None:
    breaker = rh.CircuitBreaker(failure_threshold=1)
    with pytest.raises(NexlaError):
        breaker.call(Failing(status))
    assert breaker.state == state


def test_polling_slows_down_to_15_seconds_and_ends_after_five_minutes() -> None:
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        now[0] += seconds
        slept.append(seconds)

    with pytest.raises(TimeoutError):
        rh.poll_until(lambda: None, sleep=sleep, clock=lambda: now[0])
    assert slept[:4] == pytest.approx([1.0, 1.5, 2.25, 3.375])
    assert slept[6:9] == pytest.approx([11.390625, 15.0, 15.0])
    assert now[0] == 300.0
