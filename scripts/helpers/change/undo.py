"""Ending a failed change: everything is undone, or it is kept and listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from helpers.change.journal import SNAPSHOT, Entry
from helpers.change.model import ChangeRun, RecoveryCommands, Step
from helpers.core.errors import Exit, OperatorError
from helpers.core.limits import STOP

MORE_TIME = "allow more time (--timeout, or the command's own timeout flag), then run again"
SAID_ANYWAY = (Exit.UNKNOWN_OUTCOME, Exit.INTERRUPTED)  # matter more than that something is deleted
UNDO_SECONDS = 120.0  # time to undo the change, even after the deadline


def as_operator_error(error: Exception) -> OperatorError:
    """The error itself; any other exception is a defect and is wrapped."""
    if isinstance(error, OperatorError):
        return error
    text = f"unexpected {type(error).__name__}: {error}"
    wrapped = OperatorError(Exit.ERROR, text, hint="run again with --verbose for a traceback")
    wrapped.__cause__ = error
    return wrapped


def end_failed_change(
    run: ChangeRun, steps: Sequence[Step], error: OperatorError, *, rollback: bool, recovery: RecoveryCommands
) -> NoReturn:
    """Undo or keep what a failed change did, and report exactly what remains.

    Raises:
        OperatorError: always; see ``changes.apply``.
    """
    assert run.journal is not None
    STOP.clear()
    effects = dict(run.journal.entries)
    if all(entry.action == SNAPSHOT for entry in effects.values()):
        run.journal.finish(error.code.name)
        raise error
    if not rollback or error.code is Exit.UNKNOWN_OUTCOME:
        cause = error.as_dict()
        deletions = [entry for entry in effects.values() if entry.action == "delete"]
        begun = [entry for entry in deletions if entry.done or run.session.has_written]
        if error.code not in SAID_ANYWAY and begun:
            error.code = Exit.PARTIAL
            error.message += "; what was deleted before stays deleted"
            if not all(entry.done for entry in begun):
                error.message += ", and what was being deleted may be paused or gone"
        error.data = {"outcome": "kept", "cause": cause, **partial_state(run, steps)}
        error.hint = f"{error.hint + '; ' if error.hint else ''}continue with: {recovery.resume}"
        raise error
    run.session.deadline.extend(UNDO_SECONDS)
    run.report(f"failed: {error.message}; rolling back")
    created_all = all(entry.created or entry.action != "update" for entry in effects.values())
    left = _undo(run, steps)
    run.warnings += [text for step in steps for text in step.lasting_effects()]
    if left:
        raise _left_behind(run, error, left, recovery, created_all=created_all) from error
    run.journal.finish(Exit.ROLLED_BACK.name)
    raise _rolled_back(run, error) from error


def partial_state(run: ChangeRun, steps: Sequence[Step]) -> dict[str, Any]:
    """The state of a partly applied change: the outcome of each step, what was kept or deleted, what was not tried."""
    assert run.journal is not None
    effects = run.journal.entries
    deleted = {key: entry for key, entry in effects.items() if entry.action == "delete" and entry.done}
    kept = {key: entry for key, entry in effects.items() if key not in deleted and entry.action != SNAPSHOT}
    tried = {outcome.key for outcome in run.outcomes}
    return {
        "steps": [outcome.as_row() for outcome in run.outcomes],
        "kept": _rows(kept),
        "deleted": _rows(deleted),
        "not_tried": [step.key for step in steps if step.key not in tried and run.entry(step.key) is None],
    }


def _rolled_back(run: ChangeRun, error: OperatorError) -> OperatorError:
    data = {"outcome": "rolled_back", "cause": error.as_dict(), "left_behind": [], "warnings": run.warnings}
    hint = MORE_TIME if error.code is Exit.TIMEOUT else error.hint
    text = f"{error.message}; everything that this run changed in Nexla was undone"
    return _after_undo(error, Exit.ROLLED_BACK, text, hint, data)


def _left_behind(
    run: ChangeRun, error: OperatorError, left: list[dict[str, Any]], recovery: RecoveryCommands, *, created_all: bool
) -> OperatorError:
    data = {"outcome": "left_behind", "cause": error.as_dict(), "left_behind": left, "warnings": run.warnings}
    names = "; ".join(f"{row['step']} (id {row['id']}): {row['reason']}" for row in left)
    remedy = "restore what data.left_behind lists"
    if created_all and recovery.remove:
        remedy = f"remove everything with: {recovery.remove}"
    text = f"{error.message}; not everything could be undone: {names}"
    return _after_undo(error, Exit.LEFT_BEHIND, text, f"{remedy}; or continue with: {recovery.resume}", data)


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


def _rows(entries: dict[str, Entry]) -> list[dict[str, Any]]:
    return [
        {"step": e.key, "action": e.action, "id": e.id, "made": e.created, "done": e.done} for e in entries.values()
    ]


def _record_undone(run: ChangeRun, key: str) -> None:
    """Record that a step is undone; that it cannot be recorded does not make it less undone."""
    assert run.journal is not None
    try:
        run.journal.undone(key)
    except OperatorError as error:
        run.warnings.append(f"{error.message}; do not resume: what was undone is not recorded")


def _undo(run: ChangeRun, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Undo every step that had an effect, newest first. Returns what is left behind, with the reasons."""
    assert run.journal is not None
    by_entry = {id(entry): step for step in steps if (entry := run.entry(step.key))}
    left: list[dict[str, Any]] = []
    for entry in run.journal.entries.values():
        step = by_entry.get(id(entry))
        if step is not None and entry.id is not None:
            run.results.setdefault(step.key, entry.id)
    for entry in sorted(run.journal.entries.values(), key=lambda e: e.order, reverse=True):
        if entry.action == SNAPSHOT and left:
            continue  # a resumed run must still know what was there before the change
        step = by_entry.get(id(entry))
        try:
            if step is None:
                raise OperatorError(Exit.LEFT_BEHIND, "the config no longer has this step")
            run.report(f"undo {step.title}")
            step.undo(run, entry)
        except Exception as error:  # a step that cannot be undone must not keep the others from being undone
            reason = as_operator_error(error).message
            left.append({"step": entry.key, "action": entry.action, "id": entry.id, "reason": reason})
        else:
            _record_undone(run, step.key)
    return left
