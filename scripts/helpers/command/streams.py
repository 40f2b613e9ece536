"""Standard output and standard error, which may be closed, full, or unable to show a character.

Reporting never decides what happens: a reader that goes away neither stops a change nor alters its exit code.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import TextIO


def prepare_streams() -> None:
    """Show a character that a stream cannot encode, such as a lone surrogate, as an escape; replace closed streams."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def finish_streams() -> None:
    """Write what is buffered; discard what cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            discard(stream)


def write_error(text: str) -> None:
    """Write to standard error. If it is closed or full, the text is lost, and so is all that follows."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Discard what is buffered and what follows; otherwise Python would fail on it at exit, with code 120."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
