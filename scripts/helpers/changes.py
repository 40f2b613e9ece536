"""A change as a list of steps: plan, apply, verify, undo, resume.

Each step can find what is there now, bring it to what is wanted, and take that back. ``find`` before ``apply`` is the
idempotency check, ``find`` after an unclear answer is the reconciliation: one function, so nothing is made twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import Exit, OperatorError
from .journal import Entry, Journal
from .limits import STOP
from .session import Session
from .transport import ApiError, refuse_if_read_only

UNCHANGED = "unchanged"
FINE = "ok"  # of a check: it has been made and was good
SKIPPED = "skipped"  # of a check: there was no call for it
REMEMBER = "remember"  # of a step that only writes facts into the journal
UNDO_SECONDS = 120.0  # time kept for undoing when the deadline is the failure


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

    @property
    def changed(self) -> bool:
        """Whether the step wrote (or would write) something."""
        return self.writes and self.action not in (UNCHANGED, REMEMBER, SKIPPED)

    def as_row(self) -> dict[str, Any]:
        row = {"step": self.key, "action": self.action, "type": self.kind, "name": self.name, "id": self.id}
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
    """Commands that a failure names: ``resume`` goes on, ``remove`` takes away what the change is about."""

    resume: str
    remove: str


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


def apply(run: Run, steps: Sequence[Step], *, rollback: bool, finish: Finish) -> list[Outcome]:
    """Carry a change out.

    Args:
        rollback: whether a failure undoes what this change made.
        finish: the commands to print after a failure.

    Returns:
        The outcome of every step.

    Raises:
        OperatorError: the failure itself when nothing was changed; ROLLED_BACK; LEFT_BEHIND with what remains;
            UNKNOWN_OUTCOME, which is never rolled back; INTERRUPTED.
    """
    assert run.journal is not None, "a change that is applied needs a journal"
    try:
        for position, step in enumerate(steps, 1):
            _apply_one(run, step, f"[{position}/{len(steps)}] {step.title}")
    except Exception as error:  # a defect, too, must end in undo or in a list of what is there
        _fail(run, steps, _as_operator_error(error), rollback=rollback, finish=finish)
    keys = {step.key for step in steps}
    for entry in run.journal.entries.values():
        if entry.made and entry.key not in keys:
            run.warnings.append(f"{entry.key} (id {entry.id}) was made by this change and is no longer in its config")
    run.journal.finish(Exit.OK.name)
    return run.outcomes


def _as_operator_error(error: Exception) -> OperatorError:
    if isinstance(error, OperatorError):
        return error
    wrapped = OperatorError(Exit.ERROR, f"unexpected {type(error).__name__}: {error}", hint="look with --verbose")
    wrapped.__cause__ = error
    return wrapped


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


def _fail(run: Run, steps: Sequence[Step], error: OperatorError, *, rollback: bool, finish: Finish) -> None:
    """End a failed run: undo or keep, and say exactly what is there."""
    assert run.journal is not None
    STOP.clear()
    effects = dict(run.journal.entries)
    if all(entry.action == REMEMBER for entry in effects.values()):
        run.journal.finish(error.code.name)
        raise error
    if not rollback or error.code is Exit.UNKNOWN_OUTCOME:
        gone = {key: entry for key, entry in effects.items() if entry.action == "delete" and entry.done}
        there = {key: entry for key, entry in effects.items() if key not in gone}
        steps_done = [outcome.as_row() for outcome in run.outcomes]
        error.data = {"outcome": "kept", "steps": steps_done, "kept": _listed(there), "deleted": _listed(gone)}
        error.hint = f"{error.hint + '; ' if error.hint else ''}go on with: {finish.resume}"
        raise error
    run.session.deadline.extend(UNDO_SECONDS)
    run.say(f"failed: {error.message}; undoing")
    made_all = all(entry.made or entry.action != "update" for entry in effects.values())
    left = undo(run, steps)
    run.warnings += [
        f"{count} records were delivered to {name} before this and stay there"
        for name, count in run.facts.get("arrived", {}).items()
        if count
    ]
    if left:
        raise _left_behind(run, error, left, finish, made_all=made_all) from error
    run.journal.finish(Exit.ROLLED_BACK.name)
    raise _rolled_back(run, error) from error


def _rolled_back(run: Run, error: OperatorError) -> OperatorError:
    data = {"outcome": "rolled_back", "cause": error.as_dict(), "left_behind": [], "warnings": run.warnings}
    hint = "raise --timeout or --verify-timeout, then run again" if error.code is Exit.TIMEOUT else error.hint
    text = f"{error.message}; everything that this run changed in Nexla is undone"
    return _after_undo(error, Exit.ROLLED_BACK, text, hint, data)


def _left_behind(
    run: Run, error: OperatorError, left: list[dict[str, Any]], finish: Finish, *, made_all: bool
) -> OperatorError:
    data = {"outcome": "left_behind", "cause": error.as_dict(), "left_behind": left, "warnings": run.warnings}
    names = ", ".join(f"{row['step']} (id {row['id']})" for row in left)
    wayout = f"remove it all with: {finish.remove}" if made_all else "restore what data.left_behind lists"
    text = f"{error.message}; not everything could be undone: {names}"
    return _after_undo(error, Exit.LEFT_BEHIND, text, f"{wayout}; or go on with: {finish.resume}", data)


def _after_undo(error: OperatorError, code: Exit, text: str, hint: str, data: dict[str, Any]) -> OperatorError:
    return OperatorError(
        Exit.INTERRUPTED if error.code is Exit.INTERRUPTED else code,
        text,
        hint=hint,
        http_status=error.http_status,
        request_id=error.request_id,
        retryable=error.retryable and error.code in (Exit.UPSTREAM, Exit.THROTTLED),
        resource=error.resource,
        data=data,
    )


def _listed(entries: dict[str, Entry]) -> list[dict[str, Any]]:
    return [{"step": e.key, "action": e.action, "id": e.id, "made": e.made, "done": e.done} for e in entries.values()]


def undo(run: Run, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Undo every step that had an effect, newest first; returns what is left behind, with the reason."""
    assert run.journal is not None
    by_key = {step.key: step for step in steps}
    left = []
    for entry in run.journal.entries.values():
        if entry.id is not None:
            run.results.setdefault(entry.key, entry.id)
    for entry in sorted(run.journal.entries.values(), key=lambda e: e.order, reverse=True):
        step = by_key.get(entry.key)
        try:
            if step is None:
                raise OperatorError(Exit.LEFT_BEHIND, "the config no longer has this step")
            run.say(f"undo {step.title}")
            step.undo(run, entry)
            run.journal.undone(entry.key)
        except Exception as error:  # one step that cannot be undone must not keep the others from it
            reason = _as_operator_error(error).message
            left.append({"step": entry.key, "action": entry.action, "id": entry.id, "reason": reason})
    return left
