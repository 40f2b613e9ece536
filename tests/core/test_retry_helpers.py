"""The public retry helpers, imported the way that a reader of the guides imports them."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from nexla_sdk import NexlaClient, NexlaError
from nexla_sdk.http_client import RequestsHttpClient

from scripts import retry_helpers as rh
from support import CLEAN, Sandbox, run_words, until


def client_of(sandbox: Sandbox) -> NexlaClient:
    http = RequestsHttpClient(max_retries=0, timeout=2)
    return NexlaClient(service_key=sandbox.key, base_url=sandbox.url, http_client=http, token_refresh_margin=60)


def calls(sandbox: Sandbox) -> int:
    return sum(r["path"] == "/data_sources/123" for r in sandbox.journal())


def get(sandbox: Sandbox) -> Any:
    client = client_of(sandbox)
    return lambda: client.request("GET", "/data_sources/123")


@pytest.mark.parametrize(
    ("status", "requests"), [(429, 3), (502, 3), (503, 3), (504, 3), (400, 1), (403, 1), (404, 1), (405, 1), (500, 1)]
)
def test_only_passing_statuses_are_repeated(sandbox: Sandbox, status: int, requests: int) -> None:
    sandbox.faults({"action": "status", "status": status, "path": "/data_sources/123", "times": 99})
    with pytest.raises(NexlaError) as caught:
        rh.exponential_backoff_retry(get(sandbox), max_attempts=3, base_delay=0.01)
    assert rh.http_status(caught.value) == status
    assert calls(sandbox) == requests


def test_as_a_decorator_and_as_a_call(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 503, "path": "/data_sources/123", "times": 2})
    read = get(sandbox)

    @rh.exponential_backoff_retry(max_attempts=5, base_delay=0.01)
    def fetch(number: int, *, word: str) -> Any:
        """Docs stay."""
        return number, word, read()["name"]

    assert fetch(1, word="x") == (1, "x", "orders")
    assert fetch.__doc__ == "Docs stay."
    assert rh.simple_retry(read)["id"] == 123
    assert calls(sandbox) == 4


@pytest.mark.parametrize(("header", "seconds"), [("2", 2.0), ("1.5", 1.5)])
def test_the_server_is_obeyed(sandbox: Sandbox, header: str, seconds: float) -> None:
    sandbox.faults({"action": "status", "status": 429, "path": "/data_sources/123", "headers": {"retry-after": header}})
    slept: list[float] = []
    rh.exponential_backoff_retry(get(sandbox), sleep=slept.append)
    assert slept == [seconds]


def test_a_server_that_asks_for_too_long_ends_the_retries(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "status", "status": 429, "path": "/data_sources/123", "headers": {"retry-after": "300"}})
    slept: list[float] = []
    with pytest.raises(NexlaError):
        rh.exponential_backoff_retry(get(sandbox), max_delay=60, sleep=slept.append)
    assert slept == []


def test_network_faults_pass_and_bad_addresses_do_not(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "reset", "path": "/data_sources/123", "times": 2})
    assert rh.exponential_backoff_retry(get(sandbox), base_delay=0.01)["id"] == 123
    tries = []
    bad = NexlaClient(access_token="t", base_url="https://no-such-host.invalid",
                      http_client=RequestsHttpClient(max_retries=0))  # fmt: skip

    def lost() -> Any:
        tries.append(1)
        return bad.request("GET", "/x")

    with pytest.raises(NexlaError):
        rh.exponential_backoff_retry(lost, base_delay=0.01)
    assert len(tries) == 1


def test_zero_attempts_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        rh.exponential_backoff_retry(lambda: 1, max_attempts=0)


def test_defects_of_the_callers_code_are_not_repeated() -> None:
    tries = []

    def broken() -> None:
        tries.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        rh.simple_retry(broken)
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), (7, 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), (None, None), ("", None), (True, None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_values(value: Any, seconds: float | None) -> None:
    assert rh.parse_retry_after(value) == seconds


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fail(status: int | None) -> Any:
    def call() -> None:
        error = NexlaError("x", status_code=status)
        raise error

    return call


def test_the_breaker_opens_probes_once_and_closes() -> None:
    clock = Time()
    breaker = rh.CircuitBreaker(failure_threshold=2, timeout=10, clock=clock)
    for _ in range(2):
        with pytest.raises(NexlaError):
            breaker.call(fail(503))
    assert breaker.state == "open"
    with pytest.raises(rh.CircuitOpenError) as caught:
        breaker.call(lambda: 1)
    assert caught.value.retry_after == 10
    clock.now = 10
    assert breaker.state == "half-open"
    with pytest.raises(NexlaError):
        breaker.call(fail(503))
    assert breaker.state == "open"
    clock.now = 20
    assert breaker.call(lambda: 5) == 5
    assert breaker.state == "closed"


def test_a_4xx_never_counts_and_a_success_sets_back() -> None:
    breaker = rh.CircuitBreaker(failure_threshold=2, timeout=10)
    for status in (400, 401, 403, 404, 405, 409, 422):
        with pytest.raises(NexlaError):
            breaker.call(fail(status))
    assert breaker.state == "closed"
    for _ in range(3):
        with pytest.raises(NexlaError):
            breaker.call(fail(500))
        breaker.call(lambda: None)
    assert breaker.state == "closed"
    for _ in range(2):
        with pytest.raises(NexlaError):
            breaker.call(fail(429))
    assert breaker.state == "open"


def test_half_open_lets_one_thread_through() -> None:
    clock = Time()
    breaker = rh.CircuitBreaker(failure_threshold=1, timeout=1, clock=clock)
    with pytest.raises(NexlaError):
        breaker.call(fail(None))
    clock.now = 2
    entered, refused = [], []
    gate = threading.Event()

    def slow() -> None:
        entered.append(1)
        gate.wait()

    def attempt() -> None:
        try:
            breaker.call(slow)
        except rh.CircuitOpenError:
            refused.append(1)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: len(entered) + len(refused) == 8, "each has entered or been refused")
    gate.set()
    for thread in threads:
        thread.join()
    assert (len(entered), len(refused), breaker.state) == (1, 7, "closed")


def test_a_breaker_as_decorator() -> None:
    @rh.circuit_breaker(failure_threshold=1, timeout=60)
    def call() -> None:
        raise NexlaError("x", status_code=503)

    with pytest.raises(NexlaError):
        call()
    with pytest.raises(rh.CircuitOpenError):
        call()
    assert call.breaker.state == "open"  # type: ignore[attr-defined]


def test_poll_until() -> None:
    clock, values = Time(), iter([None, None, "ready"])

    def sleep(seconds: float) -> None:
        clock.now += seconds

    assert rh.poll_until(lambda: next(values), sleep=sleep, clock=clock) == "ready"
    with pytest.raises(TimeoutError) as caught:
        rh.poll_until(lambda: "not yet", lambda v: v == "ready", timeout=30, sleep=sleep, clock=clock)
    assert caught.value.last == "not yet"  # type: ignore[attr-defined]
    assert clock.now <= 40


def test_importable_from_the_bundles_root() -> None:
    code = "from scripts.retry_helpers import exponential_backoff_retry, simple_retry, CircuitBreaker, poll_until"
    run_words([sys.executable, "-c", code], env=CLEAN).ok()
