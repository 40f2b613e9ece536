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
"""Deploy a flow from a config file: plan, apply, verify; roll back on failure; resume after a kill; tear down."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.command import cli
from helpers.command.output import Result
from helpers.core.errors import usage

if TYPE_CHECKING:
    from helpers.change.changes import Finish, Outcome, Run, Step
    from helpers.deploy.model import FlowConfig

COMMAND = "deploy_flow"
SCHEMA = Path(__file__).resolve().parent / "helpers" / "deploy" / "model.schema.json"
COLUMNS = ("step", "action", "type", "name", "id")
PLAN_COLUMNS = (*COLUMNS, "changes")


def build_parser() -> argparse.ArgumentParser:
    example = "python scripts/deploy_flow.py --config examples/flows/orders.json --dry-run"
    parser = cli.build_parser(COMMAND, __doc__ or "", example, writes=True)
    add = parser.add_argument
    add("--config", metavar="FILE", help="the flow as JSON; - reads standard input")
    add("--print-schema", action="store_true", help="print the JSON Schema of the config and exit")
    add("--on-failure", choices=("rollback", "keep"), default="rollback", help="what to do with a half-made flow")
    add("--no-verify", action="store_true", help="do not wait for the first run's records")
    add("--verify-timeout", type=cli.seconds, default=300.0, metavar="SECONDS",
        help="how long to wait for detection, and again for delivery (default 300)")  # fmt: skip
    add("--teardown", action="store_true", help="delete what the config names; needs --yes")
    add("--yes", action="store_true", help="confirm --teardown")
    return parser


def deploy_flow(args: argparse.Namespace, context: cli.Context) -> Result:
    """Deploy (or tear down) the configured flow; the data names every id, what was done, and what arrived."""
    if not args.config:
        raise usage("--config is required", "or --print-schema to see what goes into it")
    if args.teardown and not (args.yes or args.dry_run):
        raise usage("--teardown deletes the flow and cannot be undone", "look with --dry-run, then add --yes")
    from helpers.deploy import config as flow_config

    config, digest = flow_config.load(args.config, need_secrets=not args.teardown)
    from helpers.change.changes import Run, apply, plan
    from helpers.deploy.plan import deploy_steps, teardown_steps

    steps: list[Step] = teardown_steps(config) if args.teardown else deploy_steps(config, args)
    run = Run(context.session, context.say, dry=args.dry_run)
    if args.dry_run:
        return _planned(plan(run, steps), run)
    run.journal = _open_journal(args, context, config, digest)
    context.say(f"journal: {run.journal.path}")
    try:
        apply(run, steps, rollback=args.on_failure == "rollback" and not args.teardown, finish=_finish(args))
    finally:
        run.journal.close()
    report = _report(args, config, run)
    meta: dict[str, Any] = {"api": context.session.settings.host, "outcome": report["outcome"]}
    if not args.teardown:
        meta |= {"flow": report["flow"], "delivered": _delivered(report["destinations"])}
    return Result(report, meta, run.warnings, columns=COLUMNS, table="steps")


def _planned(outcomes: list[Outcome], run: Run) -> Result:
    changed = sum(outcome.changed for outcome in outcomes)
    data = {"outcome": "planned", "to_do": changed, "steps": [outcome.as_row() for outcome in outcomes]}
    meta = {"api": run.session.settings.host, "outcome": "planned", "to_do": changed}
    return Result(data, meta, run.warnings, columns=PLAN_COLUMNS, table="steps")


def _delivered(sinks: list[dict[str, Any]]) -> dict[str, str]:
    """One line for each destination, for the foot of a table."""
    return {
        sink["name"]: f"{sink['records']} records, {sink['errors']} errors" if sink["verified"] else "not verified"
        for sink in sinks
    }


def _open_journal(args: argparse.Namespace, context: cli.Context, config: FlowConfig, digest: str) -> Any:
    from helpers.change.journal import open_journal

    command = f"{COMMAND}-teardown" if args.teardown else COMMAND
    subject = f"{config.source.source_type} {config.source.name}"
    host = context.session.settings.host
    return open_journal(command, host, subject, path=args.journal, resume=args.resume, config=digest)


def _command(args: argparse.Namespace, *words: str) -> str:
    """This command for the same config, connection and journal, with other words at its end."""
    kept = [("--config", args.config), ("--env-file", args.env_file), ("--journal", args.journal)]
    given = [part for flag, value in kept if value for part in (flag, value)]
    return shlex.join(["python", "scripts/deploy_flow.py", *given, *words])


def _watch(args: argparse.Namespace, run: Run) -> str:
    connection = ["--env-file", args.env_file] if args.env_file else []
    words = ["--type", "flows", "--id", str(run.facts.get("flow_id")), "--full", *connection]
    return shlex.join(["python", "scripts/list_resources.py", *words])


def _finish(args: argparse.Namespace) -> Finish:
    """The commands that go on after a failure, or remove what it left."""
    from helpers.change.changes import Finish

    remove = ["--teardown", "--yes"]
    go_on = [*remove, "--resume"] if args.teardown else ["--on-failure", args.on_failure, "--resume"]
    waiting = [] if args.teardown else ["--verify-timeout", f"{args.verify_timeout:g}"]
    waiting += ["--no-verify"] if args.no_verify and not args.teardown else []
    return Finish(_command(args, *go_on, *waiting), _command(args, *remove))


def _report(args: argparse.Namespace, config: FlowConfig, run: Run) -> dict[str, Any]:
    rows = [outcome.as_row() for outcome in run.outcomes]
    if args.teardown:
        gone = sum(outcome.action == "delete" for outcome in run.outcomes)
        return {"outcome": "torn down" if gone else "nothing to do", "deleted": gone, "steps": rows}
    changed = [outcome for outcome in run.outcomes if outcome.changed]
    delivered = run.facts.get("delivered", {})
    sinks = [
        {
            "name": sink.name,
            "id": run.results.get(f"destination:{sink.name}"),
            "verified": sink.name in delivered,
            **delivered.get(sink.name, {"records": None, "errors": None, "runs": []}),
        }
        for sink in config.all_destinations
    ]
    source = run.results.get("source")
    return {
        "outcome": "deployed" if changed else "unchanged",
        "flow": run.facts.get("flow_id"),
        "source": source,
        "nexsets": {key.removeprefix("nexset:") or "detected": number for key, number in run.results.items()
                    if key.startswith("nexset:")},
        "destinations": sinks,
        "source_errors": run.facts.get("source_errors"),
        "steps": rows,
        "watch": _watch(args, run),
        "remove": _command(args, "--teardown", "--dry-run"),
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    if "--print-schema" in words and not {"-h", "--help"} & set(words):
        sys.stdout.write(SCHEMA.read_text(encoding="utf-8"))
        return 0
    return cli.main(COMMAND, build_parser(), deploy_flow, argv)


if __name__ == "__main__":
    raise SystemExit(main())
