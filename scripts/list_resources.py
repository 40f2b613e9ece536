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

"""List, filter and export any kind of Nexla resource. Filters apply to all pages, never only to one page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from helpers.command import cli
from helpers.command.parser import Parser, command_parser, flag
from helpers.core.errors import usage
from helpers.core.kinds import checked_id, kind_of
from helpers.core.times import TIME_FORMS, moment
from helpers.inventory.request import ANY_MARK, AUDITED, MARKED, ListRequest, name_filter, status_filter

COMMAND = cli.Command("list_resources", "helpers.inventory.list_resources:run")
TEXT_FLAGS = ("name", "status", "tag", "project", "owner", "updated_since", "id", "sort")


def build_parser() -> Parser:
    """The parser of the command line."""
    example = 'python scripts/list_resources.py --type sources --name "orders" --limit 5'
    parser = command_parser(COMMAND.name, __doc__ or "", example)
    add = parser.add_argument
    add("--type", required=True, help="sources, nexsets, destinations, flows, credentials, transforms… or any alias")
    add("--name", help="substring, or /regular expression/; case is ignored")
    add("--status", help="status, such as ACTIVE or PAUSED; of a flow: that of its origin")
    add("--any-member", action="store_true", help="with --type flows --status: any member may have the status")
    add("--tag", help="exact tag")
    add("--mark", nargs="?", const=ANY_MARK, metavar="CHANGE",
        help="only what these scripts created, or what one change created")  # fmt: skip
    add("--project", help="id or exact name of a project: list only the members of its flows")
    add("--owner", help="email or id of the owner")
    add("--updated-since", metavar="TIME", help=f"changed since; a flow: any of its members: {TIME_FORMS}")
    add("--with-changes", action="store_true",
        help="with --updated-since: who changed each row, by its audit log (a request or more each)")  # fmt: skip
    add("--id", help="one id, or several separated by commas")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--limit", type=int, default=20, metavar="N", help="maximum number of rows (default 20)")
    size.add_argument("--all", action="store_true", help="list all rows")
    add("--access-role", choices=("owner", "admin", "operator", "collaborator", "all"),
        help="your role on the resources to list (default: only those that you own)")  # fmt: skip
    add("--full", action="store_true", help="complete rows with their configs; flows as trees")
    add("--sort", metavar="FIELD[:desc]", help="sort by a field")
    return parser


def build_request(args: argparse.Namespace) -> ListRequest:
    """Validate the flags. Raises: OperatorError, USAGE."""
    if args.limit < 1:
        raise usage("--limit must be at least 1", "use --all for every row")
    for name in TEXT_FLAGS:
        if getattr(args, name) == "":
            raise usage(f"{flag(name)} is empty", "omit the flag, or pass a value")
    kind = kind_of(args.type)
    if args.access_role and "access_role" not in kind.filters:
        raise usage(f"--access-role does not apply to {args.type}", "omit the flag")
    if args.any_member and (kind.name != "flows" or args.status is None):
        raise usage("--any-member can only be used with --type flows and --status")
    if args.with_changes and (args.updated_since is None or kind.name not in AUDITED):
        raise usage("--with-changes can only be used with --updated-since, and for: " + ", ".join(AUDITED))
    if args.mark is not None and kind.name not in MARKED:
        raise usage("--mark can only be used for: " + ", ".join(MARKED), "other kinds carry no marks")
    field, _, order = (args.sort or "").partition(":")
    if order not in ("", "asc", "desc"):
        raise usage(f"--sort {args.sort}: the order must be asc or desc", "for example --sort updated_at:desc")
    return ListRequest(
        kind=kind,
        name=name_filter(args.name),
        status=status_filter(args.status, kind),
        tag=args.tag,
        mark=args.mark,
        project=args.project,
        owner=args.owner,
        any_member=args.any_member,
        updated_since=None if args.updated_since is None else moment(args.updated_since, "--updated-since"),
        with_changes=args.with_changes,
        ids=frozenset(checked_id(part) for part in args.id.split(",")) if args.id else frozenset(),
        limit=None if args.all else args.limit,
        access_role=args.access_role,
        full=args.full,
        all_fields=args.fields is not None,
        sort=(field, order == "desc") if args.sort else None,
        streams=args.all and not args.sort and args.format in ("ndjson", "csv"),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
