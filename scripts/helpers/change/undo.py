"""How a change ends that fails: everything undone, or kept and listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from helpers.change.journal import REMEMBER, Entry
from helpers.core.errors import Exit, OperatorError
from helpers.core.limits import STOP

if TYPE_CHECKING:
    from helpers.change.changes import Finish, Run, Step

UNDO_SECONDS = 120.0  # time kept for undoing when the deadline is the failure


def as_operator_error(error: Exception) -> OperatorError:
    """The error itself, or one that stands for a defect."""
    if isinstance(error, OperatorError):
        return error
    wrapped = OperatorError(Exit.ERROR, f"unexpected {type(error).__name__}: {error}", hint="look with --verbose")
    wrapped.__cause__ = error
    return wrapped


def fail(run: Run, steps: Sequence[Step], error: OperatorError, *, rollback: bool, finish: Finish) -> NoReturn:
    """End a failed run: undo or keep, and say exactly what is there."""
    assert run.journal is not None
    STOP.clear()
    effects = dict(run.journal.entries)
    if all(entry.action == REMEMBER for entry in effects.values()):
        run.journal.finish(error.code.name)
        raise error
    if not rollback or error.code is Exit.UNKNOWN_OUTCOME:
        error.data = {"outcome": "kept", **as_they_are(run, steps)}
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


def as_they_are(run: Run, steps: Sequence[Step]) -> dict[str, Any]:
    """What is to be said of a change that ends in the middle: each step's outcome, effects, and what was not tried."""
    assert run.journal is not None
    effects = run.journal.entries
    gone = {key: entry for key, entry in effects.items() if entry.action == "delete" and entry.done}
    there = {key: entry for key, entry in effects.items() if key not in gone}
    seen = {outcome.key for outcome in run.outcomes} | effects.keys()
    return {
        "steps": [outcome.as_row() for outcome in run.outcomes],
        "kept": _listed(there),
        "deleted": _listed(gone),
        "not_tried": [step.key for step in steps if step.key not in seen],
    }


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
    wayout = (
        f"remove it all with: {finish.remove}" if made_all and finish.remove else "restore what data.left_behind lists"
    )
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
            reason = as_operator_error(error).message
            left.append({"step": entry.key, "action": entry.action, "id": entry.id, "reason": reason})
    return left
