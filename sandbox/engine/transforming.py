"""Running transforms: Jolt in this process, Python in a child process with limits."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
from pyjolt import Chainr, PyJoltError

from sandbox.state.store import Doc, Store

Outcome = tuple[Any, str | None]  # the output record (None: dropped) and the error, if any
WORKER = Path(__file__).resolve().parents[2] / "scripts" / "helpers" / "transforms" / "worker.py"
SCRIPT_SECONDS = 30
SCRIPT_OPERATION = "nexla.custom"
VALIDATOR_OPERATION = "nexla.schema.validator"


class TransformError(Exception):
    """The transform as a whole cannot run."""


def operations(container: Doc) -> list[Doc]:
    """A code container as a list of operations; a script is one ``nexla.custom`` operation."""
    code = container.get("code")
    if isinstance(code, list):
        return code
    if isinstance(code, str) and code:
        language = container["code_type"] if container["code_type"].startswith("python") else "python"
        spec = {"language": language, "encoding": container.get("code_encoding", "none"), "script": code}
        return [{"operation": SCRIPT_OPERATION, "spec": spec}]
    return []


def apply(container: Doc | None, records: list[Any]) -> list[Outcome]:
    """Run records through a container, one outcome for each record, in order.

    Raises:
        TransformError: the code does not compile.
    """
    outcomes: list[Outcome] = [(record, None) for record in records]
    for stage in _stages(operations(container) if container else []):
        live = [i for i, (record, error) in enumerate(outcomes) if error is None and record is not None]
        inputs = [outcomes[i][0] for i in live]
        results = _script(stage, inputs) if isinstance(stage, dict) else _jolt(stage, inputs)
        for i, result in zip(live, results, strict=True):
            outcomes[i] = result
    return outcomes


def apply_to_nexset(store: Store, nexset: Doc, records: list[Any]) -> list[Outcome]:
    """What a nexset makes of its parent's records: its transform, then its validator and its validation schema.

    A validator's script gets the output record; what it answers with null or false, or raises on, is bad. That form is
    not known of the real platform [?].

    Raises:
        TransformError: the code does not compile.
    """
    outcomes = apply(store.get("code", nexset.get("code_container_id")), records)
    validator = store.get("code", nexset.get("output_validator_id"))
    if validator:
        live = [i for i, (record, error) in enumerate(outcomes) if error is None and record is not None]
        verdicts = apply(validator, [outcomes[i][0] for i in live])
        for i, (verdict, error) in zip(live, verdicts, strict=True):
            if error or not verdict:
                outcomes[i] = (None, error or "the output validator refused it")
    if nexset.get("output_schema_validation_enabled") and isinstance(nexset.get("output_validation_schema"), dict):
        checker = jsonschema_rs.Draft7Validator(nexset["output_validation_schema"])
        for i, (record, error) in enumerate(outcomes):
            if error is None and record is not None and not checker.is_valid(record):
                problem = next(iter(checker.iter_errors(record)))
                outcomes[i] = (None, f"it does not fit the output validation schema: {problem.message}")
    return outcomes


def validator_operation(validator: Doc) -> Doc:
    """How a nexset's validator is shown among its operations."""
    spec: Doc = next((op["spec"] for op in operations(validator) if op.get("operation") == SCRIPT_OPERATION), {})
    return {"operation": VALIDATOR_OPERATION, "spec": spec}


def _stages(ops: list[Doc]) -> Iterator[Any]:
    """Runs of Jolt operations as compiled chains, scripts as their spec."""
    chain: list[Doc] = []
    for op in ops:
        if op.get("operation") == SCRIPT_OPERATION:
            if chain:
                yield compile_jolt(chain)
                chain = []
            yield op["spec"]
        else:
            chain.append(op)
    if chain:
        yield compile_jolt(chain)


def compile_jolt(ops: list[Doc]) -> Chainr:
    try:
        return Chainr.from_spec(ops)
    except (PyJoltError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise TransformError(f"Invalid Jolt spec: {error}") from error


def _jolt(chain: Chainr, records: list[Any]) -> Iterator[Outcome]:
    for record in records:
        try:
            yield chain.apply(record), None
        except (PyJoltError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            yield None, f"{type(error).__name__}: {error}"


def script_source(spec: Doc) -> str:
    script = str(spec.get("script", ""))
    if spec.get("encoding") != "base64":
        return script
    try:
        return base64.b64decode(script, validate=False).decode()
    except ValueError as error:
        raise TransformError("Invalid code format") from error


def _script(spec: Doc, records: list[Any]) -> list[Outcome]:
    if not str(spec.get("language", "")).startswith("python"):
        raise TransformError(f"the sandbox cannot run {spec.get('language')}")
    job = json.dumps({"source": script_source(spec), "records": records})
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(WORKER)],
            input=job,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SCRIPT_SECONDS,
            check=False,
            env={},
        )
    except subprocess.TimeoutExpired:
        return [(None, f"script ran longer than {SCRIPT_SECONDS} s")] * len(records)
    if done.returncode != 0 or not done.stdout.startswith("["):
        reason = (done.stderr.strip().splitlines() or ["killed: memory or time limit"])[-1]
        raise TransformError(f"script failed: {reason}")
    return [(result.get("output"), result.get("error")) for result in json.loads(done.stdout)]
