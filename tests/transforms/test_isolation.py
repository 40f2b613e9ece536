"""A script that has got past the guard in its own process finds nothing to read, nobody to talk to, and an end."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.core.errors import OperatorError
from helpers.transforms import script_process
from helpers.transforms.local_run import run_locally
from support import CLEAN, ROOT, SCRIPTS, Exit, run_words, until
from support.hostile import PAST_THE_GUARD, UNISOLATED, alive, break_out, needs_isolation, needs_unshare, program
from support.requesting import ends_with
from support.transforming import own_code, script

KEY = "a-service-key-that-nobody-may-see"
DRIVER = """
import sys, pathlib
sys.path.insert(0, sys.argv.pop(1))
from helpers.transforms import script_process
script_process.WORKER = pathlib.Path(sys.argv.pop(1))
import manage_transforms
sys.exit(manage_transforms.main(sys.argv[1:]))
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="there is /proc")


# -- what it sees


@needs_isolation
def test_it_gets_no_environment_and_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    body = """
        names = [n for n in os.environ if n != "LC_CTYPE"]  # Python sets this one itself
        listings = [tried(os.listdir, path) for path in (given, "/home", "/proc", "/etc/ssh", "/tmp", "/run", "/sys")]
        return names, listings, os.getcwd(), os.listdir("."), os.listdir("/dev")
    """
    names, listings, place, there, devices = break_out(monkeypatch, tmp_path, body, str(tmp_path))
    assert (names, place, there, devices) == ([], "/work", [], ["null"])
    assert all("FileNotFoundError" in str(listing) for listing in listings), listings


@needs_isolation
def test_it_writes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = """
        places = [".", "/", "/dev", "/tmp", "/usr/lib", os.path.dirname(os.__file__), given]
        return [tried(lambda: open(f"{place}/written", "w").write("x")) for place in places]
    """
    found = break_out(monkeypatch, tmp_path, body, str(tmp_path))
    assert all("Read-only file system" in str(error) for error in found[:2]), found
    assert all("Error" in str(error) for error in found), found


@needs_isolation
def test_the_folder_that_it_ran_in_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(script_process.tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    assert break_out(monkeypatch, tmp_path, "return os.getcwd()") == "/work"
    assert list((tmp_path / "tmp").iterdir()) == []


def attacking_command(tmp_path: Path, worker: str, *, before: Sequence[str] = ()) -> list[str]:
    """The command that tests a local file, with a worker that the file has overcome."""
    file = script(tmp_path, "def transform(input, metadata, args):\n    return input\n")
    words = ["--operation", "test", "--file", file, "--samples", script(tmp_path, "[{}]", "in.json")]
    driver = [sys.executable, "-c", DRIVER, str(SCRIPTS), script(tmp_path, worker, "worker.py")]
    return [*before, *driver, *words, "--format", "json"]


READS_THE_KEY = """
    found = []
    for name in [str(os.getppid()), *(n for n in tried(os.listdir, "/proc") if n.isdigit())]:
        for file in ("environ", "mem", "cmdline", "maps"):
            data = tried(lambda: open(f"/proc/{name}/{file}", "rb").read(1 << 20))
            found.append([file, "a-service-key" in repr(data) if isinstance(data, bytes) else data])
    return {"found": found}
"""


@needs_isolation
def test_the_service_key_cannot_be_read(tmp_path: Path) -> None:
    env = CLEAN | {"NEXLA_SERVICE_KEY": KEY}
    done = run_words(attacking_command(tmp_path, program(READS_THE_KEY)), env=env).ok()
    found = done.data[0]["output"]["found"]
    assert found
    assert all("FileNotFoundError" in str(result) for _, result in found), found


@LINUX
@needs_unshare
def test_the_service_key_cannot_be_read_where_nothing_is_isolated(tmp_path: Path) -> None:
    """The second line: while a script runs, the command itself cannot be read by others of the same user."""
    env = CLEAN | {"NEXLA_SERVICE_KEY": KEY}
    body = """
        def read(file):
            return open(f"/proc/{os.getppid()}/{file}", "rb").read(100)
        return {"its": [tried(read, "environ"), tried(read, "mem")]}
    """
    done = run_words(attacking_command(tmp_path, program(body), before=UNISOLATED), env=env).ok()
    output = done.data[0]["output"]
    assert all("PermissionError" in str(result) for result in output["its"]), output
    (warning,) = [text for text in done.json["warnings"] if "does not isolate" in text]
    assert "could reach files and the network" in warning


@LINUX
def test_a_script_that_gets_around_the_guard_reads_no_key(tmp_path: Path) -> None:
    """As a user runs it: nothing is in the worker's place here."""
    source = f"""{PAST_THE_GUARD}
def transform(input, metadata, args):
    found = []
    for number in (os.getppid(), os.getpid()):
        try:
            found.append(open(f"/proc/{{number}}/environ").read())
        except OSError as error:
            found.append(type(error).__name__)
    return {{"found": found}}
"""
    words = [
        "--operation",
        "test",
        "--file",
        script(tmp_path, source),
        "--samples",
        script(tmp_path, "[{}]", "in.json"),
    ]
    command = [sys.executable, SCRIPTS / "manage_transforms.py", *words]
    done = run_words(command, env=CLEAN | {"NEXLA_SERVICE_KEY": KEY}).ok()
    assert KEY not in done.out
    assert "FileNotFoundError" in done.data[0]["output"]["found"][0] or not Path("/proc").exists()


@needs_isolation
def test_it_gets_no_descriptors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        body = "return [number for number in range(3, 1024) if not str(tried(os.fstat, number)).startswith('OSError')]"
        assert break_out(monkeypatch, tmp_path, body) == []


# -- whom it reaches


@needs_isolation
def test_it_reaches_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    address = f"\0listener-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix, socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM
    ) as udp, socket.socket(socket.AF_UNIX) as abstract:  # fmt: skip
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(tmp_path / "listener"))
        abstract.bind(address)
        for listener in (unix, abstract):
            listener.listen()
        body = """
            import socket
            def connect(family, address):
                with socket.socket(family) as end:
                    end.settimeout(5)
                    return end.connect(address)
            tcp, udp, path, abstract = given
            outside = ("192.0.2.1", 80)
            calls = [(socket.AF_INET, ("127.0.0.1", tcp)), (socket.AF_INET, outside), (socket.AF_UNIX, path),
                     (socket.AF_UNIX, abstract)]
            found = [tried(connect, *call) for call in calls]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                return [*found, tried(end.sendto, b"x", ("127.0.0.1", udp))]
        """
        given = [tcp.getsockname()[1], udp.getsockname()[1], str(tmp_path / "listener"), address]
        found = break_out(monkeypatch, tmp_path, body, given)
        assert all("Error" in str(result) for result in found), found
        for listener in (tcp, unix, abstract, udp):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.recv(1) if listener is udp else listener.accept()


@needs_isolation
def test_it_reaches_no_other_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = """
        kills = [tried(os.kill, number, 9) for number in (given, 1)]
        return os.getppid(), kills, tried(os.kill, -1, 0), tried(os.setuid, 0), tried(os.unshare, 0x10000000) if (
            hasattr(os, "unshare")) else "", os.getpid()
    """
    parent, kills, everybody, user, _, own = break_out(monkeypatch, tmp_path, body, os.getpid())
    assert (parent, own) == (1, 2)  # it has a world of its own, and does not see the way out
    assert "ProcessLookupError" in kills[0]
    assert "Error" in str(everybody)
    assert "PermissionError" in str(user) or os.getuid() != 0


# -- how it ends


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
