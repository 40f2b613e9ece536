"""Run random series for some minutes, or one of them again: ``make soak MINUTES=10``, ``make soak SEED=4711``."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests")]

import pytest  # noqa: E402 - after the paths

from soak.series import Tally, series_of  # noqa: E402
from support import Sandbox, start_sandbox  # noqa: E402
from support.clocks import VirtualClock  # noqa: E402

VIRTUAL = ("access_changes", "malformed_responses")  # nothing waits for the sandbox in them


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


def soak(seeds: Iterable[int], minutes: float) -> int:
    """Run a series for each seed until the time is over; returns the number of findings."""
    end = time.monotonic() + minutes * 60
    ran, faults, kills, findings = Counter[str](), 0, 0, list[str]()
    with tempfile.TemporaryDirectory(prefix="soak-") as name, one_sandbox(Path(name)) as sandbox:
        for seed in seeds:
            if time.monotonic() > end:
                break
            folder = Path(name) / f"seed-{seed}"
            folder.mkdir()
            title = series_of(seed).__name__
            try:
                tally = run_one(sandbox, folder, seed)
            except Exception:  # a series that fails is a finding, and the next one begins afresh
                findings.append(f"{title} {seed}")
                print(f"FINDING in {title}; run it again with: make soak SEED={seed}\n{traceback.format_exc()}")
                sandbox.faults()
                tally = Tally()
            ran[title] += 1
            faults, kills = faults + tally.faults, kills + tally.kills
    for title, times in sorted(ran.items()):
        print(f"{times:6} {title}")
    print(f"series run: {ran.total()}, faults injected: {faults}, kills: {kills}, findings: {len(findings)}")
    for finding in findings:
        print(f"  {finding}")
    return len(findings)


def main(argv: Sequence[str] | None = None) -> int:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a finding is shown at once, also in a file
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to begin new series (default 10)")
    parser.add_argument("--seed", type=int, help="only the series of this seed")
    parser.add_argument("--first-seed", type=int, help="count up from here, instead of from the time")
    parser.add_argument("--count", type=int, help="so many series at most")
    args = parser.parse_args(argv)
    if args.seed is not None:
        return int(soak([args.seed], args.minutes) > 0)
    first = args.first_seed if args.first_seed is not None else int(time.time())
    print(f"seeds from {first}")
    stop = first + args.count if args.count is not None else None
    seeds = range(first, stop) if stop is not None else itertools.count(first)
    return int(soak(seeds, args.minutes) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
