"""Progress on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from helpers.command.streams import write_error
from helpers.core.redact import redact_text

CLEAR_LINE = "\r\x1b[K"


class Reporter:
    """Shows progress as lines, or as a bar on a terminal; shows nothing when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet and os.environ.get("TERM") != "dumb"

    def report(self, text: str) -> None:
        """Show one line. Names from outside cannot pass for an error object, which begins a line with a brace."""
        if self._quiet:
            return
        line = redact_text(text).replace("\n", "\n  ")
        line = f" {line}" if line.startswith("{") else line
        write_error(f"{CLEAR_LINE}{line[:200]}\n" if self._live else line + "\n")

    @contextlib.contextmanager
    def progress(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a progress bar on a terminal.

        Args:
            total: the number of items; None when unknown, and then there is no bar.

        Yields:
            A function to call with the number of items done so far.
        """
        if not self._live or not total:
            yield _show_nothing
            return

        def show(done: int) -> None:
            filled = min(20, 20 * done // total)
            write_error(f"{CLEAR_LINE}{redact_text(title)} [{'#' * filled}{'.' * (20 - filled)}] {done}/{total}")

        try:
            yield show
        finally:
            write_error(CLEAR_LINE)


def _show_nothing(done: int) -> None:
    """The progress of a list of unknown length, or when no bar can be drawn."""
