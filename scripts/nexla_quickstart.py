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
"""Check the setup and the login, then count your resources. Start here; with --sandbox, you need no account."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from helpers.command import cli
from helpers.command.parser import Parser, command_parser
from helpers.inventory.request import QuickstartRequest

COMMAND = cli.Command(
    "nexla_quickstart", "helpers.inventory.quickstart:run", connects=lambda request: not request.sandbox
)


def build_parser() -> Parser:
    """The parser of the command line."""
    parser = command_parser(COMMAND.name, __doc__ or "", "python scripts/nexla_quickstart.py --sandbox")
    parser.add_argument("--sandbox", action="store_true", help="start a local sandbox for this command only")
    return parser


def build_request(args: argparse.Namespace) -> QuickstartRequest:
    """The request; there is nothing to validate."""
    return QuickstartRequest(args.sandbox)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
