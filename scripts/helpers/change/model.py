"""The parts of a change: its steps, what they find and do, and what one run of it shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from helpers.api.session import Session
from helpers.change.journal import SNAPSHOT, Entry, Journal

UNCHANGED = "unchanged"
PASSED = "ok"  # of a check: it was made, and the result was good
SKIPPED = "skipped"  # of a check: there was no need for it
FAILED = "failed"  # of a step that no other step depends on


@dataclass
class Found:
    """What a step found, and so what it would do.

    Attributes:
        action: ``create``, ``update``, ``activate``, ``check``… or ``unchanged``.
        id: of the existing resource.
        changes: field → [before, after], for the plan.
        before: what undo restores.
        resume_data: facts that a resumed run needs, such as the newest run before an activation.
    """

    action: str
    id: int | None = None
    changes: dict[str, list[Any]] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    resume_data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Applied:
    """What applying a step did: the id of its resource, and whether this change created it."""

    id: int | None = None
    created: bool = False


class Step:
    """One step of a change. ``key`` names it in the journal and must be the same in every run of the same change.

    ``find`` before ``apply`` is the idempotency check; ``find`` after an unclear answer is the reconciliation. One
    method serves both, so nothing is created twice.

    Attributes:
        writes: False for a step that only waits or checks. It leaves no journal entry and has nothing to undo.
        kind: canonical name of the resource's kind, for the report; ``name`` is the resource's name.
    """

    writes = True
    kind = ""
    name = ""

    def __init__(self, key: str, title: str) -> None:
        self.key, self.title = key, title

    def find(self, run: ChangeRun) -> Found:
        """Look at what is there. Must not write, and must work in a dry run, in which earlier steps created nothing."""
        raise NotImplementedError

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        """Carry the step out."""
        raise NotImplementedError

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        """Read again and compare.

        Returns:
            What counts from now on: ``applied``, or the resource that another run created first and that replaces it.

        Raises:
            OperatorError: it is not as wanted.
        """
        return applied

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        """Take the step's effect back, and confirm that it is gone."""

    def lasting_effects(self) -> list[str]:
        """What stays outside Nexla although the change was undone, one line each."""
        return []


@dataclass
class StepOutcome:
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
        return self.writes and self.action not in (UNCHANGED, SNAPSHOT, SKIPPED, FAILED)

    def as_row(self) -> dict[str, Any]:
        row = {"step": self.key, "action": self.action, "type": self.kind, "name": self.name, "id": self.id}
        row |= {"reason": self.reason} if self.reason else {}
        return row | ({"changes": self.changes} if self.changes else {})


@dataclass
class ChangeRun:
    """One run of a change: what its steps share.

    Attributes:
        results: step key → resource id, as far as known.
        dry: only the finds are run.
    """

    session: Session
    report: Callable[[str], None]
    journal: Journal | None = None
    dry: bool = False
    results: dict[str, int] = field(default_factory=dict)
    outcomes: list[StepOutcome] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """How many steps wrote, or would write, something."""
        return sum(outcome.changed for outcome in self.outcomes)

    def entry(self, key: str) -> Entry | None:
        """What the journal knows of a step."""
        return self.journal.entries.get(key) if self.journal else None

    def created(self, key: str) -> bool:
        """Whether this change, in this or an earlier run, created what the step stands for."""
        entry = self.entry(key)
        return bool(entry and entry.created)

    def has_changed(self, key: str) -> bool:
        """Whether the step of this key wrote (or would write) something in this run."""
        return any(outcome.key == key and outcome.changed for outcome in self.outcomes)

    def note(self, step: Step, action: str, resource_id: int | None, changes: dict[str, list[Any]]) -> StepOutcome:
        """Add a step's outcome to the report."""
        if resource_id is not None:
            self.results[step.key] = resource_id
        outcome = StepOutcome(step.key, action, step.kind, step.name, resource_id, changes, step.writes)
        self.outcomes.append(outcome)
        return outcome

    def note_failure(self, step: Step, reason: str, resource_id: int | None) -> None:
        """Add a step that failed, and that no other step depends on."""
        self.outcomes.append(
            StepOutcome(step.key, FAILED, step.kind, step.name, resource_id, {}, step.writes, reason=reason)
        )


@dataclass(frozen=True)
class RecoveryCommands:
    """Commands that a failure names: ``resume`` continues; ``remove``, if there is one, deletes what was created."""

    resume: str
    remove: str = ""
