"""A session on the sandbox, in virtual time; and what the tests count."""

from __future__ import annotations

import pytest

from helpers.api.session import Session
from helpers.core import limits
from helpers.core.settings import load_settings
from support import Sandbox
from support.clocks import VirtualClock


@pytest.fixture(autouse=True)
def _no_waiting(clock: VirtualClock) -> None:
    """Sleeps are counted, not slept."""


@pytest.fixture
def live(sandbox: Sandbox) -> Session:
    """A session on the sandbox."""
    found = load_settings(sandbox.env)
    return Session(found, limits.Deadline(600), limits.RateLimiter(unlimited=True))
