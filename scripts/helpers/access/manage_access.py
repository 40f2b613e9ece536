"""One operation on access rules: list them, or change exactly what was requested."""

from __future__ import annotations

from typing import Any

from helpers.access.audit_log import WITHOUT_LOG
from helpers.access.confirmation import Caller, confirmation_reasons
from helpers.access.own_access import TARGETS, RecordTargetsStep, own_access_last, recorded_targets
from helpers.access.plan import now_of, plan_access, warn_of_unmatched
from helpers.access.request import AccessRequest
from helpers.access.rules import difference, read_rules
from helpers.access.steps import AccessStep, load_all
from helpers.access.targets import find_targets
from helpers.change.changes import apply, plan
from helpers.change.identity import identity_of
from helpers.change.journal import Journal, open_journal
from helpers.change.model import ChangeRun, RecoveryCommands
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.core.errors import Exit, usage

COLUMNS = ("type", "id", "name", "accessor_type", "accessor_id", "accessor", "role", "expires_at")
PLAN_COLUMNS = ("action", "type", "id", "name", "changes")


def run(request: AccessRequest, context: Context) -> Result:
    """List the rules, or plan or apply a change.

    Returns:
        For ``list`` one row per rule; otherwise every resource with its rules before and after.

    Raises:
        OperatorError: USAGE when ``--yes`` is missing; NOT_FOUND; ROLLED_BACK, PARTIAL, LEFT_BEHIND or UNKNOWN_OUTCOME
            when the change failed.
    """
    if request.operation == "list":
        return _list(request, context)
    change = ChangeRun(context.session, context.report, dry=request.change.dry_run)
    if change.dry:
        return _plan(request, context, change)
    change.journal = _open_journal(request, context)  # lock first: another run may be changing what is read next
    try:
        return _apply(request, context, change)
    finally:
        change.journal.close()


def _list(request: AccessRequest, context: Context) -> Result:
    rows = []
    targets = find_targets(context.session, request.selection)
    for target in targets:
        for rule in read_rules(context.session, target.kind, target.id).values():
            row = {"type": target.kind.name, "id": target.id, "name": target.name, "accessor_type": rule.type}
            row |= {"accessor_id": rule.id, "accessor": rule.label, "role": rule.role, "expires_at": rule.expires_at}
            rows.append(row)
    warnings = [] if rows else ["no access rules: only the owner has access, apart from org admins"]
    return Result(rows, {"resources": len(targets), "total": len(rows)}, warnings, columns=COLUMNS)


def _steps(request: AccessRequest, context: Context, change: ChangeRun) -> tuple[list[AccessStep], list[str]]:
    """The steps, with the rules of each resource already read, and the reasons why ``--yes`` is needed.

    Raises:
        OperatorError: USAGE, if ``--yes`` is needed and was not passed.
    """
    session = context.session
    caller = Caller(session)
    steps = plan_access(request, session, caller, context.report, recorded_targets(change))
    load_all(change, steps, context.workers)
    readable = [step for step in steps if not step.ended]
    if readable:
        change.warnings += warn_of_unmatched(request, session, readable)
    reasons = confirmation_reasons(readable, caller, now_of(session), exact=request.exact)
    changes = {step.target.title: difference(now := step.read(session), step.wanted(now)) for step in readable}
    if request.operation == "replace" and any(changes.values()):
        reasons.insert(0, "replaces all existing rules")
    if reasons and not (request.confirmed or change.dry):
        error = usage(
            "; ".join(reasons), "nothing was changed; review data.changes or run with --dry-run, then add --yes"
        )
        error.data = {"changes": {title: changed for title, changed in changes.items() if changed}}
        raise error
    if not request.confirmed:
        for step in steps:
            step.objections = lambda step: confirmation_reasons([step], caller, now_of(session), exact=request.exact)
    return steps, reasons


def _plan(request: AccessRequest, context: Context, change: ChangeRun) -> Result:
    steps, reasons = _steps(request, context, change)
    plan(change, steps)
    change.warnings += [f"needs --yes: {reason}" for reason in reasons]
    return _result(context, change, steps, "planned")


def _apply(request: AccessRequest, context: Context, change: ChangeRun) -> Result:
    assert change.journal is not None
    planned, _ = _steps(request, context, change)
    steps, takes_own_access = own_access_last(planned)
    context.report(f"journal: {change.journal.path}")
    recovery = RecoveryCommands(context.invocation.resumed())
    first = [RecordTargetsStep(steps)] if takes_own_access else []
    apply(change, [*first, *steps], rollback=request.rollback, recovery=recovery, independent=True)
    return _result(context, change, steps, "changed" if change.changed else "unchanged")


def _result(context: Context, change: ChangeRun, steps: list[AccessStep], outcome: str) -> Result:
    rows = [each.as_row() for each in change.outcomes if each.key != TARGETS]
    unverified = [
        {"type": step.kind, "id": step.target.id, "name": step.name, "accessors": step.unverified}
        for step in steps
        if step.unverified
    ]
    data: dict[str, Any] = {"outcome": outcome, "changed": change.changed, "resources": rows}
    data |= {"unverified": unverified} if unverified else {}
    meta: dict[str, Any] = {"api": context.host, "resources": len(steps)}
    code = Exit.PARTIAL if unverified else Exit.OK
    warnings = [*change.warnings, *_closing_warnings(steps)]
    return Result(data, meta, warnings, code, columns=PLAN_COLUMNS, table="resources")


def _closing_warnings(steps: list[AccessStep]) -> list[str]:
    """What could not be seen at the end of a change."""
    warnings = []
    for step in (step for step in steps if step.ended):
        text = f"{step.target.title} can no longer be read: this change has revoked your own access"
        rest = f"; ask its owner to check {', '.join(step.unverified)}" if step.unverified else ""
        warnings.append(text + rest)
    unseen = [step for step in steps if step.log_problem and step.kind not in WITHOUT_LOG]
    if unseen:
        text = (
            f"a role given in the same moment as the change may have been taken along unnoticed on {len(unseen)} of the"
        )
        warnings.append(
            f"{text} resources: cannot read the audit log of {unseen[0].target.title}: {unseen[0].log_problem}"
        )
    return warnings


def _open_journal(request: AccessRequest, context: Context) -> Journal:
    identity = identity_of(context.session, "manage_access", request.identity)
    options = request.change
    return open_journal(identity, path=options.journal, resume=options.resume, config=request.digest, pinned=True)
