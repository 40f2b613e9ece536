"""What operate_flow.py is asked for, checked."""

from __future__ import annotations

from typing import NamedTuple

from helpers.command.parser import ChangeOptions
from helpers.command.target import ResourceSelector

WRITES = ("activate", "pause", "restart", "run-now")
OPERATIONS = ("status", *WRITES, "metrics")


class OperateRequest(NamedTuple):
    """One operation on a resource of a flow.

    Attributes:
        scope: ``node``, ``downstream`` or ``flow``: which members are changed.
        restore: (kind, id) of the members to activate, from the report of a pause in ``restore_file``.
        rollback: whether a failure undoes what was changed.
        wait_seconds: how long to wait for the next run; None not to wait.
        days, by: of the metrics.
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
