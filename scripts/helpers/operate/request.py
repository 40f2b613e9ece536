"""The validated request of operate_flow.py."""

from __future__ import annotations

from typing import NamedTuple

from helpers.command.parser import ChangeOptions
from helpers.command.target import ResourceSelector

WRITES = ("activate", "pause", "restart", "run-now")
OPERATIONS = ("status", *WRITES, "metrics")


class OperateRequest(NamedTuple):
    """One operation on a resource of a flow.

    Attributes:
        operation: one of OPERATIONS.
        scope: which members to change: ``node``, ``downstream`` or ``flow``.
        restore: (kind, id) of the members to activate, read from the pause report ``restore_file``.
        rollback: whether to undo the change when a step fails.
        wait_seconds: how long to wait for the next run; None for no wait.
        days: how many days of metrics to read, today included.
        by: the rows of a table of metrics: ``day`` or ``run``.
    """

    operation: str
    resource: ResourceSelector
    scope: str
    restore_file: str | None
    restore: frozenset[tuple[str, int]]
    rollback: bool
    wait_seconds: float | None
    days: int
    by: str
    change: ChangeOptions
