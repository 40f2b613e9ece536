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
"""Health and SLA of many resources: verdicts, alerts that do not repeat, an HTML report."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from helpers.command import cli
from helpers.command.output import Result, checked_file
from helpers.core.errors import Exit, OperatorError, usage

if TYPE_CHECKING:
    from helpers.api.flows import Flow, Member
    from helpers.api.session import Session
    from helpers.core.kinds import Row
    from helpers.monitor.health import Facts
    from helpers.monitor.health_config import Watched

COMMAND = "health_check"
COLUMNS = ("verdict", "type", "id", "name", "status", "last_run", "records", "errors", "issues")
Job = tuple["Watched", "Flow | OperatorError | None", "Member | None"]


def build_parser() -> argparse.ArgumentParser:
    example = "python scripts/health_check.py --config examples/monitoring.json --report health.html"
    parser = cli.build_parser(COMMAND, __doc__ or "", example, formats=("markdown",))
    what = parser.add_argument_group("what to check (one of)")
    what.add_argument("--config", metavar="FILE", help="the resources, with limits of their own; - is standard input")
    what.add_argument("--resource-type", metavar="TYPE", help="with --resource-id: one resource, or all of a flow")
    what.add_argument("--resource-id", metavar="ID")
    what.add_argument("--all", action="store_true", help="every member of every flow that is yours")
    add = parser.add_argument
    add("--tag", metavar="TAG", help="with --all: flows in which the source or this member has the tag")
    add("--project", metavar="ID", help="with --all: flows of this project")
    add(
        "--access-role",
        choices=("collaborator", "operator", "admin", "owner", "all"),
        help="with --all: flows in which you have at least this role (default owner)",
    )
    add("--ignore-paused", action="store_true", help="leave out resources that are PAUSED or INIT; the number is told")
    add(
        "--skip",
        metavar="A,B",
        help="checks to leave out: status, freshness, errors, volume, stalled, quarantine, credential, sla",
    )
    add(
        "--max-age-hours", type=cli.hours, default=24.0, metavar="H", help="for sources without a schedule (default 24)"
    )
    add("--threshold", type=float, default=0.2, metavar="SHARE", help="allowed error share (default 0.2)")
    add("--last", type=int, default=10, metavar="N", help="runs that shares and medians are taken over (default 10)")
    add("--probe", action="store_true", help="probe each credential; this writes verified_status on the server")
    add("--report", metavar="FILE.html", help="write a page with the whole report")
    alert = parser.add_argument_group("alerts")
    alert.add_argument("--state", metavar="FILE", help="incidents between runs; without it nothing is alerted")
    alert.add_argument("--alert-webhook-file", metavar="FILE", help="file (0600) with the URL; or NEXLA_ALERT_WEBHOOK")
    alert.add_argument("--alert-webhook", metavar="URL", help="the URL itself; others on this machine can see it")
    alert.add_argument("--alert-format", choices=("slack", "generic", "teams"), default="slack")
    alert.add_argument("--open-after", type=int, default=2, metavar="N", help="bad checks in a row (default 2)")
    alert.add_argument("--clear-after", type=int, default=2, metavar="N", help="good checks in a row (default 2)")
    alert.add_argument("--remind-hours", type=float, default=6.0, metavar="H", help="0: never (default 6)")
    return parser  # fmt: skip


def health_check(args: argparse.Namespace, context: cli.Context) -> Result:
    """A verdict for every resource. Exit 10 when one is unhealthy, else 6 when one is unknown, else 0."""
    _check(args)
    from helpers.monitor import health_config

    base = health_config.base_limits(args)
    watched = _watched(args, base)
    webhook, warnings = _webhook(args)
    session = context.session
    from helpers.monitor.health import HEALTHY, UNHEALTHY, as_row, judge
    from helpers.monitor.health_report import counts

    jobs, left_out = _jobs(args, context, watched, base)
    facts = _facts(args, context, jobs)
    now = session.server_time()
    rows = [as_row(fact, judge(fact, job[0].limits, now)) for fact, job in zip(facts, jobs, strict=True)]
    rows.sort(key=lambda row: (row["verdict"] != UNHEALTHY, row["verdict"] == HEALTHY, row["type"], row["id"]))
    found = counts(rows)
    meta: dict[str, Any] = {"api": session.settings.host, "total": len(rows), **found}
    if args.all:
        meta |= {"access_role": args.access_role or "owner", "paused_left_out": left_out}
    code = Exit.FINDINGS if found["unhealthy"] else Exit.UPSTREAM if found["unknown"] else Exit.OK
    result = Result(rows, meta, warnings, code, COLUMNS)
    _publish(args, context, result, rows, webhook, now)
    return result


def _check(args: argparse.Namespace) -> None:
    """Raises: OperatorError, USAGE."""
    ways = [args.config is not None, args.resource_type is not None or args.resource_id is not None, args.all]
    if sum(ways) != 1:
        raise usage("give exactly one of --config, --resource-type with --resource-id, and --all")
    if (args.resource_type is None) != (args.resource_id is None):
        raise usage("--resource-type and --resource-id go together")
    if not args.all and (args.tag or args.project or args.access_role):
        raise usage("--tag, --project and --access-role go with --all")
    if not 1 <= args.last <= 100 or args.open_after < 1 or args.clear_after < 1 or args.remind_hours < 0:
        raise usage("--last is 1 to 100, --open-after and --clear-after at least 1, --remind-hours at least 0")
    for flag in ("report", "state"):
        if getattr(args, flag) is not None:
            checked_file(getattr(args, flag), f"--{flag}")
    if (args.alert_webhook or args.alert_webhook_file) and not args.state:
        raise usage("an alert webhook needs --state FILE", "without it every run would alert again")


def _watched(args: argparse.Namespace, base: Any) -> list[Watched]:
    from helpers.core.kinds import checked_id, kind_of
    from helpers.monitor import health_config

    if args.config is not None:
        return health_config.load(args.config, base)
    if args.all:
        return []
    kind = kind_of(args.resource_type)
    if kind.name not in health_config.TYPES:
        raise usage(f"the health of {kind.name} cannot be checked", f"types: {', '.join(health_config.TYPES)}")
    return [health_config.Watched(kind.name, checked_id(args.resource_id, "--resource-id"), base)]


def _webhook(args: argparse.Namespace) -> tuple[str | None, list[str]]:
    if not args.state:
        return None, []
    from helpers.core.settings import read_env_file
    from helpers.monitor.alerts import webhook

    values = read_env_file(args.env_file) if args.env_file else os.environ
    return webhook(args.alert_webhook, args.alert_webhook_file, {**os.environ, **values})


def _jobs(args: argparse.Namespace, context: cli.Context, watched: list[Watched], base: Any) -> tuple[list[Job], int]:
    """What to check, with its flow and member; and how many resting resources were left out."""
    jobs = _jobs_of_all(args, context, base) if args.all else _jobs_of(context, watched, args.workers)
    active = [job for job in jobs if not (args.ignore_paused and job[2] and job[2].status in ("PAUSED", "INIT"))]
    if not active:
        hint = "see python scripts/list_resources.py --type flows --all"
        raise OperatorError(Exit.NOT_FOUND, "there is no resource to check", hint=hint)
    return active, len(jobs) - len(active)


def _jobs_of_all(args: argparse.Namespace, context: cli.Context, base: Any) -> list[Job]:
    from helpers.core.kinds import checked_id
    from helpers.monitor.health_config import Watched
    from helpers.monitor.health_facts import all_flows, project_flows

    params = {"access_role": args.access_role} if args.access_role else {}
    if args.project:
        flows = project_flows(context.session, checked_id(args.project, "--project"))
    else:
        flows = list(all_flows(context.session, params, context.say))
    return [
        (Watched(member.kind, member.id, base), flow, member)
        for flow in flows
        for member in flow.origin.walk()
        if not args.tag or args.tag in {*_tags(member), *_tags(flow.origin)}
    ]


def _tags(member: Member) -> list[str]:
    tags = member.row.get("tags")
    return tags if isinstance(tags, list) else []


def _jobs_of(context: cli.Context, watched: list[Watched], workers: int) -> list[Job]:
    from helpers.api.flows import Flow
    from helpers.monitor.health_facts import flows_of

    flows = flows_of(context.session, [(entry.kind, entry.id) for entry in watched], workers)
    jobs: dict[tuple[str, int], Job] = {}
    for entry in watched:
        flow = flows[entry.kind, entry.id]
        members = list(flow.origin.walk()) if isinstance(flow, Flow) else []
        if entry.kind != "flows":
            member = next((m for m in members if (m.kind, m.id) == (entry.kind, entry.id)), None)
            jobs[entry.kind, entry.id] = (entry, flow, member)
        elif not members:
            jobs[entry.kind, entry.id] = (entry, flow, None)
        for member in members if entry.kind == "flows" else ():
            own = entry._replace(kind=member.kind, id=member.id)
            jobs.setdefault((member.kind, member.id), (own, flow, member))
    return list(jobs.values())


def _facts(args: argparse.Namespace, context: cli.Context, jobs: list[Job]) -> list[Facts]:
    from concurrent.futures import ThreadPoolExecutor

    session = context.session
    with context.progress("health", len(jobs)) as show, ThreadPoolExecutor(args.workers) as pool:
        facts = []
        for fact in pool.map(lambda job: _fact(session, *job), jobs):
            facts.append(fact)
            show(len(facts))
    if args.probe:
        _probe(session, jobs, facts)
    return facts


def _fact(session: Session, entry: Watched, flow: Flow | OperatorError | None, member: Member | None) -> Facts:
    from helpers.monitor.health import Facts
    from helpers.monitor.health_facts import facts_of

    if isinstance(flow, OperatorError):
        return Facts(entry.kind, entry.id, problem=flow.message)
    if flow is None or member is None:
        return Facts(entry.kind, entry.id, missing=True)
    return facts_of(session, flow, member)


def _probe(session: Session, jobs: list[Job], facts: list[Facts]) -> None:
    """Replace each verified_status by a live probe, one for each credential."""
    from helpers.api.probes import try_probe
    from helpers.monitor.health_facts import credential_id

    seen: dict[int, tuple[str, str]] = {}
    for (_, _, member), fact in zip(jobs, facts, strict=True):
        number = credential_id(member) if member else None
        if number is None:
            continue
        if number not in seen:
            seen[number] = try_probe(session, number)
        said, why = seen[number]
        fact.credential = "200 Ok" if said == "ok" else why if said == "failed" else fact.credential
        if said == "unknown":
            fact.probe_problem = f"credential {number} could not be probed: {why}"


def _publish(
    args: argparse.Namespace, context: cli.Context, result: Result, rows: list[Row], webhook: str | None, now: float
) -> None:
    """The page, the Markdown, and the alerts; none of them changes the verdicts or the exit code."""
    from helpers.core.times import iso
    from helpers.monitor.health_report import markdown, page

    host, at = context.session.settings.host, str(iso(int(now * 1000)))
    result.text = markdown(rows, host, at)
    try:
        if args.state:
            _alert(args, context, result, rows, webhook, now)
        if args.report:
            from helpers.command.html_page import write

            write(args.report, page(rows, host, at))
            result.meta["report"] = args.report
    except OperatorError as error:  # the verdicts matter more than what is made of them
        result.warnings.append(f"{error.message}; nobody was told, or the report is missing")
    for row in rows:
        del row["history"]


def _alert(
    args: argparse.Namespace, context: cli.Context, result: Result, rows: list[Row], webhook: str | None, now: float
) -> None:
    from helpers.monitor.alerts import NO_WEBHOOK, Rules, alert

    rules = Rules(args.open_after, args.clear_after, args.remind_hours)
    host = context.session.settings.host
    told = alert(args.state, rows, rules, url=webhook, form=args.alert_format, host=host, now=now, say=context.say)
    result.meta["alert"] = told.as_meta()
    if told.failure not in (None, NO_WEBHOOK):
        result.warnings.append(f"the alert was not delivered: {told.failure}; the next run tries again")


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), health_check, argv)


if __name__ == "__main__":
    raise SystemExit(main())
