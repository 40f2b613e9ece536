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
"""Record and attribute transforms: create from a file, test here, attach with a proof of the effect, find users."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from helpers.command import cli
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError

if TYPE_CHECKING:
    from helpers.change.changes import Finish, Run, Step
    from helpers.core.kinds import Kind
    from helpers.transforms.code import Code

COMMAND = "manage_transforms"
OPERATIONS = ("list", "get", "create", "update", "copy", "delete", "test", "attach", "detach", "usage")
WRITES = ("create", "update", "copy", "delete", "attach", "detach")
COLUMNS = ("id", "name", "kind", "code_type", "reusable", "public", "used_by")
PLAN_COLUMNS = ("step", "action", "type", "name", "id", "changes")
KEY = "transform"


def build_parser() -> argparse.ArgumentParser:
    example = (
        "python scripts/manage_transforms.py --operation test --file examples/transforms/drop_pii.json --nexset 123"
    )
    parser = cli.build_parser(COMMAND, __doc__ or "", example, writes=True)
    parser.add_argument("--operation", choices=OPERATIONS, required=True)
    what = parser.add_argument_group("which transform")
    what.add_argument("--kind", choices=("record", "attribute"), default="record")
    what.add_argument("--id", metavar="ID", help="id of the transform")
    what.add_argument("--name", metavar="NAME", help="its exact name; for create, copy and attach --file the new name")
    what.add_argument(
        "--file", metavar="FILE", help="spec.json (Jolt) or a .py file with transform or transformAttribute"
    )
    what.add_argument("--description", metavar="TEXT")
    what.add_argument("--reusable", action=argparse.BooleanOptionalAction, help="for create (default yes)")
    what.add_argument(
        "--public", action="store_true", help="list: the public ones; get, test and the like by --name: one of them"
    )
    where = parser.add_argument_group("test, attach, detach")
    where.add_argument("--nexset", metavar="ID", help="test: its samples are the input; attach, detach: this nexset")
    where.add_argument("--parent", metavar="ID", help="attach: make a nexset derived from this one")
    where.add_argument("--nexset-name", metavar="NAME", help="attach: name of the derived nexset")
    where.add_argument("--samples", metavar="FILE", help="test: records of a file, a JSON list or JSON Lines")
    where.add_argument("--expect", metavar="FILE", help="test: the outputs that must come out; exit 10 if they do not")
    where.add_argument("--args", metavar="JSON", help="test: args of an attribute function, a JSON object")
    where.add_argument("--limit", type=int, metavar="N", help="test: records shown (default 20)")
    where.add_argument("--min-samples", type=int, metavar="N", help="attach, update: fewer prove nothing (default 5)")
    where.add_argument(
        "--must-not-contain", metavar="A,B", help="attach, update: fields that must be gone, name and value"
    )
    where.add_argument(
        "--must-mask", metavar="A,B", help="attach, update: fields that must be there without their value"
    )
    where.add_argument("--must-keep", metavar="A,B", help="attach, update: fields that every record must still have")
    where.add_argument("--proof-timeout", type=cli.seconds, metavar="SECONDS", help="attach, update: default 60")
    where.add_argument("--may-change-nothing", action="store_true",
                       help="attach, update: samples may come out as they went in, e.g. of a filter")  # fmt: skip
    where.add_argument("--activate", action="store_true", help="attach: activate the nexset once it is proven")
    parser.add_argument(
        "--yes",
        action="store_true",
        help="confirm: delete, update of what is used, detach of an ACTIVE nexset",
    )
    return parser


def manage_transforms(args: argparse.Namespace, context: cli.Context) -> Result:
    """Do one operation."""
    from helpers.transforms.flags import check

    check(args, WRITES)
    code = None
    if args.file:
        from helpers.transforms.code import from_file

        code = from_file(args.file, args.kind)
    if args.operation == "test":
        from helpers.transforms.trial import test

        return test(args, context, code or _code_of(_find(args, context)))
    if args.operation == "list":
        return _list(args, context)
    if args.operation in ("get", "usage"):
        return _show(args, context)
    return _change(args, context, code)


def _kind(args: argparse.Namespace) -> Kind:
    from helpers.core.kinds import KINDS

    return KINDS["transforms" if args.kind == "record" else "attribute_transforms"]


def _find(args: argparse.Namespace, context: cli.Context) -> dict[str, Any]:
    """The one transform that --id or --name means, whole."""
    session = context.session
    from helpers.api.resources import get, one_of
    from helpers.transforms.steps import by_exact_name

    kind = _kind(args)
    number = args.id
    if number is None:
        row = one_of(
            kind, args.name, _public(args, context) if args.public else by_exact_name(session, kind, args.name)
        )
        if row is None:
            hint = f"see python scripts/manage_transforms.py --operation list --kind {args.kind}"
            raise OperatorError(Exit.NOT_FOUND, f"no {kind.singular} is named {args.name!r}", hint=hint)
        number = row["id"]
    return get(session, kind, number)


def _public(args: argparse.Namespace, context: cli.Context) -> list[dict[str, Any]]:
    """The public transforms of the name, which may be somebody else's."""
    from helpers.api.resources import Pages
    from helpers.core.kinds import Kind

    kind = _kind(args)
    source = Kind(kind.name, f"{kind.path}/public", kind.api_type, kind.singular, ())
    return [row for row in Pages(context.session, source) if row.get("name") == args.name]


