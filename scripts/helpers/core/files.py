"""Writing files atomically: a file is replaced completely or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replacing(target: Path) -> Iterator[TextIO]:
    """Open a temporary text file (mode 0600) that replaces ``target`` when the block succeeds.

    Raises:
        OSError: the file cannot be written; ``target`` is unchanged.
    """
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            yield stream
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: str, text: str) -> None:
    """Write a text file atomically (mode 0600), following symbolic links.

    Raises:
        OSError: the file cannot be written; its former content is unchanged.
    """
    with replacing(Path(path).resolve()) as stream:
        stream.write(text)
