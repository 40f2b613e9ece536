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
"""Record and attribute transforms: create from a file, test locally, attach with proof of the effect, find users."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from helpers.command import cli
from helpers.command.parser import FILE, Parser, change_options, command_parser, flag, seconds, split_list
from helpers.core.errors import usage
from helpers.core.kinds import checked_id
from helpers.transforms.code import code_from_file
from helpers.transforms.request import MIN_SAMPLES, OPERATIONS, PROOF_SECONDS, WRITES, Requirements, TransformRequest

COMMAND = cli.Command(
    "manage_transforms",
    "helpers.transforms.manage_transforms:run",
    connects=lambda request: request.needs_nexla,
)
PROOF = ("must_not_contain", "must_mask", "must_keep", "min_samples", "may_change_nothing", "proof_timeout")
GOES_WITH = {  # flag: the operations that accept it
    "id": ("get", "usage", "update", "copy", "delete", "test", "attach"),
    "name": ("list", "get", "usage", "create", "update", "copy", "delete", "test", "attach"),
    "file": ("create", "update", "test", "attach"),
    "description": ("create", "update", "copy"),
    "reusable": ("create",),
    "public": ("list", "get", "usage", "test", "attach"),
    "nexset": ("test", "attach", "detach"),
    "parent": ("attach",),
    "nexset_name": ("attach",),
    "samples": ("test",),
    "expect": ("test",),
    "args": ("test",),
    "limit": ("test",),
    "run_remote_code": ("test", "attach"),
    "activate": ("attach",),
    "yes": ("update", "delete", "detach"),
    **dict.fromkeys(PROOF, ("attach", "update")),
}
NEEDED = {
    "create": ("file", "name"),
    "copy": ("id", "name"),
    "detach": ("nexset",),
    "update": ("file", "id|name"),
    "test": ("file|id|name", "samples|nexset"),
    "attach": ("file|id|name", "nexset|parent"),
    "get": ("id|name",),
    "usage": ("id|name",),
    "delete": ("id|name",),
}
NAME_LENGTH = 255


def build_parser() -> Parser:
    """The parser for the command's flags."""
    example = (
        "python scripts/manage_transforms.py --operation test --file examples/transforms/drop_pii.json --nexset 123"
    )
    parser = command_parser(COMMAND.name, __doc__ or "", example, writes=True, creates=True)
    parser.add_argument("--operation", choices=OPERATIONS, required=True)
    what = parser.add_argument_group("which transform").add_argument
    what("--kind", choices=("record", "attribute"), default="record")
    what("--id", metavar="ID", help="id of the transform")
    what("--name", metavar="NAME", help="its exact name; with create, copy and attach --file: the new name")
    what("--file", metavar=FILE, help="spec.json (Jolt), or a .py file that defines transform or transformAttribute")
    what("--description", metavar="TEXT")
    what(
        "--reusable", action=argparse.BooleanOptionalAction, help="create: whether nexsets can share it (default: yes)"
    )
    what("--public", action="store_true",
         help="list: list public transforms; get, usage, test, attach: find --name among them")  # fmt: skip
    where = parser.add_argument_group("test, attach, detach").add_argument
    where("--nexset", metavar="ID", help="test: use its samples as input; attach, detach: change this nexset")
    where("--parent", metavar="ID", help="attach: derive a new nexset from this one")
    where("--nexset-name", metavar="NAME", help="attach: name of the derived nexset")
    where("--samples", metavar=FILE, help="test: file of records, a JSON list or JSON Lines")
    where("--expect", metavar=FILE, help="test: file of expected outputs; exit 10 if the outputs differ")
    where("--args", metavar="JSON", help="test: args for an attribute function, a JSON object")
    where("--limit", type=int, metavar="N", help="test: number of records to show (default: 20)")
    where("--run-remote-code", action="store_true",
          help="test, attach: run a script from Nexla on this machine, if it can be isolated")  # fmt: skip
    where("--min-samples", type=int, metavar="N", help="attach, update: samples needed for a proof (default: 5)")
    where("--must-not-contain", metavar="A,B", help="attach, update: fields whose name and value must be removed")
    where("--must-mask", metavar="A,B", help="attach, update: fields that must be present without their original value")
    where("--must-keep", metavar="A,B", help="attach, update: fields that every record must keep")
    where(
        "--proof-timeout",
        type=seconds,
        metavar="SECONDS",
        help="attach, update: how long to wait for fresh samples (default: 60)",
    )
    where("--may-change-nothing", action="store_true",
          help="attach, update: accept that no sample changes, e.g. for a filter")  # fmt: skip
    where("--activate", action="store_true", help="attach: activate the nexset once the effect is proven")
    parser.add_argument("--yes", action="store_true",
                        help="confirm delete, update of a transform in use, detach from an ACTIVE nexset")  # fmt: skip
    return parser


