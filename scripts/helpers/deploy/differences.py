"""The differences between the desired and the current state of a resource, and the request that updates it."""

from __future__ import annotations

from typing import Any

from helpers.core.kinds import Row


def differences(desired: dict[str, Any], current: dict[str, Any]) -> dict[str, list[Any]]:
    """Compare the desired with the current state.

    Objects are compared key by key, and tags as a set. Keys and tags that only the server has are kept, because Nexla
    adds its own keys to configs.

    Returns:
        Field → [before, after]. Fields inside an object have dotted names.
    """
    changes: dict[str, list[Any]] = {}
    for key, value in desired.items():
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


def update_body(changes: dict[str, list[Any]], desired: dict[str, Any], current: dict[str, Any]) -> Row:
    """The PUT body for these differences, with complete, merged objects, because the API replaces objects entirely."""
    body: Row = {}
    for path, (_, after) in changes.items():
        key = path.split(".", 1)[0]
        merged = isinstance(desired.get(key), dict) and isinstance(current.get(key), dict)
        body[key] = {**current[key], **desired[key]} if merged else after
    return body
