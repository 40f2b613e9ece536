"""Validating the samples of a nexset or a file: rules, JSON Schema, schema inference, drift."""

from __future__ import annotations

import json
import time
from typing import Any

from helpers.api.resources import get, require_by_name
from helpers.api.samples import load_records, read_samples
from helpers.command.context import Context
from helpers.command.html_page import write_page
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS
from helpers.transforms.json_schema import by_schema
from helpers.transforms.quality import QualityRule, check_records, rules_for_field
from helpers.transforms.request import ValidateRequest
from helpers.transforms.schemas import drift, infer, without_nulls

NEXSETS = KINDS["nexsets"]
COLUMNS = ("rule", "field", "verdict", "checked", "failed", "examples")
DRIFT_COLUMNS = ("field", "change", "before", "after", "breaking")


def run(request: ValidateRequest, context: Context) -> Result:
    """Validate or compare samples, and write an inferred schema if requested.

    Returns:
        One row per rule, or per difference with ``--compare``. The exit code is FINDINGS if a rule is broken or has
        nothing to check, if there are too few samples, or if the schemas differ.

    Raises:
        OperatorError: USAGE; NOT_FOUND, for the nexset or its schema; the samples could not be read.
    """
    rules = [rule for field in request.rules for rule in rules_for_field(field, time.time())]
    nexset_id = None if request.samples else _nexset_id(request, context)
    outputs = _outputs(request, context, nexset_id)
    records = [record for record in outputs if record is not None]
    meta: dict[str, Any] = {"nexset": nexset_id, "samples": len(records), "min_samples": request.min_samples}
    if len(outputs) > len(records):
        meta["without_output"] = len(outputs) - len(records)
    if len(records) < request.min_samples:
        return _too_few(len(records), request.min_samples, meta)
    if request.infer_file:
        write_page(request.infer_file, json.dumps(infer(records), indent=2) + "\n")
        context.report(f"schema of {len(records)} samples written to {request.infer_file}")
        meta["schema"] = request.infer_file
    with context.deadline.alarm():
        if request.compare_to is not None:
            return _compared(request, context, records, meta)
        return _validated(request, context, nexset_id, records, rules, meta)


def _nexset_id(request: ValidateRequest, context: Context) -> int:
    if request.nexset_id is not None:
        return request.nexset_id
    return int(require_by_name(context.session, NEXSETS, str(request.name), access_role="collaborator")["id"])


def _outputs(request: ValidateRequest, context: Context, nexset_id: int | None) -> list[Any]:
    if request.samples:
        return load_records(request.samples, "samples")
    samples = read_samples(context.session, int(nexset_id or 0), request.sample_count, live=request.live)
    return [sample.output for sample in samples]


def _too_few(count: int, wanted: int, meta: dict[str, Any]) -> Result:
    text = f"only {count} samples; {wanted} are required for a verdict"
    row = {"rule": "min_samples", "field": "(all)", "verdict": "failed", "checked": count, "failed": 1, "examples": []}
    data = {"valid": False, "rules": [row]}
    return Result(data, {**meta, "valid": False}, [text], Exit.FINDINGS, COLUMNS, "rules")


def _own_schema(context: Context, nexset_id: int) -> dict[str, Any]:
    schema = get(context.session, NEXSETS, nexset_id, expand=1).get("output_schema")
    if not isinstance(schema, dict) or not schema.get("properties"):
        hint = "infer one with --infer FILE, then use --schema FILE"
        raise OperatorError(Exit.NOT_FOUND, f"nexset {nexset_id} has no output schema", hint=hint)
    return schema


def _validated(
    request: ValidateRequest,
    context: Context,
    nexset_id: int | None,
    records: list[Any],
    rules: list[QualityRule],
    meta: dict[str, Any],
) -> Result:
    check_records(rules, records)
    if request.schema is not None:
        rules += by_schema(request.schema, records)
    if request.against_schema and nexset_id is not None:
        rules += by_schema(_own_schema(context, nexset_id), [without_nulls(record) for record in records])
    rows = [rule.as_row(show=request.show_values) for rule in rules]
    idle = [f"{row['rule']} of {row['field']!r}: no sample has a value" for row in rows if not row["checked"]]
    valid = (not any(row["failed"] for row in rows) and not idle) if rows else None  # --infer alone has no verdict
    code = Exit.FINDINGS if valid is False else Exit.OK
    return Result({"valid": valid, "rules": rows}, {**meta, "valid": valid}, idle, code, COLUMNS, "rules")


def _compared(request: ValidateRequest, context: Context, records: list[Any], meta: dict[str, Any]) -> Result:
    """Compare the schema of the records with that of another nexset or a saved schema, which counts as the old one."""
    if isinstance(request.compare_to, int):
        samples = read_samples(context.session, request.compare_to, request.sample_count)
        others = [sample.output for sample in samples if sample.output is not None]
        if len(others) < request.min_samples:
            text = f"nexset {request.compare_to} has only {len(others)} samples; {request.min_samples} are required"
            return Result({"same": None, "drift": []}, meta, [text], Exit.FINDINGS, DRIFT_COLUMNS, "drift")
        before = infer(others)
    else:
        before = request.compare_to or {}
    rows = drift(before, infer(records))
    breaking = sum(row["breaking"] for row in rows)
    meta |= {"differences": len(rows), "breaking": breaking}
    code = Exit.FINDINGS if rows else Exit.OK
    return Result({"same": not rows, "drift": rows}, meta, [], code, DRIFT_COLUMNS, "drift")
