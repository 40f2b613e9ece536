"""What differs between a resource as the config wants it and as it is, and the request that changes it."""

from __future__ import annotations

from typing import Any

from helpers.core.kinds import Row


def differences(wanted: dict[str, Any], current: dict[str, Any]) -> dict[str, list[Any]]:
    """Field → [before, after] where the config wants something else than what is there.

    Objects are compared key by key and lists of tags as sets; keys that only the server has stay as they are, since
    Nexla adds keys of its own to configs.
    """
    changes: dict[str, list[Any]] = {}
    for key, value in wanted.items():
        have = current.get(key)
        if key == "tags":
            if not set(value) <= set(have or []):
                changes[key] = [sorted(have or []), sorted({*value, *(have or [])})]
        elif isinstance(value, dict) and isinstance(have, dict):
            for name, item in value.items():
                if have.get(name) != item:
                    changes[f"{key}.{name}"] = [have.get(name), item]
        elif value is not None and value != have:
            changes[key] = [have, value]
    return changes


def update_body(changes: dict[str, list[Any]], wanted: dict[str, Any], current: dict[str, Any]) -> Row:
    """The PUT body for some differences: whole objects, merged, because the API replaces them whole."""
    body: Row = {}
    for path, (_, after) in changes.items():
        key = path.split(".", 1)[0]
        merged = isinstance(wanted.get(key), dict) and isinstance(current.get(key), dict)
        body[key] = {**current[key], **wanted[key]} if merged else after
    return body


def before_of(body: Row, current: Row) -> Row:
    """What the keys of an update body were."""
    return {key: current.get(key) for key in body}
