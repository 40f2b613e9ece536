"""The rate of requests: never above the limit in any second, lost turns are made up for, and 429 lowers it."""

from __future__ import annotations

import pytest

from helpers.api.resources import get
from helpers.api.session import Session
from helpers.core import limits
from helpers.core.kinds import KINDS
from helpers.core.settings import load_settings
from support import Sandbox
from support.requesting import hits


def test_after_a_429_the_limits_are_asked_for_and_kept(sandbox: Sandbox) -> None:
    sandbox.control("POST", "settings", {"limits": {"light": 4}})
    live = Session(load_settings(sandbox.env), limits.Deadline(600), limits.RateLimiter())
    sandbox.faults({"action": "status", "status": 429, "path": "/data_sources/123"})
    get(live, KINDS["sources"], 123)
    assert hits(sandbox, "GET", "/limits") == 1
    assert live.limiter.rates["light"] == 3.0
    sandbox.faults({"action": "status", "status": 429, "path": "/data_sources/123", "times": 2})
    get(live, KINDS["sources"], 123)
    assert set(live.limiter.rates.values()) == {1.0}


@pytest.mark.parametrize(("rate", "most"), [(None, 9), (50.0, 50), (3.75, 4), (0.5, 1)])
def test_the_rate_limiter_keeps_the_rate_in_every_second(rate: float | None, most: int) -> None:
    """Also when the caller is held up now and then: lost turns are made up for, but never above the rate."""
    limiter, deadline, sent = limits.RateLimiter(rate), limits.Deadline(None), []
    for number in range(200):
        limiter.wait("GET", "/data_sources", deadline)
        sent.append(limits.Clock.now())
        if number % 7 == 0:
            limits.Clock.sleep(0.3 / (rate or 9))  # the process had to wait for a processor
    span = most / (rate or 9)  # of so many requests
    assert all(later - earlier >= span - 1e-6 for earlier, later in zip(sent, sent[most:], strict=False))
    assert sent[-1] == pytest.approx(199 / (rate or 9), abs=span), "what was lost was made up for"


def test_the_first_requests_do_not_wait() -> None:
    limiter, deadline = limits.RateLimiter(), limits.Deadline(None)
    for _ in range(9):
        limiter.wait("GET", "/data_sources", deadline)
    assert limits.Clock.now() == 0
    limiter.throttle()
    limiter.wait("GET", "/data_sources", deadline)
    assert limits.Clock.now() == 1, "a lower rate holds at once"
