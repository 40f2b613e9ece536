"""Look at schedules of chaos: ``chaos.py deploy 5 --shrink`` plays one, ``chaos.py --count 300`` surveys many."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests")]

from support import Sandbox, start_sandbox  # noqa: E402 - after the paths
from support.chaos.playing import Played, play_seed, shrink  # noqa: E402
from support.chaos.scenarios import COMMANDS  # noqa: E402


def one(sandbox: Sandbox, folder: Path, command: str, seed: int, *, smaller: bool) -> bool:
    """Play one schedule and tell everything about it; with ``smaller``, the shortest for each class that fails."""
    played = play_seed(sandbox, folder, seed, command)
    print(played.report())
    for rule in sorted(played.classes) if smaller else []:
        print(f"\n===== {rule}, shortest:\n{shrink(sandbox, folder, played, rule).report()}")
    return not played.found


def survey(sandbox: Sandbox, folder: Path, commands: Sequence[str], first: int, count: int) -> bool:
    """Play many; for each class that fails, the seeds, and the shortest schedule among them."""
    failed: dict[tuple[str, str], list[Played]] = {}
    for seed in range(first, first + count):
        command = commands[seed % len(commands)]
        played = play_seed(sandbox, folder, seed, command)
        for rule in played.classes:
            failed.setdefault((rule, command), []).append(played)
    for (rule, command), plays in sorted(failed.items()):
        print(f"\n{rule} in {command}: {len(plays)} times, seeds {[played.schedule.seed for played in plays]}")
        least = min(plays, key=lambda played: len(played.schedule.words()))
        best = shrink(sandbox, folder, least, rule)
        print(best.schedule.words())
        print("\n".join(f"  ! {line[:300]}" for line in best.found))
    print(f"\nschedules: {count}, classes that fail: {len(failed)}")
    return not failed


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="?", choices=COMMANDS, help="the only command (default: all in turn)")
    parser.add_argument("seed", nargs="?", type=int, help="the only seed")
    parser.add_argument("--first", type=int, default=0, help="the first seed of a survey (default 0)")
    parser.add_argument("--count", type=int, default=140, help="how many schedules a survey plays (default 140)")
    parser.add_argument("--shrink", action="store_true", help="leave out one fault after the other")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        sandboxes = start_sandbox(Path(name))
        sandbox, folder = next(sandboxes), Path(name) / "play"
        try:
            if args.seed is not None:
                return int(not one(sandbox, folder, args.command, args.seed, smaller=args.shrink))
            commands = [args.command] if args.command else COMMANDS
            return int(not survey(sandbox, folder, commands, args.first, args.count))
        finally:
            sandboxes.close()


if __name__ == "__main__":
    raise SystemExit(main())
