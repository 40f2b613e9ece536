"""A process that runs a Python script on records: ``jail.py`` isolates it, ``worker.py`` in it runs the script.

What comes back was written by the script's own process, so nothing in it is trusted: its length, form and numbers are
checked here.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from helpers.core.errors import Exit, OperatorError, usage
from helpers.transforms.worker import MAX_ERROR_LENGTH, MAX_OUTPUT

JAIL, WORKER = (Path(__file__).with_name(name) for name in ("jail.py", "worker.py"))
SCRIPT_SECONDS = 30
LIMIT_SIGNALS = (signal.SIGKILL, signal.SIGXCPU)
PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4


class Job(NamedTuple):
    """What to run.

    Attributes:
        source: The script.
        records: The input, one call each.
        args: The third argument of the function.
        function: Its name.
    """

    source: str
    records: list[Any]
    args: dict[str, Any]
    function: str


class Reply(NamedTuple):
    """What came back.

    Attributes:
        outcomes: One ``{"output": …}`` or ``{"error": …, "line": …}`` per record.
        not_isolated: Why the script ran without isolation; empty if it was isolated.
    """

    outcomes: list[dict[str, Any]]
    not_isolated: str


def run_script(job: Job, *, must_isolate: bool) -> Reply:
    """Run a script in a process of its own.

    Args:
        job: The script and the records.
        must_isolate: Do not run it where it cannot be isolated.

    Raises:
        OperatorError: USAGE if the script cannot run; TIMEOUT if it takes too long; CONFIG if it cannot be isolated.
    """
    sent = {"source": job.source, "records": job.records, "args": job.args, "functions": [job.function]}
    mode = "required" if must_isolate else "preferred"
    words = [sys.executable, "-I", "-S", str(JAIL), mode, str(os.getpid()), str(WORKER)]
    with (
        _folder() as folder,
        subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, cwd=folder, env={},
            start_new_session=True,
        ) as process,
        _unreadable(),
    ):  # fmt: skip
        try:
            output, errors = _exchange(process, json.dumps(sent).encode())
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    first, _, rest = errors.decode(errors="replace").partition("\n")
    not_isolated = first.removeprefix("not isolated: ") if first != "isolated" else ""
    if not_isolated and must_isolate:
        text = f"code from Nexla is not run here, because this system does not isolate it: {not_isolated}"
        hint = "use Linux with unprivileged user namespaces; or review the code, save it to a file, and pass --file"
        raise OperatorError(Exit.CONFIG, text, hint=hint)
    _check_end(process.returncode, rest)
    return Reply(_outcomes(output, len(job.records)), not_isolated)


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """An empty working directory, which is removed afterwards."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="nexla-transform-", ignore_cleanup_errors=True)
    except OSError as error:
        raise OperatorError(Exit.CONFIG, f"no folder for temporary files: {error}", hint="see TMPDIR") from error
    with folder as path:
        yield path


@contextlib.contextmanager
def _unreadable() -> Iterator[None]:
    """Keep other processes of this user from reading the environment and memory of this one (Linux, prctl(2)).

    It is a second line for systems without isolation. The process is started before, because a process that cannot be
    read cannot list its own descriptors either; the script arrives after.
    """
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_DUMPABLE, before, 0, 0, 0)


def _exchange(process: subprocess.Popen[bytes], job: bytes) -> tuple[bytes, bytes]:
    """Feed the process, read what it writes until it has ended, and no more than the limit.

    Raises:
        OperatorError: TIMEOUT; USAGE if it writes too much.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    end, rest = time.monotonic() + SCRIPT_SECONDS, memoryview(job)
    found: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    os.set_blocking(process.stdin.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdin, selectors.EVENT_WRITE)
        for stream in found:
            selector.register(stream, selectors.EVENT_READ, stream)
        while any(not stream.closed for stream in found):
            for key, _ in selector.select(max(end - time.monotonic(), 0)):
                if key.data is None:
                    rest = _feed(selector, process.stdin, rest)
                elif not read_piece(selector, key.data, found[key.data]):
                    raise usage(f"cannot run the script: the output is larger than {MAX_OUTPUT >> 20} MB")
            if time.monotonic() >= end:
                raise _too_long()
    try:
        process.wait(max(end - time.monotonic(), 0))
    except subprocess.TimeoutExpired as error:
        raise _too_long() from error
    output, errors = found.values()
    return bytes(output), bytes(errors)


def _too_long() -> OperatorError:
    hint = "look for an endless loop"
    return OperatorError(Exit.TIMEOUT, f"the script ran longer than {SCRIPT_SECONDS} s", hint=hint)


def _feed(selector: selectors.BaseSelector, stream: IO[bytes], rest: memoryview) -> memoryview:
    """Write a piece of the job; close the stream after the last one, or if nobody reads it any more."""
    try:
        rest = rest[os.write(stream.fileno(), rest[: io.DEFAULT_BUFFER_SIZE]) :]
    except BrokenPipeError:
        rest = rest[:0]
    if not rest:
        selector.unregister(stream)
        stream.close()
    return rest


def read_piece(selector: selectors.BaseSelector, stream: IO[bytes], found: bytearray) -> bool:
    """Read a piece; close the stream at its end. Whether what was found so far is within the limit."""
    piece = os.read(stream.fileno(), io.DEFAULT_BUFFER_SIZE)
    if not piece:
        selector.unregister(stream)
        stream.close()
    found += piece
    return len(found) <= MAX_OUTPUT


def _check_end(code: int, errors: str) -> None:
    """Raise unless the process ended well. A signal shows as -N, or as 128 + N if a parent of the script reports it."""
    number = -code if code < 0 else code - 128
    if number in LIMIT_SIGNALS:
        text = "the script exceeded its time or memory limit"
        raise OperatorError(Exit.TIMEOUT, text, hint="look for an endless loop")
    if number > 0:
        raise usage(f"cannot run the script: it crashed with signal {number}")
    if code != 0:
        reason = (errors.strip().splitlines() or ["it exited the process"])[-1]
        raise usage(f"cannot run the script: {reason[:MAX_ERROR_LENGTH]}")


def _outcomes(reply: bytes, count: int) -> list[dict[str, Any]]:
    """The checked outcomes in a reply.

    Raises:
        OperatorError: USAGE, if it is not one outcome per record.
    """
    try:
        rows = json.loads(reply.decode(), parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        reason = "it exited the process" if not reply else "it wrote something other than its results"
        raise usage(f"cannot run the script: {reason}") from error
    if not isinstance(rows, list) or len(rows) != count or not all(map(_is_outcome, rows)):
        raise usage("cannot run the script: it wrote something other than its results")
    return rows


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not JSON")
    return value


def _is_outcome(row: Any) -> bool:
    if not isinstance(row, dict):
        return False
    error, line = row.get("error"), row.get("line")
    if row.keys() == {"error", "line"}:
        return isinstance(error, str) and len(error) <= MAX_ERROR_LENGTH and (line is None or type(line) is int)
    return row.keys() == {"output"}
