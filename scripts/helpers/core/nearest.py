"""Did you mean: the known words and the existing names that are nearest to one that is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_SUGGESTIONS = 3
MIN_SIMILARITY = 0.6  # as difflib measures it: the share of the letters that two words have in common, in order


def nearest(word: str, known: Iterable[str], most: int = MAX_SUGGESTIONS) -> list[str]:
    """The known words that are most like a word, the nearest first; case is ignored."""
    by_folded: dict[str, str] = {}
    for text in known:
        by_folded.setdefault(text.casefold(), text)
    near = difflib.get_close_matches(word.casefold(), by_folded, n=most, cutoff=MIN_SIMILARITY)
    return [by_folded[folded] for folded in near]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The beginning of a hint: ``did you mean 'PAUSED'? `` with a space at its end; empty when no word is near."""
    near = nearest(word, known, most=1)
    return f"did you mean {near[0]!r}? " if near else ""
