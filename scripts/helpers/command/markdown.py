"""Tables in Markdown, from text that must not act as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from helpers.core.redact import redact_text


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a table; its cells are redacted and escaped."""
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return head + ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]


def cell(value: Any) -> str:
    text = redact_text("" if value is None else str(value)).replace("\n", " ")
    for mark in "\\|`*_<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text
