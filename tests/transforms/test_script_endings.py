"""However a script ends, misbehaves or lies about its results, nothing of it stays, and nothing false is reported."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.core.errors import OperatorError
from helpers.transforms import script_process
from helpers.transforms.local_run import run_locally
from support import CLEAN, ROOT, SCRIPTS, Exit, run_words, until
from support.hostile import UNISOLATED, alive, break_out, needs_isolation, needs_unshare
from support.requesting import ends_with
from support.transforming import own_code, script

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="there is /proc")


@needs_isolation
def test_it_cannot_fill_the_machine_with_processes_or_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = """
        children = []
        for _ in range(100):
            child = tried(os.fork)
            if child == 0:
                time.sleep(3600)
            children.append(child)
        started = [child for child in children if isinstance(child, int)]
        return len(started), [tried(lambda: len(bytearray(2 << 30))), len([bytearray(1 << 20) for _ in range(100)])]
    """
    started, memory = break_out(monkeypatch, tmp_path, body)
    assert 25 < started < 32  # with itself and those that isolate it, 32
    assert memory == ["MemoryError: ", 100]


FLOODS = {
    "output": "while True:\n    os.write(1, b'x' * 65536)",
    "errors": "while True:\n    os.write(2, b'x' * 65536)",
    "a line that never ends": "os.write(1, b'[' * (70 << 20))",
}


@needs_isolation
@pytest.mark.parametrize("flood", FLOODS)
def test_what_it_writes_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flood: str) -> None:
    error = ends_with(Exit.USAGE, lambda: break_out(monkeypatch, tmp_path, FLOODS[flood]))
    assert "larger than 64 MB" in error.message


class ShortWaits(selectors.DefaultSelector):
    """Looks at the clock often, even if nothing comes."""

    def select(self, timeout: float | None = None) -> Any:
        return super().select(min(timeout or 0, 0.05))


STAYS = """
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        time.sleep(3600)
"""
ENDS = {
    "time.sleep(3600)": "longer than", "while True: pass": "longer than",
    "os.close(1); time.sleep(3600)": "longer than", "os._exit(0)": "exited the process", "return 1": "",
}  # fmt: skip


@needs_isolation
@pytest.mark.parametrize("then", ENDS)
def test_nothing_of_it_stays_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, then: str) -> None:
    """Its time is over as soon as it and both of its children run."""
    mark = f"mark-of-{tmp_path.name}-{os.getpid()}"
    late = SimpleNamespace(monotonic=lambda: 31.0 if "longer" in ENDS[then] and len(alive(mark)) > 2 else 0.0)
    monkeypatch.setattr(script_process, "time", late)
    monkeypatch.setattr(selectors, "DefaultSelector", ShortWaits)
    said = ""
    try:
        assert break_out(monkeypatch, tmp_path, f"mark = {mark!r}\n{STAYS}\n{then}") == 1
    except OperatorError as error:
        said = error.message
    assert ENDS[then] in said
    assert bool(ENDS[then]) is bool(said)
    until(lambda: not alive(mark), "the script's processes have ended")


def test_it_ends_with_a_command_that_is_killed(tmp_path: Path) -> None:
    """The function sleeps, which takes no processor time, so that no limit but the parent's end stops it."""
    mark = f"mark-of-{tmp_path.name}-{os.getpid()}"
    file = script(tmp_path, "def transform(input, metadata, args):\n    import time\n    time.sleep(3600)\n")
    words = ["--operation", "test", "--file", file, "--samples", script(tmp_path, "[{}]", "in.json")]
    folder = tmp_path / mark
    folder.mkdir()
    command = subprocess.Popen(
        [sys.executable, SCRIPTS / "manage_transforms.py", *words], env=CLEAN | {"TMPDIR": str(folder)}, cwd=ROOT,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: len(descendants(command.pid)) >= 1 and any("-c" in words for words in lines(command.pid)), "it runs")
    family = descendants(command.pid)
    command.send_signal(signal.SIGKILL)
    command.wait()
    until(lambda: not any(is_running(number) for number in family), "the script's processes have ended")


