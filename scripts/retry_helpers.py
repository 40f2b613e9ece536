"""Retry helpers for your own code around the Nexla SDK: backoff, circuit breaker, polling.

    from scripts.retry_helpers import exponential_backoff_retry, poll_until

They retry after HTTP status 429, 502, 503 or 504 and after network errors, never blindly: the SDK's ``ServerError``
also covers 405, DNS and TLS faults, which no retry can fix. **Do not wrap a create in them**: the API has no
idempotency keys, so a repeated POST can create a second resource. ``scripts/deploy_flow.py`` creates safely. Build the
client with ``RequestsHttpClient(max_retries=0)``; otherwise, the SDK's own retries multiply with these.
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
    """The circuit breaker is open, so the function was not called. ``retry_after`` is in seconds."""

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
    """The HTTP status behind an error from the SDK or from requests; None for network errors.

    nexla-sdk 1.0.8 leaves ``status_code`` empty after a 401 or 404, and keeps the status in ``context``.
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
    """The seconds in a Retry-After value (integer, float or HTTP date), at least 0; None when it cannot be parsed."""
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
    """The seconds that the server asks to wait: from the header (the SDK misreads dates and floats), else the body."""
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
    """Whether a call failed because of a temporary network error (not TLS, DNS or an invalid URL)."""
    names = {base.__name__ for item in _chain(error) for base in type(item).__mro__}
    return bool(names & PASSING_NETWORK_FAULTS) and not names & PERMANENT_NETWORK_FAULTS


def is_retryable(error: BaseException) -> bool:
    """Whether a call may be retried: after status 429, 502, 503 or 504, or a temporary network error."""
    status = http_status(error)
    return status in RETRYABLE_STATUSES if status is not None else is_network_error(error)


class wait_as_requested(tenacity.wait.wait_base):  # noqa: N801 - tenacity names its wait strategies in lower case
    """Wait as long as the server asks, else a random time up to ``base * 2**n`` seconds, at most ``cap`` seconds."""

    def __init__(self, base: float = 1.0, cap: float = 60.0) -> None:
        self.base, self.cap = base, cap

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        requested = retry_after_seconds(error) if error else None
        if requested is not None:
            return requested
        return random.uniform(0, min(self.cap, self.base * 2 ** (retry_state.attempt_number - 1)))


class stop_if_wait_exceeds(tenacity.stop.stop_base):  # noqa: N801 - as above
    """Give up when the server asks for a wait of more than ``budget`` seconds, instead of retrying too early."""

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
        func: called without arguments; omit it to get a decorator.
        max_attempts: the maximum number of calls, at least 1; default 5.
        base_delay: the upper bound of the first, random wait in seconds; it doubles with every attempt; default 1.
        max_delay: the longest wait in seconds; when the server asks for more, its error is raised; default 60.
        sleep: a function that waits for a number of seconds; default ``time.sleep``.

    Returns:
        The result of ``func``, or the decorator.

    Raises:
        ValueError: ``max_attempts`` is less than 1.
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
        wait=wait_as_requested(base_delay, max_delay),
        stop=tenacity.stop_any(tenacity.stop_after_attempt(max_attempts), stop_if_wait_exceeds(max_delay)),
        sleep=sleep,
        reraise=True,
    )


def simple_retry(func: Callable[[], T], attempts: int = 3, delay: float = 1.0, **options: Any) -> T:
    """Call ``func`` up to ``attempts`` times, like ``exponential_backoff_retry``, with short waits (in seconds)."""
    return exponential_backoff_retry(func, max_attempts=attempts, base_delay=delay, max_delay=delay * 8, **options)


class CircuitBreaker:
    """Stops calling a service that is down: opens after ``failure_threshold`` failures in a row, is half-open after
    ``timeout`` seconds, when a single call may probe the service, and closes when that call succeeds.

    It is thread-safe and uses a monotonic clock. A 4xx status other than 429 is the caller's fault and does not count;
    a success resets the count.
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
            CircuitOpenError: the breaker is open, or half-open while another call probes the service.
            Exception: any error of ``func``.
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
    """A circuit breaker as a decorator. The breaker is the ``breaker`` attribute of the decorated function."""
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
    """Call ``func`` until ``done(result)`` is true, with growing pauses (in seconds), and return that result.

    Raises:
        TimeoutError: the result was not done within ``timeout`` seconds; its ``last`` attribute is the last result.
        Exception: any error of ``func``, at once; wrap ``func`` in ``exponential_backoff_retry`` if it may be retried.
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
