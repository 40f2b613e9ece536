"""The sandbox's clock: real time plus an offset that tests may move forward."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Wall clock with a settable lead, so that schedules and token expiry can be rehearsed in no time."""

    def __init__(self) -> None:
        self.offset = 0.0
        self._last_run_id = 0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward; it never goes back."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset += seconds

    def reset(self) -> None:
        """Back to real time; run ids begin anew with it."""
        self.offset, self._last_run_id = 0.0, 0

    def iso(self, at: float | None = None) -> str:
        """ISO 8601 in UTC with milliseconds and Z, as the API writes times."""
        moment = datetime.fromtimestamp(self.now() if at is None else at, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

    def run_id(self) -> int:
        """A new run id: epoch milliseconds, never the same twice."""
        self._last_run_id = max(int(self.now() * 1000), self._last_run_id + 1)
        return self._last_run_id
