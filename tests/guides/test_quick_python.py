"""The quick ``python`` of the guides' tests does what the real one does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import CLEAN, SCRIPTS, Done, run_words, until
from support.quick_python import quick_python

SCRIPT = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ["SHOWN"], sys.stdin.read(), sys.path[0], __name__, sys.stdout.encoding)
print("to the other stream", file=sys.stderr)
"""
ENDS = {
    "its end": "",
    "an exit code": "sys.exit(7)",
    "no exit code": "sys.exit()",
    "a defect": "1 / 0",
    "a kill": "sys.stdout.flush(); os.kill(os.getpid(), 9)",
}


@pytest.fixture(scope="module")
def quick() -> Iterator[Path]:
    with quick_python() as python:
        yield python


def both(quick: Path, folder: Path, *words: str) -> tuple[Done, Done]:
    env = {**CLEAN, "SHOWN": "a value"}
    real, ours = (
        run_words([python, *words], env=env, cwd=folder, stdin="typed\n") for python in (sys.executable, quick)
    )
    return real, ours


@pytest.mark.parametrize("end", ENDS)
def test_a_script_ends_as_it_does_elsewhere(quick: Path, tmp_path: Path, end: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT + ENDS[end])
    real, ours = both(quick, tmp_path, "script.py", "--flag", "two words")
    assert (ours.code, ours.out) == (real.code, real.out), ours.err
    assert real.err.splitlines()[0] == ours.err.splitlines()[0]
    assert real.err.splitlines()[-1] == ours.err.splitlines()[-1]


def test_what_is_no_script_goes_to_the_real_one(quick: Path, tmp_path: Path) -> None:
    real, ours = both(quick, tmp_path, "-c", "import sys; print(sys.flags, len(sys.modules)); sys.exit(3)")
    assert (ours.code, ours.out, ours.err) == (real.code, real.out, real.err)


def test_nothing_of_the_bundle_is_loaded_before(quick: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys; print([name for name in sys.modules if 'helpers' in name])")
    assert both(quick, tmp_path, "script.py")[1].ok().out == "[]\n"
    assert (
        both(quick, tmp_path, str(SCRIPTS / "list_resources.py"), "--version")[1].ok().out.startswith("list_resources")
    )


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when another process ends")
def test_with_its_client_a_script_ends(quick: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import os, time; print(os.getpid(), flush=True); time.sleep(86_400)")
    with subprocess.Popen([quick, "script.py"], cwd=tmp_path, stdout=subprocess.PIPE) as client:
        assert client.stdout
        script = int(client.stdout.readline())
        client.kill()
    until(lambda: not Path(f"/proc/{script}").exists(), "the script has ended")
