"""The time to undo a change in, and the version of its journal: each with the values around it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.change.changes import apply
from helpers.change.journal import Entry, Journal
from helpers.change.model import Applied, ChangeRun, Found, RecoveryCommands, Step
from helpers.core.errors import Exit, OperatorError
from support.clocks import VirtualClock
from support.requesting import ends_with
from support.scripted import ScriptedSession

HEADER = {"command": "test", "subject": "s", "identity": "i"}


class SlowToUndo(Step):
    """It is applied at once, and undone after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__("slow", "slow to undo")
        self.seconds = seconds

    def find(self, run: ChangeRun) -> Found:
        return Found("create")

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        return Applied(1, created=True)

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        run.session.deadline.sleep(self.seconds)


class TooLate(SlowToUndo):
    """It takes more time than there is."""

    def __init__(self) -> None:
        Step.__init__(self, "late", "too late")

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        run.session.deadline.sleep(1e9)
        raise AssertionError("the deadline was slept over")

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("seconds", "code"), [(119, Exit.ROLLED_BACK), (120, Exit.LEFT_BEHIND), (121, Exit.LEFT_BEHIND)]
)
def test_after_the_deadline_there_are_two_minutes_to_undo(
    clock: VirtualClock, tmp_path: Path, seconds: float, code: Exit
) -> None:
    session = ScriptedSession(lambda asked: {}, 10.0)
    run = ChangeRun(session, lambda text: None, Journal(tmp_path / "j.jsonl", HEADER, resume=False))
    recovery = RecoveryCommands("again", "remove")
    ends_with(code, lambda: apply(run, [SlowToUndo(seconds), TooLate()], rollback=True, recovery=recovery))


@pytest.mark.parametrize(("version", "good"), [(2, False), (3, True), (4, False)])
def test_only_journals_of_this_version_are_read(tmp_path: Path, version: int, good: bool) -> None:
    file = tmp_path / "j.jsonl"
    file.write_text(json.dumps({**HEADER, "journal": version, "version": "0.0.0"}) + "\n")
    try:
        Journal(file, HEADER, resume=True).close()
        assert good, "it was read"
    except OperatorError as error:
        assert (error.code, good) == (Exit.CONFIG, False), error.message
