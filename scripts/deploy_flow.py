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
"""Deploy a flow from a config file: plan, apply, verify, roll back on failure, resume after a crash, tear down."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from helpers.command import cli
from helpers.command.parser import FILE, Parser, change_options, command_parser, seconds
from helpers.core.errors import usage
from helpers.deploy import config
from helpers.deploy.request import DeployRequest

COMMAND = cli.Command("deploy_flow", "helpers.deploy.deploy_flow:run")


def build_parser() -> Parser:
    """The parser of the command line."""
    example = "python scripts/deploy_flow.py --config examples/flows/orders.json --dry-run"
    parser = command_parser(COMMAND.name, __doc__ or "", example, writes=True, creates=True)
    add = parser.add_argument
    add("--config", metavar=FILE, help="config of the flow as JSON; - reads standard input")
    add("--print-schema", action="store_true", help="print the JSON Schema of the config and exit")
    add("--on-failure", choices=("rollback", "keep"), default="rollback",
        help="what to do with a partly deployed flow (default rollback)")  # fmt: skip
    add("--no-verify", action="store_true", help="do not wait for the records of the first run")
    add("--verify-timeout", type=seconds, default=300.0, metavar="SECONDS",
        help="how long to wait for detection, and again for each delivery (default 300)")  # fmt: skip
    add("--teardown", action="store_true", help="delete the flow of the config; needs --yes")
    add("--yes", action="store_true", help="confirm --teardown")
    return parser


def build_request(args: argparse.Namespace) -> DeployRequest:
    """Validate the flags and the config. Raises: OperatorError, USAGE."""
    if not args.config:
        raise usage("--config is required", "pass --config FILE; --print-schema shows what the file may contain")
    if args.teardown and not (args.yes or args.dry_run):
        hint = "review the change with --dry-run, then add --yes"
        raise usage("--teardown deletes the flow and cannot be undone", hint)
    return DeployRequest(
        config=config.load(args.config, need_secrets=not args.teardown),
        teardown=args.teardown,
        rollback=args.on_failure == "rollback" and not args.teardown,
        verify=not args.no_verify,
        verify_seconds=args.verify_timeout,
        change=change_options(args),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if "--print-schema" in words and not {"-h", "--help"} & set(words):
        return cli.print_text(config.SCHEMA_FILE.read_text(encoding="utf-8"))
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
