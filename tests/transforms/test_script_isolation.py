"""A script that does not look for a way around the guard cannot reach out, spy, flood or hang."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from helpers.core.errors import OperatorError
from helpers.transforms import script_process
from helpers.transforms.local_run import run_locally
from helpers.transforms.script_process import WORKER
from support import Exit, Sandbox, run_words
from support.transforming import RECORDS, manage, own_code, script


@pytest.mark.parametrize(
    "body",
    [
        "import socket; socket.create_connection(('127.0.0.1', 80))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1')",
        "import os; os.system('true')",
        "import subprocess; subprocess.run(['true'])",
        "open('/tmp/written-by-a-transform', 'w').write('x')",
        "import os; os.remove('/tmp/nothing')",
        "import ctypes; ctypes.CDLL(None)",
    ],
)
def test_a_script_cannot_reach_out(body: str) -> None:
    (outcome,) = run_locally(
        own_code("attribute", script=f"def transformAttribute(input, metadata, args):\n    {body}\n"), [{}]
    )
    assert "PermissionError: a transform cannot" in str(outcome.error), outcome
    assert not Path("/tmp/written-by-a-transform").exists()


@pytest.mark.parametrize(
    "body",
    [
        "import os; fd = os.open('/tmp/x-written', os.O_CREAT | os.O_WRONLY); return 1",
        "import os; return open('/proc/' + str(os.getppid()) + '/environ').read()",
        "return open('/etc/passwd').read()",
        "import json; open(json.__file__, 'a')",
        "import os; os.open(os.__file__, os.O_WRONLY)",
        "import os; return os.listdir('/proc')",
        "import sqlite3; sqlite3.connect('/tmp/x.db')",
        "import _posixsubprocess; return 1",
        "import __main__; __main__.FORBIDDEN = ()",
        "import os; os.kill(os.getppid(), 0)",
    ],
)
def test_a_script_cannot_spy(body: str) -> None:
    source = f"def transformAttribute(input, metadata, args):\n    {body}\n"
    (outcome,) = run_locally(own_code("attribute", script=source), [{}])
    assert "PermissionError: a transform cannot" in str(outcome.error), outcome
    assert not Path("/tmp/x-written").exists()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("import sys; sys.stdout.buffer.write(b'\\xff'); return 1", None),
        ("import threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); return 1", None),
        ("raise KeyboardInterrupt('mine')", "KeyboardInterrupt: mine"),
    ],
)
def test_side_effects_of_a_script_go_nowhere(body: str, error: str | None) -> None:
    code = own_code("attribute", script=f"def transformAttribute(input, metadata, args):\n    {body}\n")
    (outcome,) = run_locally(code, [{}])
    assert (outcome.output, outcome.error) == (None if error else 1, error)


def test_what_a_script_prints_without_end_does_not_reach_the_caller() -> None:
    source = "import sys\n[print('x' * 1000, file=f) for _ in range(1000) for f in (sys.stdout, sys.stderr)]\n"
    job = {"source": source + "def transform(i, m, a):\n    print('more')\n    return i\n", "records": [{"a": 1}]}
    done = run_words([sys.executable, "-I", WORKER], env={}, stdin=json.dumps(job)).ok()
    assert (done.json, done.err) == ([{"output": {"a": 1}}], "")


def test_an_output_that_would_fill_the_memory_here_is_refused() -> None:
    code = own_code("attribute", script="def transformAttribute(input, metadata, args):\n    return 'x' * 40_000_000\n")
    assert len(run_locally(code, [{}])[0].output) == 40_000_000
    with pytest.raises(OperatorError, match="larger than 64 MB"):
        run_locally(code, [{}] * 2)


def test_a_script_that_never_ends_or_eats_all_memory_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(script_process, "SCRIPT_SECONDS", 0.3)
    with pytest.raises(OperatorError, match=r"longer than 0\.3 s"):
        run_locally(
            own_code("attribute", script="def transformAttribute(a, b, c):\n    while True:\n        pass\n"), [{}]
        )
    monkeypatch.undo()
    (outcome,) = run_locally(
        own_code("attribute", script="def transformAttribute(a, b, c):\n    return 'x' * (1 << 33)\n"), [{}]
    )
    assert "MemoryError" in str(outcome.error)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("import os; os._exit(0)", Exit.USAGE),
        ("print('[]', flush=True); return {}", Exit.OK),
        ("import os; os.write(1, b'[]'); return {}", Exit.OK),
    ],
)
def test_a_script_that_writes_or_ends_by_itself_breaks_nothing(
    sandbox: Sandbox, tmp_path: Path, body: str, code: Exit
) -> None:
    file = script(tmp_path, f"def transform(input, metadata, args):\n    {body}\n")
    records = script(tmp_path, json.dumps(RECORDS[:1]), "s.json")
    manage(sandbox, "test", "--file", file, "--samples", records).ends(code)
