"""Time for scripts that run in this process: it passes only while they sleep."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from helpers.core import limits


class VirtualClock:
    """Counts the sleeps instead of sleeping. ``meanwhile`` is called at each, for what the world does meanwhile.

    Threads sleep side by side: each until the time that it saw last, and the seconds that it asked for.
    """

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self._now = 0.0
        self._lock = threading.Lock()
        self._seen = threading.local()

    def now(self) -> float:
        self._seen.now = self._now
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._now = max(self._now, getattr(self._seen, "now", self._now) + seconds)
            self._seen.now = self._now
        self.meanwhile()

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(limits.Clock, "now", staticmethod(self.now))
        patch.setattr(limits.Clock, "sleep", staticmethod(self.sleep))


def without_sleeping(patch: pytest.MonkeyPatch) -> None:
    """Only the sleeps are left out, and time is the machine's."""
    patch.setattr(limits.Clock, "sleep", staticmethod(lambda seconds: None))
