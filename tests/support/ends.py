"""Ending a deployment at one of its requests: by a signal, or by taking away what reads its output."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

import support
from support import Exit, Sandbox
from support.fault_schedules import WANTED

SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGHUP": signal.SIGHUP}
STREAMS = {
    "closed standard output": ("stdout", errno.EPIPE), "closed standard error": ("stderr", errno.EPIPE),
    "full disk under standard output": ("stdout", errno.ENOSPC),
}  # fmt: skip
ENDS = (*SIGNALS, *STREAMS)
POINTS = range(1, 41, 2)  # a deployment sends fewer than 40 requests


class Broken(io.StringIO):
    """A stream that takes nothing any more."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, text: str) -> int:
        raise OSError(self._number, os.strerror(self._number))

    def flush(self) -> None:
        raise OSError(self._number, os.strerror(self._number))


def end_at(sandbox: Sandbox, folder: Path, how: str, point: int) -> None:
    """A deployment that meets this end at its request number ``point``, and what must be true afterwards.

    After a signal everything is undone, with exit 130, unless it came too late. Without a reader it is carried out.
    """
    path = support.write_config(folder, support.plant_orders(sandbox))
    before, sent = sandbox.resources(), 0
    send = HTTPAdapter.send

    def sending(self: Any, request: Any, **options: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == point and how in SIGNALS:
            os.kill(os.getpid(), SIGNALS[how])
        elif sent == point:
            name, number = STREAMS[how]
            patch.setattr(sys, name, Broken(number))
        return send(self, request, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", lambda self, request, *_, **options: sending(self, request, **options))
        done = sandbox.run_inside("deploy_flow.py", "--config", path)
    sandbox.idle()
    about = f"{how} at request {point} of {sent}"
    if how in STREAMS or done.code == Exit.OK:
        done.ok(about)
        assert sandbox.resources() == WANTED, about
        assert len(support.table(sandbox)) == 20, about
    else:
        done.ends(Exit.INTERRUPTED, about=about)
        assert sandbox.resources() == before, about
