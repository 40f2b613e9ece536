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
"""Grant, revoke, replace, copy and sync access to resources or pipelines; verified, and rolled back on failure."""

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
GOES_WITH = {  # flag: the operations that accept it
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
    """The parser for the command's flags."""
    example = (
        "python scripts/manage_access.py --operation grant --resource-type sources --resource-ids 123,456,789 "
        "--accessor-type TEAM --accessor-id 42 --role operator"
    )
    parser = command_parser(COMMAND.name, __doc__ or "", example, writes=True)
    parser.add_argument("--operation", choices=OPERATIONS, required=True)
    add_selection_flags(parser)
    who = parser.add_argument_group("who gets which role").add_argument
    who("--accessor-type", type=str.upper, choices=ACCESSOR_TYPES)
    who("--accessor-id", metavar="ID")
    who("--accessor-email", metavar="EMAIL", help="a USER's email")
    who("--accessor-name", metavar="NAME", help="a TEAM's name")
    who("--accessor-domain", metavar="DOMAIN", help="an ORG's email domain")
    who("--role", type=str.lower, choices=ROLE_NAMES, help="revoke: only this role (default: all)")
    who("--expires-at", metavar="TIME", help="grant, replace: when access expires, a date or ISO 8601 time in UTC")
    who("--accessors", metavar=FILE, help='replace: {"accessors": [...]} instead of one accessor')
    who("--from", metavar="TYPE:ID", help="copy-from: the resource whose access is copied")
    who("--file", metavar=FILE, help="sync: file of declared access")
    who("--prune", action="store_true", help="sync: revoke what the file does not declare")
    parser.add_argument("--on-failure", choices=("rollback", "keep"), default="rollback")
    parser.add_argument(
        "--yes", action="store_true", help="confirm a change that shares widely or could lock somebody out"
    )
    return parser


def build_request(args: argparse.Namespace) -> AccessRequest:
    """Check the flags and files.

    Raises:
        OperatorError: USAGE.
    """
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
            raise usage(f"{flag(name)} cannot be used with {operation}")
    if operation == "list" and (given["dry_run"] or given["resume"]):
        raise usage("list changes nothing: --dry-run and --resume do not apply")
    if operation == "sync" and given["file"] is None:
        raise usage("sync needs --file", declaration.HINT)
    if operation == "sync" and any(given[name] for name in SELECTORS):
        raise usage("sync reads its resources from --file; omit the flags that select resources")
    if operation == "copy-from" and given["from"] is None:
        raise usage("copy-from needs --from TYPE:ID")
    if given["accessors"] is not None and any(given[name] for name in (*ACCESSOR, "role", "expires_at")):
        raise usage("replace needs either --accessors or one accessor, not both")


def _files(given: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    """The entries declared for sync, the accessors for replace, and a digest of the file that was read."""
    if given["file"] is not None:
        declared, digest = declaration.load_declaration(given["file"])
        return declared, [], digest
    if given["accessors"] is not None:
        accessors, digest = declaration.load_accessors(given["accessors"])
        return [], accessors, digest
    return [], [], ""


def _accessor(given: dict[str, Any]) -> AccessorName | None:
    """The single accessor for grant, revoke and replace; None for operations that take none."""
    operation = given["operation"]
    if operation not in ("grant", "revoke", "replace") or given["accessors"] is not None:
        return None
    identifiers = {identifier: given[f"accessor_{identifier}"] for identifier in ("id", "email", "name", "domain")}
    accessor = accessor_name(given["accessor_type"], identifiers, "--accessor-…")
    if given["role"] is None and operation != "revoke":
        raise usage(f"{operation} needs --role", f"one of {', '.join(ROLE_NAMES)}")
    declaration.expiry(given["expires_at"])
    return accessor


def _identity(given: dict[str, Any]) -> str:
    """Text that identifies this change, from any folder: a digest of every flag that decides who gets what."""
    values = [str(Path(given[name]).absolute()) if name in FILES and given[name] else given[name] for name in IDENTITY]
    digest = hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]
    return f"{given['operation']} {given['accessor_type'] or ''} {digest}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
