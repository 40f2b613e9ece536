"""Log lines of libraries pass the redactor. A module of its own: ``--help`` need not import ``logging``."""

from __future__ import annotations

import logging

from helpers.command.streams import write_error
from helpers.core.redact import redact_text


class _Redacted(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        write_error(redact_text(self.format(record)) + "\n")


def redact_log_lines() -> None:
    """Replace the handler by which Python shows warnings of loggers that have no handler."""
    logging.lastResort = _Redacted(logging.WARNING)
