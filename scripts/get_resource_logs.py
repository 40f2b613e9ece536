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
"""Show flow logs of the latest, a failed or a given run, of a time window, or of a failed and the last good run."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence

from helpers.command import cli
from helpers.command.parser import Parser, command_parser, flag
from helpers.command.target import add_target_flags, selected_resource
from helpers.core.errors import usage
from helpers.core.times import TIME_FORMS, check_order, moment
from helpers.monitor.request import SEVERITIES, LogsRequest

COMMAND = cli.Command("get_resource_logs", "helpers.monitor.get_resource_logs:run")
MODES = ("run_id", "failed", "last", "since", "compare_with_last_good", "follow")


def build_parser() -> Parser:
    """The parser for the command's flags."""
    example = "python scripts/get_resource_logs.py --resource-type data_sets --resource-id 123"
    parser = command_parser(COMMAND.name, __doc__ or "", example)
    add_target_flags(parser)
    add = parser.add_argument
    add("--run-id", type=int, metavar="MS", help="the run with this id (epoch milliseconds)")
    add("--failed", action="store_true", help="the latest run in which any member of the flow had errors")
    add("--last", type=int, metavar="N", help="the N latest runs")
    add("--since", metavar="TIME", help=f"start of the window: {TIME_FORMS}")
    add("--until", metavar="TIME", help="end of the window, in the same forms (default: now)")
    add("--severity", type=str.upper, choices=SEVERITIES, help="lines of at least this severity")
    add("--grep", metavar="REGEX", help="lines whose text matches the regular expression")
    add("--own", action="store_true", help="only lines of this resource (default: of the entire flow)")
    add("--summary", action="store_true", help="records and errors per resource, from the SUMMARY lines")
    add("--follow", action="store_true", help="show new lines until the latest run ends or --timeout passes")
    add("--compare-with-last-good", action="store_true", help="compare a failed run with the last good one before it")
    return parser


def build_request(args: argparse.Namespace) -> LogsRequest:
    """Check the flags.

    Raises:
        OperatorError: USAGE.
    """
    resource = selected_resource(args)
    modes = [name for name in MODES if getattr(args, name) not in (None, False)]
    if len(modes) > 1 and set(modes) != {"run_id", "compare_with_last_good"}:
        raise usage(f"{flag(modes[0])} and {flag(modes[1])} cannot be used together")
    if args.run_id is not None and args.run_id < 1:
        raise usage("--run-id must be a positive number")
    if args.until is not None and args.since is None:
        raise usage("--until needs --since")
    if args.last is not None and not 1 <= args.last <= 100:
        raise usage("--last must be 1 to 100")
    since = None if args.since is None else moment(args.since, "--since")
    until = None if args.until is None else moment(args.until, "--until")
    if since and until:
        check_order(since, until, time.time())
    return LogsRequest(
        resource=resource,
        run_id=args.run_id,
        failed=args.failed,
        last=args.last,
        since=since,
        until=until,
        severity=args.severity,
        grep=_pattern(args.grep),
        own=args.own,
        summary=args.summary,
        follow=args.follow,
        compare=args.compare_with_last_good,
    )


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise usage(f"--grep is not a regular expression: {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
