"""Retry helpers for your own code around the Nexla SDK: backoff, circuit breaker, polling.

    from scripts.retry_helpers import exponential_backoff_retry, poll_until

They retry by HTTP status (429, 502, 503, 504) and on network errors, never blindly: the SDK's ``ServerError`` also
stands for 405, DNS and TLS faults, which no repetition mends. **Do not wrap a create in them**: the API has no
idempotency keys, so a repeated POST can make a second resource. ``scripts/deploy_flow.py`` creates safely. Build the
client with ``RequestsHttpClient(max_retries=0)``, or the SDK's own retries multiply with these.
"""

from __future__ import annotations

import functools
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ParamSpec, TypeVar, overload

import tenacity

T = TypeVar("T")
P = ParamSpec("P")

RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
TIMEOUTS = {"ConnectTimeout", "ReadTimeout", "Timeout", "TimeoutError"}
PASSING_NETWORK_FAULTS = {"ConnectionError", "ProtocolError", *TIMEOUTS}
PERMANENT_NETWORK_FAULTS = {"SSLError", "NameResolutionError", "InvalidURL", "MissingSchema", "LocationParseError"}


class CircuitOpenError(Exception):
    """The circuit breaker is open: the call was not made. ``retry_after`` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"circuit breaker is open; try again in {retry_after:.1f} s")
        self.retry_after = retry_after


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    queue: list[Any] = [error]
    while queue:
        item = queue.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            queue += [item.__cause__, item.__context__, getattr(item, "original_error", None)]
            queue += [getattr(item, "reason", None), *item.args[:1]]
    return found


def http_status(error: BaseException) -> int | None:
    """The HTTP status behind an error of the SDK or of requests; None for network errors.

    nexla-sdk 1.0.8 leaves ``status_code`` empty on 401 and 404 and keeps the number in ``context``.
    """
    for item in _chain(error):
        context = getattr(item, "context", None)
        response = getattr(item, "response", None)
        for value in (
            getattr(item, "status_code", None),
            getattr(item, "http_status", None),
            context.get("status_code") if isinstance(context, dict) else None,
            getattr(response, "status_code", None),
        ):
            if isinstance(value, int):
                return value
    return None


def parse_retry_after(value: object, now: datetime | None = None) -> float | None:
    """Seconds to wait from a Retry-After value: integer, float or HTTP date; None when it cannot be read."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return max(float(str(value)), 0.0)
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(str(value))
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - (now or datetime.now(UTC))).total_seconds(), 0.0)


def retry_after_seconds(error: BaseException) -> float | None:
    """What the server asked to wait, from the header first (the SDK misreads dates and floats), then the body."""
    for item in _chain(error):
        headers = getattr(item, "headers", None) or getattr(getattr(item, "response", None), "headers", None)
        if headers:
            lowered = {str(key).lower(): value for key, value in dict(headers).items()}
            seconds = parse_retry_after(lowered.get("retry-after"))
            if seconds is not None:
                return seconds
    return next(
        (s for i in _chain(error) if (s := parse_retry_after(getattr(i, "retry_after", None))) is not None), None
    )


def is_network_error(error: BaseException) -> bool:
    """Whether a call failed on the network in a way that may pass (not TLS, DNS or a bad URL)."""
    names = {base.__name__ for item in _chain(error) for base in type(item).__mro__}
    return bool(names & PASSING_NETWORK_FAULTS) and not names & PERMANENT_NETWORK_FAULTS


def is_retryable(error: BaseException) -> bool:
    """The rule: status 429, 502, 503 or 504, or a passing network error. Nothing else."""
    status = http_status(error)
    return status in RETRYABLE_STATUSES if status is not None else is_network_error(error)


class wait_as_told(tenacity.wait.wait_base):  # noqa: N801 - tenacity names its wait strategies in lower case
    """Wait what the server asked for, else full jitter: random between 0 and ``base * 2**n``, at most ``cap``."""

    def __init__(self, base: float = 1.0, cap: float = 60.0) -> None:
        self.base, self.cap = base, cap

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        told = retry_after_seconds(error) if error else None
        if told is not None:
            return told
        return random.uniform(0, min(self.cap, self.base * 2 ** (retry_state.attempt_number - 1)))


class stop_when_told_too_long(tenacity.stop.stop_base):  # noqa: N801 - as above
    """Give up when the server asks for a longer wait than ``budget`` seconds, rather than come back too early."""

    def __init__(self, budget: float) -> None:
        self.budget = budget

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        return ((retry_after_seconds(error) if error else None) or 0.0) > self.budget