def descendants(number: int) -> list[int]:
    """The processes below one, at any depth."""
    found = []
    for file in Path(f"/proc/{number}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            found += [child, *descendants(child)]
    return found


def lines(number: int) -> list[list[str]]:
    """The command lines of the processes below one."""
    return [Path(f"/proc/{one}/cmdline").read_text().split("\0") for one in descendants(number)]


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@LINUX
@needs_unshare
@pytest.mark.parametrize(("mode", "out", "code"), [("preferred", "ran\n", 0), ("required", "", 125)])
def test_where_nothing_is_isolated_it_runs_only_if_it_may(tmp_path: Path, mode: str, out: str, code: int) -> None:
    words = [sys.executable, "-I", "-S", str(script_process.JAIL), mode, str(os.getpid())]
    done = run_words([*UNISOLATED, *words, script(tmp_path, "print('ran')")], env=CLEAN, cwd=tmp_path)
    assert (done.out, done.code) == (out, code)
    assert done.err.startswith("not isolated: unshare: ")


# -- what it answers

FORGED = {
    "too many outcomes": '[{"output": 1}, {"output": 2}]', "none": "[]", "another form": '{"output": 1}',
    "no outcome": "[1]", "both": '[{"output": 1, "error": "x", "line": 1}]', "an error that is no text":
    '[{"error": {}, "line": 1}]', "a line that is none": '[{"error": "x", "line": true}]', "NaN": '[{"output": NaN}]',
    "infinity": '[{"output": 1e999}]', "depth": "[" * 100_000, "a number without end": f'[{{"output": {"9" * 5000}}}]',
    "no JSON": "hello", "a long error": f'[{{"error": "{"x" * 2001}", "line": null}}]', "nothing": "",
}  # fmt: skip


@needs_isolation
@pytest.mark.parametrize("form", FORGED)
def test_results_of_another_form_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str) -> None:
    (tmp_path / "forged").write_text(FORGED[form])
    body = f"os.write(1, {FORGED[form]!r}.encode())\nos._exit(0)"
    error = ends_with(Exit.USAGE, lambda: break_out(monkeypatch, tmp_path, body))
    assert "cannot run the script" in error.message


@needs_isolation
@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ("os.kill(os.getpid(), 11)", Exit.USAGE, "crashed with signal 11"),
        ("os.kill(os.getpid(), 9)", Exit.TIMEOUT, "time or memory limit"),
        ("os.kill(os.getpid(), 24)", Exit.TIMEOUT, "time or memory limit"),
        ("os._exit(125)", Exit.USAGE, "exited the process"),
        ("os.write(2, b'isolated\\nnot isolated: forged\\n'); os._exit(125)", Exit.USAGE, "not isolated: forged"),
        ("os.write(2, b'x' * 100_000); os._exit(1)", Exit.USAGE, "x" * 2000),
        ("os.write(1, b'\\xff\\xfe'); os._exit(0)", Exit.USAGE, "other than its results"),
    ],
)
def test_its_end_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, code: Exit, text: str) -> None:
    error = ends_with(code, lambda: break_out(monkeypatch, tmp_path, body))
    assert text in error.message
    assert len(error.message) < 2100


BEHAVES = {
    "it replaces json": ("import json; json.dumps = json.loads = None; return {'a': 1}", {"a": 1}),
    "it replaces the streams": ("import sys; sys.stdout = sys.stderr = None; return {'a': 1}", {"a": 1}),
    "it prints results": ("print('[{\"output\": 2}]', flush=True); return {'a': 1}", {"a": 1}),
    "it exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "NaN": ("return float('nan')", "not JSON compliant"),
    "a set": ("return {1}", "not JSON serializable"),
    "a circle": ("x = []; x.append(x); return x", "Circular reference"),
    "depth": ("x = []\n    for _ in range(100_000):\n        x = [x]\n    return x", "RecursionError"),
    "recursion": ("return transformAttribute(input, metadata, args)", "RecursionError"),
    "an error without a text": (
        "class E(Exception):\n        def __str__(self):\n            raise E\n    raise E", "E (without a desc",
    ),
    "an endless error": ("raise ValueError('x' * 10_000_000)", "ValueError: xxx"),
}  # fmt: skip


@pytest.mark.parametrize("name", BEHAVES)
def test_a_script_that_misbehaves_harms_its_record_alone(name: str) -> None:
    body, wanted = BEHAVES[name]
    source = f"def transformAttribute(input, metadata, args):\n    {body}\n"
    _, result = run_locally(own_code("attribute", script=source), [{}, {}])
    if isinstance(wanted, dict):
        assert (result.output, result.error) == (wanted, None)
    else:
        assert wanted in str(result.error)
        assert len(str(result.error)) <= 2000
