"""What needs no API answers fast: start-up loads little more than a bare Python."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from support import CLEAN, ROOT, SCRIPTS

PAIRS = 5


def processor_time(words: list[str]) -> float:
    """What a process and its children use of a processor; other processes on the machine do not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, env=CLEAN, capture_output=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "args",
    [["list_resources.py", "--help"], ["list_resources.py", "--type", "sources"], ["deploy_flow.py", "--print-schema"],
     ["deploy_flow.py", "--config", "README.md"], ["health_check.py", "--config", "README.md"],
     ["manage_transforms.py", "--operation", "create", "--name", "x"]],
)  # fmt: skip
def test_start_up_costs_at_most_four_times_a_bare_python(args: list[str]) -> None:
    script = [sys.executable, str(SCRIPTS / args[0]), *args[1:]]
    bare = [sys.executable, "-c", "import argparse, json"]
    pairs = [(processor_time(script), processor_time(bare)) for _ in range(PAIRS)]
    ours, least = (min(times) for times in zip(*pairs, strict=True))
    assert ours <= 4 * least, pairs
