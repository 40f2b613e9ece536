"""The mark that a change puts on everything it creates, because the API has no idempotency keys.

A mark is a tag: ``nexla-operator/`` and the id of the change and step. Every POST body takes tags (public API
description); lists of credentials do not show them, a single credential does.
"""

from __future__ import annotations

import hashlib
from typing import Any

PREFIX = "nexla-operator/"
STEP_DIGITS = 6  # hex digits; tells the few steps of one change apart


def digest(text: str, digits: int) -> str:
    """The first hex digits of the text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def mark_of(change_id: str, step_key: str) -> str:
    """The mark of what one step of a change creates; the same in every run of the change."""
    return f"{PREFIX}{change_id}-{digest(step_key, STEP_DIGITS)}"


def is_mark(tag: Any) -> bool:
    """Whether a tag is a mark, of this or of another change."""
    return isinstance(tag, str) and tag.startswith(PREFIX)


def has_mark(row: dict[str, Any], mark: str) -> bool | None:
    """Whether a row carries a mark; None when it does not show its tags, as a row of the list of credentials."""
    tags = row.get("tags")
    return mark in tags if isinstance(tags, list) else None


def with_mark(body: dict[str, Any], mark: str | None) -> dict[str, Any]:
    """The body of a create with the mark among its tags; the body itself without one."""
    return {**body, "tags": [*(body.get("tags") or []), mark]} if mark else body
