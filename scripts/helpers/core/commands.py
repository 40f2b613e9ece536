"""Commands as they are printed: in hints, reports and recovery lines."""

from __future__ import annotations

import shlex
from typing import Any


def command_line(script: str, *words: Any) -> str:
    """A command of this bundle, quoted for a shell.

    Args:
        script: its name without ``.py``; ``words`` are its flags and values.
    """
    return shlex.join(["python", f"scripts/{script}.py", *map(str, words)])
