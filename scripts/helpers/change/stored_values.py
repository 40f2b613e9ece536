"""Values in a journal: exact, so that undo can restore them, but without secrets.

A secret is replaced by a reference, an object that says that it was not stored. The process that wrote the journal
still knows the value; a resumed run does not, and leaves what it cannot restore.
"""

from __future__ import annotations

from typing import Any

from helpers.core.redact import MARK, redact, redact_text

NOT_STORED = {"$secret": "not stored"}


def to_stored(value: Any, key: str = "") -> Any:
    """A JSON value without secrets; everything else is unaltered, also control and zero-width characters.

    Args:
        key: the key that holds the value, if any.
    """
    if value != MARK and redact(value, key=key) == MARK:
        return NOT_STORED
    if isinstance(value, dict):
        if any(_hides_secret(str(name)) for name in value):
            return NOT_STORED
        if isinstance(value.get("path"), list) and "before" in value and isinstance(value.get("after"), list):
            return _stored_edit(value)
        return {name: to_stored(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_stored(item) for item in value]
    return NOT_STORED if isinstance(value, str) and _hides_secret(value) else value


def _stored_edit(edit: dict[str, Any]) -> dict[str, Any]:
    """An edit (``restore``) without secrets: the end of its path is the key that holds its values."""
    key = str((edit["path"] or [""])[-1])
    after = [to_stored(value, key) for value in edit["after"]]
    return {**edit, "before": to_stored(edit["before"], key), "after": after}


def _hides_secret(text: str) -> bool:
    return redact_text(text).count(MARK) > text.count(MARK)


def is_lost(value: Any) -> bool:
    """Whether a value from a journal holds a secret that was not stored."""
    if value == NOT_STORED:
        return True
    if isinstance(value, dict):
        return any(is_lost(item) for item in value.values())
    return isinstance(value, list) and any(is_lost(item) for item in value)
