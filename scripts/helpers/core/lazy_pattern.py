"""Regular expressions that are compiled at their first use: start-up has a budget, and ``--help`` needs none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import cached_property


class LazyPattern:
    """A pattern with the methods of ``re.Pattern`` that are used here."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._source = (pattern, flags)

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(*self._source)

    def match(self, text: str, position: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        return self._compiled.match(text, position, end)

    def search(self, text: str, position: int = 0) -> re.Match[str] | None:
        return self._compiled.search(text, position)

    def fullmatch(self, text: str, position: int = 0) -> re.Match[str] | None:
        return self._compiled.fullmatch(text, position)

    def finditer(self, text: str, position: int = 0) -> Iterator[re.Match[str]]:
        return self._compiled.finditer(text, position)

    def findall(self, text: str) -> list[str]:
        return self._compiled.findall(text)

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
        return self._compiled.sub(replacement, text)
