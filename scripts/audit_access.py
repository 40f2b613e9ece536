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
"""Report who has access, who changed it, and whether it matches a declaration."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from helpers.access.declaration import load_declaration
from helpers.access.request import SELECTORS, AuditRequest, Selection, add_selection_flags, selection
from helpers.command import cli
from helpers.command.output import checked_file
from helpers.command.parser import FILE, Parser, command_parser
from helpers.core.errors import usage
from helpers.core.times import TIME_FORMS, Moment, check_order, moment

COMMAND = cli.Command("audit_access", "helpers.access.audit_access:run")


def build_parser() -> Parser:
    """The parser for the command's flags."""
    example = "python scripts/audit_access.py --pipeline-of sources:123 --expand-teams"
    parser = command_parser(COMMAND.name, __doc__ or "", example, formats=("markdown",))
    add_selection_flags(parser)
    add = parser.add_argument
    add("--all", action="store_true", help="everything you own")
    add("--expected", metavar=FILE, help="file of declared access, as for manage_access sync; exit 10 if it differs")
    add("--accessor", metavar="EMAIL", help="only what this person has: directly, through a team or org, or as owner")
    add("--expand-teams", action="store_true", help="list people instead of teams, each with their strongest role")
    add("--findings", action="store_true",
        help="check named rules such as public, org-wide, ex-member; exit 10 if any is broken")  # fmt: skip
    add("--changes", action="store_true", help="who changed access, according to the audit logs")
    add("--since", metavar="TIME", help=f"with --changes: start of the window (default: 30d): {TIME_FORMS}")
    add("--until", metavar="TIME", help="with --changes: end of the window, in the same forms (default: now)")
    add("--report", metavar="FILE.html", help="write the full report as an HTML page")
    return parser


def build_request(args: argparse.Namespace) -> AuditRequest:
    """Check the flags and the file.

    Raises:
        OperatorError: USAGE or CONFIG.
    """
    declared = load_declaration(args.expected)[0] if args.expected else None
    selects = any(getattr(args, name) for name in (*SELECTORS, "all"))
    chosen = selection(vars(args), "all") if selects or declared is None else Selection()
    since, until = _window(args)
    if args.accessor is not None and "@" not in args.accessor and not args.accessor.isdecimal():
        raise usage("--accessor must be a user's email or id")
    if args.report:
        checked_file(args.report, "--report")
    return AuditRequest(
        selection=chosen,
        everything=args.all,
        declared=declared,
        person=args.accessor,
        expand_teams=args.expand_teams,
        findings=args.findings,
        changes=args.changes,
        since=since,
        until=until,
        report_file=args.report,
    )


def _window(args: argparse.Namespace) -> tuple[Moment, Moment | None]:
    """The start and the end of the window for changes."""
    if (args.since is not None or args.until is not None) and not args.changes:
        raise usage("--since and --until can only be used with --changes")
    since = moment("30d" if args.since is None else args.since, "--since")
    until = None if args.until is None else moment(args.until, "--until")
    check_order(since, until, time.time())
    return since, until


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
