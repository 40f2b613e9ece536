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
"""Operate a flow: status of every member, activate, pause, restart, run now, metrics. Every change is verified."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from helpers.command import cli
from helpers.command.parser import FILE, Parser, change_options, command_parser, seconds
from helpers.command.target import add_target_flags, selected_resource
from helpers.core.errors import usage
from helpers.operate.request import OPERATIONS, WRITES, OperateRequest

COMMAND = cli.Command("operate_flow", "helpers.operate.operate_flow:run")


def build_parser() -> Parser:
    """The parser of the command line."""
    example = "python scripts/operate_flow.py --operation status --resource-type sources --resource-id 123"
    parser = command_parser(COMMAND.name, __doc__ or "", example, writes=True)
    parser.add_argument("--operation", choices=OPERATIONS, required=True)
    add_target_flags(parser, default_type="flows")
    add = parser.add_argument
    add("--scope", choices=("node", "downstream", "flow"),
        help="what activate, pause and restart change: only the resource (a source with its detected nexsets), the "
             "resource and everything below it, or the entire flow (default: flow for --resource-type flows, "
             "otherwise node)")  # fmt: skip
    add("--restore", metavar=FILE, help="activate exactly the members that a pause paused; FILE is its JSON --output")
    add("--on-failure", choices=("rollback", "keep"), default="rollback",
        help="what to do when a member cannot be changed (default rollback)")  # fmt: skip
    add("--wait", action="store_true", help="wait for the next run and its outcome")
    add("--wait-timeout", type=seconds, default=300.0, metavar="SECONDS", help="how long to wait (default 300)")
    add("--days", type=int, default=7, metavar="N", help="metrics: number of days, today included (default 7)")
    add("--by", choices=("day", "run"), default="day", help="metrics: one row per day or run (default day)")
    return parser


def build_request(args: argparse.Namespace) -> OperateRequest:
    """Validate the flags. Raises: OperatorError, USAGE."""
    if args.restore and (args.operation != "activate" or args.scope not in (None, "flow")):
        raise usage("--restore requires --operation activate, and cannot be combined with --scope")
    if args.wait and args.operation in ("pause", "metrics"):
        raise usage(f"--wait does not apply to --operation {args.operation}")
    if args.operation not in WRITES and (args.dry_run or args.resume):
        raise usage(f"--operation {args.operation} changes nothing: --dry-run and --resume do not apply")
    if not 1 <= args.days <= 366:
        raise usage("--days must be between 1 and 366")
    resource = selected_resource(args)
    return OperateRequest(
        operation=args.operation,
        resource=resource,
        scope="flow" if args.restore else args.scope or ("flow" if resource.kind.name == "flows" else "node"),
        restore_file=args.restore,
        restore=_was_active(args.restore) if args.restore else frozenset(),
        rollback=args.on_failure == "rollback" and args.operation != "run-now",
        wait_seconds=args.wait_timeout if args.wait else None,
        days=args.days,
        by=args.by,
        change=change_options(args),
    )


def _was_active(path: str) -> frozenset[tuple[str, int]]:
    """Read the members that were ACTIVE before a pause from its report. Raises: OperatorError, USAGE."""
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        found = frozenset((str(kind), int(resource_id)) for kind, resource_id in report["data"]["was_active"])
    except (OSError, ValueError, KeyError, TypeError):
        raise usage(f"{path} is not the report of a pause", "write one with --operation pause --output FILE") from None
    if not found:
        raise usage(
            f"no member was ACTIVE according to {path}: there is nothing to restore",
            "the report may be from a second pause; use the report of the first one",
        )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
