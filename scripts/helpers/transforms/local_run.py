"""Running a transform here, on records: Jolt in this process, Python in a child with limits. Nothing is sent."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyjolt import Chainr, PyJoltError

from helpers.core.errors import Exit, OperatorError, usage
from helpers.transforms.code import FUNCTIONS, Code

WORKER = Path(__file__).with_name("worker.py")
SCRIPT_SECONDS = 30


@dataclass(frozen=True)
class RecordResult:
    """What a transform made of one record: its output (None when it is dropped), or its error and the script's line."""

    output: Any = None
    error: str | None = None
    line: int | None = None


def compiled(operations: list[Any]) -> Any:
    """A chain of Jolt operations.

    Raises:
        OperatorError: USAGE, when it is no Jolt spec.
    """
    try:
        with warnings.catch_warnings():  # an unknown function would only be warned of, and leave values as they are
            warnings.simplefilter("error", UserWarning)
            return Chainr.from_spec(operations)
    except UserWarning as error:
        raise usage(f"it is not a Jolt spec: {str(error).partition(';')[0].partition(' self.')[0]}") from error
    except (PyJoltError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise usage(f"it is not a Jolt spec: {error}") from error


def check_jolt(path: str, code: Code) -> None:
    """Compile the Jolt parts of a file's code.

    Raises:
        OperatorError: USAGE, naming the file.
    """
    try:
        for name, stage in code.stages():
            if name == "jolt":
                compiled(stage)
    except OperatorError as error:
        raise usage(f"{path}: {error.message}", error.hint) from error


def run_locally(code: Code, records: list[Any], args: dict[str, Any] | None = None) -> list[RecordResult]:
    """Run a transform on records here; nothing is sent. What a record transform gives must be a record, or None.

    Args:
        args: what an attribute function gets as its third argument.

    Returns:
        One result for each record, in order.

    Raises:
        OperatorError: USAGE when the code cannot be run at all; TIMEOUT when it takes too long.
    """
    results = [RecordResult(record) for record in records]
    for name, stage in code.stages():
        live = [i for i, result in enumerate(results) if result.error is None and result.output is not None]
        inputs = [results[i].output for i in live]
        outputs = _jolt(compiled(stage), inputs) if name == "jolt" else _python(stage, inputs, code.kind, args or {})
        for i, result in zip(live, outputs, strict=True):
            results[i] = result
    return [_as_record(result) for result in results] if code.kind == "record" else results


def _as_record(result: RecordResult) -> RecordResult:
    if result.error is not None or result.output is None or isinstance(result.output, dict):
        return result
    return RecordResult(error=f"the output is a {type(result.output).__name__}, not a record (an object)")


def _jolt(chain: Any, records: list[Any]) -> list[RecordResult]:
    found = []
    for record in records:
        try:
            found.append(RecordResult(chain.apply(json.loads(json.dumps(record)))))  # a chain may change its input
        except (PyJoltError, ValueError, TypeError, KeyError, AttributeError) as error:
            found.append(RecordResult(error=f"{type(error).__name__}: {error}"))
    return found


def _python(source: str, records: list[Any], kind: str, args: dict[str, Any]) -> list[RecordResult]:
    job = json.dumps({"source": source, "records": records, "args": args, "functions": [FUNCTIONS[kind]]})
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(WORKER)], input=job, capture_output=True, encoding="utf-8", errors="replace",
            timeout=SCRIPT_SECONDS, check=False, env={},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        hint = "look for a loop that does not end"
        raise OperatorError(Exit.TIMEOUT, f"the script ran longer than {SCRIPT_SECONDS} s", hint=hint) from error
    if done.returncode < 0:
        raise OperatorError(Exit.TIMEOUT, "the script ran into its limit of time or memory", hint="look for a loop")
    if done.returncode != 0 or not done.stdout.startswith("["):
        reason = (done.stderr.strip().splitlines() or ["it ended the process by itself"])[-1]
        raise usage(f"the script cannot be run: {reason}")
    return [RecordResult(row.get("output"), row.get("error"), row.get("line")) for row in json.loads(done.stdout)]
