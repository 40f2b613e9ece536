"""The parts of a change: its steps, what they find and do, and what the steps of one run share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from helpers.api.session import Session
from helpers.api.writes import LATE_CREATE_SECONDS
from helpers.change.journal import SNAPSHOT, Entry, Journal

UNCHANGED = "unchanged"
PASSED = "ok"  # a check that ran and passed
SKIPPED = "skipped"  # a check that was not needed
FAILED = "failed"  # an independent step that failed


@dataclass
class Found:
    """What a step found, and therefore what it would do.

    Attributes:
        action: ``create``, ``update``, ``activate``, ``check``… or ``unchanged``.
        id: the id of the existing resource; None when there is none.
        changes: field → [before, after], for the plan.
        before: the state that undo restores.
        resume_data: facts that a resumed run needs, such as the newest run before an activation.
        owner: who owns the resource, if not the caller.
    """

    action: str
    id: int | None = None
    changes: dict[str, list[Any]] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    resume_data: dict[str, Any] = field(default_factory=dict)
    owner: str | None = None


@dataclass(frozen=True)
class Applied:
    """The result of applying a step.

    Attributes:
        id: the id of its resource.
        created: whether this change created the resource.
        proven: whether that is certain; otherwise somebody else may have created it.
    """

    id: int | None = None
    created: bool = False
    proven: bool = True


class Step:
    """One step of a change.

    ``find`` before ``apply`` is the idempotency check; ``find`` after an unclear response is the reconciliation. One
    method serves both, so nothing is created twice.

    Args:
        key: identifies the step in the journal; it must be the same in every run of the same change.
        title: what the step does or concerns, for progress lines.

    Attributes:
        writes: False for a step that only waits or checks; it has no journal entry and nothing to undo.
        kind: the canonical name of the resource's kind, for the report.
        name: the name of the resource, for the report.
    """

    writes = True
    kind = ""
    name = ""

    def __init__(self, key: str, title: str) -> None:
        self.key, self.title = key, title

    def recover(self, run: ChangeRun) -> None:
        """Find out what became of a write that an earlier run of this change sent without learning its outcome.

        Raises:
            OperatorError: UNKNOWN_OUTCOME, when that cannot be known yet.
        """

    def find(self, run: ChangeRun) -> Found:
        """Find out what exists. It must not write, and must also work when earlier steps created nothing (dry run)."""
        raise NotImplementedError

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        """Carry out the step."""
        raise NotImplementedError

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        """Read the resource again and compare it with the intended state.

        Returns:
            ``applied``, or the resource that another run created first and that is used instead.

        Raises:
            OperatorError: the resource differs from the intended state.
        """
        return applied

    def recheck(self, run: ChangeRun) -> None:
        """Check once more, after all writes, that nobody else created the same in the meantime.

        Raises:
            OperatorError: ERROR, when somebody did.
        """

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        """Undo the step's effect, and verify that it is undone.

        Raises:
            OperatorError: the effect could not be undone.
        """

    def lasting_effects(self) -> list[str]:
        """Effects outside Nexla that remain after the change is undone, one line each."""
        return []


@dataclass
class StepOutcome:
    """The outcome of a step, for the report."""

    key: str
    action: str
    kind: str = ""
    name: str = ""
    id: int | None = None
    changes: dict[str, list[Any]] = field(default_factory=dict)
    writes: bool = True
    reason: str = ""  # why it failed
    owner: str | None = None  # if not the caller

    @property
    def changed(self) -> bool:
        """Whether the step wrote (or would write) something."""
        return self.writes and self.action not in (UNCHANGED, SNAPSHOT, SKIPPED, FAILED)

    def as_row(self) -> dict[str, Any]:
        """The outcome as a row of the report."""
        row = {"step": self.key, "action": self.action, "type": self.kind, "name": self.name, "id": self.id}
        row |= {"reason": self.reason} if self.reason else {}
        row |= {"owner": self.owner} if self.owner else {}
        return row | ({"changes": self.changes} if self.changes else {})


@dataclass
class ChangeRun:
    """What the steps of one run of a change share.

    Attributes:
        report: shows one line of progress.
        journal: None in a dry run.
        marking: whether what is created gets the mark of the change.
        marks_are_dropped: whether the server was seen not to keep marks.
        dry: whether nothing may be written; only ``find`` is called.
        results: step key → resource id, as far as known.
        outcomes: the outcomes of the steps so far.
        warnings: what the report must warn about.
    """

    session: Session
    report: Callable[[str], None]
    journal: Journal | None = None
    dry: bool = False
    marking: bool = True
    marks_are_dropped: bool = False
    results: dict[str, int] = field(default_factory=dict)
    outcomes: list[StepOutcome] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """The number of steps that wrote (or would write) something."""
        return sum(outcome.changed for outcome in self.outcomes)

    def entry(self, key: str) -> Entry | None:
        """The journal's entry for a step; None when it has none."""
        return self.journal.entry(key) if self.journal else None

    def mark(self, key: str) -> str | None:
        """The mark of what a step of this change creates; None without marks."""
        return self.journal.mark(key) if self.journal and self.marking else None

    def seconds_until_certain(self, entry: Entry) -> float:
        """How long a write without a response, in seconds, may still take effect."""
        age = max(time.time() - entry.at, 0.0)
        return max(LATE_CREATE_SECONDS - age, 0.0)

    def created(self, key: str) -> bool:
        """Whether this change created the step's resource, in this or in an earlier run."""
        entry = self.entry(key)
        return bool(entry and entry.created)

    def has_changed(self, key: str) -> bool:
        """Whether the step with this key wrote (or would write) something in this run."""
        return any(outcome.key == key and outcome.changed for outcome in self.outcomes)

    def has_come_to(self, key: str) -> bool:
        """Whether this run has come to the step with this key, and so past all steps before it."""
        return any(outcome.key == key for outcome in self.outcomes)

    def note(
        self,
        step: Step,
        action: str,
        resource_id: int | None,
        changes: dict[str, list[Any]],
        owner: str | None = None,
    ) -> StepOutcome:
        """Add a step's outcome to the report."""
        if resource_id is not None:
            self.results[step.key] = resource_id
        outcome = StepOutcome(step.key, action, step.kind, step.name, resource_id, changes, step.writes, owner=owner)
        self.outcomes.append(outcome)
        return outcome

    def note_failure(self, step: Step, reason: str, resource_id: int | None) -> None:
        """Add the failure of an independent step to the report."""
        self.outcomes.append(
            StepOutcome(step.key, FAILED, step.kind, step.name, resource_id, {}, step.writes, reason=reason)
        )


@dataclass(frozen=True)
class RecoveryCommands:
    """The commands to print after a failure: ``resume`` continues; ``remove``, if any, deletes what was created."""

    resume: str
    remove: str = ""
