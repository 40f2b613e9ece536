"""Testing a transform locally on records: input and output side by side, what changed, errors with their line."""

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

DEFAULT_LIMIT = 20
LIVE_SAMPLES = 100
COLUMNS = ("record", "input", "output", "changes", "error", "line")


def run_trial(request: TransformRequest, context: Context, code: Code) -> Result:
    """Run a transform on records.

    Args:
        request: The request; names the records and the expected outputs.
        context: The command's context.
        code: The transform.

    Returns:
        One row per shown record; ``meta`` counts all of them. The exit code is FINDINGS for errors, for unexpected
        outputs, and if there were no records.

    Raises:
        OperatorError: USAGE, if the code or a file is invalid, or the code is from Nexla and may not run; TIMEOUT;
            CONFIG, if it cannot be isolated; the samples could not be read.
    """
    records, warnings = _records(request, context), list[str]()
    results = run_locally(code, records, request.args, warnings)
    wanted = load_records(request.expect, "expected outputs") if request.expect else None
    rows = [_row(n, record, result) for n, (record, result) in enumerate(zip(records, results, strict=True), 1)]
    wrong = _unexpected(rows, results, wanted) if wanted is not None else []
    errors = sum(result.error is not None for result in results)
    same = sum(not row["changes"] and row["error"] is None for row in rows)
    empty = sum(result.output is None and result.error is None for result in results)
    is_record = code.kind == "record"
    meta: dict[str, Any] = {"records": len(rows), "errors": errors, "unchanged": same}
    meta |= {"dropped" if is_record else "null": empty}
    meta |= {"unexpected": len(wrong)} if wanted is not None else {}
    warnings += wrong[:5]
    if rows and empty == len(rows):
        warnings.append("the transform drops every record" if is_record else "the output is null for every record")
    if not rows:
        warnings.append("there were no records to test with: this proves nothing")
    elif same == len(rows) and is_record:
        warnings.append("the transform changes no record")
    shown = sorted(rows, key=lambda row: row["error"] is None)[: request.limit or DEFAULT_LIMIT]
    code_of_exit = Exit.FINDINGS if errors or wrong or not rows else Exit.OK
    return Result(sorted(shown, key=lambda row: row["record"]), meta, warnings, code_of_exit, COLUMNS)


def _records(request: TransformRequest, context: Context) -> list[Any]:
    """The input: records of the file, or outputs of the nexset."""
    if request.samples is None:
        samples = read_samples(context.session, int(request.nexset_id or 0), LIVE_SAMPLES, live=True)
        return [sample.output for sample in samples]
    records = load_records(request.samples, "samples")
    if wrong := [n for n, record in enumerate(records, 1) if not isinstance(record, dict)]:
        raise usage(f"{request.samples}: entry {wrong[0]} is not a record (an object)")
    return records


def _row(position: int, before: Any, result: RecordResult) -> Row:
    return {
        "record": position,
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
    """Whether two values are equal as JSON, so that neither true nor 1.0 is 1."""
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
