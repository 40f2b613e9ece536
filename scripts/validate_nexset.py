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
"""Schema and quality of a nexset's samples: rules, JSON Schema, inference, drift. Too few samples are never valid."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.command import cli
from helpers.command.output import Result, checked_file
from helpers.core.errors import Exit, OperatorError, usage

if TYPE_CHECKING:
    from helpers.transforms.quality import Rule

COMMAND = "validate_nexset"
COLUMNS = ("rule", "field", "verdict", "checked", "failed", "examples")
DRIFT_COLUMNS = ("field", "change", "before", "after", "breaking")
SCHEMA_WORDS = {"type", "properties", "patternProperties", "additionalProperties", "required", "items", "enum", "const",
                "allOf", "anyOf", "oneOf", "not", "$ref", "if", "minProperties", "propertyNames"}  # fmt: skip
WAYS = ("required", "types", "schema", "rules", "against_schema", "infer", "compare")


def build_parser() -> argparse.ArgumentParser:
    example = "python scripts/validate_nexset.py --resource-id 456 --required customer_id,email --types customer_id:int"
    parser = cli.build_parser(COMMAND, __doc__ or "", example)
    what = parser.add_argument_group("what is validated (one of)")
    what.add_argument("--resource-id", metavar="ID", help="id of a nexset")
    what.add_argument("--name", metavar="NAME", help="its exact name")
    what.add_argument("--samples", metavar="FILE", help="records of a file: a JSON list or JSON Lines")
    rule = parser.add_argument_group("against what (one or more; --compare stands alone, or with --infer)")
    rule.add_argument(
        "--required", metavar="A,B", help="fields that every record must have, not null; dotted for nested"
    )
    rule.add_argument("--types", metavar="A:TYPE,B:TYPE", help="int, float, number, str, bool, object, list, date")
    rule.add_argument("--schema", metavar="FILE", help="a JSON Schema")
    rule.add_argument("--rules", metavar="FILE", help="rules for each field, like examples/rules.json")
    rule.add_argument("--against-schema", action="store_true", help="the nexset's own output schema")
    rule.add_argument("--compare", metavar="NEXSET|FILE", help="differences of shape to another nexset or saved schema")
    rule.add_argument("--infer", metavar="FILE", help="write a JSON Schema that these samples keep, to start from")
    add = parser.add_argument
    add(
        "--count", type=int, default=100, metavar="N", help="samples to ask for (default 100; the cache holds 20 to 30)"
    )
    add("--live", action="store_true", help="ask for new samples instead of cached ones")
    add("--min-samples", type=int, metavar="N", help="fewer are not enough to say anything (default 5)")
    add("--show-values", action="store_true", help="show values of records that break a rule, not only their types")
    return parser


def validate_nexset(args: argparse.Namespace, context: cli.Context) -> Result:
    """One row for each rule; exit 10 when one is broken, when there are too few samples, or when the shape differs."""
    _check(args)
    rules, least = _rules(args)
    from helpers.api.samples import load_records, read_samples

    if args.samples:
        number, records = None, load_records(args.samples, "samples")
    else:
        number = _nexset(args, context)
        records = [sample.output for sample in read_samples(context.session, number, args.count, live=args.live)]
    dropped = sum(record is None for record in records)
    records = [record for record in records if record is not None]
    meta: dict[str, Any] = {"nexset": number, "samples": len(records), "min_samples": least}
    if dropped:
        meta["without_output"] = dropped
    if len(records) < least:
        text = f"{len(records)} samples are too few to say anything; {least} are wanted"
        row = {"rule": "min_samples", "field": "(all)", "verdict": "failed", "checked": len(records), "failed": 1}
        data = {"valid": False, "rules": [{**row, "examples": []}]}
        return Result(data, {**meta, "valid": False}, [text], Exit.FINDINGS, COLUMNS, "rules")
    if args.infer:
        _write_schema(args.infer, records)
        context.say(f"schema of {len(records)} samples written to {args.infer}")
        meta["schema"] = args.infer
    with context.deadline.alarm():
        if args.compare is not None:
            return _compared(args, context, records, meta)
        return _validated(args, context, number, records, rules, meta)


def _check(args: argparse.Namespace) -> None:
    """Raises: OperatorError, USAGE."""
    from helpers.core.kinds import checked_id

    if sum(value is not None for value in (args.resource_id, args.name, args.samples)) != 1:
        raise usage("give exactly one of --resource-id, --name and --samples")
    if args.resource_id is not None:
        checked_id(args.resource_id, "--resource-id")
    if not any(getattr(args, way) for way in WAYS):
        raise usage("there is nothing to check against", f"give one of --{', --'.join(WAYS)}".replace("_", "-"))
    if args.samples and args.against_schema:
        raise usage("--against-schema needs a nexset, not --samples")
    if args.compare is not None and any(getattr(args, way) for way in WAYS[:-2]):
        raise usage("--compare stands alone, or with --infer")
    if args.count < 1 or (args.min_samples is not None and args.min_samples < 1):
        raise usage("--count and --min-samples must be at least 1")
    if args.infer and checked_file(args.infer, "--infer").exists():
        _read_schema(args.infer)  # only a schema may be replaced


def _rules(args: argparse.Namespace) -> tuple[list[Rule], int]:
    """The rules of the flags and of the rules file, and how many samples are wanted."""
    import time

    from helpers.transforms import quality

    rules = [quality.required(name) for name in _listed(args.required)]
    for pair in _listed(args.types):
        path, _, kind = pair.rpartition(":")
        if not path:
            raise usage(f"--types {pair!r} is not FIELD:TYPE")
        rules.append(quality.typed(path, kind))
    least = 5
    if args.rules:
        from helpers.core import config_file

        spec, _ = config_file.read(args.rules, quality.RULES_SCHEMA, quality.RULES_HINT, {})
        least = spec.get("min_samples", least)
        fields = spec.get("fields", {})
        rules += [rule for path, own in fields.items() for rule in quality.from_spec(path, own, time.time())]
        if not rules:
            raise usage(f"{args.rules} holds no rule: there is nothing to check against", quality.RULES_HINT)
    return rules, args.min_samples or least


def _listed(text: str | None) -> list[str]:
    found = [part.strip() for part in (text or "").split(",") if part.strip()]
    if text is not None and not found:
        raise usage("--required or --types names no field", "is a variable empty?")
    return found


def _nexset(args: argparse.Namespace, context: cli.Context) -> int:
    session = context.session
    from helpers.api.resources import by_name, one_of
    from helpers.core.kinds import KINDS, checked_id

    if args.resource_id is not None:
        return checked_id(args.resource_id)
    kind = KINDS["nexsets"]
    row = one_of(kind, args.name, by_name(session, kind, args.name, access_role="collaborator"))
    if row is None:
        hint = "see python scripts/list_resources.py --type nexsets --all"
        raise OperatorError(Exit.NOT_FOUND, f"no nexset is named {args.name!r}", hint=hint)
    return int(row["id"])


def _own_schema(context: cli.Context, number: int) -> dict[str, Any]:
    from helpers.api.resources import get
    from helpers.core.kinds import KINDS

    schema = get(context.session, KINDS["nexsets"], number, expand=1).get("output_schema")
    if not isinstance(schema, dict) or not schema.get("properties"):
        hint = "infer one with --infer FILE and use --schema FILE"
        raise OperatorError(Exit.NOT_FOUND, f"nexset {number} has no output schema", hint=hint)
    return schema


def _read_schema(path: str) -> dict[str, Any]:
    try:
        schema = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise usage(f"cannot read the schema {path}: {error}") from error
    if not isinstance(schema, dict) or not set(schema) & SCHEMA_WORDS:
        raise usage(f"{path} is not a JSON Schema that demands anything", "a file of rules goes with --rules")
    return schema


def _write_schema(path: str, records: list[Any]) -> None:
    from helpers.command.html_page import write
    from helpers.transforms.schemas import infer

    write(path, json.dumps(infer(records), indent=2) + "\n")


def _validated(
    args: argparse.Namespace, context: cli.Context, number: int | None, records: list[Any], rules: list[Rule],
    meta: dict[str, Any],
) -> Result:  # fmt: skip
    from helpers.transforms import quality
    from helpers.transforms.schemas import without_nulls

    quality.run(rules, records)
    if args.schema:
        rules += quality.by_schema(_read_schema(args.schema), records)
    if args.against_schema and number is not None:
        bare = [without_nulls(record) for record in records]
        rules += quality.by_schema(_own_schema(context, number), bare)
    rows = [rule.as_row(show=args.show_values) for rule in rules]
    idle = [f"{row['rule']} of {row['field']!r}: no sample has a value" for row in rows if not row["checked"]]
    valid = (not any(row["failed"] for row in rows) and not idle) if rows else None  # --infer alone judges nothing
    data = {"valid": valid, "rules": rows}
    code = Exit.FINDINGS if valid is False else Exit.OK
    return Result(data, {**meta, "valid": valid}, idle, code, COLUMNS, "rules")


def _compared(args: argparse.Namespace, context: cli.Context, records: list[Any], meta: dict[str, Any]) -> Result:
    """The shape now against the shape of another nexset or a saved schema, which is the one before."""
    from helpers.api.samples import read_samples
    from helpers.transforms.schemas import drift, infer

    if args.compare.isascii() and args.compare.isdigit():
        samples = read_samples(context.session, int(args.compare), args.count)
        others = [sample.output for sample in samples if sample.output is not None]
        if len(others) < meta["min_samples"]:
            text = f"nexset {args.compare} has only {len(others)} samples"
            return Result({"same": None, "drift": []}, meta, [text], Exit.FINDINGS, DRIFT_COLUMNS, "drift")
        before = infer(others)
    else:
        before = _read_schema(args.compare)
    rows = drift(before, infer(records))
    breaking = sum(row["breaking"] for row in rows)
    data = {"same": not rows, "drift": rows}
    code = Exit.FINDINGS if rows else Exit.OK
    return Result(data, {**meta, "differences": len(rows), "breaking": breaking}, [], code, DRIFT_COLUMNS, "drift")


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), validate_nexset, argv)


if __name__ == "__main__":
    raise SystemExit(main())
