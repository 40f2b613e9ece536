"""Running a transform locally: Jolt, which is data, in this process; Python in an isolated one. Nothing is sent."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import Any

from pyjolt import Chainr, PyJoltError

from helpers.core.errors import OperatorError, usage
from helpers.transforms.code import FUNCTIONS, Code, Trust
from helpers.transforms.script_process import Job, run_script


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


def is_foreign(code: Code) -> bool:
    """Whether the code has a script that nobody allowed to run here: it is from Nexla, and not from a local file.

    Raises:
        OperatorError: USAGE, for a script in another language.
    """
    return code.trust is Trust.NONE and _has_script(code)


def _has_script(code: Code) -> bool:
    return any(name == "python" for name, _ in code.stages())


def require_runnable(code: Code) -> None:
    """Check, before anything is written, that the code may and can run here.

    Raises:
        OperatorError: USAGE, if the code is from Nexla and the user did not pass ``--run-remote-code``, or if it is a
            script in another language; CONFIG, if it would have to be isolated and this system cannot do that.
    """
    if is_foreign(code):
        raise usage(
            "the transform is a Python script from Nexla: it does not run on this machine unless you say so",
            "read it first (--operation get); then add --run-remote-code, or save it to a file and pass --file",
        )
    if code.trust is Trust.ISOLATED and _has_script(code):
        run_script(Job("def f(*_): pass", [], {}, "f"), must_isolate=True)


def run_locally(
    code: Code, records: list[Any], args: dict[str, Any] | None = None, warned: list[str] | None = None
) -> list[RecordResult]:
    """Run a transform on records locally; nothing is sent. A record transform must return a record or None.

    Args:
        code: The transform.
        records: The input.
        args: The third argument of an attribute function.
        warned: Warnings; one is added if a script could not be isolated.

    Returns:
        One result per record, in order.

    Raises:
        OperatorError: USAGE if the code may not or cannot run at all; TIMEOUT if it takes too long; CONFIG if it is
            from Nexla and cannot be isolated.
    """
    if is_foreign(code):
        require_runnable(code)
    results = [RecordResult(record) for record in records]
    for name, stage in code.stages():
        live = [i for i, result in enumerate(results) if result.error is None and result.output is not None]
        inputs = [results[i].output for i in live]
        if name == "jolt":
            outputs = _jolt(compile_jolt(stage), inputs)
        else:
            outputs = _python(code, Job(stage, inputs, args or {}, FUNCTIONS[code.kind]), warned)
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


def _python(code: Code, job: Job, warned: list[str] | None) -> list[RecordResult]:
    reply = run_script(job, must_isolate=code.trust is not Trust.OWN)
    text = f"this system does not isolate scripts ({reply.not_isolated}): your script could reach files and the network"
    if reply.not_isolated and warned is not None and text not in warned:
        warned.append(text)
    return [RecordResult(row.get("output"), row.get("error"), row.get("line")) for row in reply.outcomes]
