"""Rules that samples must keep. Each rule counts what it looked at, and remembers the first records that break it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from helpers.core.errors import usage
from helpers.core.kinds import Row
from helpers.core.redact import without_values

MISSING = object()
EXAMPLES = 5
AHEAD = 300.0  # seconds by which a clock may be wrong: what lies further ahead is not fresh
EPOCH = (10**9, 4 * 10**9)  # seconds: 2001 and 2096; smaller numbers are ids, not dates
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
RULES_HINT = 'rules are like examples/rules.json: {"fields": {"customer_id": {"required": true, "type": "int"}}}'


@dataclass
class Rule:
    """One rule on one field.

    Attributes:
        test: whether a value is good; it is not asked for MISSING and null unless ``absent`` is set.
        absent: the rule is about missing and null values themselves.
    """

    name: str
    field: str
    test: Callable[[Any], bool]
    absent: bool = False
    checked: int = 0
    failed: int = 0
    examples: list[Row] = dataclasses.field(default_factory=list)

    def look(self, number: int, value: Any) -> None:
        if not self.absent and (value is MISSING or value is None):
            return
        self.checked += 1
        if not self.test(value):
            self.failed += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append({"record": number, "value": "missing" if value is MISSING else value})

    def as_row(self, *, show: bool) -> Row:
        shown = [row if show or row["value"] == "missing" else {**row, "value": without_values(row["value"])}
                 for row in self.examples]  # fmt: skip
        verdict = "failed" if self.failed else "ok" if self.checked else "nothing to check"
        return {"rule": self.name, "field": self.field, "verdict": verdict, "checked": self.checked,
                "failed": self.failed, "examples": shown}  # fmt: skip


def values_at(record: Any, path: str) -> Iterator[Any]:
    """The values at a dotted path; lists on the way are gone through, a last one with ``[]`` at the end of the path.
    MISSING where there is none.

    A field whose own name holds dots is found under that name first.
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


def run(rules: list[Rule], records: list[Any]) -> None:
    """Look at every record; records are numbered from 1."""
    for number, record in enumerate(records, 1):
        for rule in rules:
            for value in values_at(record, rule.field):
                rule.look(number, value)


def required(path: str) -> Rule:
    return Rule("required", path, lambda value: value is not MISSING and value is not None, absent=True)


def typed(path: str, name: str) -> Rule:
    """Raises: OperatorError, USAGE, for an unknown type."""
    known = ALIASES.get(name.lower(), name.lower())
    if known not in TYPES:
        raise usage(f"unknown type {name!r} of field {path!r}", f"types: {', '.join(TYPES)}")
    return Rule(f"type {known}", path, TYPES[known])


def from_spec(path: str, spec: dict[str, Any], now: float) -> list[Rule]:
    """The rules of one field of a rules file. ``now`` is in epoch seconds.

    Raises:
        OperatorError: USAGE, for an unknown type or a broken regular expression.
    """
    rules = []
    if spec.get("required") and spec.get("nullable"):
        rules.append(Rule("present", path, lambda value: value is not MISSING, absent=True))
    elif spec.get("required"):
        rules.append(required(path))
    elif spec.get("nullable") is False:
        rules.append(Rule("not null", path, lambda value: value is not None, absent=True))
    if "type" in spec:
        rules.append(typed(path, spec["type"]))
    if spec.get("unique"):
        seen: set[str] = set()
        rules.append(Rule("unique", path, lambda value: _first_time(seen, value)))
    if "min" in spec or "max" in spec:
        low, high = spec.get("min", float("-inf")), spec.get("max", float("inf"))
        rules.append(Rule(f"range {low:g} to {high:g}", path, lambda v: TYPES["number"](v) and low <= v <= high))
    if "regex" in spec:
        try:
            pattern = re.compile(spec["regex"])
        except re.error as error:
            raise usage(f"the regex of field {path!r} is wrong: {error}", RULES_HINT) from error
        rules.append(Rule("regex", path, lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))))
    if "enum" in spec:
        allowed = spec["enum"]
        rules.append(Rule("enum", path, lambda value: any(type(value) is type(a) and value == a for a in allowed)))
    if "max_age_hours" in spec:
        rules.append(_fresh(path, spec["max_age_hours"], now))
    return rules


def _first_time(seen: set[str], value: Any) -> bool:
    key = json.dumps(value, sort_keys=True)  # objects in any order of their keys, 1 and 1.0 apart
    known = key in seen
    seen.add(key)
    return not known


def _fresh(path: str, hours: float, now: float) -> Rule:
    def young(value: Any) -> bool:
        moment = _moment(value)
        return moment is not None and -AHEAD <= now - moment <= hours * 3600

    return Rule(f"at most {hours:g} h old", path, young)


def _moment(value: Any) -> float | None:
    """A date as epoch seconds: ISO 8601 text, or a number of seconds, milli-, micro- or nanoseconds since 2001."""
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


def _problems(validator: Any, record: Any) -> Iterator[Any]:
    from referencing.exceptions import Unresolvable

    try:
        yield from validator.iter_errors(record)
    except (Unresolvable, RecursionError) as error:
        raise usage(f"the schema names something that is not in it: {error}", "use local $ref only") from error


def _missing(problem: Any) -> str:
    """The name of the property that a ``required`` error is about; jsonschema gives one error for each."""
    names = [name for name in problem.validator_value if problem.message.startswith(repr(name))]
    return str(names[0]) if names else "(record)"


def by_schema(schema: dict[str, Any], records: list[Any]) -> list[Rule]:
    """One rule for each keyword and field of a JSON Schema that any record breaks, and one for the whole.

    Raises:
        OperatorError: USAGE, when it is no JSON Schema.
    """
    import jsonschema
    import referencing

    try:
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
        kind.check_schema(schema)
        validator = kind(schema, registry=referencing.Registry())  # nothing is ever fetched
    except jsonschema.SchemaError as error:
        raise usage(f"it is not a JSON Schema: {error.message}") from error
    except RecursionError as error:
        raise usage("the schema is nested too deeply") from error
    whole = Rule("schema", "(record)", lambda _: True, absent=True)
    found: dict[tuple[str, str], Rule] = {}
    for number, record in enumerate(records, 1):
        broken = set()
        for problem in _problems(validator, record):
            parts = ["[]" if isinstance(part, int) else str(part) for part in problem.absolute_path]
            if problem.validator == "required":  # each missing property is a row of its own
                parts.append(_missing(problem))
            key = (f"schema: {problem.validator}", ".".join(parts) or "(record)")
            rule = found.setdefault(key, Rule(*key, lambda _: False, checked=len(records)))
            if key not in broken:
                rule.failed += 1
            if len(rule.examples) < EXAMPLES:
                rule.examples.append({"record": number, "value": problem.instance})
            broken.add(key)
        whole.checked += 1
        whole.failed += bool(broken)
    return [whole, *found.values()]
