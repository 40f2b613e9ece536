"""A nexset with personal data; and nothing here waits for the sandbox, only for time to pass."""

from __future__ import annotations

import json

import pytest

from helpers.change.model import SKIPPED, Found
from helpers.transforms.proof_steps import LocalTrialStep
from support import Sandbox
from support.clocks import VirtualClock
from support.transforming import RECORDS


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
    sandbox.reset("empty")
    sandbox.control("POST", "settings", {"discovery_seconds": 0.02})
    folder = sandbox.data / "buckets" / "people"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "people.json").write_text(json.dumps(RECORDS))
    _, source = sandbox.api(
        "POST", "/data_sources", {"name": "people", "source_type": "s3", "source_config": {"path": "people"}}
    )
    _, credential = sandbox.api(
        "POST", "/data_credentials", {"name": "c", "credentials_type": "s3", "credentials": {"key": "k" * 9}}
    )
    sandbox.api("PUT", f"/data_sources/{source['id']}", {"data_credentials_id": credential["id"]})
    sandbox.api("PUT", f"/data_sources/{source['id']}/activate")
    sandbox.idle()
    return int(sandbox.api("GET", f"/data_sources/{source['id']}")[1]["data_sets"][0]["id"])
