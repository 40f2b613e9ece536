#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "nexla-sdk>=1.0.8,<2",
#   "python-dateutil>=2.9",
#   "requests>=2.32",
#   "tenacity>=9",
#   "rich>=13",
#   "jsonschema>=4.23",
#   "jolt-py>=2",
#   "python-dotenv>=1",
#   "croniter>=6",
# ]
# ///
"""Validate a nexset's samples: rules, JSON Schema, schema inference, drift. Too few samples are never valid."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.command import cli
from helpers.command.output import checked_file
from helpers.command.parser import FILE, Parser, command_parser, split_list
from helpers.core.errors import usage
from helpers.core.kinds import checked_id
from helpers.transforms.request import ValidateRequest
from helpers.transforms.rule_specs import RULES_HINT, FieldRule, read_rules, type_name

COMMAND = cli.Command(
    "validate_nexset", "helpers.transforms.validate_nexset:run", connects=lambda request: request.needs_nexla
)
MIN_SAMPLES = 5
SCHEMA_WORDS = {"type", "properties", "patternProperties", "additionalProperties", "required", "items", "enum", "const",
                "allOf", "anyOf", "oneOf", "not", "$ref", "if", "minProperties", "propertyNames"}  # fmt: skip
WAYS = ("required", "types", "schema", "rules", "against_schema", "infer", "compare")


def build_parser() -> Parser:
    """The parser for the command's flags."""
    example = "python scripts/validate_nexset.py --resource-id 456 --required customer_id,email --types customer_id:int"
    parser = command_parser(COMMAND.name, __doc__ or "", example)
    what = parser.add_argument_group("what to validate (one of)").add_argument
    what("--resource-id", metavar="ID", help="the nexset's id")
    what("--name", metavar="NAME", help="the nexset's exact name")
    what("--samples", metavar=FILE, help="file of records, a JSON list or JSON Lines")
    rule = parser.add_argument_group("what to check (one or more; --compare only alone or with --infer)").add_argument
    rule("--required", metavar="A,B", help="fields that must be present and not null; use dots for nested fields")
    rule("--types", metavar="A:TYPE,B:TYPE", help="int, float, number, str, bool, object, list, date")
    rule("--schema", metavar=FILE, help="validate against a JSON Schema")
    rule("--rules", metavar=FILE, help="rules for each field; see examples/rules.json")
    rule("--against-schema", action="store_true", help="validate against the nexset's own output schema")
    rule("--compare", metavar="NEXSET|FILE", help="compare the schema with that of another nexset or a saved schema")
    rule("--infer", metavar=FILE, help="write a JSON Schema that all these samples satisfy, as a starting point")
    add = parser.add_argument
    add("--count", type=int, default=100, metavar="N",
        help="number of samples to request (default: 100; the cache holds 20 to 30)")  # fmt: skip
    add("--live", action="store_true", help="request live samples instead of cached ones")
    add("--min-samples", type=int, metavar="N", help="samples needed for a verdict (default: 5)")
    add("--show-values", action="store_true", help="show the values that break a rule, not only their types")
    return parser


def build_request(args: argparse.Namespace) -> ValidateRequest:
    """Check the flags, rules and schemas.

    Raises:
        OperatorError: USAGE.
    """
    _check_combination(args)
    rules = [FieldRule(name, {"required": True}) for name in _listed(args.required)]
    rules += map(_typed, _listed(args.types))
    min_samples = None
    if args.rules:
        file_rules, min_samples = read_rules(args.rules)
        rules += file_rules
        if not rules:
            raise usage(f"{args.rules} contains no rules: nothing to check", RULES_HINT)
    return ValidateRequest(
        nexset_id=None if args.resource_id is None else checked_id(args.resource_id, "--resource-id"),
        name=args.name,
        samples=args.samples,
        rules=tuple(rules),
        schema=_read_schema(args.schema) if args.schema else None,
        against_schema=args.against_schema,
        compare_to=_compared_to(args.compare),
        infer_file=args.infer,
        sample_count=args.count,
        live=args.live,
        min_samples=args.min_samples or min_samples or MIN_SAMPLES,
        show_values=args.show_values,
    )


def _check_combination(args: argparse.Namespace) -> None:
    if sum(value is not None for value in (args.resource_id, args.name, args.samples)) != 1:
        raise usage("use exactly one of --resource-id, --name and --samples")
    if not any(getattr(args, way) for way in WAYS):
        raise usage("nothing to check", f"use at least one of --{', --'.join(WAYS)}".replace("_", "-"))
    if args.samples and args.against_schema:
        raise usage("--against-schema needs a nexset, not --samples")
    if args.compare is not None and any(getattr(args, way) for way in WAYS[:-2]):
        raise usage("--compare can only be used alone or with --infer")
    if args.count < 1 or (args.min_samples is not None and args.min_samples < 1):
        raise usage("--count and --min-samples must be at least 1")
    if args.infer and checked_file(args.infer, "--infer").exists():
        _read_schema(args.infer)  # only a schema may be replaced


def _listed(text: str | None) -> tuple[str, ...]:
    found = split_list(text)
    if text is not None and not found:
        raise usage("--required or --types is empty", "is a variable unset?")
    return found


def _typed(pair: str) -> FieldRule:
    path, _, kind = pair.rpartition(":")
    if not path:
        raise usage(f"--types {pair!r} is not FIELD:TYPE")
    return FieldRule(path, {"type": type_name(path, kind)})


def _compared_to(text: str | None) -> int | dict[str, Any] | None:
    """A nexset's id, or the schema in a file."""
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() else _read_schema(text)


def _read_schema(path: str) -> dict[str, Any]:
    try:
        schema = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise usage(f"cannot read the schema {path}: {error}") from error
    if not isinstance(schema, dict) or not set(schema) & SCHEMA_WORDS:
        raise usage(f"{path} is not a JSON Schema with any requirement", "pass a rules file with --rules")
    return schema


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
