"""Carrying out a change: plan, apply, verify. A failure is rolled back, or reported with what the change did."""

from __future__ import annotations

from collections.abc import Sequence

from helpers.api.failures import ApiError
from helpers.api.transport import refuse_if_read_only
from helpers.change.model import PASSED, SKIPPED, UNCHANGED, ChangeRun, RecoveryCommands, Step, StepOutcome
from helpers.change.undo import as_operator_error, end_failed_change, partial_state
from helpers.core.errors import Exit, OperatorError


def plan(run: ChangeRun, steps: Sequence[Step]) -> list[StepOutcome]:
    """Find out what a run would do, without writing anything.

    Returns:
        The planned outcome of every step.

    Raises:
        OperatorError: a step could not be planned.
    """
    for step in steps:
        found = step.find(run)
        run.note(step, found.action, found.id, found.changes, found.owner)
    return run.outcomes


def apply(
    run: ChangeRun, steps: Sequence[Step], *, rollback: bool, recovery: RecoveryCommands, independent: bool = False
) -> list[StepOutcome]:
    """Carry out a change.

    Args:
        rollback: whether to undo the change when a step fails.
        recovery: the commands to print after a failure.
        independent: whether no step depends on another; without rollback, a failed step then does not stop the others.

    Returns:
        The outcome of every step.

    Raises:
        OperatorError: the failure itself, when nothing was changed or the change is kept; ROLLED_BACK; LEFT_BEHIND
            with what remains; UNKNOWN_OUTCOME, which is never rolled back; PARTIAL, when independent steps failed;
            INTERRUPTED.
    """
    assert run.journal is not None, "a change that is applied needs a journal"
    failures: list[OperatorError] = []
    try:
        last_write = max((place for place, step in enumerate(steps, 1) if step.writes), default=0)
        for position, step in enumerate(steps, 1):
            try:
                _apply_one(run, step, f"[{position}/{len(steps)}] {step.title}")
            except OperatorError as error:
                if rollback or not independent or not _concerns_one_step(error):
                    raise
                _note_failure(run, step, error)
                failures.append(error)
            if position == last_write:  # the checks that follow see the final state
                for written in steps:
                    written.recheck(run)
        if len(failures) == len(steps) > 0:
            raise failures[0]
    except Exception as error:  # a defect, too, must be rolled back or reported with what the change did
        end_failed_change(run, steps, as_operator_error(error), rollback=rollback, recovery=recovery)
    if failures:
        raise _partial(run, steps, failures, recovery)
    _warn_of_orphans(run, steps)
    run.journal.finish(Exit.OK.name)
    return run.outcomes


def _warn_of_orphans(run: ChangeRun, steps: Sequence[Step]) -> None:
    assert run.journal is not None
    known = [run.entry(step.key) for step in steps]
    for entry in run.journal.entries.values():
        if entry.created and entry not in known:
            run.warnings.append(
                f"{entry.key} (id {entry.id}) was created by this change but is no longer in the config"
            )


def _concerns_one_step(error: OperatorError) -> bool:
    """Whether a failure concerns only its own step."""
    return error.code in (Exit.ERROR, Exit.NOT_FOUND) or error.http_status in (403, 500)


def _note_failure(run: ChangeRun, step: Step, error: OperatorError) -> None:
    run.report(f"{step.title}: failed: {error.message}")
    entry = run.entry(step.key)
    run.note_failure(step, error.message, entry.id if entry else (error.resource or {}).get("id"))


def _partial(
    run: ChangeRun, steps: Sequence[Step], failures: list[OperatorError], recovery: RecoveryCommands
) -> OperatorError:
    text = f"{len(failures)} of {len(steps)} steps failed, the others are done; first failure: {failures[0].message}"
    return OperatorError(
        Exit.PARTIAL, text, hint=f"continue with: {recovery.resume}", http_status=failures[0].http_status,
        resource=failures[0].resource, data={"outcome": "partial", **partial_state(run, steps)},
    )  # fmt: skip


def _apply_one(run: ChangeRun, step: Step, title: str) -> None:
    assert run.journal is not None
    run.session.deadline.check()
    step.recover(run)
    found = step.find(run)
    entry = run.entry(step.key)
    run.report(f"{title}: {found.action}")
    if found.action in (UNCHANGED, PASSED, SKIPPED):
        if entry and not entry.done:
            run.journal.done(step.key, found.id, created=entry.created, proven=entry.proven)
        run.note(step, found.action, found.id, {}, found.owner)
        return
    if not step.writes:
        run.note(step, PASSED, step.apply(run, found).id, found.changes)
        return
    refuse_if_read_only(run.session, step.title)
    run.journal.intent(step.key, found.action, found.id, found.before, found.resume_data)
    try:
        applied = step.apply(run, found)
    except ApiError as error:
        if error.known_not_applied and error.method == "POST" and found.action == "create":
            run.journal.undone(step.key)  # the create was rejected, so there is nothing to undo
        raise
    run.journal.done(step.key, applied.id, created=applied.created, proven=applied.proven)
    outcome = run.note(step, found.action, applied.id, found.changes, found.owner)
    verified = step.verify(run, applied)
    if verified != applied and verified.id is not None:  # another row is used instead
        run.journal.done(step.key, verified.id, created=verified.created, proven=verified.proven)
        run.results[step.key] = verified.id
        outcome.id = verified.id
        if not verified.created:  # another run created it first
            outcome.action = UNCHANGED
