"""A command line as it was understood, from which the commands that recover from a failure are rendered."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

SCRIPTS = Path(__file__).resolve().parents[2]
NOT_RESUMED = ("dry_run", "resume", "timeout")  # a resumed run gets a fresh deadline


class Invocation(NamedTuple):
    """The script, and every flag that is not at its default: its name among the arguments, and its words."""

    script: str
    given: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def resumed(self) -> str:
        """The command that continues this one, from whatever folder it is run."""
        return self._render([words for name, words in self.given if name not in NOT_RESUMED], ["--resume"])

    def with_only(self, names: Collection[str], *more: str) -> str:
        """The same script with some of its flags, and with others at the end."""
        return self._render([words for name, words in self.given if name in names], list(more))

    def flags(self, *names: str) -> list[str]:
        """The words of some of the flags that were given, for another command."""
        return [word for name, words in self.given if name in names for word in words]

    def _render(self, flags: list[tuple[str, ...]], more: list[str]) -> str:
        words = [word for flag in flags for word in flag]
        return shlex.join([sys.executable, str(SCRIPTS / self.script), *words, *more])
