"""Time and rate: the command's deadline, and token buckets shared by all threads of a process."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from helpers.core.errors import Exit, OperatorError

# Server defaults per user and second: light 12, medium 8, high 5 (admin-api rate limits); we use three quarters.
SHARE = 0.75
DEFAULT_RATES = {"light": 12 * SHARE, "medium": 8 * SHARE, "high": 5 * SHARE}
LASTING_429_RATE = 1.0  # what a throttled user is left with (docs.nexla.com)


STOP = threading.Event()  # set by a signal: the command ends at the next safe point


def interrupted() -> OperatorError:
    return OperatorError(Exit.INTERRUPTED, "stopped by a signal", retryable=True)


def _sleep(seconds: float) -> None:
    if STOP.wait(seconds):
        raise interrupted()


class Clock:
    """Monotonic time and a sleep that a signal ends; tests replace both."""

    now: Callable[[], float] = staticmethod(time.monotonic)
    sleep: Callable[[float], None] = staticmethod(_sleep)


class Deadline:
    """The time that a command may take. Sleeping past it raises at once instead."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else Clock.now() + seconds

    def left(self) -> float:
        """Seconds left; infinity when there is no deadline."""
        return float("inf") if self._end is None else self._end - Clock.now()

    def extend(self, seconds: float) -> None:
        """Leave at least this many seconds, for undoing what was begun."""
        if self._end is not None:
            self._end = max(self._end, Clock.now() + seconds)

    def check(self) -> None:
        """Raises: OperatorError, TIMEOUT when the time is up, INTERRUPTED after a signal."""
        if STOP.is_set():
            raise interrupted()
        if self.left() <= 0:
            raise self.passed()

    def passed(self) -> OperatorError:
        return OperatorError(
            Exit.TIMEOUT,
            f"the deadline of {self.seconds:g} s has passed",
            hint="run again with a larger --timeout; a command that writes takes --resume",
            retryable=True,
        )

    def sleep(self, seconds: float) -> None:
        """Sleep, or raise TIMEOUT at once when the deadline comes first."""
        if seconds >= self.left():
            raise self.passed()
        Clock.sleep(max(seconds, 0.0))

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """End what looks at no clock itself, such as a regular expression, when the time is up.

        Works in the main thread, where alone Python can do it; elsewhere it does nothing.

        Raises:
            OperatorError: TIMEOUT, in the middle of the block.
        """
        if self._end is None or threading.current_thread() is not threading.main_thread():
            yield
            return

        def ring(*_: object) -> None:
            raise self.passed()

        handler = signal.signal(signal.SIGALRM, ring)
        left, _ = signal.setitimer(signal.ITIMER_REAL, max(self.left(), 0.001))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, left)
            signal.signal(signal.SIGALRM, handler)

    def poll(self, seconds: float, first: float = 0.1, longest: float = 5.0) -> Iterator[None]:
        """One turn for each look at something awaited, with growing pauses, until so many seconds are over."""
        end, pause = Clock.now() + seconds, first
        yield
        while (left := end - Clock.now()) > 0:
            self.sleep(min(pause, left))
            yield
            pause = min(pause * 1.5, longest)


def weight(method: str, path: str) -> str:
    """Which of the server's limits a request counts against."""
    if method != "GET" or path.startswith(("/users", "/data_maps")):
        return "medium"
    return "high" if "data_set" in path else "light"


class RateLimiter:
    """At most so many requests in any one second, for each weight. A rate of None is unlimited, as on loopback.

    Whoever was held up may go at once: the server counts requests in a second, not the gaps between them.
    """

    def __init__(self, rate: float | None = None, *, unlimited: bool = False) -> None:
        fixed = rate is not None
        self._fixed = fixed
        start: dict[str, float | None] = dict(DEFAULT_RATES)
        if fixed or unlimited:
            start = dict.fromkeys(DEFAULT_RATES, rate)
        self.rates = start
        self._turns: dict[str, list[float]] = {name: [] for name in start}
        self._lock = threading.Lock()

    def wait(self, method: str, path: str, deadline: Deadline) -> None:
        """Wait for this request's turn."""
        name = weight(method, path)
        with self._lock:
            rate = self.rates[name]
            if rate is None:
                return
            now, turns, most = Clock.now(), self._turns[name], math.ceil(rate)
            turn = now if len(turns) < most else max(now, turns[-most] + most / rate)
            self._turns[name] = [*turns, turn][-most:]
        deadline.sleep(turn - now)

    def lower(self, limits: dict[str, float]) -> None:
        """Go down to what the server says its limits are (per second, by weight); a rate set by hand stays."""
        if self._fixed:
            return
        with self._lock:
            for name, value in limits.items():
                if name in self.rates and value > 0:
                    self.rates[name] = min(self.rates[name] or float("inf"), value * SHARE)

    def crawl(self) -> None:
        """One request a second, for a server that keeps answering 429."""
        if not self._fixed:
            with self._lock:
                self.rates = dict.fromkeys(self.rates, LASTING_429_RATE)
