"""Field rules as flags and rules files define them. Cheap to import, so that invalid rules are refused immediately."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from helpers.core import config_file
from helpers.core.errors import usage
from helpers.core.nearest import did_you_mean

TYPE_NAMES = ("int", "float", "number", "str", "bool", "object", "list", "date")
ALIASES = {"integer": "int", "string": "str", "text": "str", "boolean": "bool", "array": "list", "dict": "object",
           "datetime": "date", "timestamp": "date"}  # fmt: skip
_NUMBER: dict[str, Any] = {"type": "number"}
_YES_NO: dict[str, Any] = {"type": "boolean"}
FIELD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "required": _YES_NO,
        "nullable": _YES_NO,
        "unique": _YES_NO,
        "type": {"type": "string"},
        "min": _NUMBER,
        "max": _NUMBER,
        "regex": {"type": "string"},
        "enum": {"type": "array"},
        "max_age_hours": {"type": "number", "exclusiveMinimum": 0},
    },
}
RULES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "min_samples": {"type": "integer", "minimum": 1},
        "fields": {"type": "object", "additionalProperties": FIELD_SCHEMA},
    },
}
RULES_HINT = 'see examples/rules.json: {"fields": {"customer_id": {"required": true, "type": "int"}}}'


class FieldRule(NamedTuple):
    """The rules for one field.

    Attributes:
        path: Dotted path of the field.
        spec: Keys as in a rules file: required, nullable, unique, type, min, max, regex, enum, max_age_hours.
    """

    path: str
    spec: dict[str, Any]

    @property
    def requires_something(self) -> bool:
        """Whether any value can break the rules; ``{"nullable": true}`` alone requires nothing."""
        keys = {key for key, value in self.spec.items() if key not in ("required", "unique", "nullable") or value}
        return bool(keys - {"nullable"}) or self.spec.get("nullable") is False


def type_name(path: str, name: str) -> str:
    """The canonical name of a type or alias.

    Args:
        path: The field, for the message.
        name: The type as the user wrote it.

    Raises:
        OperatorError: USAGE, for an unknown type.
    """
    known = ALIASES.get(name.lower(), name.lower())
    if known not in TYPE_NAMES:
        guess = did_you_mean(name, TYPE_NAMES)
        raise usage(f"unknown type {name!r} of field {path!r}", f"{guess}types: {', '.join(TYPE_NAMES)}")
    return known


def pattern(path: str, text: str) -> re.Pattern[str]:
    """Compile the regular expression of a field.

    Raises:
        OperatorError: USAGE, for an invalid one.
    """
    try:
        return re.compile(text)
    except re.error as error:
        raise usage(f"the regex of field {path!r} is invalid: {error}", RULES_HINT) from error


def read_rules(path: str) -> tuple[list[FieldRule], int | None]:
    """Read a rules file.

    Returns:
        The rules that require something, and the file's ``min_samples`` or None.

    Raises:
        OperatorError: USAGE; the message names the file or the field.
    """
    content, _ = config_file.read(path, RULES_SCHEMA, RULES_HINT, {})
    rules = [FieldRule(name, spec) for name, spec in content.get("fields", {}).items()]
    for rule in rules:
        if "type" in rule.spec:
            type_name(rule.path, rule.spec["type"])
        if "regex" in rule.spec:
            pattern(rule.path, rule.spec["regex"])
    return [rule for rule in rules if rule.requires_something], content.get("min_samples")
