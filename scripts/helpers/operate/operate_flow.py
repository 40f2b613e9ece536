"""One operation on a flow: its status or metrics, or a verified change of which members are ACTIVE."""

from __future__ import annotations

from typing import Any

from helpers.api.flow_lookup import FlowTarget, find_flow_target, read_flow_target
from helpers.api.flows import Member
from helpers.api.runs import member_runs, newest_run_id
from helpers.change.changes import apply, plan
from helpers.change.identity import identity_of
from helpers.change.journal import SNAPSHOT, open_journal
from helpers.change.model import ChangeRun, RecoveryCommands, Step
from helpers.change.set_status import SnapshotActiveStep
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError, usage
from helpers.operate.request import WRITES, OperateRequest
from helpers.operate.status import metrics, status
from helpers.operate.steps import (
    MemberStatusStep,
    activate_steps,
    detected_in,
    pause_steps,
    restart_steps,
    run_now_steps,
    snapshot_of,
    start_steps,
)
from helpers.operate.wait import wait_for_run

STATUS_COLUMNS = ("member", "type", "id", "status", "runtime_status", "last_run", "records", "errors")
PLAN_COLUMNS = ("step", "action", "type", "name", "id", "changes")


def run(request: OperateRequest, context: Context) -> Result:
    """Carry out one operation.

    Returns:
        For a change, the status of each member before and after; otherwise the status or the metrics.

    Raises:
        OperatorError: as ``changes.apply``; NOT_FOUND; TIMEOUT, when the next run did not end in time.
    """
    selector = request.resource
    target = find_flow_target(context.session, selector.kind, selector.id, selector.name)
    if request.operation == "metrics":
        return metrics(context.session, target, days=request.days, by=request.by)
    if request.operation == "status":
        return _status(request, context, target)
    return _change(request, context, target)


def _status(request: OperateRequest, context: Context, target: FlowTarget) -> Result:
    runs, data, unread = status(context.session, target, workers=context.workers)
    if request.wait_seconds is not None:
        return _wait(request, context, target, newest_run_id(target.flow, runs), data, [])
    meta = {key: data[key] for key in ("schedule", "next_run", "next_run_reason") if data[key]}
    code = Exit.PARTIAL if unread else Exit.OK
    return Result(data, meta, [f"could not be read: {text}" for text in unread], code, STATUS_COLUMNS, "members")


def _members(request: OperateRequest, target: FlowTarget) -> list[Member]:
    """The members in scope, parents first. Nexla changes the status of detected nexsets together with their source."""
    if request.scope == "flow":
        return list(target.flow.origin.walk())
    if request.scope == "downstream":
        return list(target.member.walk())
    return [target.member, *detected_in(target.member)]


def _change(request: OperateRequest, context: Context, target: FlowTarget) -> Result:
    session = context.session
    change = ChangeRun(session, context.report, dry=request.change.dry_run)
    meta: dict[str, Any] = {"api": context.host}
    if change.dry:
        plan(change, _steps(request, target, change))
        _warn_of_unknown(request, target, change)
        data = {"outcome": "planned", "to_do": change.changed, "steps": _rows(change)}
        return Result(data, meta, change.warnings, columns=PLAN_COLUMNS, table="steps")
    baseline = 0
    if request.wait_seconds is not None:
        baseline = newest_run_id(target.flow, member_runs(session, target.flow, 20, context.workers))
    subject = f"{request.operation} {target.kind.name} {target.id} {request.scope}"
    identity = identity_of(session, "operate_flow", subject)
    change.journal = open_journal(identity, path=request.change.journal, resume=request.change.resume)
    steps: list[Step] = []
    try:
        context.report(f"journal: {change.journal.path}")
        target = read_flow_target(session, target.kind, target.id)  # another run may have held the journal until now
        steps = _steps(request, target, change)
        _announce(request, context, steps)
        recovery = RecoveryCommands(context.invocation.resumed())
        apply(change, steps, rollback=request.rollback, recovery=recovery)
    except OperatorError as error:
        if isinstance(error.data, dict) and request.operation == "pause":
            error.data["was_active"] = _was_active(steps)
        raise
    finally:
        change.journal.close()
    report: dict[str, Any] = {"outcome": "changed" if change.changed else "unchanged", "changed": change.changed}
    report["steps"] = _rows(change)
    code = Exit.PARTIAL if _warn_of_unknown(request, target, change) else Exit.OK
    if request.operation == "restart" and not change.outcomes[1:]:
        change.warnings.append("no member was ACTIVE, so nothing was restarted")
    if request.operation == "pause":
        report["was_active"] = _was_active(steps)
    if request.wait_seconds is not None:
        return _wait(request, context, target, baseline, report, change.warnings)
    return Result(report, meta, change.warnings, code, PLAN_COLUMNS, "steps")


