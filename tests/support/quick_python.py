"""A ``python`` for shell lines that starts scripts in a fraction of the time.

It hands its arguments, environment, folder and standard streams to a server that has the packages loaded; a fork of the
server runs the script as Python does, and ends as the script ends. What is no script (``-c``, ``-m``) goes to the real
Python. For the many commands of the guides; ``make soak`` runs them with the real one.
"""

from __future__ import annotations

import ast
import gc
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

PACKAGES = ("croniter", "dotenv", "jsonschema", "nexla_sdk", "pyjolt", "rich.table", "tenacity")
CLIENT = """import _socket, os, sys
if not sys.argv[1:] or not sys.argv[1].endswith(".py"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = _socket.socket(_socket.AF_UNIX)
server.connect({address!r})
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
server.sendmsg([b"-"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
job = repr((sys.argv[1:], os.getcwd(), dict(os.environ)))
server.sendall(job.encode() + b"\\n")
code = int(server.recv(10))
if code < 0:
    os.kill(os.getpid(), -code)
os._exit(code)
"""  # no module that Python has not loaded anyway
Job = tuple[list[str], str, dict[str, str]]  # its arguments, folder and environment


@contextmanager
def quick_python() -> Iterator[Path]:
    """The path of such a ``python``, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as name:  # a short one: the address of a socket is at most 103 bytes long
        address, client, python = (Path(name) / part for part in ("socket", "client.py", "python"))
        client.write_text(CLIENT.format(python=sys.executable, address=str(address)))
        python.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-IS", str(client)])} "$@"\n')
        python.chmod(0o700)
        words = [sys.executable, __file__, str(address)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdin
            assert server.stdout
            assert server.stdout.readline() == b"ready\n", "the server of the quick Python did not start"
            yield python
            server.stdin.close()  # which ends it


def serve(address: str) -> tuple[Job, list[int]]:
    """Answer each request by a fork, until standard input ends. Returns only in such forks, with what is to be run."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        os.write(1, b"ready\n")
        while True:
            if 0 in select.select([0, listener], [], [])[0]:
                os._exit(0)
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return start(connection)


def start(connection: socket.socket) -> tuple[Job, list[int]]:
    """Receive a job, and wait for the fork that runs it. Returns in that fork."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as request:
        job: Job = ast.literal_eval(request.readline().decode())
    child = os.fork()
    if child:
        if hasattr(os, "pidfd_open"):  # on Linux; elsewhere a script outlives a client that is killed
            script = os.pidfd_open(child)
            if script not in select.select([connection, script], [], [])[0]:
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        with suppress(BrokenPipeError):
            connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    connection.close()
    return job, streams


def run(job: Job, streams: list[int]) -> NoReturn:
    """Become the script, as ``python script.py …`` does."""
    words, folder, environ = job
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    known = sys.stdout.encoding
    sys.stdin = os.fdopen(0, "r", encoding=known, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=known, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding=known, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.argv[:] = words
    sys.path[0] = str(Path(words[0]).resolve().parent)
    code = 1
    try:
        runpy.run_path(words[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    for text in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            text.flush()
    os._exit(code)  # Python's own end, with all that is loaded, takes longer than many a script


if __name__ == "__main__":
    for name in PACKAGES:
        __import__(name)
    gc.freeze()
    run(*serve(sys.argv[1]))
