"""The validated request of deploy_flow.py."""

from __future__ import annotations

from typing import NamedTuple

from helpers.command.parser import ChangeOptions
from helpers.deploy.config import LoadedConfig


class DeployRequest(NamedTuple):
    """A flow to deploy or to tear down.

    Attributes:
        rollback: whether to undo the change when a step fails; never for a teardown.
        verify: whether to wait for the records of the first run.
        verify_seconds: how long to wait for detection, and again for each delivery.
    """

    config: LoadedConfig
    teardown: bool
    rollback: bool
    verify: bool
    verify_seconds: float
    change: ChangeOptions
