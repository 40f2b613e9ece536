"""The validated requests of list_resources.py and nexla_quickstart.py."""

from __future__ import annotations

import re
from typing import NamedTuple

from helpers.core.errors import usage
from helpers.core.kinds import Kind
from helpers.core.nearest import did_you_mean
from helpers.core.times import Moment

EXACTLY = "exactly:"
ANY_MARK = "any"
MARKED = ("sources", "nexsets", "destinations", "credentials", "transforms", "attribute_transforms")
AUDITED = ("flows", "sources", "nexsets", "destinations", "credentials", "projects", "teams", "code_containers")


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
        mark: the id of a change, or ANY_MARK: what it created carries its mark.
        project: id or exact name of a project.
        owner: email or id of the owner.
        status: as the API writes it; for flows, that of the origin or of any member.
        any_member: for flows: whether any member may have the status, and not only the origin.
        with_changes: whether to read who changed each row since ``updated_since``.
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
    mark: str | None
    project: str | None
    owner: str | None
    any_member: bool
    updated_since: Moment | None
    with_changes: bool
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


def status_filter(text: str | None, kind: Kind) -> str | None:
    """Check a status against those that the API's contract gives for the kind; case is ignored.

    ``exactly:NAME`` is passed on unchecked, for a status that is newer than this version.

    Raises:
        OperatorError: USAGE, for an unknown status: no row would match, which looks like an answer.
    """
    if text is None:
        return None
    if text.startswith(EXACTLY) and text != EXACTLY:
        return text.removeprefix(EXACTLY)
    if not kind.statuses:
        raise usage(f"--status does not apply to {kind.name}: they have none", "omit the flag")
    found = next((status for status in kind.statuses if status.lower() == text.lower()), None)
    if found is None:
        known = f"known for {kind.name}: {', '.join(kind.statuses)}; for any other, write {EXACTLY}NAME"
        raise usage(f"unknown status {text!r}", f"{did_you_mean(text, kind.statuses)}{known}")
    return found


class QuickstartRequest(NamedTuple):
    """Whether to start a sandbox for this command, instead of connecting to the account in the settings."""

    sandbox: bool
