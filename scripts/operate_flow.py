#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "nexla-sdk>=1.0.8,<2",
#   "python-dateutil>=2.9",
#   "requests>=2.32",
#   "tenacity>=9",
#   "rich>=13",
#   "jsonschema>=4.23",
#   "jolt-py>=2",
#   "python-dotenv>=1",
#   "croniter>=6",
# ]
# ///
"""Operate a flow: status of every member, activate, pause, restart, run now, metrics; each change is verified."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from helpers.command import cli
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError, usage

if TYPE_CHECKING:
    from helpers.api.flow_lookup import Target
    from helpers.api.flows import Member
    from helpers.change.changes import Finish, Run, Step

COMMAND = "operate_flow"
OPERATIONS = ("status", "activate", "pause", "restart", "run-now", "metrics")
WRITES = ("activate", "pause", "restart", "run-now")
STATUS_COLUMNS = ("member", "type", "id", "status", "runtime_status", "last_run", "records", "errors")
PLAN_COLUMNS = ("step", "action", "type", "name", "id", "changes")


def build_parser() -> argparse.ArgumentParser:
    example = "python scripts/operate_flow.py --operation status --resource-type sources --resource-id 123"
    parser = cli.build_parser(COMMAND, __doc__ or "", example, writes=True)
    parser.add_argument("--operation", choices=OPERATIONS, required=True)
    cli.add_target_flags(parser, default_type="flows")
    add = parser.add_argument
    add("--scope", choices=("node", "downstream", "flow"),
        help="what activate, pause and restart change: the resource (a source with its detected nexsets), it and all "
             "below it, or the whole flow (default: flow for --resource-type flows, else node)")  # fmt: skip
    add("--restore", metavar="FILE", help="activate: exactly what a pause turned off, by its --output FILE (JSON)")
    add("--on-failure", choices=("rollback", "keep"), default="rollback", help="what to do when a member refuses")
    add("--wait", action="store_true", help="wait for the next run and its outcome")
    add("--wait-timeout", type=cli.seconds, default=300.0, metavar="SECONDS", help="how long to wait (default 300)")
    add("--days", type=int, default=7, metavar="N", help="metrics: how many days back (default 7)")
    add("--by", choices=("day", "run"), default="day", help="metrics: rows of a table or CSV (default day)")
    return parser


def operate_flow(args: argparse.Namespace, context: cli.Context) -> Result:
    """Do one operation; the data says what each member was before and is now."""
    from helpers.core.kinds import checked_id, kind_of

    kind_of(args.resource_type)
    if args.resource_id is not None:
        checked_id(args.resource_id, "--resource-id")
    if args.restore and (args.operation != "activate" or args.scope not in (None, "flow")):
        raise usage("--restore goes with --operation activate, and without --scope")
    if args.restore:
        _was_active(args.restore)
    if args.wait and args.operation in ("pause", "metrics"):
        raise usage(f"--wait does not go with --operation {args.operation}")
    if args.operation not in WRITES and (args.dry_run or args.resume):
        raise usage(f"--operation {args.operation} changes nothing: --dry-run and --resume do not apply")
    if not 1 <= args.days <= 366:
        raise usage("--days must be 1 to 366")
    session = context.session
    from helpers.api.flow_lookup import find_target

    target = find_target(session, args)
    if args.operation == "metrics":
        from helpers.operate.status import metrics

        return metrics(session, target, days=args.days, by=args.by)
    if args.operation == "status":
        return _status(args, context, target)
    return _change(args, context, target)


def _status(args: argparse.Namespace, context: cli.Context, target: Target) -> Result:
    from helpers.operate.status import status

    runs, data, unread = status(context.session, target, workers=args.workers)
    if not args.wait:
        meta = {key: data[key] for key in ("schedule", "next_run", "next_run_reason") if data[key]}
        code = Exit.PARTIAL if unread else Exit.OK
        return Result(data, meta, [f"could not be read: {text}" for text in unread], code, STATUS_COLUMNS, "members")
    from helpers.operate.wait import newest

    return _waited(args, context, target, newest(target.flow, runs), data, [])


def _members(args: argparse.Namespace, target: Target) -> list[Member]:
    """The members in scope, parents first. The platform switches a source's detected nexsets together with it."""
    scope = "flow" if args.restore else args.scope or ("flow" if target.kind.name == "flows" else "node")
    if scope == "flow":
        return list(target.flow.origin.walk())
    if scope == "downstream":
        return list(target.member.walk())
    detected = target.member.children if target.member.kind == "sources" else []
    return [target.member, *(child for child in detected if child.kind == "nexsets")]


