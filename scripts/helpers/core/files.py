"""Writing a file so that it is replaced completely or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replacing(target: Path) -> Iterator[TextIO]:
    """A text file, mode 0600, that takes the place of ``target`` when the block ends well.

    Raises:
        OSError: it cannot be written; ``target`` is as it was.
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
    """Put a text into a file, following symbolic links: all of it or nothing, mode 0600.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    with replacing(Path(path).resolve()) as stream:
        stream.write(text)
