"""Which flags of manage_transforms.py go together; everything else is refused before anything is read or sent."""

from __future__ import annotations

import argparse

from helpers.core.errors import usage
from helpers.core.kinds import checked_id

PROOF = ("must_not_contain", "must_mask", "must_keep", "min_samples", "may_change_nothing", "proof_timeout")
GOES_WITH = {  # flag: the operations that know it
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


def check(args: argparse.Namespace, writes: tuple[str, ...]) -> None:
    """Raises: OperatorError, USAGE."""
    operation = args.operation
    for flag, operations in GOES_WITH.items():
        if getattr(args, flag) not in (None, False) and operation not in operations:
            raise usage(f"--{flag.replace('_', '-')} does not go with --operation {operation}")
    for choice in NEEDED.get(operation, ()):
        if not any(getattr(args, flag) is not None for flag in choice.split("|")):
            raise usage(f"--operation {operation} needs --{choice.replace('|', ' or --').replace('_', '-')}")
    for name in ("id", "nexset", "parent"):
        if getattr(args, name) is not None:
            checked_id(getattr(args, name), f"--{name}")
    if operation in ("get", "usage", "delete") and args.id is not None and args.name is not None:
        raise usage(f"--operation {operation} takes --id or --name, not both")
    _check_names(args)
    if operation == "test":
        _check_test(args)
    if operation == "attach":
        _check_attach(args)
    if operation == "delete" and not (args.yes or args.dry_run):
        raise usage("a delete cannot be undone", "look with --dry-run, then add --yes")
    if operation not in writes and (args.dry_run or args.resume):
        raise usage(f"--operation {operation} changes nothing: --dry-run and --resume do not apply")


def _check_names(args: argparse.Namespace) -> None:
    for flag in ("must_not_contain", "must_mask", "must_keep"):
        if getattr(args, flag) is not None and not names_in(getattr(args, flag)):
            raise usage(f"--{flag.replace('_', '-')} names no field", "is a variable empty?")
    if args.min_samples is not None and args.min_samples < 1:
        raise usage("--min-samples must be at least 1: zero samples prove nothing")
    for flag in ("name", "nexset_name"):
        name = getattr(args, flag)
        if name is None:
            continue
        if not name.strip() or not name.isprintable() or len(name) > NAME_LENGTH:
            raise usage(f"--{flag.replace('_', '-')} must be 1 to {NAME_LENGTH} printable characters")


def _check_test(args: argparse.Namespace) -> None:
    if (args.samples is None) == (args.nexset is None):
        raise usage("test takes either --samples FILE or --nexset ID")
    if args.file and (args.id or args.name):
        raise usage("test takes either --file or a transform of Nexla (--id, --name)")
    if args.args is not None and args.kind != "attribute":
        raise usage("--args goes with --kind attribute", "the platform gives a record transform no args")
    if args.limit is not None and args.limit < 1:
        raise usage("--limit must be at least 1")


def _check_attach(args: argparse.Namespace) -> None:
    if args.kind == "attribute":
        raise usage("a nexset takes record transforms only", "call the attribute function from a record transform")
    if (args.nexset is None) == (args.parent is None) or (args.parent is not None) != (args.nexset_name is not None):
        raise usage("attach needs --nexset ID, or --parent ID with --nexset-name NAME")
    if args.file and args.id is not None:
        raise usage("attach takes either --file with --name, or --id", "--id attaches what is in Nexla")
    if args.file and args.name is None:
        raise usage("attach with --file needs --name", "the transform is made reusable under this name")


def names_in(text: str | None) -> tuple[str, ...]:
    """The parts of a list with commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
