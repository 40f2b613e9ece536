"""Trying a transform on records here: input and output side by side, what changed, errors with their line."""

from __future__ import annotations

import json
from typing import Any

from helpers.api.samples import load_records, read_samples
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.core.errors import Exit, usage
from helpers.core.kinds import Row
from helpers.transforms.code import Code
from helpers.transforms.local_run import RecordResult, run_locally
from helpers.transforms.request import TransformRequest

SHOWN = 20
LIVE_SAMPLES = 100
COLUMNS = ("record", "input", "output", "changes", "error", "line")


def try_out(request: TransformRequest, context: Context, code: Code) -> Result:
    """One row for each record; ``meta`` counts all of them.

    Exit 10 for errors, for outputs that are not the expected ones, and when there was no record at all.
    """
    records = _records(request, context)
    results = run_locally(code, records, request.args)
    wanted = load_records(request.expect, "expected outputs") if request.expect else None
    rows = [_row(n, record, result) for n, (record, result) in enumerate(zip(records, results, strict=True), 1)]
    wrong = _unexpected(rows, results, wanted) if wanted is not None else []
    errors = sum(result.error is not None for result in results)
    same = sum(not row["changes"] and row["error"] is None for row in rows)
    empty = sum(result.output is None and result.error is None for result in results)
    of_records = code.kind == "record"
    meta: dict[str, Any] = {"records": len(rows), "errors": errors, "unchanged": same}
    meta |= {"dropped" if of_records else "null": empty}
    meta |= {"unexpected": len(wrong)} if wanted is not None else {}
    warnings = list(wrong[:5])
    if rows and empty == len(rows):
        warnings.append(f"every record comes out as {'nothing: all are dropped' if of_records else 'null'}")
    if not rows:
        warnings.append("there was no record to test with: nothing is shown")
    elif same == len(rows) and of_records:
        warnings.append("the transform changes no record")
    shown = sorted(rows, key=lambda row: row["error"] is None)[: request.limit or SHOWN]
    code_of_exit = Exit.FINDINGS if errors or wrong or not rows else Exit.OK
    return Result(sorted(shown, key=lambda row: row["record"]), meta, warnings, code_of_exit, COLUMNS)


def _records(request: TransformRequest, context: Context) -> list[Any]:
    """The input: of the file, or what comes out of the nexset."""
    if request.samples is None:
        samples = read_samples(context.session, int(request.nexset_id or 0), LIVE_SAMPLES, live=True)
        return [sample.output for sample in samples]
    records = load_records(request.samples, "samples")
    if wrong := [n for n, record in enumerate(records, 1) if not isinstance(record, dict)]:
        raise usage(f"{request.samples}: entry {wrong[0]} is not a record (an object)")
    return records


def _row(number: int, before: Any, result: RecordResult) -> Row:
    return {
        "record": number,
        "input": before,
        "output": result.output,
        "changes": [] if result.error else _changes(before, result.output),
        "error": result.error,
        "line": result.line,
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


def _unexpected(rows: list[Row], results: list[RecordResult], wanted: list[Any]) -> list[str]:
    found = []
    if len(wanted) != len(rows):
        found.append(f"{len(rows)} records, but {len(wanted)} expected outputs")
    for row, result, value in zip(rows, results, wanted, strict=False):
        if result.error is not None or not _equal(result.output, value):
            row["expected"] = value
            found.append(f"record {row['record']}: expected {json.dumps(value, ensure_ascii=False)[:200]}")
    return found
