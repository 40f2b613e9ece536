"""Run random series for some minutes, or one of them again: ``make soak MINUTES=10``, ``make soak SEED=4711``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests")]

import pytest  # noqa: E402 - after the paths

from soak.series import Tally, series_of  # noqa: E402
from support import Sandbox, start_sandbox  # noqa: E402
from support.chaos.scenarios import COMMANDS  # noqa: E402
from support.clocks import VirtualClock  # noqa: E402

VIRTUAL = ("access_changes", "malformed_responses")  # nothing waits for the sandbox in them


@dataclass
class Report:
    """What the series of one process, or of all, have come to."""

    ran: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)
    findings: list[str] = field(default_factory=list)

    def __iadd__(self, other: Report) -> Report:
        self.ran += other.ran
        self.tally += other.tally
        self.findings += other.findings
        return self

    def words(self) -> str:
        lines = [f"{times:6} {title}" for title, times in sorted(self.ran.items())]
        lines.append(f"schedules of chaos: {self.tally.schedules} of each of the {len(COMMANDS)} commands that write")
        totals = f"faults injected: {self.tally.faults}, kills: {self.tally.kills}, findings: {len(self.findings)}"
        lines.append(f"series run: {self.ran.total()}, {totals}")
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])


@contextmanager
def one_sandbox(folder: Path) -> Iterator[Sandbox]:
    sandboxes = start_sandbox(folder)
    try:
        yield next(sandboxes)
    finally:
        sandboxes.close()


def run_one(sandbox: Sandbox, folder: Path, seed: int) -> Tally:
    """One series, with a state directory of its own and the requests held against the API's contract."""
    series = series_of(seed)
    sandbox.state = folder / "state"
    sandbox.problems.clear()
    with pytest.MonkeyPatch.context() as patch:
        if series.__name__ in VIRTUAL:
            VirtualClock().install(patch)
        tally = series(sandbox, folder, seed)
    sandbox.check_contract()
    assert not sandbox.problems, "\n".join(sandbox.problems[:5])
    return tally


def soak(seeds: Iterable[int], end: float) -> Report:
    """Run a series for each seed, one after the other, until the monotonic clock is at ``end``."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="soak-") as name, one_sandbox(Path(name)) as sandbox:
        for seed in seeds:
            if time.monotonic() > end:
                break
            folder = Path(name) / f"seed-{seed}"
            folder.mkdir()
            title = series_of(seed).__name__
            try:
                report.tally += run_one(sandbox, folder, seed)
            except Exception:  # a series that fails is a finding, and the next one begins afresh
                report.findings.append(f"{title} {seed}")
                print(f"FINDING in {title}; run it again with: make soak SEED={seed}\n{traceback.format_exc()}")
                sandbox.faults()
            report.ran[title] += 1
    return report


def side_by_side(first: int, count: int | None, minutes: float, jobs: int) -> Report:
    """Run the series of the seeds from ``first`` on in several processes, each with a sandbox of its own."""
    end, report = time.monotonic() + minutes * 60, Report()
    stop = sys.maxsize if count is None else first + count
    shares = [range(first + place, stop, jobs) for place in range(jobs)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        for done in [pool.submit(soak, share, end) for share in shares]:
            report += done.result()
    return report


def main(argv: Sequence[str] | None = None) -> int:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a finding is shown at once, also in a file
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to begin new series (default 10)")
    parser.add_argument("--seed", type=int, help="only the series of this seed")
    parser.add_argument("--first-seed", type=int, help="count up from here, instead of from the time")
    parser.add_argument("--count", type=int, help="so many series at most")
    both = 2 * (os.cpu_count() or 1)  # each is a client and its sandbox, which wait for one another
    parser.add_argument("--jobs", type=int, default=both, metavar="N", help=f"series side by side (default {both})")
    args = parser.parse_args(argv)
    if args.seed is not None:
        report = side_by_side(args.seed, 1, args.minutes, 1)
    else:
        first = args.first_seed if args.first_seed is not None else int(time.time())
        print(f"seeds from {first}")
        report = side_by_side(first, args.count, args.minutes, args.jobs)
    print(report.words())
    return int(bool(report.findings))


if __name__ == "__main__":
    raise SystemExit(main())
