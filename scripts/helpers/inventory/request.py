"""What list_resources.py is asked for, checked."""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from helpers.core.errors import usage
from helpers.core.kinds import Kind
from helpers.core.times import to_ms


class NameFilter(NamedTuple):
    """A substring, or a regular expression; case does not matter.

    Attributes:
        substring: also what the API can narrow a list down by; None for a regular expression.
    """

    substring: str | None = None
    pattern: re.Pattern[str] | None = None

    def fits(self, name: str) -> bool:
        if self.pattern is not None:
            return bool(self.pattern.search(name))
        return (self.substring or "").lower() in name.lower()


class ListRequest(NamedTuple):
    """Which rows, in which order and shape.

    Attributes:
        project: id or exact name; ``owner`` is an email or id.
        updated_since: epoch milliseconds.
        limit: None for every row.
        full: rows with their configs, flows as trees.
        all_fields: fields are chosen later, so that none may be left out here.
        sort: field, and whether descending.
        streams: rows are written while they are read.
    """

    kind: Kind
    name: NameFilter | None
    status: str | None
    tag: str | None
    project: str | None
    owner: str | None
    updated_since: int | None
    ids: frozenset[int]
    limit: int | None
    access_role: str | None
    full: bool
    all_fields: bool
    sort: tuple[str, bool] | None
    streams: bool


def name_filter(text: str | None) -> NameFilter | None:
    """``orders``, or ``/^orders-\\d+$/``. Raises: OperatorError, USAGE."""
    if text is None:
        return None
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        try:
            return NameFilter(pattern=re.compile(text[1:-1], re.IGNORECASE))
        except re.error as error:
            raise usage(f"--name {text} is not a regular expression: {error}") from error
    return NameFilter(substring=text)


def time_filter(text: str | None) -> int | None:
    """A time in epoch milliseconds. Raises: OperatorError, USAGE."""
    return None if text is None else to_ms(text, time.time())


class QuickstartRequest(NamedTuple):
    """``sandbox``: start one for this command, instead of using the account of the settings."""

    sandbox: bool
