"""Why the engine could not read from or write to an outside system."""

from __future__ import annotations


class ConnectorError(Exception):
    """The outside system refused. The message goes into the flow's log."""


class NotReadyError(ConnectorError):
    """The target does not exist yet. The batch is kept and retried on the next move."""
