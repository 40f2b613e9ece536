"""The command's deadline, and rate limits that all threads of a process share."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from helpers.core.errors import Exit, OperatorError

# The server's defaults per user and second: light 12, medium 8, high 5 (admin-api rate limits). We use three quarters.
SHARE = 0.75
DEFAULT_RATES = {"light": 12 * SHARE, "medium": 8 * SHARE, "high": 5 * SHARE}
LASTING_429_RATE = 1.0  # requests per second that a throttled user still has (docs.nexla.com)


STOP = threading.Event()  # set by a signal; the command ends at its next safe point


def interrupted() -> OperatorError:
    """The error that ends a command after a signal."""
    return OperatorError(Exit.INTERRUPTED, "stopped by a signal", retryable=True)


def _sleep(seconds: float) -> None:
    if STOP.wait(seconds):
        raise interrupted()


class Clock:
    """Monotonic time in seconds, and a sleep that a signal interrupts. Tests replace both."""

    now: Callable[[], float] = staticmethod(time.monotonic)
    sleep: Callable[[float], None] = staticmethod(_sleep)


class Deadline:
    """The time that a command may take, in seconds; None for no limit. Sleeping past it raises at once instead."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else Clock.now() + seconds

    def left(self) -> float:
        """Seconds left; infinity when there is no deadline."""
        return float("inf") if self._end is None else self._end - Clock.now()

    def extend(self, seconds: float) -> None:
        """Make sure that at least this many seconds remain, to undo a failed change."""
        if self._end is not None:
            self._end = max(self._end, Clock.now() + seconds)

    def check(self) -> None:
        """Check that the command may go on.

        Raises:
            OperatorError: TIMEOUT after the deadline; INTERRUPTED after a signal.
        """
        if STOP.is_set():
            raise interrupted()
        if self.left() <= 0:
            raise self.timed_out()

    def timed_out(self) -> OperatorError:
        """The error for a deadline that has passed."""
        return OperatorError(
            Exit.TIMEOUT,
            f"the deadline of {self.seconds:g} s has passed",
            hint="run again with a larger --timeout; a command that writes takes --resume",
            retryable=True,
        )

    def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds.

        Raises:
            OperatorError: TIMEOUT, at once, when the deadline comes first; INTERRUPTED after a signal.
        """
        if seconds >= self.left():
            raise self.timed_out()
        Clock.sleep(max(seconds, 0.0))

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """Interrupt code that cannot check the deadline itself, such as a regular expression.

        Works only in the main thread, because Python runs signal handlers there; in other threads it does nothing.

        Raises:
            OperatorError: TIMEOUT, from inside the block.
        """
        if self._end is None or threading.current_thread() is not threading.main_thread():
            yield
            return

        def ring(*_: object) -> None:
            raise self.timed_out()

        handler = signal.signal(signal.SIGALRM, ring)
        left, _ = signal.setitimer(signal.ITIMER_REAL, max(self.left(), 0.001))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, left)
            signal.signal(signal.SIGALRM, handler)

    def poll(self, seconds: float, first: float = 0.1, longest: float = 5.0) -> Iterator[None]:
        """Yield once per attempt, with growing pauses in between.

        Args:
            seconds: how long to go on; the first attempt always takes place.
            first: the first pause, in seconds.
            longest: the longest pause, in seconds.

        Raises:
            OperatorError: TIMEOUT or INTERRUPTED, as ``sleep``.
        """
        end, pause = Clock.now() + seconds, first
        yield
        while (left := end - Clock.now()) > 0:
            self.sleep(min(pause, left))
            yield
            pause = min(pause * 1.5, longest)


def weight(method: str, path: str) -> str:
    """The server's limit that a request counts against: ``light``, ``medium`` or ``high``."""
    if method != "GET" or path.startswith(("/users", "/data_maps")):
        return "medium"
    return "high" if "data_set" in path else "light"


class RateLimiter:
    """Limits the requests in any one second, separately for each weight.

    Requests that had to wait may then leave together: the server counts requests per second, not the gaps between
    them.

    Args:
        rate: requests per second for every weight; default: ``DEFAULT_RATES``.
        unlimited: do not limit anything, as on loopback.
    """

    def __init__(self, rate: float | None = None, *, unlimited: bool = False) -> None:
        fixed = rate is not None
        self._fixed = fixed
        start: dict[str, float | None] = dict(DEFAULT_RATES)
        if fixed or unlimited:
            start = dict.fromkeys(DEFAULT_RATES, rate)
        self.rates = start
        self._slots: dict[str, list[float]] = {name: [] for name in start}
        self._lock = threading.Lock()

    def wait(self, method: str, path: str, deadline: Deadline) -> None:
        """Wait until this request may be sent.

        Raises:
            OperatorError: TIMEOUT or INTERRUPTED, as ``Deadline.sleep``.
        """
        name = weight(method, path)
        with self._lock:
            rate = self.rates[name]
            if rate is None:
                return
            now, slots, burst = Clock.now(), self._slots[name], math.ceil(rate)
            slot = now if len(slots) < burst else max(now, slots[-burst] + burst / rate)
            self._slots[name] = [*slots, slot][-burst:]
        deadline.sleep(slot - now)

    def lower(self, limits: dict[str, float]) -> None:
        """Lower the rates to the server's limits (per second, by weight). A rate set by the user stays."""
        if self._fixed:
            return
        with self._lock:
            for name, value in limits.items():
                if name in self.rates and value > 0:
                    self.rates[name] = min(self.rates[name] or float("inf"), value * SHARE)

    def throttle(self) -> None:
        """Go down to one request per second, for a server that keeps returning 429. A rate set by the user stays."""
        if not self._fixed:
            with self._lock:
                self.rates = dict.fromkeys(self.rates, LASTING_429_RATE)
