"""The sandbox's clock: real time plus an offset that tests move forward."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """A wall clock that can be moved forward, so that schedules and token expiry are rehearsed without waiting."""

    def __init__(self) -> None:
        self.offset = 0.0
        self._last_run_id = 0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset += seconds

    def reset(self) -> None:
        """Return to real time; run ids start from it again."""
        self.offset, self._last_run_id = 0.0, 0

    def iso(self, at: float | None = None) -> str:
        """A time (by default now) in ISO 8601, UTC, with milliseconds and Z, as the API writes times."""
        moment = datetime.fromtimestamp(self.now() if at is None else at, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

    def run_id(self) -> int:
        """A new run id: epoch milliseconds, and higher than the one before."""
        self._last_run_id = max(int(self.now() * 1000), self._last_run_id + 1)
        return self._last_run_id
