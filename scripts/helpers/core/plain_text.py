"""Text from outside is data: control, ANSI, zero-width and bidi characters are removed before it is shown."""

from __future__ import annotations

from helpers.core.lazy_pattern import LazyPattern

_ANSI = LazyPattern(r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]|\][^\x07\x1b]*+(?:\x07|\x1b\\)?|[@-Z\\-_])")
_INVISIBLE = LazyPattern(  # the last range are tags: a whole text in them can be read by a program, and by nobody else
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)


def plain(text: str) -> str:
    """The text without control, ANSI, zero-width and bidi characters; tabs and newlines stay."""
    return _INVISIBLE.sub("", _ANSI.sub("", text))
