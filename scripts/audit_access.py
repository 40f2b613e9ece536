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
"""Who has access, who changed it, and whether it is as declared: for resources, pipelines, projects or one person."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from helpers.command import cli
from helpers.command.output import Result, checked_file
from helpers.core.errors import Exit, OperatorError, usage

if TYPE_CHECKING:
    from helpers.access.audit import People, Seen
    from helpers.access.declaration import Declared
    from helpers.access.rules import Rule
    from helpers.access.targets import Target

COMMAND = "audit_access"
FORMATS = ("markdown",)
OWNED = ("sources", "nexsets", "destinations", "credentials", "projects", "code_containers", "teams", "flows")
COLUMNS = ("type", "id", "name", "accessor_type", "accessor_id", "accessor", "role", "via", "expires_at")
CHANGE_COLUMNS = ("time", "who", "impersonator", "type", "id", "event", "accessor", "before", "after")
FINDING_COLUMNS = ("finding", "type", "id", "name", "accessor", "text")
DIFFERENCE_COLUMNS = ("difference", "type", "id", "accessor", "expected", "actual")


def build_parser() -> argparse.ArgumentParser:
    from helpers.access.flags import add_flags

    example = "python scripts/audit_access.py --pipeline-of sources:123 --expand-teams"
    parser = cli.build_parser(COMMAND, __doc__ or "", example, formats=FORMATS)
    add_flags(parser)
    add = parser.add_argument
    add("--all", action="store_true", help="everything that you own")
    add("--expected", metavar="FILE", help="declared access, as for manage_access sync; exit 10 if it differs")
    add("--accessor", metavar="EMAIL", help="only what this person has, directly, by a team, an org or as owner")
    add("--expand-teams", action="store_true", help="persons instead of teams, each with the strongest role")
    add(
        "--findings", action="store_true", help="public, org-wide, ex-member and other named rules; exit 10 if any hits"
    )
    add("--changes", action="store_true", help="who changed access, by the audit logs")
    add("--since", metavar="TIME", default=None, help="with --changes: 30d (default), 2026-11-01, ISO 8601")
    add("--until", metavar="TIME", help="with --changes: default now")
    add("--report", metavar="FILE.html", help="write a page with the whole report")
    return parser


def audit_access(args: argparse.Namespace, context: cli.Context) -> Result:
    """The data holds access, findings, differences, changes, and what could not be read. Exit 10 or 8 accordingly."""
    _check(args)
    session = context.session
    from helpers.access import audit as access_audit
    from helpers.access.declaration import declared, load
    from helpers.core.times import iso, to_ms

    people = access_audit.read_people(session)  # first: its answer tells the server's time
    now = session.server_time()
    since, until = to_ms(args.since or "30d", now), to_ms(args.until, now) if args.until else int(now * 1000)
    wanted = declared(session, load(args.expected), lenient=True) if args.expected else []
    targets = _targets(args, context, wanted)
    found = access_audit.look(session, targets, args.workers, whole=bool(args.findings or args.report))
    data: dict[str, Any] = {"access": [], "unread": [
        {"type": seen.target.kind.name, "id": seen.target.id, "problem": seen.problem} for seen in found if seen.problem
    ]}  # fmt: skip
    readable = [seen for seen in found if not seen.problem]
    if args.expand_teams or args.accessor or args.findings or args.report:
        data["unread"] += access_audit.read_teams(session, people, readable)
    if people.problem:
        data["unread"].append({"type": "orgs", "id": people.org, "problem": people.problem})
    moment = str(iso(int(now * 1000)))
    data["access"] = _access(args, context, readable, people, moment)
    if args.findings or args.report:
        data["findings"] = access_audit.findings(readable, people, moment)
    if args.expected:
        rules = {each.target.key: each.rules for each in wanted}
        data["differences"] = [
            row
            for seen in readable
            for row in access_audit.against(seen, rules.get(seen.target.key, {}), people, moment)
        ]
    unknown = _changes(args, context, data, targets, since, until) if args.changes else 0
    return _result(args, context, data, len(targets), unknown, moment, domain=people.domain)


def _check(args: argparse.Namespace) -> None:
    """Raises: OperatorError, USAGE."""
    from helpers.access.declaration import load
    from helpers.access.flags import SELECTORS, check_flags
    from helpers.core.times import to_ms

    if args.expected:
        load(args.expected)
    if args.expected is None or any(getattr(args, name) for name in (*SELECTORS, "all")):
        check_flags(args, "all")
    if (args.since is not None or args.until is not None) and not args.changes:
        raise usage("--since and --until go with --changes")
    now = time.time()
    if args.changes and to_ms(args.since or "30d", now) >= (to_ms(args.until, now) if args.until else now * 1000):
        raise usage("--since is not before --until (now, if it is not given)")
    if args.accessor is not None and "@" not in args.accessor and not args.accessor.isdecimal():
        raise usage("--accessor is the email of a user, or a user's id")
    if args.report:
        checked_file(args.report, "--report")


def _targets(args: argparse.Namespace, context: cli.Context, wanted: list[Declared]) -> list[Target]:
    """The resources of the flags and of the file, each once."""
    session = context.session
    from helpers.access.flags import SELECTORS
    from helpers.access.targets import find_targets, of_row
    from helpers.api.resources import Pages, whole
    from helpers.core.kinds import KINDS

    found = {each.target.key: each.target for each in wanted}
    if args.all:
        for name in OWNED:
            for row in whole(Pages(session, KINDS[name], workers=args.workers), name):
                found.setdefault((name, int(row["id"])), of_row(KINDS[name], row))
    elif any(getattr(args, name) for name in SELECTORS):
        for target in find_targets(session, args):
            found.setdefault(target.key, target)
    if not found:
        raise OperatorError(Exit.NOT_FOUND, "there is no resource to audit", hint="see --tag, --project")
    return list(found.values())


def _access(
    args: argparse.Namespace, context: cli.Context, found: list[Seen], people: People, now: str
) -> list[dict[str, Any]]:
    from helpers.access import audit as access_audit

    if args.accessor:
        user = _person(args.accessor, context, found)
        rows = [access_audit.of_person(seen, people, user, now) for seen in found]
        return [row for row in rows if row]
    per = access_audit.persons_of if args.expand_teams else access_audit.rows_of
    return [row for seen in found for row in per(seen, people, now)]


def _person(email: str, context: cli.Context, found: list[Seen]) -> Rule:
    """A user, who may have left the org and still have rules."""
    from helpers.access.accessors import find_accessor

    if email.isdecimal():
        return find_accessor(context.session, "USER", "id", int(email))
    try:
        return find_accessor(context.session, "USER", "email", email)
    except OperatorError as error:
        if error.code is not Exit.NOT_FOUND or (error.resource or {}).get("candidates"):
            raise
        for seen in found:
            for rule in seen.rules.values():
                if rule.type == "USER" and rule.label.casefold() == email.casefold():
                    return rule
        raise


def _changes(
    args: argparse.Namespace, context: cli.Context, data: dict[str, Any], targets: list[Target], since: int, until: int
) -> int:
    """Fill in the changes; returns how many entries could not be read."""
    from concurrent.futures import ThreadPoolExecutor

    from helpers.access.audit import FATAL
    from helpers.access.audit_log import WITHOUT_LOG, Log, newest_first, read_log

    session = context.session

    def one(target: Target) -> tuple[Target, Log | None, str]:
        try:
            return target, read_log(session, target, since, until), ""
        except OperatorError as error:
            if error.code in FATAL or error.http_status == 401:
                raise
            return target, None, f"its audit log: {error.message}"

    with ThreadPoolExecutor(args.workers) as pool:
        logs = list(pool.map(one, (target for target in targets if target.kind.name not in WITHOUT_LOG)))
    data["changes"] = list(newest_first([log for _, log, _ in logs if log]))
    data["unread"] += [{"type": t.kind.name, "id": t.id, "problem": why} for t, log, why in logs if log is None]
    return sum(log.unknown for _, log, _ in logs if log)


def _result(
    args: argparse.Namespace,
    context: cli.Context,
    data: dict[str, Any],
    total: int,
    unknown: int,
    at: str,
    *,
    domain: str,
) -> Result:
    from helpers.access.report import page, text

    warnings = [f"{row['type']} {row['id']}: {row['problem']}" for row in data["unread"][:5]]
    if args.changes and any(row["type"] == "flows" for row in data["access"]):
        warnings.append("the API keeps no audit log of flows: changes of a flow's own rules are not among the changes")
    if args.accessor and args.all:
        warnings.append("--all is what you own: what this person has from others, and owns, was not looked at")
    if args.findings and not domain:
        warnings.append("the org has no email domain, so that outside-domain was not checked")
    if unknown:
        warnings.append(f"{unknown} entries of the audit log could not be read")
    meta: dict[str, Any] = {"resources": total, "unread": len(data["unread"]), "unknown_entries": unknown}
    meta |= {name: len(data[name]) for name in ("access", "findings", "differences", "changes") if name in data}
    host = context.session.settings.host
    if args.report:
        from helpers.command.html_page import write

        write(args.report, page(data, host, at))
        meta["report"] = args.report
        if not args.findings:
            data.pop("findings")
    found = data.get("differences") or data.get("findings")
    code = Exit.FINDINGS if found else Exit.PARTIAL if data["unread"] or unknown else Exit.OK
    table, columns = _table(args)
    return Result(data, meta, warnings, code, columns, table, text(data, warnings, host, at))


def _table(args: argparse.Namespace) -> tuple[str, Sequence[str]]:
    """Which part of the data a table or CSV shows: what was asked for in particular."""
    if args.changes:
        return "changes", CHANGE_COLUMNS
    if args.expected:
        return "differences", DIFFERENCE_COLUMNS
    if args.findings:
        return "findings", FINDING_COLUMNS
    return "access", COLUMNS


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), audit_access, argv)


if __name__ == "__main__":
    raise SystemExit(main())
