"""A script as a process of its own, forked from one that has the packages loaded: it can be killed like any other, and
starts in a fraction of the time. For the series of tests that kill a command at every request.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import tempfile
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

import jsonschema  # noqa: F401 - what the scripts need, loaded once
import nexla_sdk  # noqa: F401
import pyjolt  # noqa: F401
import tenacity  # noqa: F401

from support.children import PATIENCE
from support.done import Done

ROOT = Path(__file__).resolve().parents[2]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


def _run(script: str, args: tuple[str, ...], env: dict[str, str], files: tuple[str, str], gate: Connection) -> None:
    gate.recv()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    for number, name in zip((1, 2), files, strict=True):
        os.dup2(os.open(name, os.O_WRONLY), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
    sys.argv = [script, *args]
    code = importlib.import_module(script.removesuffix(".py")).main(list(args))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@cache
def _start_server() -> None:
    """Start the process that forks. It does not take over our module path (Python 3.11), so it gets it this way."""
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "scripts")])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = path
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _empty_file() -> str:
    descriptor, name = tempfile.mkstemp()
    os.close(descriptor)
    return name


class Forked:
    """A process that waits for a word before it does anything."""

    def __init__(self, script: str, args: tuple[str, ...], env: dict[str, str]) -> None:
        _start_server()
        self._files = tuple(_empty_file() for _ in range(2))
        self._gate, theirs = FORKS.Pipe()
        self._process = FORKS.Process(target=_run, args=(script, args, env, self._files, theirs), daemon=True)
        self._process.start()
        self.pid = self._process.pid
        self.command = " ".join([script, *args])

    def go(self) -> None:
        self._gate.send("go")

    def wait(self) -> Done:
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, f"{self.command} has not ended"
        texts = [Path(name).read_text(encoding="utf-8") for name in self._files]
        for name in self._files:
            Path(name).unlink()
        return Done(self._process.exitcode, *texts, self.command)
