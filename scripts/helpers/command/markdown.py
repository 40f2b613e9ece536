"""Markdown tables from text that must not be interpreted as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from helpers.core.redact import redact_text


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a table. The cells are redacted and escaped; the column names are not."""
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return head + ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]


def cell(value: Any) -> str:
    """A value as the redacted and escaped text of a table cell."""
    text = redact_text("" if value is None else str(value)).replace("\n", " ")
    for mark in "\\|`*_<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text
