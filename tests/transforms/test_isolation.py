"""A script that has got past the guard in its own process finds nothing to read and nobody to talk to."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from helpers.transforms import script_process
from support import CLEAN, SCRIPTS, run_words
from support.hostile import PAST_THE_GUARD, UNISOLATED, break_out, needs_isolation, needs_unshare, program
from support.transforming import script

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
        places = (given, f"/..{given}", "/../home", "/home", "/proc", "/etc/ssh", "/tmp", "/run", "/sys")
        listings = [tried(os.listdir, path) for path in places]
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


@needs_isolation
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
    # From Python 3.13 on, this way around the guard is closed: the guard itself refuses.
    refusal = "PermissionError" if sys.version_info >= (3, 13) else "FileNotFoundError"
    assert done.data[0]["output"]["found"] == [refusal] * 2


OPEN_FILES = "return [number for number in range(3, 4096) if not str(tried(os.fstat, number)).startswith('OSError')]"


@contextlib.contextmanager
def inheritable(folder: Path) -> Iterator[int]:
    """An open file that every process started meanwhile may get."""
    secret = folder / "secret"
    secret.write_text("x")
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        yield file.fileno()


@needs_isolation
def test_it_gets_no_descriptors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with inheritable(tmp_path):
        assert break_out(monkeypatch, tmp_path, OPEN_FILES) == []


@pytest.mark.parametrize("number", [3, 63, 64, 65, 259, 1000])
@pytest.mark.parametrize("before", [
    pytest.param([], marks=needs_isolation, id="isolated"),
    pytest.param(UNISOLATED, marks=needs_unshare, id="not-isolated"),
])  # fmt: skip
def test_it_gets_none_from_whoever_starts_it_with_open_files(tmp_path: Path, before: list[str], number: int) -> None:
    (tmp_path / "empty").mkdir()
    file = script(tmp_path, program(OPEN_FILES), "program.py")
    jail = [*before, sys.executable, "-I", "-S", str(script_process.JAIL), "preferred", str(os.getpid()), file]
    with inheritable(tmp_path) as secret:
        with_number = f"import os, sys; os.dup2({secret}, {number}); os.execvp(sys.argv[1], sys.argv[1:])"
        done = subprocess.run([sys.executable, "-c", with_number, *jail], env=CLEAN, cwd=tmp_path / "empty",
                              input='{"records": [0]}', pass_fds=[secret], capture_output=True, text=True)  # fmt: skip
    assert json.loads(done.stdout) == [{"output": []}], done.stderr


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
        return os.getpid(), os.getppid(), [tried(os.kill, number, 9) for number in (given, 1, -1)]
    """
    own, parent, (kill, *_) = break_out(monkeypatch, tmp_path, body, os.getpid())
    assert (own, parent) == (2, 1)  # it has a world of its own, and does not see the way out
    assert "ProcessLookupError" in kill


@needs_isolation
def test_it_gets_no_rights_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = """
        import ctypes
        new_rights_forbidden = ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)
        return new_rights_forbidden, tried(os.chroot, "/"), tried(os.mknod, "/dev/x"), tried(os.setgroups, [])
    """
    forbidden, *tries = break_out(monkeypatch, tmp_path, body)
    assert forbidden == 1
    assert all("PermissionError" in str(result) or "Read-only" in str(result) for result in tries), tries
