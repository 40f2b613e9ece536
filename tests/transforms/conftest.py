"""A nexset with personal data; and nothing here waits for the sandbox, only for time to pass."""

from __future__ import annotations

import pytest

from helpers.change.model import SKIPPED, Found
from helpers.transforms.proof_steps import LocalTrialStep
from support import Sandbox
from support.clocks import VirtualClock
from support.transforming import plant_people


@pytest.fixture(autouse=True)
def _no_waiting(clock: VirtualClock) -> None:
    """Of scripts that run in this process."""


@pytest.fixture
def no_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the parent has no samples yet to try a transform on."""
    monkeypatch.setattr(LocalTrialStep, "find", lambda step, run: Found(SKIPPED, step.nexset_id))


@pytest.fixture
def people(sandbox: Sandbox) -> int:
    """A detected nexset with personal data; returns its id."""
    return plant_people(sandbox)
