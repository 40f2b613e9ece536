"""Running a transform locally: Jolt in this process, Python in a child process with limits. Nothing is sent."""

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
    """The result of a transform for one record.

    Attributes:
        output: The output; None if the record was dropped.
        error: Why the transform failed on the record; None if it did not.
        line: The line of the script that failed.
    """

    output: Any = None
    error: str | None = None
    line: int | None = None


def compile_jolt(operations: list[Any]) -> Any:
    """Compile Jolt operations into a pyjolt chain.

    Raises:
        OperatorError: USAGE, if they are not a valid Jolt spec.
    """
    try:
        with warnings.catch_warnings():  # pyjolt only warns about unknown functions, and leaves values unchanged
            warnings.simplefilter("error", UserWarning)
            return Chainr.from_spec(operations)
    except UserWarning as error:
        raise usage(f"not a valid Jolt spec: {str(error).partition(';')[0].partition(' self.')[0]}") from error
    except (PyJoltError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise usage(f"not a valid Jolt spec: {error}") from error


def check_jolt(path: str, code: Code) -> None:
    """Check that the Jolt operations of a file compile.

    Raises:
        OperatorError: USAGE; the message names the file.
    """
    try:
        for name, stage in code.stages():
            if name == "jolt":
                compile_jolt(stage)
    except OperatorError as error:
        raise usage(f"{path}: {error.message}", error.hint) from error


def run_locally(code: Code, records: list[Any], args: dict[str, Any] | None = None) -> list[RecordResult]:
    """Run a transform on records locally; nothing is sent. A record transform must return a record or None.

    Args:
        code: The transform.
        records: The input.
        args: The third argument of an attribute function.

    Returns:
        One result per record, in order.

    Raises:
        OperatorError: USAGE if the code cannot run at all; TIMEOUT if it takes too long.
    """
    results = [RecordResult(record) for record in records]
    for name, stage in code.stages():
        live = [i for i, result in enumerate(results) if result.error is None and result.output is not None]
        inputs = [results[i].output for i in live]
        outputs = (
            _jolt(compile_jolt(stage), inputs) if name == "jolt" else _python(stage, inputs, code.kind, args or {})
        )
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
            found.append(RecordResult(chain.apply(json.loads(json.dumps(record)))))  # a chain may modify its input
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
        hint = "look for an endless loop"
        raise OperatorError(Exit.TIMEOUT, f"the script ran longer than {SCRIPT_SECONDS} s", hint=hint) from error
    if done.returncode < 0:
        raise OperatorError(
            Exit.TIMEOUT, "the script exceeded its time or memory limit", hint="look for an endless loop"
        )
    if done.returncode != 0 or not done.stdout.startswith("["):
        reason = (done.stderr.strip().splitlines() or ["it exited the process"])[-1]
        raise usage(f"cannot run the script: {reason}")
    return [RecordResult(row.get("output"), row.get("error"), row.get("line")) for row in json.loads(done.stdout)]
