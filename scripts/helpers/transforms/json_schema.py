"""Validating samples against a JSON Schema, with results counted like those of rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import referencing
from referencing.exceptions import Unresolvable

from helpers.core.errors import usage
from helpers.transforms.quality import EXAMPLES, QualityRule


def _problems(validator: Any, record: Any) -> Iterator[Any]:
    try:
        yield from validator.iter_errors(record)
    except (Unresolvable, RecursionError) as error:
        raise usage(f"the schema has a reference that cannot be resolved: {error}", "use local $ref only") from error


def _missing(problem: Any) -> str:
    """The missing property of a ``required`` error; jsonschema yields one error per property."""
    names = [name for name in problem.validator_value if problem.message.startswith(repr(name))]
    return str(names[0]) if names else "(record)"


def by_schema(schema: dict[str, Any], records: list[Any]) -> list[QualityRule]:
    """Validate records against a JSON Schema.

    Returns:
        One rule for the record as a record_rule, and one for each keyword and field that any record breaks.

    Raises:
        OperatorError: USAGE, if it is not a JSON Schema.
    """
    try:
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
        kind.check_schema(schema)
        validator = kind(schema, registry=referencing.Registry())  # nothing is ever fetched
    except jsonschema.SchemaError as error:
        raise usage(f"not a JSON Schema: {error.message}") from error
    except RecursionError as error:
        raise usage("the schema is nested too deeply") from error
    record_rule = QualityRule("schema", "(record)", lambda _: True, absent=True)
    found: dict[tuple[str, str], QualityRule] = {}
    for position, record in enumerate(records, 1):
        broken = set()
        for problem in _problems(validator, record):
            parts = ["[]" if isinstance(part, int) else str(part) for part in problem.absolute_path]
            if problem.validator == "required":  # one row per missing property
                parts.append(_missing(problem))
            key = (f"schema: {problem.validator}", ".".join(parts) or "(record)")
            rule = found.setdefault(key, QualityRule(*key, lambda _: False, checked=len(records)))
            if key not in broken:
                rule.failed += 1
            if len(rule.examples) < EXAMPLES:
                rule.examples.append({"record": position, "value": problem.instance})
            broken.add(key)
        record_rule.checked += 1
        record_rule.failed += bool(broken)
    return [record_rule, *found.values()]
