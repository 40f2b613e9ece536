"""Scripts that try to get out: past the guard in their process, where only the isolation is left to stop them."""

from __future__ import annotations

import functools
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from helpers.core.errors import Exit
from helpers.transforms import script_process
from helpers.transforms.script_process import Job, run_script

# A system that does not allow namespaces, and a user without rights: what follows runs there.
UNISOLATED = [
    "unshare", "-Ur", "sh", "-c", 'echo 1 > /proc/sys/user/max_user_namespaces; exec unshare -U --map-user=1000 "$@"',
    "sh",
]  # fmt: skip
BROKEN_OUT = """
import json, os, sys, time
given = json.load(sys.stdin)["records"][0]
def tried(action, *args):
    try:
        return action(*args)
    except BaseException as error:
        return f"{{type(error).__name__}}: {{error}}"
def attack():
{body}
print(json.dumps([{{"output": tried(attack)}}]))
"""
# Past the guard: it asks this function which file a path means.
PAST_THE_GUARD = """
import os, posixpath
def _where(*args, **options):
    return os.path.dirname(os.__file__)
posixpath._joinrealpath = lambda *args, **options: (_where(), True)
posixpath.abspath = _where
"""


@functools.cache
def is_isolating() -> bool:
    """Whether this system allows it, whatever the scripts make of that. If not, scripts from Nexla are refused."""
    words = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--mount", "--ipc", "--uts", "--fork", "true"]
    return (
        shutil.which("unshare") is not None and subprocess.run(words, stderr=subprocess.DEVNULL).returncode == Exit.OK
    )


needs_isolation = pytest.mark.skipif(
    "not __import__('support.hostile').hostile.is_isolating()", reason="this system isolates nothing: see the refusals"
)
needs_unshare = pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare to take the namespaces away")


def program(body: str) -> str:
    """A program in the worker's place that runs this body, indented or not, and answers what it returns."""
    return BROKEN_OUT.format(body=textwrap.indent(textwrap.dedent(body), "    "))


def break_out(patch: pytest.MonkeyPatch, folder: Path, body: str, given: Any = None) -> Any:
    """What a script gets that has overcome the guard: the value that the body returns, or its error as a text."""
    file = folder / "broken_out.py"
    file.write_text(program(body))
    patch.setattr(script_process, "WORKER", file)
    return run_script(Job("", [given], {}, "f"), must_isolate=True).outcomes[0]["output"]


def alive(mark: str) -> list[int]:
    """The processes with this text in their command line."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_text(errors="replace")
        except OSError:  # it has just ended
            continue
        if mark in words:
            found.append(int(file.parent.name))
    return found
