"""Break a promise on purpose, one small change of the code at a time: the tests that concern it must fail.

    python tests/mutants/run.py [--only ID] [--shard I/N] [--jobs N] [--results FILE] [--list]

Works on copies of the repository in a temporary folder. First the named tests must pass without a change. Then one line
for each mutant: ``killed`` when a test failed, ``timeout`` when the tests did not end (which counts as killed),
``SURVIVED`` when they passed, ``equivalent`` when the mutant has a reason why no test can tell, and none did. The
results file (JSON lines) keeps every outcome with a digest of the code and the tests: the same is not run again.
Exit 1 when a mutant survived, an equivalent one was killed, or tests fail without a change.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import itertools
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SECONDS = 180  # for the tests of one mutant; they take a few seconds, unless a change makes them wait
PASSED, FAILED = 0, 1  # pytest's own exit codes
TIMES = itertools.count(1)  # seconds since 1970: no file that anybody works on is as old
SKIPPED_FOLDERS = (".venv", ".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")


class Mutant(NamedTuple):
    """One small change that breaks a promise.

    Attributes:
        file: the file that is changed, below the repository.
        old, new: the exact text, and what takes its place.
        promise: what the change breaks, in one line.
        tests: pytest's names of the tests that must fail.
        times: how often the old text occurs.
        occurrence: which of them is changed, from 1.
        equivalent: why no test can tell the change; empty when one must.
    """

    id: str
    file: str
    old: str
    new: str
    promise: str
    tests: tuple[str, ...]
    times: int = 1
    occurrence: int = 1
    equivalent: str = ""

    def applied_to(self, source: str) -> str:
        """The file's text with the change.

        Raises:
            ValueError: the old text does not occur as often as it should, or nothing would change.
        """
        parts = source.split(self.old)
        if len(parts) - 1 != self.times:
            raise ValueError(f"{self.id}: the old text occurs {len(parts) - 1} times in {self.file}, not {self.times}")
        if self.old == self.new or not 1 <= self.occurrence <= self.times:
            raise ValueError(f"{self.id}: changes nothing")
        return self.old.join(parts[: self.occurrence]) + self.new + self.old.join(parts[self.occurrence :])


def load(folder: Path = HERE) -> list[Mutant]:
    """The mutants of all ``*.toml`` files in a folder; their order is that of the files."""
    found = []
    for file in sorted(folder.glob("*.toml")):
        for row in tomllib.loads(file.read_text(encoding="utf-8"))["mutant"]:
            found.append(Mutant(**{**row, "tests": tuple(row["tests"])}))
    return found


def missing_tests(mutant: Mutant, root: Path = ROOT) -> list[str]:
    """The tests of a mutant that do not exist."""
    missing = []
    for name in mutant.tests:
        file, _, test = name.partition("::")
        text = (root / file).read_text(encoding="utf-8") if (root / file).is_file() else ""
        if not text or (test and not re.search(rf"^def {re.escape(test)}\(", text, re.MULTILINE)):
            missing.append(name)
    return missing


def fingerprint(mutant: Mutant, code: str, root: Path = ROOT) -> str:
    """A digest of the mutant, of all code, and of its test files: with the same one, the outcome is the same."""
    texts = [json.dumps(mutant), code]
    texts += [(root / name.partition("::")[0]).read_text(encoding="utf-8") for name in mutant.tests]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def code_digest(root: Path = ROOT) -> str:
    """A digest of the code that the tests run, and of what they share."""
    files = [file for part in ("scripts", "sandbox", "tests/support") for file in sorted((root / part).rglob("*.py"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def known_outcomes(results: Path) -> dict[tuple[str, str], str]:
    """What earlier runs found, by id and fingerprint; a last line that was cut off is no outcome."""
    found = {}
    for line in results.read_text(encoding="utf-8").splitlines() if results.is_file() else []:
        try:
            row = json.loads(line)
            found[row["id"], row["code"]] = str(row["outcome"])
        except (ValueError, KeyError):
            continue
    return found


def copied(folder: Path) -> Path:
    """A copy of the tracked files of the repository, and of new ones, as they are now."""
    words = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        source = ROOT / name
        if source.is_file() and not source.is_symlink() and not set(Path(name).parts) & {*SKIPPED_FOLDERS}:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    return folder


def run_tests(copy: Path, tests: Iterable[str], seconds: float = SECONDS, stop: str = "-x") -> tuple[int | None, str]:
    """Run tests in a copy. Returns pytest's exit code, None when they did not end in time, and what they wrote."""
    words = [sys.executable, "-m", "pytest", "-m", "", "-n", "0", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    words += [stop] if stop else []
    process = subprocess.Popen(
        [*words, "--no-header", "--tb=line", *tests], cwd=copy, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        text, _ = process.communicate(timeout=seconds)
        return process.returncode, text
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def try_mutant(copy: Path, mutant: Mutant) -> tuple[str, str]:
    """Make the change in a copy, run its tests, and take it back. Returns the outcome, and what the tests wrote."""
    file = copy / mutant.file
    original, time_of_original = file.read_text(encoding="utf-8"), file.stat().st_mtime_ns
    try:
        file.write_text(mutant.applied_to(original), encoding="utf-8")
        os.utime(file, (own := next(TIMES), own))  # or what is compiled of a change would be taken for the next one
        code, text = run_tests(copy, mutant.tests)
    finally:
        file.write_text(original, encoding="utf-8")
        os.utime(file, ns=(time_of_original, time_of_original))
    if code is None:
        return "timeout", ""
    if code == PASSED:
        return "equivalent" if mutant.equivalent else "SURVIVED", ""
    if code == FAILED:
        return "KILLED ALTHOUGH EQUIVALENT" if mutant.equivalent else "killed", text
    return f"NOT RUN (exit {code})", text


def red_without_change(copies: Sequence[Path], mutants: Iterable[Mutant]) -> list[str]:
    """The tests of these mutants that fail without a change, also when they are tried once more, alone."""
    names = sorted({name for mutant in mutants for name in mutant.tests})
    shares = [names[place :: len(copies)] for place in range(len(copies))]
    with concurrent.futures.ThreadPoolExecutor(len(copies)) as pool:
        texts = pool.map(
            lambda copy, share: run_tests(copy, share, 3600, "") if share else (PASSED, ""), copies, shares
        )
        red = [name for code, text in texts for name in failed_in(text) or (["(pytest)"] if code != PASSED else [])]
    return [name for name in red if run_tests(copies[0], [name])[0] != PASSED]


def failed_in(text: str) -> list[str]:
    """The tests that failed, from what pytest wrote."""
    return re.findall(r"^(?:FAILED|ERROR) (tests/\S+?)(?:\[.*)?(?: - .*)?$", text, re.MULTILINE)


def concerns(mutant: Mutant, test: str) -> bool:
    """Whether a test is among those of a mutant."""
    return test == "(pytest)" or test in mutant.tests or test.partition("::")[0] in mutant.tests


def run_all(mutants: Sequence[Mutant], results: Path, jobs: int) -> Counter[str]:
    """Try mutants side by side, and append each outcome to the results file."""
    code, counts = code_digest(), Counter[str]()
    known = known_outcomes(results)
    waiting = []
    for mutant in mutants:
        if before := known.get((mutant.id, fingerprint(mutant, code))):
            counts[before] += 1
            print(f"{before:<10} {mutant.id}: {mutant.promise} (known)")
        else:
            waiting.append(mutant)
    if not waiting:
        return counts
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, results.open("a", encoding="utf-8") as log:
        folders = [copied(Path(folder) / str(number)) for number in range(jobs)]
        for test in red_without_change(folders, waiting):
            print(f"fails without any change: {test}")
            left_out = [mutant for mutant in waiting if concerns(mutant, test)]
            waiting = [mutant for mutant in waiting if mutant not in left_out]
            counts["NOT RUN"] += len(left_out)
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for free in folders:
            copies.put(free)

        def attempt(mutant: Mutant) -> tuple[Mutant, str, str, float]:
            copy, began = copies.get(), time.monotonic()
            try:
                return mutant, *try_mutant(copy, mutant), time.monotonic() - began
            finally:
                copies.put(copy)

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for done in concurrent.futures.as_completed([pool.submit(attempt, mutant) for mutant in waiting]):
                mutant, outcome, text, seconds = done.result()
                counts[outcome] += 1
                row: dict[str, Any] = {"id": mutant.id, "code": fingerprint(mutant, code), "outcome": outcome}
                row |= {"seconds": round(seconds, 1), "by": next(iter(failed_in(text)), "")}
                log.write(json.dumps(row) + "\n")
                log.flush()
                print(f"{outcome:<10} {mutant.id}: {mutant.promise} ({seconds:.0f} s)", flush=True)
                if outcome.startswith("NOT RUN"):
                    print(text)
    return counts


def chosen(args: argparse.Namespace, parser: argparse.ArgumentParser) -> list[Mutant]:
    """The mutants that the flags select."""
    found = [mutant for mutant in load() if not args.only or mutant.id in args.only]
    if args.shard:
        shard = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", args.shard)
        if not shard or int(shard[1]) > int(shard[2]):
            parser.error("--shard must be I/N, such as 1/4")
        found = found[int(shard[1]) - 1 :: int(shard[2])]
    if not found:
        parser.error("no mutant is selected")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="ID", action="append", default=[], help="only this mutant; may be repeated")
    parser.add_argument("--shard", metavar="I/N", default="", help="only every Nth mutant, beginning with the Ith")
    parser.add_argument(
        "--jobs", type=int, choices=range(1, 17), default=2, metavar="N", help="side by side (default 2)"
    )
    parser.add_argument("--results", type=Path, default=ROOT / ".mutants.jsonl", metavar="FILE", help="known outcomes")
    parser.add_argument("--list", action="store_true", help="print the mutants and their tests, and exit")
    args = parser.parse_args(argv)
    mutants = chosen(args, parser)
    if args.list:
        for mutant in mutants:
            print(f"{mutant.id} {mutant.file}: {mutant.promise}\n    {' '.join(mutant.tests)}")
        return 0
    began = time.monotonic()
    counts = run_all(mutants, args.results, args.jobs)
    found = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    print(f"{len(mutants)} mutants: {found}; {time.monotonic() - began:.0f} s")
    return 0 if counts.keys() <= {"killed", "timeout", "equivalent"} else 1


if __name__ == "__main__":
    raise SystemExit(main())