def _warn_of_unknown(request: OperateRequest, target: FlowTarget, change: ChangeRun) -> bool:
    """Warn of nodes in scope whose kind is unknown: they cannot be switched. Returns whether there are any."""
    unknown = target.flow.unknown if request.scope in ("flow", "downstream") else []
    if unknown:
        change.warnings.append(f"not switched, because their kind is unknown: {', '.join(unknown)}")
    return bool(unknown)


def _announce(request: OperateRequest, context: Context, steps: list[Step]) -> None:
    """Report which members will change, before the first one does."""
    pending = [step for step in steps if isinstance(step, MemberStatusStep) and step.pending]
    if pending:
        text = "; ".join(f"{step.verb} {step.member.label}" for step in pending)
        context.report(f"will {text}" + (", and activate again" if request.operation == "restart" else ""))


def _steps(request: OperateRequest, target: FlowTarget, change: ChangeRun) -> list[Step]:
    members = _members(request, target)
    if request.restore:
        unknown = request.restore - {member.key for member in members}
        if unknown:
            listed = ", ".join(f"{kind} {resource_id}" for kind, resource_id in sorted(unknown))
            raise usage(f"{request.restore_file} belongs to another flow, or members no longer exist: {listed}")
        return start_steps(target.flow, [member for member in members if member.key in request.restore])
    if request.operation == "activate":
        return activate_steps(members)
    if request.operation == "pause":
        return pause_steps(members, snapshot_of(members, change))
    if request.operation == "restart":
        return restart_steps(target.flow, members, change)
    return run_now_steps(target.flow, change)


def _was_active(steps: list[Step]) -> list[list[Any]]:
    return [list(key) for step in steps if isinstance(step, SnapshotActiveStep) for key in step.active]


def _rows(change: ChangeRun) -> list[dict[str, Any]]:
    return [outcome.as_row() for outcome in change.outcomes if outcome.action != SNAPSHOT]


def _wait(
    request: OperateRequest,
    context: Context,
    target: FlowTarget,
    baseline: int,
    report: dict[str, Any],
    warnings: list[str],
) -> Result:
    """Wait for the next run after ``baseline``, and add its outcome to the report."""
    seconds = request.wait_seconds or 0.0
    try:
        report["run"] = wait_for_run(context.session, target.flow, baseline, seconds, context.report)
    except OperatorError as error:
        error.data = {**report, "run": error.data}  # the changes before the wait are kept
        if request.operation in WRITES and error.code in (Exit.TIMEOUT, Exit.INTERRUPTED):
            check = command_line("operate_flow", "--operation", "status", *target.flags())
            error.hint, error.retryable = f"the change itself is done; check with: {check}", False
        raise
    outcome = report["run"]["outcome"]
    if outcome == "empty":
        warnings.append(f"run {report['run']['run_id']} read no records")
    code = Exit.FINDINGS if outcome == "errors" else Exit.OK
    return Result(report, {"run": report["run"]["run_id"], "outcome": outcome}, warnings, code=code)
