"""Quality rules for samples. Each rule counts the values that it checked and keeps the first records that break it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from helpers.core.kinds import Row
from helpers.core.redact import without_values
from helpers.transforms.rule_specs import FieldRule, pattern, type_name

MISSING = object()
EXAMPLES = 5
MAX_CLOCK_SKEW = 300.0  # seconds; a date further in the future breaks a rule about age
EPOCH = (10**9, 4 * 10**9)  # seconds: 2001 to 2096; smaller numbers are ids, not dates
TYPES: dict[str, Callable[[Any], bool]] = {
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "float": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "str": lambda v: isinstance(v, str),
    "bool": lambda v: isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "list": lambda v: isinstance(v, list),
    "date": lambda v: _moment(v) is not None,
}


@dataclass
class QualityRule:
    """One rule on one field.

    Attributes:
        name: Name of the rule.
        field: Dotted path of the field.
        test: Whether a value satisfies the rule; not called for missing and null values unless ``absent`` is set.
        absent: The rule concerns missing and null values.
        checked: Number of values checked.
        failed: Number of values that break the rule.
        examples: The first values that break it, each with the position of its record.
    """

    name: str
    field: str
    test: Callable[[Any], bool]
    absent: bool = False
    checked: int = 0
    failed: int = 0
    examples: list[Row] = dataclasses.field(default_factory=list)

    def check(self, position: int, value: Any) -> None:
        """Check and count one value of the record at a position (from 1)."""
        if not self.absent and (value is MISSING or value is None):
            return
        self.checked += 1
        if not self.test(value):
            self.failed += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append({"record": position, "value": "missing" if value is MISSING else value})

    def as_row(self, *, show: bool) -> Row:
        """The rule as a row of the report; ``show`` includes the values of records."""
        shown = [row if show or row["value"] == "missing" else {**row, "value": without_values(row["value"])}
                 for row in self.examples]  # fmt: skip
        verdict = "failed" if self.failed else "ok" if self.checked else "nothing to check"
        return {"rule": self.name, "field": self.field, "verdict": verdict, "checked": self.checked,
                "failed": self.failed, "examples": shown}  # fmt: skip


def values_at(record: Any, path: str) -> Iterator[Any]:
    """The values at a dotted path; MISSING where there is none.

    Lists along the path are traversed, and a list at its end if the path ends with ``[]``. A field whose own name
    contains dots takes precedence.
    """
    if path.endswith("[]"):
        for value in values_at(record, path.removesuffix("[]")):
            yield from value if isinstance(value, list) else [value]
        return
    if isinstance(record, list):
        for item in record:
            yield from values_at(item, path)
        return
    if not isinstance(record, dict):
        yield MISSING
        return
    if path in record:
        yield record[path]
        return
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        head = ".".join(parts[:cut]).removesuffix("[]")
        if head in record:
            yield from values_at(record[head], ".".join(parts[cut:]))
            return
    yield MISSING


def check_records(rules: list[QualityRule], records: list[Any]) -> None:
    """Apply the rules to every record; positions count from 1."""
    for position, record in enumerate(records, 1):
        for rule in rules:
            for value in values_at(record, rule.field):
                rule.check(position, value)


def rules_for_field(rule: FieldRule, now: float) -> list[QualityRule]:
    """The quality rules that a field's spec defines.

    Args:
        rule: The field and its spec.
        now: Epoch seconds, to compute ages.

    Raises:
        OperatorError: USAGE, for an unknown type or an invalid regular expression.
    """
    path, spec = rule
    presence = _presence(path, spec)
    rules = [presence] if presence else []
    if "type" in spec:
        name = type_name(path, spec["type"])
        rules.append(QualityRule(f"type {name}", path, TYPES[name]))
    if spec.get("unique"):
        known: set[str] = set()
        rules.append(QualityRule("unique", path, lambda value: _first_time(known, value)))
    if "min" in spec or "max" in spec:
        rules.append(_in_range(path, spec.get("min", float("-inf")), spec.get("max", float("inf"))))
    if "regex" in spec:
        expression = pattern(path, spec["regex"])
        rules.append(QualityRule("regex", path, lambda v: isinstance(v, str) and bool(expression.fullmatch(v))))
    if "enum" in spec:
        allowed = spec["enum"]
        rules.append(QualityRule("enum", path, lambda value: any(_is_same(value, other) for other in allowed)))
    if "max_age_hours" in spec:
        rules.append(_max_age(path, spec["max_age_hours"], now))
    return rules


def _presence(path: str, spec: dict[str, Any]) -> QualityRule | None:
    """The rule for missing and null values, if any."""
    if spec.get("required") and spec.get("nullable"):
        return QualityRule("present", path, lambda value: value is not MISSING, absent=True)
    if spec.get("required"):
        return QualityRule("required", path, lambda value: value is not MISSING and value is not None, absent=True)
    if spec.get("nullable") is False:
        return QualityRule("not null", path, lambda value: value is not None, absent=True)
    return None


def _in_range(path: str, low: float, high: float) -> QualityRule:
    return QualityRule(f"range {low:g} to {high:g}", path, lambda v: TYPES["number"](v) and low <= v <= high)


def _is_same(value: Any, other: Any) -> bool:
    """Whether two values are equal and of the same type, so that true is not 1."""
    return type(value) is type(other) and bool(value == other)


def _first_time(known: set[str], value: Any) -> bool:
    key = json.dumps(value, sort_keys=True)  # ignores the order of keys; 1 and 1.0 differ
    is_new = key not in known
    known.add(key)
    return is_new


def _max_age(path: str, hours: float, now: float) -> QualityRule:
    def is_recent(value: Any) -> bool:
        moment = _moment(value)
        return moment is not None and -MAX_CLOCK_SKEW <= now - moment <= hours * 3600

    return QualityRule(f"at most {hours:g} h old", path, is_recent)


def _moment(value: Any) -> float | None:
    """A date in epoch seconds: from ISO 8601 text, or from epoch seconds, milli-, micro- or nanoseconds after 2001."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int | float):
        for unit in (1, 10**3, 10**6, 10**9):
            if EPOCH[0] * unit <= value < EPOCH[1] * unit:
                return value / unit
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
