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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.access import declaration
from helpers.access.request import (
    OPERATIONS,
    SELECTORS,
    WRITES,
    AccessorName,
    AccessRequest,
    Selection,
    accessor_name,
    add_selection_flags,
    selection,
    typed_id,
)
from helpers.access.roles import ACCESSOR_TYPES, ROLE_NAMES
from helpers.command import cli
from helpers.command.parser import FILE, Parser, change_options, command_parser, flag
from helpers.core.errors import usage

COMMAND = cli.Command("manage_access", "helpers.access.manage_access:run")
ACCESSOR = ("accessor_type", "accessor_id", "accessor_email", "accessor_name", "accessor_domain")
GOES_WITH = {  # flag: the operations that know it
    **dict.fromkeys((*ACCESSOR, "role"), ("grant", "revoke", "replace")),
    "expires_at": ("grant", "replace"),
    "accessors": ("replace",),
    "from": ("copy-from",),
    "file": ("sync",),
    "prune": ("sync",),
    "yes": WRITES,
}
IDENTITY = ("operation", "resource_type", *SELECTORS, "with_credentials", *ACCESSOR, "role", "expires_at", "accessors",
            "from", "file", "prune", "env_file")  # fmt: skip
FILES = ("accessors", "file", "env_file")


def build_parser() -> Parser:
    example = (
        "python scripts/manage_access.py --operation grant --resource-type sources --resource-ids 123,456,789 "
        "--accessor-type TEAM --accessor-id 42 --role operator"
    )
    parser = command_parser(COMMAND.name, __doc__ or "", example, writes=True)
    parser.add_argument("--operation", choices=OPERATIONS, required=True)
    add_selection_flags(parser)
    who = parser.add_argument_group("who, in which role").add_argument
    who("--accessor-type", type=str.upper, choices=ACCESSOR_TYPES)
    who("--accessor-id", metavar="ID")
    who("--accessor-email", metavar="EMAIL", help="of a USER")
    who("--accessor-name", metavar="NAME", help="of a TEAM")
    who("--accessor-domain", metavar="DOMAIN", help="of an ORG")
    who("--role", type=str.lower, choices=ROLE_NAMES, help="revoke: only this role (default: all)")
    who("--expires-at", metavar="TIME", help="grant, replace: a date or ISO 8601 time, UTC")
    who("--accessors", metavar=FILE, help='replace: {"accessors": [...]} instead of one accessor')
    who("--from", metavar="TYPE:ID", help="copy-from: the resource whose access is copied")
    who("--file", metavar=FILE, help="sync: declared access of many resources")
    who("--prune", action="store_true", help="sync: take away what the file does not declare")
    parser.add_argument("--on-failure", choices=("rollback", "keep"), default="rollback")
    parser.add_argument("--yes", action="store_true", help="confirm what could share too widely or lock somebody out")
    return parser


def build_request(args: argparse.Namespace) -> AccessRequest:
    """The checked flags and files. Raises: OperatorError, USAGE."""
    given = vars(args)
    _check_combination(given)
    declared, accessors, digest = _files(given)
    copied = given["from"]
    return AccessRequest(
        operation=args.operation,
        selection=Selection() if args.operation == "sync" else selection(given),
        accessor=_accessor(given),
        role=args.role,
        expires_at=args.expires_at,
        accessors_file=args.accessors,
        accessors=accessors,
        copy_from=typed_id(copied, "--from") if copied is not None else None,
        declared=declared,
        digest=digest,
        prune=args.prune,
        rollback=args.on_failure == "rollback",
        confirmed=args.yes,
        identity=_identity(given),
        change=change_options(args),
    )


def _check_combination(given: dict[str, Any]) -> None:
    operation = given["operation"]
    for name, operations in GOES_WITH.items():
        if given[name] not in (None, False) and operation not in operations:
            raise usage(f"{flag(name)} does not go with {operation}")
    if operation == "list" and (given["dry_run"] or given["resume"]):
        raise usage("list changes nothing: --dry-run and --resume do not apply")
    if operation == "sync" and given["file"] is None:
        raise usage("sync needs --file", declaration.HINT)
    if operation == "sync" and any(given[name] for name in SELECTORS):
        raise usage("sync takes its resources from --file")
    if operation == "copy-from" and given["from"] is None:
        raise usage("copy-from needs --from TYPE:ID")
    if given["accessors"] is not None and any(given[name] for name in (*ACCESSOR, "role", "expires_at")):
        raise usage("replace takes either --accessors or one accessor")


def _files(given: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    """Declared access of sync, accessors of replace, and a digest of the file that was read."""
    if given["file"] is not None:
        declared, digest = declaration.load_declaration(given["file"])
        return declared, [], digest
    if given["accessors"] is not None:
        accessors, digest = declaration.load_accessors(given["accessors"])
        return [], accessors, digest
    return [], [], ""


def _accessor(given: dict[str, Any]) -> AccessorName | None:
    """The one accessor of grant, revoke and replace; None for the operations that name none."""
    operation = given["operation"]
    if operation not in ("grant", "revoke", "replace") or given["accessors"] is not None:
        return None
    ways = {way: given[f"accessor_{way}"] for way in ("id", "email", "name", "domain")}
    accessor = accessor_name(given["accessor_type"], ways, "--accessor-…")
    if given["role"] is None and operation != "revoke":
        raise usage(f"{operation} needs --role", f"one of {', '.join(ROLE_NAMES)}")
    declaration.expiry(given["expires_at"])
    return accessor


def _identity(given: dict[str, Any]) -> str:
    """What tells this change apart from others: everything that says who gets what, from whatever folder it is run."""
    values = [str(Path(given[name]).absolute()) if name in FILES and given[name] else given[name] for name in IDENTITY]
    digest = hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]
    return f"{given['operation']} {given['accessor_type'] or ''} {digest}"


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