def _change(args: argparse.Namespace, context: cli.Context, target: Target) -> Result:
    from helpers.api.flow_lookup import read_target
    from helpers.api.runs import member_runs
    from helpers.change.changes import Run, apply, plan
    from helpers.change.journal import open_journal
    from helpers.operate.wait import newest

    session = context.session
    run = Run(session, context.say, dry=args.dry_run)
    meta: dict[str, Any] = {"api": session.settings.host}
    if args.dry_run:
        plan(run, _steps(args, target, run))
        data = {"outcome": "planned", "to_do": _changed(run), "steps": _rows(run)}
        return Result(data, meta, run.warnings, columns=PLAN_COLUMNS, table="steps")
    baseline = newest(target.flow, member_runs(session, target.flow, 20, args.workers)) if args.wait else 0
    subject = f"{args.operation} {target.kind.name} {target.id} {args.scope}"
    run.journal = open_journal(COMMAND, session.settings.host, subject, path=args.journal, resume=args.resume)
    context.say(f"journal: {run.journal.path}")
    target = read_target(
        session, target.kind, target.id
    )  # another run may have held the journal when it was read first
    steps = _steps(args, target, run)
    _announce(args, context, steps)
    rollback = args.on_failure == "rollback" and args.operation != "run-now"
    try:
        apply(run, steps, rollback=rollback, finish=_finish(args))
    except OperatorError as error:
        if isinstance(error.data, dict) and "was_active" in run.facts:
            error.data["was_active"] = run.facts["was_active"]
        raise
    finally:
        run.journal.close()
    if args.operation == "restart" and not run.outcomes[1:]:
        run.warnings.append("nothing was ACTIVE, so nothing was restarted")
    outcome = "changed" if _changed(run) else "unchanged"
    report: dict[str, Any] = {"outcome": outcome, "changed": _changed(run), "steps": _rows(run)}
    if args.operation == "pause":
        report["was_active"] = run.facts["was_active"]
    if args.wait:
        return _waited(args, context, target, baseline, report, run.warnings)
    return Result(report, meta, run.warnings, columns=PLAN_COLUMNS, table="steps")


def _announce(args: argparse.Namespace, context: cli.Context, steps: list[Step]) -> None:
    """Say which members will change before the first one does."""
    from helpers.change.set_status import SwitchStep

    will = [f"{step.word} {step.member.label}" for step in steps if isinstance(step, SwitchStep) and step.pending]
    if will:
        context.say("will " + "; ".join(will) + (", and activate again" if args.operation == "restart" else ""))


def _steps(args: argparse.Namespace, target: Target, run: Run) -> list[Step]:
    from helpers.change.set_status import (
        ACTIVE,
        PAUSED,
        RememberStep,
        SwitchStep,
        restart_steps,
        run_now_steps,
        start_steps,
    )

    members = _members(args, target)
    if args.restore:
        on = _was_active(args.restore)
        known = {(member.kind, member.id) for member in members}
        if not on <= known:
            strange = ", ".join(f"{kind} {number}" for kind, number in sorted(on - known))
            raise usage(f"{args.restore} is of another flow, or members are gone: {strange}")
        return start_steps(target.flow, [member for member in members if (member.kind, member.id) in on])
    if args.operation == "activate":
        return [SwitchStep(member, ACTIVE) for member in reversed(members)]
    if args.operation == "pause":
        remember = RememberStep(members, run)
        run.facts["was_active"] = [[member.kind, member.id] for member in remember.on]
        return [remember, *(SwitchStep(member, PAUSED) for member in members)]
    if args.operation == "restart":
        return restart_steps(target.flow, members, run)
    return run_now_steps(target.flow, run)


def _was_active(path: str) -> set[tuple[str, int]]:
    """The members that were ACTIVE before a pause, from its report.

    Raises:
        OperatorError: USAGE.
    """
    import json
    from pathlib import Path

    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        found = {(str(kind), int(number)) for kind, number in report["data"]["was_active"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise usage(f"{path} is not the report of a pause", "write one with --operation pause --output FILE") from None
    if not found:
        raise usage(
            f"{path} says that nothing was ACTIVE: there is nothing to restore", "was it written by a second pause?"
        )
    return found


def _changed(run: Run) -> int:
    return sum(outcome.changed for outcome in run.outcomes)


def _rows(run: Run) -> list[dict[str, Any]]:
    from helpers.change.journal import REMEMBER

    return [outcome.as_row() for outcome in run.outcomes if outcome.action != REMEMBER]


def _waited(
    args: argparse.Namespace, context: cli.Context, target: Target, baseline: int, report: dict[str, Any],
    warnings: list[str],
) -> Result:  # fmt: skip
    from helpers.operate.wait import wait_for_run

    try:
        report["run"] = wait_for_run(context.session, target.flow, baseline, args.wait_timeout, context.say)
    except OperatorError as error:
        error.data = {**report, "run": error.data}  # what was changed before the waiting stays changed
        if args.operation in WRITES and error.code in (Exit.TIMEOUT, Exit.INTERRUPTED):
            error.hint = f"the change itself is done; look with: {_look(target)}"
            error.retryable = False
        raise
    if report["run"]["outcome"] == "empty":
        warnings.append(f"run {report['run']['run_id']} read no records")
    code = Exit.FINDINGS if report["run"]["outcome"] == "errors" else Exit.OK
    meta = {"run": report["run"]["run_id"], "outcome": report["run"]["outcome"]}
    return Result(report, meta, warnings, code=code)


def _look(target: Target) -> str:
    words = f"--resource-type {target.kind.name} --resource-id {target.id}"
    return f"python scripts/operate_flow.py --operation status {words}"


def _finish(args: argparse.Namespace) -> Finish:
    """The commands that go on after a failure, or put everything to rest."""
    from helpers.change.changes import Finish

    given = [("--resource-type", args.resource_type), ("--resource-id", args.resource_id), ("--name", args.name)]
    given += [("--scope", args.scope), ("--restore", args.restore), ("--env-file", args.env_file)]
    words = [part for flag, value in given if value is not None for part in (flag, str(value))]
    journal = ["--journal", args.journal] if args.journal else []
    head = ["python", "scripts/operate_flow.py", "--operation"]
    resume = [*head, args.operation, *words, *journal, "--on-failure", args.on_failure, "--resume"]
    return Finish(shlex.join(resume), shlex.join([*head, "pause", *words]))


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), operate_flow, argv)


if __name__ == "__main__":
    raise SystemExit(main())
