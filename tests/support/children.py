"""Scripts as processes of their own that are held, let go, watched, and killed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Protocol

from support.done import Done, Exit

PATIENCE = 300.0  # seconds, for what comes at once on an idle machine


class Held(Protocol):
    """A process that waits for a word before it does anything."""

    pid: int | None

    def go(self) -> None: ...

    def wait(self) -> Done: ...


class Child:
    """A process with pipes, which reads one line of standard input before it does anything."""

    def __init__(self, process: subprocess.Popen[str], command: str) -> None:
        self.pid, self.command, self._process = process.pid, command, process
        self._read: dict[str, list[str]] = {"out": [], "err": []}

    def go(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def line(self, stream: str = "err") -> str:
        """The next line of ``out`` or ``err``; empty at the end."""
        source: IO[str] | None = self._process.stdout if stream == "out" else self._process.stderr
        assert source
        self._read[stream].append(source.readline())
        return self._read[stream][-1]

    def has_said(self, text: str, stream: str = "err") -> None:
        """Read on until a line holds the text."""
        while text not in (line := self.line(stream)):
            assert line, f"{self.command} has ended without {text!r}: {''.join(self._read[stream])}"

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def wait(self) -> Done:
        """Its end; what was read of its lines already is there too."""
        streams = {"out": self._process.stdout, "err": self._process.stderr}
        with ThreadPoolExecutor(len(streams)) as pool:
            rest = {name: pool.submit(stream.read) for name, stream in streams.items() if stream}
        code = self._process.wait(PATIENCE)
        return Done(code, *("".join(self._read[name]) + rest[name].result() for name in streams), self.command)


def ended_as(ends: Sequence[Done], *allowed: Sequence[Exit]) -> list[int]:
    """These are the exit codes, in any order, or those; returns them, sorted."""
    __tracebackhide__ = True
    codes = sorted(done.code for done in ends)
    assert codes in [sorted(codes_) for codes_ in allowed], "\n\n".join(
        done.described("it may not end so") for done in ends
    )
    return codes


def finish(child: Held) -> Done:
    """Let one go, and wait for its end."""
    child.go()
    return child.wait()


def at_once(children: Sequence[Held]) -> list[Done]:
    """Let several go at the same time, and wait for all of them."""
    for child in children:
        child.go()
    return [child.wait() for child in children]
