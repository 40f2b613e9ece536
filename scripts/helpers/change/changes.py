"""A change as a list of steps: plan, apply, verify, undo, resume.

Each step can find what is there now, bring it to what is wanted, and take that back. ``find`` before ``apply`` is the
idempotency check, ``find`` after an unclear answer is the reconciliation: one function, so nothing is made twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from helpers.api.session import Session
from helpers.api.transport import ApiError, refuse_if_read_only
from helpers.change.journal import REMEMBER, Entry, Journal
from helpers.change.undo import as_operator_error, as_they_are, fail
from helpers.core.errors import Exit, OperatorError

UNCHANGED = "unchanged"
FINE = "ok"  # of a check: it has been made and was good
SKIPPED = "skipped"  # of a check: there was no call for it
FAILED = "failed"  # of one that others do not depend on


@dataclass
class Found:
    """What a step found, and so what it would do.

    Attributes:
        action: ``create``, ``update``, ``activate``, ``check``… or ``unchanged``.
        id: of the existing resource.
        changes: field → [before, after], for the plan.
        before: what undo restores.
        memo: facts that a resumed run must know, e.g. the run that was newest before activation.
    """

    action: str
    id: int | None = None
    changes: dict[str, list[Any]] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    memo: dict[str, Any] = field(default_factory=dict)


class Step:
    """One step of a change. ``key`` names it in the journal and must be the same in every run of the same change.

    A step that only waits or checks sets ``writes`` to False: it leaves no journal entry and has nothing to undo.
    """

    writes = True
    kind = ""

    def __init__(self, key: str, title: str) -> None:
        self.key, self.title = key, title

    def find(self, run: Run) -> Found:
        """Look at what is there. Must not write, and must work in a dry run, when earlier steps made nothing."""
        raise NotImplementedError

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        """Do it. Returns the resource's id, and whether it was made new."""
        raise NotImplementedError

    def verify(self, run: Run, number: int | None, *, made: bool) -> None:
        """Read again and compare; raise OperatorError when it is not as wanted."""

    def undo(self, run: Run, entry: Entry) -> None:
        """Take the step's effect back, and confirm it."""


@dataclass
class Outcome:
    """A step's result, for the report."""

    key: str
    action: str
    kind: str = ""
    name: str = ""
    id: int | None = None
    changes: dict[str, list[Any]] = field(default_factory=dict)
    writes: bool = True
    reason: str = ""  # why it failed

    @property
    def changed(self) -> bool:
        """Whether the step wrote (or would write) something."""
        return self.writes and self.action not in (UNCHANGED, REMEMBER, SKIPPED, FAILED)

    def as_row(self) -> dict[str, Any]:
        row = {"step": self.key, "action": self.action, "type": self.kind, "name": self.name, "id": self.id}
        row |= {"reason": self.reason} if self.reason else {}
        return row | ({"changes": self.changes} if self.changes else {})


@dataclass
class Run:
    """One run of a change: what its steps share.

    Attributes:
        results: step key → resource id, as far as known.
        dry: only the finds are run.
        facts: anything that a step leaves for later ones and for the report.
    """

    session: Session
    say: Callable[[str], None]
    journal: Journal | None = None
    dry: bool = False
    results: dict[str, int] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def entry(self, key: str) -> Entry | None:
        """What the journal knows of a step."""
        return self.journal.entries.get(key) if self.journal else None

    def made(self, key: str) -> bool:
        """Whether this change, in this or an earlier run, created what the step stands for."""
        entry = self.entry(key)
        return bool(entry and entry.made)


@dataclass(frozen=True)
class Finish:
    """Commands that a failure names: ``resume`` goes on, ``remove`` (if there is one) takes away all that was made."""

    resume: str
    remove: str = ""


def plan(run: Run, steps: Sequence[Step]) -> list[Outcome]:
    """What a run would do; nothing is written."""
    for step in steps:
        found = step.find(run)
        _note(run, step, found.action, found.id, found.changes)
    return run.outcomes


