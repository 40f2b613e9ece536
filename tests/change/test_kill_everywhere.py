"""kill -9 at a request of every command that writes, on a server whose lists lag: the resume command mends it.

Here a fixed sample of the requests; ``make soak`` comes to all of them (tests/soak/series.py).
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from support import Sandbox
from support.chaos.killing import Kill, check, undisturbed
from support.chaos.scenarios import COMMANDS

SAMPLE = 4  # kills of each command, and its late creates


def sample(command: str, kills: list[Kill]) -> list[Kill]:
    """The same kills every time: some anywhere, and every create that takes effect when its process is dead."""
    late = [kill for kill in kills if kill.when == "late"]
    return late + random.Random(command).sample([kill for kill in kills if kill not in late], SAMPLE)


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_killed_anywhere_is_resumed_to_what_an_undisturbed_run_leaves(
    sandbox: Sandbox, tmp_path: Path, command: str
) -> None:
    wanted = undisturbed(sandbox, tmp_path / "undisturbed", command)
    failed = []
    for kill in sample(command, wanted.kills()):
        try:
            check(sandbox, tmp_path / f"{kill.nth}-{kill.when}", command, kill, wanted)
        except AssertionError as error:
            failed.append(f"{command} {kill}\n{error}")
    if failed:
        pytest.fail(f"{len(failed)} kills: {[text.splitlines()[0] for text in failed]}\n\n{failed[0]}", pytrace=False)
