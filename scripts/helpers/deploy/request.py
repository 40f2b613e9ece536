"""What deploy_flow.py is asked for, checked."""

from __future__ import annotations

from typing import NamedTuple

from helpers.command.parser import ChangeOptions
from helpers.deploy.config import LoadedConfig


class DeployRequest(NamedTuple):
    """A flow to deploy, or to tear down.

    Attributes:
        rollback: whether a failure undoes what was changed; never for a teardown.
        verify: whether to wait for the first run's records.
        verify_seconds: how long to wait for detection, and again for delivery.
    """

    config: LoadedConfig
    teardown: bool
    rollback: bool
    verify: bool
    verify_seconds: float
    change: ChangeOptions