def _note(run: Run, step: Step, action: str, number: int | None, changes: dict[str, list[Any]]) -> None:
    if number is not None:
        run.results[step.key] = number
    name = getattr(step, "name", "") or ""
    run.outcomes.append(Outcome(step.key, action, step.kind, name, number, changes, step.writes))


def apply(
    run: Run, steps: Sequence[Step], *, rollback: bool, finish: Finish, independent: bool = False
) -> list[Outcome]:
    """Carry a change out.

    Args:
        rollback: whether a failure undoes what this change made.
        finish: the commands to print after a failure.
        independent: no step builds on another; without rollback, one that fails does not keep the others from it.

    Returns:
        The outcome of every step.

    Raises:
        OperatorError: the failure itself when nothing was changed; ROLLED_BACK; LEFT_BEHIND with what remains;
            UNKNOWN_OUTCOME, which is never rolled back; PARTIAL, when independent steps failed; INTERRUPTED.
    """
    assert run.journal is not None, "a change that is applied needs a journal"
    failed: list[OperatorError] = []
    try:
        for position, step in enumerate(steps, 1):
            try:
                _apply_one(run, step, f"[{position}/{len(steps)}] {step.title}")
            except OperatorError as error:
                if rollback or not independent or not _concerns_one(error):
                    raise
                _note_failed(run, step, error)
                failed.append(error)
        if len(failed) == len(steps) > 0:
            raise failed[0]
    except Exception as error:  # a defect, too, must end in undo or in a list of what is there
        fail(run, steps, as_operator_error(error), rollback=rollback, finish=finish)
    if failed:
        raise _partial(run, steps, failed, finish)
    keys = {step.key for step in steps}
    for entry in run.journal.entries.values():
        if entry.made and entry.key not in keys:
            run.warnings.append(f"{entry.key} (id {entry.id}) was made by this change and is no longer in its config")
    run.journal.finish(Exit.OK.name)
    return run.outcomes


def _concerns_one(error: OperatorError) -> bool:
    """Whether a failure says nothing of the other steps."""
    return error.code in (Exit.ERROR, Exit.NOT_FOUND) or error.http_status in (403, 500)


def _note_failed(run: Run, step: Step, error: OperatorError) -> None:
    run.say(f"{step.title}: failed: {error.message}")
    entry, name = run.entry(step.key), getattr(step, "name", "") or ""
    number = entry.id if entry else (error.resource or {}).get("id")
    run.outcomes.append(Outcome(step.key, FAILED, step.kind, name, number, {}, step.writes, error.message))


def _partial(run: Run, steps: Sequence[Step], failed: list[OperatorError], finish: Finish) -> OperatorError:
    text = f"{len(failed)} of {len(steps)} failed, the others are done; the first: {failed[0].message}"
    return OperatorError(
        Exit.PARTIAL, text, hint=f"go on with: {finish.resume}", http_status=failed[0].http_status,
        resource=failed[0].resource, data={"outcome": "partial", **as_they_are(run, steps)},
    )  # fmt: skip


def _apply_one(run: Run, step: Step, title: str) -> None:
    assert run.journal is not None
    run.session.deadline.check()
    found = step.find(run)
    entry = run.entry(step.key)
    if found.action in (UNCHANGED, FINE, SKIPPED):
        if entry and not entry.done:
            run.journal.done(step.key, found.id, made=entry.made)
        _note(run, step, found.action, found.id, {})
        run.say(f"{title}: {found.action}")
        return
    run.say(f"{title}: {found.action}")
    if not step.writes:
        number, _ = step.apply(run, found)
        _note(run, step, FINE, number, found.changes)
        return
    refuse_if_read_only(run.session, step.title)
    run.journal.intent(step.key, found.action, found.id, found.before, found.memo)
    try:
        number, made = step.apply(run, found)
    except ApiError as error:
        if error.settled and error.method == "POST" and found.action == "create":
            run.journal.undone(step.key)  # refused: there is nothing to undo
        raise
    run.journal.done(step.key, number, made=made)
    _note(run, step, found.action, number, found.changes)
    step.verify(run, number, made=made)
