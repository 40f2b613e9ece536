"""What Python itself writes to standard error passes the redactor: warnings, log lines and failures in threads."""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

from helpers.command.streams import write_error
from helpers.core.redact import redact_text


@contextlib.contextmanager
def redacted_last_words() -> Iterator[None]:
    """Send Python's own messages through the redactor while the block runs, unless somebody else receives them."""
    unraisable, of_thread, warning = sys.unraisablehook, threading.excepthook, warnings.showwarning
    if unraisable is sys.__unraisablehook__:
        sys.unraisablehook = _show_failure
    if of_thread is threading.__excepthook__:
        threading.excepthook = _show_failure
    warnings.showwarning = _show_warning
    try:
        yield
    finally:
        sys.unraisablehook, threading.excepthook, warnings.showwarning = unraisable, of_thread, warning


def _show_failure(failure: Any) -> None:
    """Show an exception that nobody can catch: of a thread, or of an object that is being removed."""
    lines = traceback.format_exception(failure.exc_type, failure.exc_value, failure.exc_traceback)
    write_error(redact_text("".join(lines)))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001  # as Python calls it
    line: str | None = None,
) -> None:
    write_error(redact_text(warnings.formatwarning(message, category, filename, lineno, line)))
