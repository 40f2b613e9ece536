"""The parsed command line, from which the recovery commands after a failure are rendered."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

SCRIPTS = Path(__file__).resolve().parents[2]
NOT_RESUMED = ("dry_run", "resume", "timeout")  # a resumed run gets a new deadline


class Invocation(NamedTuple):
    """The script and every flag that differs from its default.

    Attributes:
        script: the file name of the script.
        given: (attribute name of the flag, the flag and its value as words) for each of these flags.
    """

    script: str
    given: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def resumed(self) -> str:
        """The command that continues this one, from any working directory."""
        return self._render([words for name, words in self.given if name not in NOT_RESUMED], ["--resume"])

    def with_only(self, names: Collection[str], *more: str) -> str:
        """The same script with only the named flags, followed by more words."""
        return self._render([words for name, words in self.given if name in names], list(more))

    def flags(self, *names: str) -> list[str]:
        """The words of the named flags, as far as they were given, for another command."""
        return [word for name, words in self.given if name in names for word in words]

    def _render(self, flags: list[tuple[str, ...]], more: list[str]) -> str:
        words = [word for flag in flags for word in flag]
        return shlex.join([sys.executable, str(SCRIPTS / self.script), *words, *more])
