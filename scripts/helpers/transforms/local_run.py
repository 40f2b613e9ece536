"""Running a transform here, on records: Jolt in this process, Python in a child with limits. Nothing is sent."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.core.errors import Exit, OperatorError, usage
from helpers.transforms.code import FUNCTIONS, Code

WORKER = Path(__file__).with_name("worker.py")
SCRIPT_SECONDS = 30


@dataclass(frozen=True)
class Outcome:
    """What became of one record: its output (None when it is dropped), or its error and the script's line."""

    output: Any = None
    error: str | None = None
    line: int | None = None


def compiled(operations: list[Any]) -> Any:
    """A chain of Jolt operations.

    Raises:
        OperatorError: USAGE, when it is no Jolt spec.
    """
    from pyjolt import Chainr, PyJoltError

    try:
        with warnings.catch_warnings():  # an unknown function would only be warned of, and leave values as they are
            warnings.simplefilter("error", UserWarning)
            return Chainr.from_spec(operations)
    except UserWarning as error:
        raise usage(f"it is not a Jolt spec: {str(error).partition(';')[0].partition(' self.')[0]}") from error
    except (PyJoltError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise usage(f"it is not a Jolt spec: {error}") from error


def run(code: Code, records: list[Any], args: dict[str, Any] | None = None) -> list[Outcome]:
    """One outcome for each record, in order. What a record transform gives must be a record, or None.

    Args:
        args: what an attribute function gets as its third argument.

    Raises:
        OperatorError: USAGE when the code cannot be run at all; TIMEOUT when it takes too long.
    """
    outcomes = [Outcome(record) for record in records]
    for name, stage in code.stages():
        live = [i for i, outcome in enumerate(outcomes) if outcome.error is None and outcome.output is not None]
        inputs = [outcomes[i].output for i in live]
        results = _jolt(compiled(stage), inputs) if name == "jolt" else _python(stage, inputs, code.kind, args or {})
        for i, result in zip(live, results, strict=True):
            outcomes[i] = result
    return [_as_record(outcome) for outcome in outcomes] if code.kind == "record" else outcomes


def _as_record(outcome: Outcome) -> Outcome:
    if outcome.error is not None or outcome.output is None or isinstance(outcome.output, dict):
        return outcome
    return Outcome(error=f"the output is a {type(outcome.output).__name__}, not a record (an object)")


def _jolt(chain: Any, records: list[Any]) -> list[Outcome]:
    from pyjolt import PyJoltError

    found = []
    for record in records:
        try:
            found.append(Outcome(chain.apply(json.loads(json.dumps(record)))))  # a chain may change its input
        except (PyJoltError, ValueError, TypeError, KeyError, AttributeError) as error:
            found.append(Outcome(error=f"{type(error).__name__}: {error}"))
    return found


def _python(source: str, records: list[Any], kind: str, args: dict[str, Any]) -> list[Outcome]:
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
    return [Outcome(row.get("output"), row.get("error"), row.get("line")) for row in json.loads(done.stdout)]
