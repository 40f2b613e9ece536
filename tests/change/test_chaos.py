"""Commands that write, under a server and people that do everything that is allowed to happen, judged by the contract.

Each seed is a schedule of faults, of other people's edits and of the server's habits (tests/support/chaos). The printed
resume command is followed; what there is at the end, and what was said on the way, must be what design.md promises.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support import Sandbox
from support.chaos.playing import play_seed
from support.chaos.scenarios import COMMANDS

SEEDS, OTHERS, PER_TEST = 40, 3, 10  # so many schedules of a deployment; with each, so many other commands
NOT_DEPLOY = [command for command in COMMANDS if command != "deploy"]


def seeds_of(command: str) -> list[int]:
    """The seeds that a command is played with."""
    return [seed for seed in range(SEEDS) if command in ("deploy", *_others(seed))]


def _others(seed: int) -> list[str]:
    return [NOT_DEPLOY[(seed * OTHERS + at) % len(NOT_DEPLOY)] for at in range(OTHERS)]


CASES = [
    (command, seeds_of(command)[first : first + PER_TEST])
    for command in COMMANDS
    for first in range(0, len(seeds_of(command)), PER_TEST)
]


@pytest.mark.long
@pytest.mark.parametrize(("command", "seeds"), CASES, ids=[f"{command}-{seeds[0]}" for command, seeds in CASES])
def test_whatever_happens_the_contract_is_kept(
    sandbox: Sandbox, tmp_path: Path, command: str, seeds: list[int]
) -> None:
    plays = [play_seed(sandbox, tmp_path / f"seed-{seed}", seed, command) for seed in seeds]
    failed = [played for played in plays if played.found]
    lines = [f"{command} {played.schedule.seed}: {line}" for played in failed for line in played.found]
    if failed:
        pytest.fail("\n".join([*lines, "", failed[0].report()]), pytrace=False)