@overload
def exponential_backoff_retry(func: Callable[[], T], /, **options: Any) -> T: ...
@overload
def exponential_backoff_retry(func: None = None, /, **options: Any) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
def exponential_backoff_retry(func: Callable[[], T] | None = None, /, **options: Any) -> Any:
    """Call with retries: ``exponential_backoff_retry(func)``, or as ``@exponential_backoff_retry(max_attempts=5)``.

    Args:
        func: called without arguments; leave it out to get a decorator.
        max_attempts: calls in all, at least 1; default 5.
        base_delay: seconds; the first wait is random between 0 and this, and the bound doubles each time; default 1.
        max_delay: seconds; bound of a wait. A server that asks for more ends the retries with its error; default 60.
        sleep: waits that many seconds; default ``time.sleep``.

    Returns:
        What ``func`` returns (or the decorator).

    Raises:
        ValueError: ``max_attempts`` is below 1.
        Exception: the last error of ``func``, unchanged.
    """
    retrying = _retrying(**options)
    return retrying.wraps if func is None else retrying(func)


def _retrying(
    *,
    max_attempts: int = 5,
    base_delay: float = 1.0,
    max_delay: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
) -> tenacity.Retrying:
    if max_attempts < 1:
        raise ValueError("max_attempts must be at least 1")
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_retryable),
        wait=wait_as_told(base_delay, max_delay),
        stop=tenacity.stop_any(tenacity.stop_after_attempt(max_attempts), stop_when_told_too_long(max_delay)),
        sleep=sleep,
        reraise=True,
    )


def simple_retry(func: Callable[[], T], attempts: int = 3, delay: float = 1.0, **options: Any) -> T:
    """Call ``func`` up to ``attempts`` times, as ``exponential_backoff_retry`` with short waits (seconds)."""
    return exponential_backoff_retry(func, max_attempts=attempts, base_delay=delay, max_delay=delay * 8, **options)


class CircuitBreaker:
    """Stop calling a service that is down: closed → open after ``failure_threshold`` failures in a row → half-open
    after ``timeout`` seconds, when one single call may probe it → closed on success.

    Thread-safe, on a monotonic clock. A 4xx answer other than 429 is the caller's fault and never counts; a success
    sets the count back.
    """

    def __init__(
        self, failure_threshold: int = 5, timeout: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if failure_threshold < 1:
            raise ValueError("failure_threshold must be at least 1")
        self.failure_threshold, self.timeout = failure_threshold, timeout
        self._clock, self._lock = clock, threading.Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        with self._lock:
            if self._opened_at is None:
                return "closed"
            return "half-open" if self._clock() - self._opened_at >= self.timeout else "open"

    def call(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``func``.

        Raises:
            CircuitOpenError: the breaker is open, or half-open with its one probe under way.
            Exception: whatever ``func`` raises.
        """
        probe = self._enter()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._failed(error, probe=probe)
            raise
        self._succeeded(probe=probe)
        return result

    def _enter(self) -> bool:
        with self._lock:
            if self._opened_at is None:
                return False
            left = self._opened_at + self.timeout - self._clock()
            if left > 0 or self._probing:
                raise CircuitOpenError(max(left, 0.0))
            self._probing = True
            return True

    def _failed(self, error: BaseException, *, probe: bool) -> None:
        status = http_status(error)
        counts = isinstance(error, Exception) and (status is None or status == 429 or status >= 500)
        with self._lock:
            self._probing = self._probing and not probe
            if not counts:
                return
            self._failures += 1
            if probe or self._failures >= self.failure_threshold:
                self._opened_at = self._clock()

    def _succeeded(self, *, probe: bool) -> None:
        with self._lock:
            if probe or self._opened_at is None:
                self._failures, self._opened_at, self._probing = 0, None, False


def circuit_breaker(failure_threshold: int = 5, timeout: float = 60.0) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A circuit breaker as a decorator; the breaker itself is the function's ``breaker`` attribute."""
    breaker = CircuitBreaker(failure_threshold, timeout)

    def decorate(target: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(target)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            return breaker.call(target, *args, **kwargs)

        wrapper.breaker = breaker  # type: ignore[attr-defined]  # a plain attribute on the function
        return wrapper

    return decorate


def poll_until(
    func: Callable[[], T],
    done: Callable[[T], bool] = bool,
    *,
    timeout: float = 300.0,
    interval: float = 1.0,
    max_interval: float = 15.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Call ``func`` until ``done(result)``, with growing pauses (seconds), and return that result.

    Raises:
        TimeoutError: ``timeout`` seconds went by first; its ``last`` attribute holds the last result.
        Exception: whatever ``func`` raises, at once; wrap it in ``exponential_backoff_retry`` if it may be repeated.
    """
    end = clock() + timeout
    while True:
        result = func()
        if done(result):
            return result
        left = end - clock()
        if left <= 0:
            error = TimeoutError(f"not done after {timeout:g} s")
            error.last = result  # type: ignore[attr-defined]  # documented above
            raise error
        sleep(min(interval, left))
        interval = min(interval * 1.5, max_interval)
