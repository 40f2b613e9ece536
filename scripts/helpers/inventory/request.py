"""The validated requests of list_resources.py and nexla_quickstart.py."""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from helpers.core.errors import usage
from helpers.core.kinds import Kind
from helpers.core.times import to_ms


class NameFilter(NamedTuple):
    """A filter by substring or regular expression, ignoring case.

    Attributes:
        substring: also passed to the API's own filter; None for a regular expression.
    """

    substring: str | None = None
    pattern: re.Pattern[str] | None = None

    def matches(self, name: str) -> bool:
        """Whether a name matches the filter."""
        if self.pattern is not None:
            return bool(self.pattern.search(name))
        return (self.substring or "").lower() in name.lower()


class ListRequest(NamedTuple):
    """Which rows to list, in which order and with which fields.

    Attributes:
        project: id or exact name of a project.
        owner: email or id of the owner.
        updated_since: epoch milliseconds.
        limit: the maximum number of rows; None for all.
        full: whether to return complete rows with their configs, and flows as trees.
        all_fields: whether to keep every field, because the fields are chosen later.
        sort: the field, and whether the order is descending.
        streams: whether rows are written while they are read.
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
    """Parse a name filter: a substring such as ``orders``, or a regular expression such as ``/^orders-\\d+$/``.

    Raises:
        OperatorError: USAGE, for an invalid regular expression.
    """
    if text is None:
        return None
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        try:
            return NameFilter(pattern=re.compile(text[1:-1], re.IGNORECASE))
        except re.error as error:
            raise usage(f"--name {text} is not a valid regular expression: {error}") from error
    return NameFilter(substring=text)


def time_filter(text: str | None) -> int | None:
    """Parse a time (see ``to_ms``) into epoch milliseconds.

    Raises:
        OperatorError: USAGE, when the text is not a time.
    """
    return None if text is None else to_ms(text, time.time())


class QuickstartRequest(NamedTuple):
    """Whether to start a sandbox for this command, instead of connecting to the account in the settings."""

    sandbox: bool
