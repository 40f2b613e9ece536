"""Change every constant that decides something by its smallest step, both ways: its table of boundary cases must fail.

    python tests/soak/mutate_constants.py [--only TEXT] [--list] [--jobs N]

One line for each change: ``killed`` when the table failed, ``SURVIVED`` when it passed. Exit 1 when one survived, when
a table fails without a change, and when a constant of scripts/ is neither in the table nor exempt for a reason.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import importlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from soak.constants import EXEMPT, PINS, Pin  # noqa: E402 - the path comes first
from soak.places import changed, unpinned  # noqa: E402

SECONDS = 120  # for one table, which takes less than one; a change may make it endless
PASSED, FAILED = 0, 1  # pytest's own exit codes
TIMES = itertools.count(1)  # seconds since 1970: no file that anybody works on is as old
PACKAGES = ("_hypothesis_pytestplugin", "anyio.pytest_plugin", "croniter", "duckdb", "hypothesis", "jsonschema",
            "nexla_sdk", "pydantic", "pyjolt", "pytest", "rich.table", "tenacity", "xdist.plugin")  # fmt: skip


class Job(NamedTuple):
    """One change: the constant, and what is added to it. Without a step nothing is changed."""

    pin: Pin
    step: str = ""

    @property
    def title(self) -> str:
        return f"{self.pin.module} {self.pin.name} {self.step}".rstrip()


def copied(folder: Path) -> Path:
    """The tracked files of the repository, and new ones, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def run_tables(copy: Path, tables: Sequence[str], report: Path) -> NoReturn:
    """What ``python -m pytest`` would do in the copy, in a process that has the packages loaded. Does not return."""
    signal.alarm(SECONDS)
    output = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(copy)
    sys.path[:] = [str(copy), *(path for path in sys.path if not path.startswith(str(ROOT / "tests")))]
    import pytest  # noqa: PLC0415 - of the parent, as the other packages

    code = 99
    with contextlib.suppress(BaseException):
        code = int(pytest.main(["-n", "0", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=line", *tables]))
    os._exit(code)


class Slot:
    """A copy of the repository, with at most one change and one run of a table at a time."""

    def __init__(self, folder: Path) -> None:
        self.copy, self.report = copied(folder / "copy"), folder / "report.txt"
        self.job: Job | None = None
        self._original, self._time = b"", 0

    def start(self, job: Job, tables: Sequence[str]) -> int:
        """Make the change and run the tables. Returns the id of the process."""
        self.job, file = job, self.copy / "scripts" / job.pin.module
        self._original, self._time = file.read_bytes(), file.stat().st_mtime_ns
        if job.step:
            file.write_text(changed(self._original.decode(), job.pin.name, job.step), encoding="utf-8")
            os.utime(file, (own := next(TIMES), own))  # or what is compiled of a change would be taken for the next one
        sys.stdout.flush()
        process = os.fork()
        if not process:
            run_tables(self.copy, tables, self.report)
        return process

    def end(self) -> tuple[Job, str]:
        """Take the change back. Returns it and what the tests wrote."""
        assert self.job
        file = self.copy / "scripts" / self.job.pin.module
        file.write_bytes(self._original)
        os.utime(file, ns=(self._time, self._time))
        return self.job, self.report.read_text(encoding="utf-8", errors="replace")


def outcomes(jobs: Sequence[Job], slots: Sequence[Slot]) -> Iterator[tuple[Job, int, str]]:
    """Each change with the exit code of its table (negative for a signal), in the order in which they end."""
    waiting, free, running = list(reversed(jobs)), list(slots), dict[int, Slot]()
    while waiting or running:
        while waiting and free:
            job, slot = waiting.pop(), free.pop()
            running[slot.start(job, [job.pin.table])] = slot
        process, status = os.wait()
        slot = running.pop(process)
        free.append(slot)
        job, text = slot.end()
        yield job, os.waitstatus_to_exitcode(status), text


def red_without_change(slot: Slot, tables: Sequence[str]) -> str:
    """What the tables write when they fail as they are; empty when they pass. It also compiles the modules."""
    process = slot.start(Job(PINS[0]), tables)
    _, status = os.waitpid(process, 0)
    _, text = slot.end()
    return "" if os.waitstatus_to_exitcode(status) == PASSED else text


def verdict(code: int) -> str:
    if code == PASSED:
        return "SURVIVED"
    if code in (FAILED, -signal.SIGALRM):
        return "killed"
    return f"NOT RUN (exit {code})"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="TEXT", default="", help="only constants whose module and name hold this")
    parser.add_argument("--list", action="store_true", help="print the constants and their tables, and exit")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="tables side by side")
    args = parser.parse_args(argv)
    pins = [pin for pin in PINS if args.only in f"{pin.module} {pin.name}"]
    if not pins:
        parser.error(f"no constant is named {args.only!r}")
    if args.list:
        sys.stdout.write("".join(f"{pin.module} {pin.name} ±{pin.step}: {pin.table}\n" for pin in pins))
        sys.stdout.write("".join(f"exempt: {name}: {reason}\n" for name, reason in EXEMPT.items()))
        return 0
    problems = unpinned(ROOT / "scripts", {f"{pin.module} {pin.name}" for pin in PINS}, EXEMPT.keys())
    sys.stdout.write("".join(f"{text}\n" for text in problems))
    for name in PACKAGES:  # each run of a table is a fork, which need not load them again
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    atexit.register(gc.unfreeze)
    gc.freeze()  # nor look through them for what can be thrown away
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        slots = [Slot(Path(folder) / str(number)) for number in range(max(1, args.jobs))]
        tables = sorted({pin.table for pin in pins})
        for slot in slots:
            if text := red_without_change(slot, tables):
                sys.stdout.write(f"the tables fail without any change:\n{text}\n")
                return 1
        jobs = [Job(pin, f"{sign} {pin.step}") for pin in pins for sign in "+-"]
        counts = {"killed": 0}
        for job, code, text in outcomes(jobs, slots):
            found = verdict(code)
            counts[found] = counts.get(found, 0) + 1
            sys.stdout.write(f"{found:<8} {job.title}: {job.pin.table}\n")
            if code not in (PASSED, FAILED):
                sys.stdout.write(text)
    summary = ", ".join(f"{number} {found}" for found, number in counts.items())
    names = len({(pin.module, pin.name) for pin in pins})
    seconds = time.monotonic() - started
    sys.stdout.write(f"{names} constants, {len(jobs)} changes: {summary}; {len(EXEMPT)} exempt; {seconds:.0f} s\n")
    return 0 if counts["killed"] == len(jobs) > 0 and not problems else 1


if __name__ == "__main__":
    raise SystemExit(main())