def _code_of(row: dict[str, Any]) -> Code:
    from helpers.transforms.code import of_row

    code = of_row(row)
    if code is None:
        raise OperatorError(Exit.ERROR, f"the code of transform {row.get('id')} is in a form that is not known")
    return code


def _list(args: argparse.Namespace, context: cli.Context) -> Result:
    session = context.session
    from helpers.api.resources import Pages
    from helpers.core.kinds import Kind

    kind = _kind(args)
    source = Kind(kind.name, f"{kind.path}/public", kind.api_type, kind.singular, ()) if args.public else kind
    params = {} if args.public else {"reusable": "all"}
    rows = [_brief(args.kind, row) for row in Pages(session, source, params)
            if args.name is None or args.name.lower() in str(row.get("name")).lower()]  # fmt: skip
    return Result(rows, {"total": len(rows)}, columns=COLUMNS)


def _brief(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    used = row.get("data_sets")
    brief = {"id": row.get("id"), "name": row.get("name"), "kind": kind, "code_type": row.get("code_type")}
    brief |= {"reusable": row.get("reusable"), "public": row.get("public")}
    return brief | {"used_by": len(used) if isinstance(used, list) else None}


def _show(args: argparse.Namespace, context: cli.Context) -> Result:
    from helpers.transforms.steps import users_of

    row = _find(args, context)
    users = users_of(context.session, row)
    if args.operation == "usage":
        return Result(users, {"transform": row["id"], "total": len(users)}, columns=("id", "name", "status"))
    code = _code_of(row)
    data = {**_brief(args.kind, row), "description": row.get("description"), "used_by": users}
    return Result({**data, "code": code.readable() or None, "text": code.as_text()})


def _change(args: argparse.Namespace, context: cli.Context, code: Code | None) -> Result:
    session = context.session
    from helpers.change.changes import Run, apply, plan
    from helpers.change.journal import open_journal

    steps, facts = _steps(args, context, code)
    run = Run(session, context.say, dry=args.dry_run)
    meta: dict[str, Any] = {"api": session.settings.host}
    run.warnings += _warnings(facts)
    if args.dry_run:
        outcomes = plan(run, steps)
        data = {"outcome": "planned", "to_do": sum(o.changed for o in outcomes), **facts, **_diff(run, context)}
        return Result(
            {**data, "steps": [o.as_row() for o in outcomes]}, meta, run.warnings, Exit.OK, PLAN_COLUMNS, "steps"
        )
    subject = f"{args.operation} {args.kind} {args.id} {args.name} {args.nexset} {args.parent} {args.nexset_name}"
    run.journal = open_journal(COMMAND, session.settings.host, subject, path=args.journal, resume=args.resume)
    context.say(f"journal: {run.journal.path}")
    try:
        apply(run, steps, rollback=True, finish=_finish(args))
    finally:
        run.journal.close()
    changed = sum(outcome.changed for outcome in run.outcomes)
    data = {"outcome": "changed" if changed else "unchanged", "changed": changed, "ids": run.results, **facts}
    data |= {name: run.facts[name] for name in ("proof", "schema_changes") if name in run.facts} | _diff(run, context)
    meta |= run.facts.get("proof", {})
    if "shared_with" in facts:
        meta["shared_with"] = len(facts["shared_with"])
    steps_done = [outcome.as_row() for outcome in run.outcomes]
    return Result({**data, "steps": steps_done}, meta, run.warnings, Exit.OK, PLAN_COLUMNS, "steps")


def _warnings(facts: dict[str, Any]) -> list[str]:
    """What the change does not see to; ``facts`` says what applies."""
    found = []
    if facts.pop("nothing_demanded", False):
        found.append("nothing is demanded of the output but that it differs: see --must-not-contain, --must-mask")
    if numbers := facts.pop("unproven", []):
        found.append(f"nexsets {', '.join(map(str, numbers))} get the new code unproven: see --must-mask and the like")
    if number := facts.pop("unused", None):
        found.append(f"no nexset uses transform {number}: nothing is proven before it is attached")
    if number := facts.pop("rests", None):
        found.append(f"nexset {number} is PAUSED and stays so; to wake it when it is proven: --activate")
    if numbers := facts.pop("passes_as_it_is", []):
        found.append(f"without a transform, all that comes into nexset {numbers[0]} passes as it is")
    return found


def _diff(run: Run, context: cli.Context) -> dict[str, Any]:
    """The difference of the code, also line by line for a terminal."""
    lines = run.facts.get("diff")
    for line in lines or []:
        context.say(line)
    return {"diff": lines} if lines else {}


def _steps(args: argparse.Namespace, context: cli.Context, code: Code | None) -> tuple[list[Step], dict[str, Any]]:
    """The steps, and what the plan should show besides: who else uses the transform."""
    from helpers.transforms.plan import attach_steps, change_steps

    if args.operation in ("attach", "detach"):
        row = None if args.file or args.operation == "detach" else _find(args, context)
        return attach_steps(args, context.session, code or (_code_of(row) if row else None), row)
    row = None if args.operation == "create" else _find_for_change(args, context)
    if row and not code and args.operation != "delete":
        code = _code_of(row)
    return change_steps(args, context.session, code, row)


def _find_for_change(args: argparse.Namespace, context: cli.Context) -> dict[str, Any]:
    if args.operation == "copy":
        args = argparse.Namespace(**{**vars(args), "name": None})
    try:
        return _find(args, context)
    except OperatorError as error:
        if args.operation == "delete" and args.resume and error.code is Exit.NOT_FOUND and args.id is not None:
            return {"id": int(args.id), "name": None, "gone": True}  # the run that was cut off had deleted it
        raise


def _finish(args: argparse.Namespace) -> Finish:
    """The commands that go on after a failure, or show what is there."""
    from helpers.change.changes import Finish

    names = ("kind", "id", "name", "file", "nexset", "parent", "nexset_name", "must_not_contain", "must_mask",
             "must_keep", "min_samples", "proof_timeout", "description", "journal", "env_file")  # fmt: skip
    words = [part for name in names if getattr(args, name) is not None
             for part in (f"--{name.replace('_', '-')}", str(getattr(args, name)))]  # fmt: skip
    words += [f"--{name}" for name in ("yes", "activate", "may-change-nothing")
              if getattr(args, name.replace("-", "_"))]  # fmt: skip
    head = ["python", f"scripts/{COMMAND}.py", "--operation", args.operation, *words]
    return Finish(shlex.join([*head, "--resume"]))


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), manage_transforms, argv)


if __name__ == "__main__":
    raise SystemExit(main())
