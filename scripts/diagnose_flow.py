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
"""Find out why a flow does not deliver: ranked causes with evidence and the commands to confirm and repair each."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from helpers.command import cli
from helpers.command.parser import Parser, command_parser
from helpers.command.target import add_target_flags, selected_resource
from helpers.monitor.request import DiagnoseRequest

COMMAND = cli.Command("diagnose_flow", "helpers.monitor.diagnose_flow:run")


def build_parser() -> Parser:
    """The parser for the command's flags."""
    example = "python scripts/diagnose_flow.py --resource-type destinations --resource-id 789"
    parser = command_parser(COMMAND.name, __doc__ or "", example, formats=("markdown",))
    add_target_flags(parser, default_type="flows")
    add = parser.add_argument
    add("--probe", action="store_true", help="probe the flow's credentials; this writes verified_status on the server")
    add(
        "--show-values",
        action="store_true",
        help="show the values in quarantined records and log lines, not only their types",
    )
    add("--graph", choices=("mermaid", "dot"), help="print only the flow as a graph, with faults marked")
    return parser


def build_request(args: argparse.Namespace) -> DiagnoseRequest:
    """Check the flags.

    Raises:
        OperatorError: USAGE.
    """
    return DiagnoseRequest(
        resource=selected_resource(args),
        probe=args.probe,
        show_values=args.show_values,
        graph=args.graph,
        graph_only=args.graph is not None and args.format is None,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
