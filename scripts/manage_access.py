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
"""Grant, revoke, replace, copy and declare access to resources or whole pipelines; verified, and undone on failure."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.command import cli
from helpers.command.output import Result
from helpers.core.errors import usage

if TYPE_CHECKING:
    from helpers.access.steps import AccessStep
    from helpers.api.session import Session
    from helpers.change.changes import Run
    from helpers.change.journal import Journal

COMMAND = "manage_access"
OPERATIONS = ("list", "grant", "revoke", "replace", "copy-from", "sync")
ROLE_NAMES = ("collaborator", "operator", "admin", "owner", "sharer")
COLUMNS = ("type", "id", "name", "accessor_type", "accessor_id", "accessor", "role", "expires_at")
PLAN_COLUMNS = ("action", "type", "id", "name", "changes")
ACCESSOR = ("accessor_type", "accessor_id", "accessor_email", "accessor_name", "accessor_domain")
GOES_WITH = {  # flag: the operations that know it
    **dict.fromkeys((*ACCESSOR, "role"), ("grant", "revoke", "replace")),
    "expires_at": ("grant", "replace"),
    "accessors": ("replace",),
    "source": ("copy-from",),
    "file": ("sync",),
    "prune": ("sync",),
    "yes": OPERATIONS[1:],
}


def build_parser() -> argparse.ArgumentParser:
    from helpers.access.flags import add_flags

    example = (
        "python scripts/manage_access.py --operation grant --resource-type sources --resource-ids 123,456,789 "
        "--accessor-type TEAM --accessor-id 42 --role operator"
    )
    parser = cli.build_parser(COMMAND, __doc__ or "", example, writes=True)
    parser.add_argument("--operation", choices=OPERATIONS, required=True)
    add_flags(parser)
    who = parser.add_argument_group("who, in which role")
    who.add_argument("--accessor-type", type=str.upper, choices=("USER", "TEAM", "ORG"))
    who.add_argument("--accessor-id", metavar="ID")
    who.add_argument("--accessor-email", metavar="EMAIL", help="of a USER")
    who.add_argument("--accessor-name", metavar="NAME", help="of a TEAM")
    who.add_argument("--accessor-domain", metavar="DOMAIN", help="of an ORG")
    who.add_argument("--role", type=str.lower, choices=ROLE_NAMES, help="revoke: only this role (default: all)")
    who.add_argument("--expires-at", metavar="TIME", help="grant, replace: a date or ISO 8601 time, UTC")
    who.add_argument("--accessors", metavar="FILE", help='replace: {"accessors": [...]} instead of one accessor')
    who.add_argument("--from", dest="source", metavar="TYPE:ID", help="copy-from: the resource whose access is copied")
    who.add_argument("--file", metavar="FILE", help="sync: declared access of many resources")
    who.add_argument("--prune", action="store_true", help="sync: take away what the file does not declare")
    parser.add_argument("--on-failure", choices=("rollback", "keep"), default="rollback")
    parser.add_argument("--yes", action="store_true", help="confirm what could share too widely or lock somebody out")
    return parser


def manage_access(args: argparse.Namespace, context: cli.Context) -> Result:
    """List, or change; the data names every resource with what it had and has."""
    _check(args)
    session = context.session
    if args.operation == "list":
        return _list(args, context)
    from helpers.change.changes import Run

    run = Run(session, context.say, dry=args.dry_run)
    if args.dry_run:
        return _change(args, run, *_looked(args, run))
    run.journal = _open_journal(args, session)  # before anything is read that another run may be changing
    try:
        return _change(args, run, *_looked(args, run))
    finally:
        run.journal.close()


def _looked(args: argparse.Namespace, run: Run) -> tuple[list[AccessStep], list[str]]:
    """The steps with the rules of each resource read, and the reasons for which --yes is needed.

    Raises:
        OperatorError: USAGE, when there are such and it was not given.
    """
    from helpers.access.confirmation import Caller, reasons_for_yes
    from helpers.access.plan import access_steps, now_of, unmatched
    from helpers.access.rules import difference
    from helpers.access.steps import look_at_all

    caller = Caller(run.session)
    steps = access_steps(args, run.session, caller, run.say)
    look_at_all(run.session, steps, args.workers)
    run.warnings += unmatched(args, run.session, steps)
    exact = args.operation == "replace" or args.prune
    reasons = reasons_for_yes(run, steps, caller, now_of(run.session), exact=exact)
    plans = [(step.target.title, difference(now := step.look(run.session), step.wanted(run, now))) for step in steps]
    if args.operation == "replace" and any(changes for _, changes in plans):
        reasons.insert(0, "replaces everything that is there")
    if reasons and not (args.yes or args.dry_run):
        error = usage("; ".join(reasons), "look at data.changes or with --dry-run, then add --yes; nothing was changed")
        error.data = {"changes": {title: changes for title, changes in plans if changes}}
        raise error
    if not args.yes:
        for step in steps:
            step.objections = lambda step: reasons_for_yes(run, [step], caller, now_of(run.session), exact=exact)
    return steps, reasons


def _check(args: argparse.Namespace) -> None:
    """Raises: OperatorError, USAGE."""
    from helpers.access import declaration as access_file
    from helpers.access.flags import check_flags, named, pipeline

    operation = args.operation
    for flag, operations in GOES_WITH.items():
        if getattr(args, flag) not in (None, False) and operation not in operations:
            raise usage(f"--{'from' if flag == 'source' else flag.replace('_', '-')} does not go with {operation}")
    if operation == "list" and (args.dry_run or args.resume):
        raise usage("list changes nothing: --dry-run and --resume do not apply")
    if operation == "sync":
        if args.file is None:
            raise usage("sync needs --file", access_file.HINT)
        access_file.load(args.file)
        if any(
            getattr(args, name) for name in ("resource_id", "resource_ids", "names", "pipeline_of", "project", "tag")
        ):
            raise usage("sync takes its resources from --file")
        return
    check_flags(args)
    if operation == "copy-from":
        if args.source is None:
            raise usage("copy-from needs --from TYPE:ID")
        pipeline(args.source, "--from")
    elif operation == "replace" and args.accessors is not None:
        if any(getattr(args, name) for name in (*ACCESSOR, "role", "expires_at")):
            raise usage("replace takes either --accessors or one accessor")
        access_file.load_accessors(args.accessors)
    elif operation != "list":
        named(args)
        if args.role is None and operation != "revoke":
            raise usage(f"{operation} needs --role", f"one of {', '.join(ROLE_NAMES)}")
        access_file.expiry(args.expires_at)


def _list(args: argparse.Namespace, context: cli.Context) -> Result:
    session = context.session
    from helpers.access.rules import read_rules
    from helpers.access.targets import find_targets

    rows = []
    targets = find_targets(session, args)
    for target in targets:
        for rule in read_rules(session, target.kind, target.id).values():
            row = {"type": target.kind.name, "id": target.id, "name": target.name, "accessor_type": rule.type}
            row |= {"accessor_id": rule.id, "accessor": rule.label, "role": rule.role, "expires_at": rule.until}
            rows.append(row)
    warnings = [] if rows else ["nobody but the owner has access, as far as access rules say"]
    return Result(rows, {"resources": len(targets), "total": len(rows)}, warnings, columns=COLUMNS)


def _change(args: argparse.Namespace, run: Run, steps: list[AccessStep], reasons: list[str]) -> Result:
    from helpers.change.changes import Finish, apply, plan

    meta: dict[str, Any] = {"api": run.session.settings.host, "resources": len(steps)}
    if args.dry_run:
        plan(run, steps)
        run.warnings += [f"needs --yes: {reason}" for reason in reasons]
        return Result(_report(run, "planned"), meta, run.warnings, columns=PLAN_COLUMNS, table="resources")
    assert run.journal is not None
    run.say(f"journal: {run.journal.path}")
    head = ["python", f"scripts/{COMMAND}.py", *_words(args)]
    finish = Finish(shlex.join([*head, "--on-failure", args.on_failure, "--resume"]))
    apply(run, steps, rollback=args.on_failure == "rollback", finish=finish, independent=True)
    outcome = "changed" if any(o.changed for o in run.outcomes) else "unchanged"
    return Result(_report(run, outcome), meta, run.warnings, columns=PLAN_COLUMNS, table="resources")


def _open_journal(args: argparse.Namespace, session: Session) -> Journal:
    from helpers.change.journal import open_journal

    said = [word for word in _words(args) if word != "--yes"]
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]
    subject = f"{args.operation} {args.accessor_type or ''} {digest}"
    host = session.settings.host
    return open_journal(
        COMMAND, host, subject, path=args.journal, resume=args.resume, config=_content(args), pinned=True
    )


def _content(args: argparse.Namespace) -> str:
    """A digest of the file that says what is wanted, so that a changed one is not taken for the same change."""
    name = args.file or args.accessors
    return hashlib.sha256(Path(name).read_bytes()).hexdigest()[:12] if name else ""


def _report(run: Run, outcome: str) -> dict[str, Any]:
    changed = sum(each.changed for each in run.outcomes)
    return {"outcome": outcome, "changed": changed, "resources": [each.as_row() for each in run.outcomes]}


def _words(args: argparse.Namespace) -> list[str]:
    """The command line that says the same again."""
    names = ("operation", "resource_type", "resource_id", "resource_ids", "names", "pipeline_of", "project", "tag",
             *ACCESSOR, "role", "expires_at", "accessors", "file", "journal", "env_file")  # fmt: skip
    words = [part for name in names if getattr(args, name) is not None
             for part in (f"--{name.replace('_', '-')}", str(getattr(args, name)))]  # fmt: skip
    words += ["--from", args.source] if args.source else []
    return words + [
        f"--{name.replace('_', '-')}" for name in ("with_credentials", "prune", "yes") if getattr(args, name)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), manage_access, argv)


if __name__ == "__main__":
    raise SystemExit(main())
