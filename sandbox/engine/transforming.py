"""Running transforms: Jolt in this process, Python in a child process with limits."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
from pyjolt import Chainr, PyJoltError

from sandbox.state.store import Doc, Store

RecordOutcome = tuple[Any, str | None]  # the output record (None: dropped) and the error, if any
TRANSFORMS = Path(__file__).resolve().parents[2] / "scripts" / "helpers" / "transforms"
JAIL, WORKER = TRANSFORMS / "jail.py", TRANSFORMS / "worker.py"
SCRIPT_SECONDS = 30
SCRIPT_OPERATION = "nexla.custom"
VALIDATOR_OPERATION = "nexla.schema.validator"
JOLT_ERRORS = (PyJoltError, ValueError, TypeError, KeyError, AttributeError, IndexError)


class TransformError(Exception):
    """The transform cannot run at all: its code does not compile, or its process failed."""


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


def apply(container: Doc | None, records: list[Any]) -> list[RecordOutcome]:
    """Run records through a container, one outcome for each record, in order. No container: records pass unchanged.

    Raises:
        TransformError: the transform cannot run.
    """
    outcomes: list[RecordOutcome] = [(record, None) for record in records]
    for stage in _stages(operations(container) if container else []):
        live = _live(outcomes)
        inputs = [outcomes[i][0] for i in live]
        results = _run_script(stage, inputs) if isinstance(stage, dict) else _run_jolt(stage, inputs)
        for i, result in zip(live, results, strict=True):
            outcomes[i] = result
    return outcomes


def apply_to_nexset(store: Store, nexset: Doc, records: list[Any]) -> list[RecordOutcome]:
    """Run its parent's records through a nexset: transform, then output validator, then validation schema.

    A validator's script gets the output record and rejects it by returning null or false, or by raising. Whether the
    real platform calls validators in this way is not known [?].

    Raises:
        TransformError: the transform or the validator cannot run.
    """
    outcomes = apply(store.get("code", nexset.get("code_container_id")), records)
    validator = store.get("code", nexset.get("output_validator_id"))
    if validator:
        live = _live(outcomes)
        verdicts = apply(validator, [outcomes[i][0] for i in live])
        for i, (verdict, error) in zip(live, verdicts, strict=True):
            if error or not verdict:
                outcomes[i] = (None, error or "the output validator refused it")
    if nexset.get("output_schema_validation_enabled") and isinstance(nexset.get("output_validation_schema"), dict):
        checker = jsonschema_rs.Draft7Validator(nexset["output_validation_schema"])
        for i in _live(outcomes):
            record = outcomes[i][0]
            if not checker.is_valid(record):
                problem = next(iter(checker.iter_errors(record)))
                outcomes[i] = (None, f"it does not fit the output validation schema: {problem.message}")
    return outcomes


def _live(outcomes: list[RecordOutcome]) -> list[int]:
    """The positions of the records that were neither dropped nor rejected."""
    return [i for i, (record, error) in enumerate(outcomes) if error is None and record is not None]


def validator_operation(validator: Doc) -> Doc:
    """A nexset's output validator as the API shows it among the operations of the transform."""
    spec: Doc = next((op["spec"] for op in operations(validator) if op.get("operation") == SCRIPT_OPERATION), {})
    return {"operation": VALIDATOR_OPERATION, "spec": spec}


def _stages(ops: list[Doc]) -> Iterator[Chainr | Doc]:
    """Consecutive Jolt operations as one compiled chain, each script as its spec."""
    chain: list[Doc] = []
    for op in ops:
        if op.get("operation") == SCRIPT_OPERATION:
            if chain:
                yield _compile_jolt(chain)
                chain = []
            yield op["spec"]
        else:
            chain.append(op)
    if chain:
        yield _compile_jolt(chain)


def _compile_jolt(ops: list[Doc]) -> Chainr:
    try:
        return Chainr.from_spec(ops)
    except JOLT_ERRORS as error:
        raise TransformError(f"Invalid Jolt spec: {error}") from error


def _run_jolt(chain: Chainr, records: list[Any]) -> Iterator[RecordOutcome]:
    for record in records:
        try:
            yield chain.apply(record), None
        except JOLT_ERRORS as error:
            yield None, f"{type(error).__name__}: {error}"


def _script_source(spec: Doc) -> str:
    script = str(spec.get("script", ""))
    if spec.get("encoding") != "base64":
        return script
    try:
        return base64.b64decode(script, validate=False).decode()
    except ValueError as error:
        raise TransformError("Invalid code format") from error


def _run_script(spec: Doc, records: list[Any]) -> list[RecordOutcome]:
    """Run a Python script in the worker process: with limits, and isolated from this machine where Linux allows it."""
    if not str(spec.get("language", "")).startswith("python"):
        raise TransformError(f"the sandbox cannot run {spec.get('language')}")
    job = json.dumps({"source": _script_source(spec), "records": records})
    words = [sys.executable, "-I", "-S", str(JAIL), "preferred", str(os.getpid()), str(WORKER)]
    try:
        with tempfile.TemporaryDirectory(prefix="sandbox-transform-", ignore_cleanup_errors=True) as folder:
            done = subprocess.run(
                words, input=job, capture_output=True, encoding="utf-8", errors="replace", timeout=SCRIPT_SECONDS,
                check=False, env={}, cwd=folder,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [(None, f"script ran longer than {SCRIPT_SECONDS} s")] * len(records)
    if done.returncode != 0 or not done.stdout.startswith("["):
        reason = (done.stderr.strip().splitlines()[1:] or ["killed: memory or time limit"])[-1]  # line 1: isolated?
        raise TransformError(f"script failed: {reason}")
    return [(result.get("output"), result.get("error")) for result in json.loads(done.stdout)]
