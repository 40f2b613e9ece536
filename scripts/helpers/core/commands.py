"""Command lines of this bundle, as hints and reports print them."""

from __future__ import annotations

import shlex
from typing import Any


def command_line(script: str, *words: Any) -> str:
    """A command of this bundle, quoted for a shell.

    Args:
        script: the script's name without ``.py``.
        words: its flags and their values.
    """
    return shlex.join(["python", f"scripts/{script}.py", *map(str, words)])
