"""A step that sets a status: what a resumed run does not do again, whatever the status is by then."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from helpers.change.changes import apply
from helpers.change.journal import Journal
from helpers.change.model import ChangeRun, RecoveryCommands
from helpers.change.set_status import PAUSED, SetStatusStep
from helpers.core.errors import Exit
from helpers.core.kinds import ResourceRef
from support import Sandbox
from support.operating import statuses
from support.requesting import ends_with, session_on


def test_what_was_paused_once_and_has_been_started_again_is_not_paused_by_a_resume(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """As a nexset that was held until it was proven; the step after it fails, and the change is kept."""
    steps = [SetStatusStep(ResourceRef("sources", number, "orders"), PAUSED, once=True) for number in (123, 99999)]
    seen = []
    for resume in (False, True):
        header = {"command": "test", "subject": "s", "identity": "i"}
        journal = Journal(tmp_path / "j.jsonl", header, resume=resume)
        run = ChangeRun(session_on(sandbox), lambda text: None, journal)
        again = RecoveryCommands("again", "remove")
        ends_with(Exit.NOT_FOUND, partial(apply, run, steps, rollback=False, recovery=again))
        journal.close()
        seen.append(statuses(sandbox)["sources"])
        sandbox.api("PUT", "/data_sources/123/activate")
    assert seen == ["PAUSED", "ACTIVE"]
