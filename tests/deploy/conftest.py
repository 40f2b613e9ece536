"""A flow config that deploys on an otherwise empty sandbox; and nothing here waits for time to pass."""

from __future__ import annotations

from typing import Any

import pytest

import support
from support import Sandbox
from support.clocks import VirtualClock


@pytest.fixture(autouse=True)
def _no_waiting(clock: VirtualClock, sandbox: Sandbox) -> None:
    """While a script in this process would sleep, the sandbox does what it has to do."""
    clock.meanwhile = sandbox.idle


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    return support.plant_orders(sandbox)
