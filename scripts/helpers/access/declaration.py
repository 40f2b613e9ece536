"""The file of declared access: who has which role on which resource. manage_access syncs it, audit_access checks it.

This module reads and validates the file without Nexla; ``declared`` looks up its accessors and resources.
"""

from __future__ import annotations

import time
from typing import Any

from helpers.access.request import AccessorName, accessor_name
from helpers.access.roles import ACCESSOR_TYPES, IDENTIFIERS, ROLE_NAMES, SHARER, access_kind
from helpers.core import config_file
from helpers.core.errors import usage
from helpers.core.times import iso, moment

HINT = "see ACCESS_CONTROL.md, Declared access"
_ID: dict[str, Any] = {"type": "integer", "exclusiveMinimum": 0}
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
ACCESSORS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "role"],
        "properties": {
            "type": {"type": "string", "enum": [*ACCESSOR_TYPES]}, "id": _ID, "email": _TEXT, "name": _TEXT,
            "domain": _TEXT, "role": {"type": "string", "enum": [*ROLE_NAMES]}, "expires_at": _TEXT,
        },
    },
}  # fmt: skip
_RESOURCE = {"type": "object", "additionalProperties": False, "required": ["type", "id"],
             "properties": {"type": _TEXT, "id": _ID}}  # fmt: skip
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["resources"],
    "properties": {
        "resources": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["accessors"],
                "properties": {
                    "type": _TEXT, "id": _ID, "pipeline_of": _RESOURCE, "project": _ID,
                    "with_credentials": {"type": "boolean"}, "accessors": ACCESSORS,
                },
            },
        }
    },
}  # fmt: skip
LIST_SCHEMA = {"type": "object", "additionalProperties": False, "required": ["accessors"],
               "properties": {"accessors": ACCESSORS}}  # fmt: skip


def load_declaration(path: str) -> tuple[list[dict[str, Any]], str]:
    """Read a file of declared access.

    Returns:
        The entries, and a digest of the file as written.

    Raises:
        OperatorError: USAGE; the message names the file and the key.
    """
    config, digest = config_file.read(path, SCHEMA, HINT)
    if not config["resources"]:
        raise usage(f"{path} names no resource", HINT)
    entries: list[dict[str, Any]] = config["resources"]
    for index, entry in enumerate(entries):
        where = f"{path}: resources.{index}"
        names_resource = "id" in entry or "type" in entry
        complete = not names_resource or ("id" in entry and "type" in entry)
        if names_resource + ("pipeline_of" in entry) + ("project" in entry) != 1 or not complete:
            raise usage(f"{where}: needs exactly one of type with id, pipeline_of, project", HINT)
        if names_resource:
            access_kind(entry["type"])
            _check_sharer(entry["accessors"], access_kind(entry["type"]).name == "nexsets", where)
        else:
            _check_sharer(entry["accessors"], False, where)
        _check_accessors(entry["accessors"], f"{where}.accessors")
    return entries, digest


def load_accessors(path: str) -> tuple[list[dict[str, Any]], str]:
    """Read a file that contains only a list of accessors.

    Returns:
        The accessors, and a digest of the file as written.

    Raises:
        OperatorError: USAGE, including for an empty list.
    """
    config, digest = config_file.read(path, LIST_SCHEMA, HINT)
    entries: list[dict[str, Any]] = config["accessors"]
    if not entries:
        raise usage(f"{path} lists no accessors: that would remove everybody", "use --operation revoke for each one")
    _check_accessors(entries, f"{path}: accessors")
    return entries, digest


def _check_sharer(entries: list[dict[str, Any]], nexset: bool, where: str) -> None:
    if not nexset and any(entry["role"] == SHARER for entry in entries):
        raise usage(f"{where}: the role sharer exists only for nexsets", HINT)


def _check_accessors(entries: list[dict[str, Any]], where: str) -> None:
    for index, entry in enumerate(entries):
        accessor_of(entry, f"{where}.{index}")
        if "expires_at" in entry:
            any_expiry(entry["expires_at"])


def accessor_of(entry: dict[str, Any], where: str) -> AccessorName:
    """The accessor that an entry names.

    Args:
        entry: One accessor of a file.
        where: The entry's place in the file, for messages.

    Raises:
        OperatorError: USAGE.
    """
    identifiers = {identifier for names in IDENTIFIERS.values() for identifier in names}
    return accessor_name(entry["type"], {identifier: entry.get(identifier) for identifier in identifiers}, where)


def expiry(text: str | None) -> str | None:
    """An expiry time as the API writes it; None is forever.

    Raises:
        OperatorError: USAGE, for an age, a time in the past, or one too far ahead to represent.
    """
    if text is None:
        return None
    milliseconds = _fixed(text)
    if milliseconds <= time.time() * 1000:
        raise usage(f"the expiry time {text!r} is not in the future", "for example 2099-12-31, or 2099-12-31T18:00Z")
    return iso(milliseconds)


def _fixed(text: str) -> int:
    """An expiry time in epoch milliseconds. Ages are refused: a resumed command would compute another time.

    Raises:
        OperatorError: USAGE.
    """
    given = moment(text, "expires_at")
    if given.fixed is None:
        day = str(iso(int((time.time() + given.age) * 1000)))[:10]
        raise usage(f"{text!r} is an age, not an expiry time", f"for access that ends {text} from now, write {day}")
    return given.fixed


def any_expiry(text: str | None) -> str | None:
    """Like ``expiry``, for a file that is only compared: the time may be in the past.

    Raises:
        OperatorError: USAGE.
    """
    return iso(_fixed(text)) if text else None