def build_request(args: argparse.Namespace) -> TransformRequest:
    """Check the flags and the file.

    Raises:
        OperatorError: USAGE.
    """
    _check_combination(args)
    _check_names(args)
    if args.run_remote_code and args.file:
        raise usage("--run-remote-code is for a script in Nexla", "the code in --file runs without it")
    if args.operation == "test":
        _check_test(args)
    if args.operation == "attach":
        _check_attach(args)
    if args.operation == "delete" and not (args.yes or args.dry_run):
        raise usage("a delete cannot be rolled back", "run with --dry-run first, then add --yes")
    if args.operation not in WRITES and (args.dry_run or args.resume):
        raise usage(f"--operation {args.operation} changes nothing: --dry-run and --resume do not apply")
    fields = (split_list(args.must_not_contain), split_list(args.must_mask), split_list(args.must_keep))
    return TransformRequest(
        operation=args.operation,
        kind=args.kind,
        transform_id=_id(args, "id"),
        name=args.name,
        file=args.file,
        code=code_from_file(args.file, args.kind) if args.file else None,
        description=args.description,
        reusable=args.reusable,
        public=args.public,
        nexset_id=_id(args, "nexset"),
        parent_id=_id(args, "parent"),
        nexset_name=args.nexset_name,
        samples=args.samples,
        expect=args.expect,
        args=_json_object(args.args),
        limit=args.limit,
        run_remote_code=args.run_remote_code,
        requirements=Requirements(*fields, args.min_samples or MIN_SAMPLES, args.may_change_nothing),
        proof_seconds=args.proof_timeout or PROOF_SECONDS,
        activate=args.activate,
        confirmed=args.yes,
        change=change_options(args),
    )


def _id(args: argparse.Namespace, name: str) -> int | None:
    value = getattr(args, name)
    return None if value is None else checked_id(value, flag(name))


def _json_object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise usage(f"--args is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise usage("--args must be a JSON object", 'for example, --args \'{"field": "mail"}\'')
    return value


def _check_combination(args: argparse.Namespace) -> None:
    operation = args.operation
    for name, operations in GOES_WITH.items():
        if getattr(args, name) not in (None, False) and operation not in operations:
            raise usage(f"{flag(name)} cannot be used with --operation {operation}")
    for choice in NEEDED.get(operation, ()):
        names = choice.split("|")
        if not any(getattr(args, name) is not None for name in names):
            raise usage(f"--operation {operation} needs {' or '.join(map(flag, names))}")
    if operation in ("get", "usage", "delete") and args.id is not None and args.name is not None:
        raise usage(f"--operation {operation} needs either --id or --name, not both")


def _check_names(args: argparse.Namespace) -> None:
    for name in ("must_not_contain", "must_mask", "must_keep"):
        if getattr(args, name) is not None and not split_list(getattr(args, name)):
            raise usage(f"{flag(name)} is empty", "is a variable unset?")
    if args.min_samples is not None and args.min_samples < 1:
        raise usage("--min-samples must be at least 1: zero samples prove nothing")
    for name in ("name", "nexset_name"):
        value = getattr(args, name)
        if value is not None and not (value.strip() and value.isprintable() and len(value) <= NAME_LENGTH):
            raise usage(f"{flag(name)} must be 1 to {NAME_LENGTH} printable characters")


def _check_test(args: argparse.Namespace) -> None:
    if (args.samples is None) == (args.nexset is None):
        raise usage("test needs either --samples FILE or --nexset ID, not both")
    if args.file and (args.id or args.name):
        raise usage("test needs either --file or a transform in Nexla (--id, --name), not both")
    if args.args is not None and args.kind != "attribute":
        raise usage("--args can only be used with --kind attribute", "the platform passes no args to record transforms")
    if args.limit is not None and args.limit < 1:
        raise usage("--limit must be at least 1")


def _check_attach(args: argparse.Namespace) -> None:
    if args.kind == "attribute":
        raise usage(
            "only record transforms can be attached to a nexset", "call the attribute function from a record transform"
        )
    if (args.nexset is None) == (args.parent is None) or (args.parent is not None) != (args.nexset_name is not None):
        raise usage("attach needs --nexset ID, or --parent ID with --nexset-name NAME")
    if args.file and args.id is not None:
        raise usage("attach needs either --file with --name, or --id", "--id attaches a transform that is in Nexla")
    if args.file and args.name is None:
        raise usage("attach with --file needs --name", "a reusable transform is created under this name")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
