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
"""Check health and SLA of many resources: verdicts, alerts without repeats, an HTML report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from helpers.command import cli
from helpers.command.output import checked_file
from helpers.command.parser import FILE, Parser, command_parser, flag, hours, split_list
from helpers.core.errors import usage
from helpers.core.kinds import checked_id
from helpers.core.nearest import did_you_mean
from helpers.monitor.health_config import CHECKS, MAX_RUNS, HealthLimits, Watched, load, watched_kind
from helpers.monitor.request import ALERT_FORMATS, AlertOptions, AlertPolicy, HealthRequest

COMMAND = cli.Command("health_check", "helpers.monitor.health_check:run")
LIMITS, ALERTS = HealthLimits(), AlertPolicy()  # the defaults


def build_parser() -> Parser:
    """The parser for the command's flags."""
    example = "python scripts/health_check.py --config examples/monitoring.json --report health.html"
    parser = command_parser(COMMAND.name, __doc__ or "", example, formats=("markdown",))
    what = parser.add_argument_group("what to check (one of)")
    what.add_argument("--config", metavar=FILE, help="config with resources and their limits; - reads standard input")
    what.add_argument(
        "--resource-type", metavar="TYPE", help="with --resource-id: one resource, or every member of a flow"
    )
    what.add_argument("--resource-id", metavar="ID")
    what.add_argument("--all", action="store_true", help="every member of every flow you own")
    add = parser.add_argument
    add("--tag", metavar="TAG", help="with --all: only members that have the tag, or whose source has it")
    add("--project", metavar="ID", help="with --all: only flows of this project")
    add(
        "--access-role",
        choices=("collaborator", "operator", "admin", "owner", "all"),
        help="with --all: flows on which you have at least this role (default: owner)",
    )
    add("--ignore-paused", action="store_true", help="skip resources that are PAUSED or INIT, and report how many")
    _add_limit_flags(parser)
    add("--probe", action="store_true", help="probe each credential; this writes verified_status on the server")
    add("--report", metavar=FILE, help="write the full report as an HTML page")
    _add_alert_flags(parser)
    return parser


def _add_limit_flags(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--skip",
        metavar="A,B",
        help=f"checks to skip: {', '.join(CHECKS)}",
    )
    add(
        "--max-age-hours",
        type=hours,
        default=LIMITS.max_age_hours,
        metavar="H",
        help=f"maximum age of the last run without a schedule (default: {LIMITS.max_age_hours:g})",
    )
    add(
        "--threshold",
        type=float,
        default=LIMITS.threshold,
        metavar="SHARE",
        help=f"maximum error share (default: {LIMITS.threshold:g})",
    )
    add(
        "--last",
        type=int,
        default=LIMITS.last,
        metavar="N",
        help=f"number of runs to evaluate (default: {LIMITS.last})",
    )


def _add_alert_flags(parser: Parser) -> None:
    alert = parser.add_argument_group("alerts")
    alert.add_argument("--state", metavar=FILE, help="file that stores incidents between runs; required for alerts")
    alert.add_argument(
        "--alert-webhook-file", metavar=FILE, help="file (mode 0600) with the webhook URL; or set NEXLA_ALERT_WEBHOOK"
    )
    alert.add_argument(
        "--alert-webhook", metavar="URL", help="the webhook URL itself; other users of this machine can see it"
    )
    alert.add_argument("--alert-format", choices=ALERT_FORMATS, default="slack")
    alert.add_argument(
        "--open-after",
        type=int,
        default=ALERTS.open_after,
        metavar="N",
        help=f"bad checks in a row that open an incident (default: {ALERTS.open_after})",
    )
    alert.add_argument(
        "--clear-after",
        type=int,
        default=ALERTS.clear_after,
        metavar="N",
        help=f"good checks in a row that clear it (default: {ALERTS.clear_after})",
    )
    alert.add_argument(
        "--remind-hours",
        type=float,
        default=ALERTS.remind_hours,
        metavar="H",
        help=f"hours between reminders; 0: never (default: {ALERTS.remind_hours:g})",
    )


def build_request(args: argparse.Namespace) -> HealthRequest:
    """Check the flags and the config.

    Raises:
        OperatorError: USAGE or CONFIG.
    """
    _check_choice(args)
    for name in ("report", "state"):
        if getattr(args, name) is not None:
            checked_file(getattr(args, name), flag(name))
    limits = _limits(args)
    return HealthRequest(
        watched=_watched(args, limits),
        limits=limits,
        tag=args.tag,
        project=checked_id(args.project, "--project") if args.project else None,
        access_role=args.access_role,
        ignore_paused=args.ignore_paused,
        probe=args.probe,
        report_file=args.report,
        alert=_alert_options(args),
        env_file=args.env_file,
    )


def _check_choice(args: argparse.Namespace) -> None:
    ways = [args.config is not None, args.resource_type is not None or args.resource_id is not None, args.all]
    if sum(ways) != 1:
        raise usage("use exactly one of --config, --resource-type with --resource-id, and --all")
    if (args.resource_type is None) != (args.resource_id is None):
        raise usage("--resource-type and --resource-id must be used together")
    if not args.all and (args.tag or args.project or args.access_role):
        raise usage("--tag, --project and --access-role can only be used with --all")


def _limits(args: argparse.Namespace) -> HealthLimits:
    skip = frozenset(split_list(args.skip))
    if unknown := skip - set(CHECKS):
        guess = did_you_mean(min(unknown), CHECKS)
        raise usage(f"unknown checks in --skip: {', '.join(sorted(unknown))}", f"{guess}checks: {', '.join(CHECKS)}")
    if not 0 <= args.threshold <= 1:
        raise usage("--threshold must be a share from 0 to 1")
    if not 1 <= args.last <= MAX_RUNS:
        raise usage(f"--last must be 1 to {MAX_RUNS}")
    return HealthLimits(max_age_hours=args.max_age_hours, threshold=args.threshold, last=args.last, skip=skip)


def _watched(args: argparse.Namespace, limits: HealthLimits) -> tuple[Watched, ...] | None:
    if args.all:
        return None
    if args.config is not None:
        return tuple(load(args.config, limits))
    return (Watched(watched_kind(args.resource_type), checked_id(args.resource_id, "--resource-id"), limits),)


def _alert_options(args: argparse.Namespace) -> AlertOptions | None:
    if args.open_after < 1 or args.clear_after < 1 or args.remind_hours < 0:
        raise usage("--open-after and --clear-after must be at least 1, --remind-hours at least 0")
    if not args.state:
        if args.alert_webhook or args.alert_webhook_file:
            raise usage("an alert webhook needs --state FILE", "without it, every run would alert again")
        return None
    return AlertOptions(
        state_file=args.state,
        url=args.alert_webhook,
        url_file=args.alert_webhook_file,
        form=args.alert_format,
        policy=AlertPolicy(args.open_after, args.clear_after, args.remind_hours),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.main(COMMAND, build_parser(), build_request, argv)


if __name__ == "__main__":
    raise SystemExit(main())
