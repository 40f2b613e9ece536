"""Trying a transform on records here: input and output side by side, what changed, errors with their line."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from helpers.api.samples import load_records, read_samples
from helpers.command.output import Result
from helpers.core.errors import Exit, usage
from helpers.core.kinds import Row, checked_id
from helpers.transforms.code import Code
from helpers.transforms.local_run import Outcome, run

if TYPE_CHECKING:
    from helpers.command.cli import Context

SHOWN = 20
COLUMNS = ("record", "input", "output", "changes", "error", "line")


def test(args: argparse.Namespace, context: Context, code: Code) -> Result:
    """One row for each record; ``meta`` counts all of them. Exit 10 for errors, for outputs that are not the expected
    ones, and when there was no record at all."""
    if args.samples:
        records = load_records(args.samples, "samples")
        if strange := [n for n, record in enumerate(records, 1) if not isinstance(record, dict)]:
            raise usage(f"{args.samples}: entry {strange[0]} is not a record (an object)")
    else:
        found = read_samples(context.session, checked_id(args.nexset), 100, live=True)
        records = [sample.output for sample in found]
    outcomes = run(code, records, _args(args.args))
    wanted = load_records(args.expect, "expected outputs") if args.expect else None
    rows = [_row(n, a, b) for n, (a, b) in enumerate(zip(records, outcomes, strict=True), 1)]
    wrong = _unexpected(rows, outcomes, wanted) if wanted is not None else []
    errors = sum(outcome.error is not None for outcome in outcomes)
    same = sum(not row["changes"] and row["error"] is None for row in rows)
    dropped = sum(outcome.output is None and outcome.error is None for outcome in outcomes)
    nothing = "dropped" if code.kind == "record" else "null"
    meta: dict[str, Any] = {"records": len(rows), "errors": errors, "unchanged": same, nothing: dropped}
    meta |= {"unexpected": len(wrong)} if wanted is not None else {}
    warnings = list(wrong[:5])
    if rows and dropped == len(rows):
        warnings.append(f"every record comes out as {'nothing: all are dropped' if nothing == 'dropped' else 'null'}")
    if not rows:
        warnings.append("there was no record to test with: nothing is shown")
    elif same == len(rows) and code.kind == "record":
        warnings.append("the transform changes no record")
    code_ = Exit.FINDINGS if errors or wrong or not rows else Exit.OK
    shown = sorted(rows, key=lambda row: row["error"] is None)[: args.limit or SHOWN]
    return Result(sorted(shown, key=lambda row: row["record"]), meta, warnings, code_, COLUMNS)


def _args(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise usage(f"--args is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise usage("--args must be a JSON object", 'for example --args \'{"field": "mail"}\'')
    return value


def _row(number: int, before: Any, outcome: Outcome) -> Row:
    return {
        "record": number,
        "input": before,
        "output": outcome.output,
        "changes": [] if outcome.error else _changes(before, outcome.output),
        "error": outcome.error,
        "line": outcome.line,
    }


def _changes(before: Any, after: Any) -> list[str]:
    """Which fields were added (+), removed (-) and changed (~)."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [] if before == after else ["~ (record)"]
    old, new = dict(_flat(before)), dict(_flat(after))
    marks = [f"- {'.'.join(path)}" for path in old if path not in new]
    marks += [f"+ {'.'.join(path)}" for path in new if path not in old]
    return marks + [f"~ {'.'.join(path)}" for path in old if path in new and not _equal(old[path], new[path])]


def _equal(a: Any, b: Any) -> bool:
    """Equal as JSON, so that neither true nor 1.0 is 1."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _flat(record: dict[str, Any], path: tuple[str, ...] = ()) -> Any:
    for key, value in record.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def _unexpected(rows: list[Row], outcomes: list[Outcome], wanted: list[Any]) -> list[str]:
    found = []
    if len(wanted) != len(rows):
        found.append(f"{len(rows)} records, but {len(wanted)} expected outputs")
    for row, outcome, value in zip(rows, outcomes, wanted, strict=False):
        if outcome.error is not None or not _equal(outcome.output, value):
            row["expected"] = value
            found.append(f"record {row['record']}: expected {json.dumps(value, ensure_ascii=False)[:200]}")
    return found
