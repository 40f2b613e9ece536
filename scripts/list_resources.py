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
"""List, filter and export any kind of Nexla resource. Filters are applied over all pages, never over one page."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from helpers.command import cli
from helpers.command.output import Result, pick
from helpers.core.errors import Exit, OperatorError, usage

COMMAND = "list_resources"
COLUMNS = ("id", "name", "status", "type", "updated_at")
FLOW_COLUMNS = ("id", "name", "status", "nodes", "sources", "nexsets", "destinations")
FILTERS = ("name", "status", "tag", "project", "owner", "updated_since", "id", "sort")
ROW_FIELDS = {"tag": "tags", "owner": "owner", "updated_since": "updated_at", "status": "status"}
TYPE_KEYS = ("source_type", "sink_type", "credentials_type", "code_type", "task_type")


def build_parser() -> argparse.ArgumentParser:
    example = 'python scripts/list_resources.py --type sources --name "orders" --limit 5'
    parser = cli.build_parser(COMMAND, __doc__ or "", example)
    add = parser.add_argument
    add("--type", required=True, help="sources, nexsets, destinations, flows, credentials, transforms, …, any alias")
    add("--name", help="substring, or /regular expression/; case does not matter")
    add("--status", help="for example ACTIVE or PAUSED")
    add("--tag", help="exact tag")
    add("--project", help="id or exact name of a project: only what its flows hold")
    add("--owner", help="email or id of the owner")
    add("--updated-since", metavar="TIME", help="ISO date or time, UTC unless it says otherwise")
    add("--id", help="one id, or several with commas")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--limit", type=int, default=20, metavar="N", help="rows at most (default 20)")
    size.add_argument("--all", action="store_true", help="every row")
    add("--access-role", choices=("owner", "admin", "operator", "collaborator", "all"),
        help="whose resources: default is only what you own")  # fmt: skip
    add("--full", action="store_true", help="whole rows with their configs; flows as trees")
    add("--sort", metavar="FIELD[:desc]", help="sort by a field")
    return parser


def list_resources(args: argparse.Namespace, context: cli.Context) -> Result:
    """Rows that pass every filter, cut to the limit; ``meta`` says how many there are and whether rows are missing."""
    from helpers.core.kinds import kind_of

    if args.limit < 1:
        raise usage("--limit must be at least 1", "use --all for every row")
    for name in FILTERS:
        if getattr(args, name) == "":
            raise usage(f"--{name.replace('_', '-')} is empty", "leave it out to list without it")
    kind = kind_of(args.type)
    tests = _tests(args)
    params = _server_filters(args, kind.filters)
    if kind.name == "flows" and not (args.full or args.tag or args.owner or args.updated_since):
        params["flows_only"] = 1
    elif args.full and kind.name in ("sources", "nexsets", "destinations"):
        params["expand"] = 1
    if args.project:
        members = _members_of_project(context, args.project, kind.name)
        tests.append(lambda row: row.get("id") in members)
    few = not (tests or args.all or args.sort)
    workers = 1 if kind.name == "flows" or few else args.workers
    session = context.session
    from helpers.api.resources import Pages  # late: wrong flags and settings are refused without it

    pages = Pages(session, kind, params, per_page=min(args.limit, 100) if few else 100, workers=workers)
    return _result(args, context, kind.name, pages, tests)


def _result(
    args: argparse.Namespace, context: cli.Context, kind: str, pages: Any, tests: list[Callable[[Any], bool]]
) -> Result:
    meta: dict[str, Any] = {"type": kind, "access_role": args.access_role or "owner"}
    columns = FLOW_COLUMNS if kind == "flows" and not args.full else COLUMNS
    result = Result(None, meta, columns=() if args.full else columns)
    limit = None if args.all else args.limit

    fields: set[str] = set()

    def rows() -> Iterator[Any]:
        matched = given = 0
        source = (_flow_row(row, pages.body, full=args.full) for row in pages) if kind == "flows" else pages
        with context.progress(kind, pages.total) as show:
            for row in _sorted(args.sort, source, result.warnings):
                show(pages.seen)
                fields.update(row)
                if not all(test(row) for test in tests):
                    continue
                matched += 1
                if limit is None or given < limit:
                    given += 1
                    yield _shaped(row, kind, args)
                if given == limit and not tests and pages.total is not None:
                    break
        exact = pages.complete or not tests
        total = matched if tests else max(pages.total or 0, matched)
        meta.update(total=total if exact else None, returned=given, truncated=given < total)
        _judge(args, pages, fields, matched, result)

    streaming = args.all and not args.sort and args.format in ("ndjson", "csv")
    result.data = rows() if streaming else list(rows())
    return result


def _judge(args: argparse.Namespace, pages: Any, fields: set[str], matched: int, result: Result) -> None:
    """What the reader must know about the rows beside their number.

    Raises:
        OperatorError: NOT_FOUND when ids were asked for and none of them is there.
    """
    if pages.complete and pages.total is not None and pages.seen < pages.total:
        result.warnings.append(f"the list changed while it was read: {pages.seen} of {pages.total} rows seen")
    for name, key in ROW_FIELDS.items():
        if getattr(args, name) and fields and key not in fields:
            result.warnings.append(f"rows of this kind carry no {key}: --{name.replace('_', '-')} can match nothing")
    wanted = len(set(args.id.split(","))) if args.id else 0
    if wanted and matched == 0:
        raise OperatorError(
            Exit.NOT_FOUND,
            f"no {args.type} with id {args.id} among those that you own and the other filters let pass",
            hint="others' resources are listed with --access-role collaborator",
        )
    if wanted > matched:
        result.warnings.append(f"{wanted - matched} of the {wanted} ids were not found")


def _shaped(row: Any, kind: str, args: argparse.Namespace) -> Any:
    """A row as it goes out: whole, or cut to what a person needs."""
    if kind == "flows":
        hidden = () if args.full or args.fields else ("tags", "owner", "updated_at")
        return {key: value for key, value in row.items() if key not in hidden}
    if args.full:
        return row
    return {**row, **_brief(row)} if args.fields else _brief(row)


def _tests(args: argparse.Namespace) -> list[Callable[[Any], bool]]:
    """The filters that the API does not apply (or not exactly), as tests on a row."""
    tests: list[Callable[[Any], bool]] = []
    if args.name:
        fits = _name_test(args.name)
        tests.append(lambda row: fits(str(row.get("name") or "")))
    if args.status:
        tests.append(lambda row: str(row.get("status", "")).lower() == args.status.lower())
    if args.tag:
        tests.append(lambda row: args.tag in [_tag(tag) for tag in row.get("tags") or []])
    if args.owner:
        tests.append(lambda row: args.owner in (str(pick(row, "owner.id")), pick(row, "owner.email")))
    if args.updated_since:
        since = _time(args.updated_since)
        tests.append(lambda row: bool(row.get("updated_at")) and _time(row["updated_at"]) >= since)
    if args.id:
        from helpers.core.kinds import checked_id

        ids = {checked_id(part) for part in args.id.split(",")}
        tests.append(lambda row: row.get("id") in ids)
    return tests


def _name_test(name: str) -> Callable[[str], bool]:
    if len(name) > 2 and name.startswith("/") and name.endswith("/"):
        try:
            pattern = re.compile(name[1:-1], re.IGNORECASE)
        except re.error as error:
            raise usage(f"--name {name} is not a regular expression: {error}") from error
        return lambda text: bool(pattern.search(text))
    return lambda text: name.lower() in text.lower()


def _tag(tag: Any) -> Any:
    return tag.get("name") if isinstance(tag, dict) else tag


def _time(text: str) -> datetime:
    from datetime import UTC

    from dateutil import parser as dates

    try:
        moment = dates.isoparse(text)
    except (ValueError, OverflowError):
        raise usage(f"{text!r} is not an ISO date or time", "for example 2026-11-01 or 2026-11-01T08:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _server_filters(args: argparse.Namespace, known: frozenset[str]) -> dict[str, Any]:
    """What the API can narrow down by itself; every filter is tested again on the rows."""
    wanted = {"status": args.status, "tags": args.tag, "access_role": args.access_role}
    if args.name and not args.name.startswith("/"):
        wanted["name"] = args.name
    if args.access_role and "access_role" not in known:
        raise usage(f"--access-role does not apply to {args.type}", "leave it out")
    return {key: value for key, value in wanted.items() if value is not None and key in known}


def _members_of_project(context: cli.Context, project: str, kind: str) -> set[int]:
    """Ids of a kind in a project's flows; the lists' own project filter is ignored by the server."""
    from helpers.api.flows import flow_from
    from helpers.api.resources import by_name, one_of
    from helpers.api.transport import call
    from helpers.core.kinds import KINDS, checked_id, item_path

    projects = KINDS["projects"]
    if not project.isdigit():
        row = one_of(projects, project, by_name(context.session, projects, project))
        if row is None:
            hint = "see python scripts/list_resources.py --type projects --all"
            raise OperatorError(Exit.NOT_FOUND, f"no project is named {project!r}", hint=hint)
        project = str(row["id"])
    body = call(context.session, "GET", item_path(projects, checked_id(project), "flows")).data
    flows = [flow for index in range(len(body.get("flows") or [])) if (flow := flow_from(body, index))]
    if kind == "flows":
        return {flow.origin.node_id for flow in flows}
    if kind not in ("sources", "nexsets", "destinations"):
        raise usage(f"--project does not apply to {kind}", "it works for flows, sources, nexsets and destinations")
    return {member.id for flow in flows for member in flow.of_kind(kind)}


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    kind = next((row[key] for key in TYPE_KEYS if row.get(key)), None)
    name = row.get("name") or row.get("full_name")
    brief = {"id": row.get("id"), "name": name, "status": row.get("status"), "type": kind}
    return brief | {"owner": pick(row, "owner.email"), "tags": row.get("tags"), "updated_at": row.get("updated_at")}


def _flow_row(node: dict[str, Any], body: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """A flow with its counts; with the resources in the answer also its origin's tags, owner and time."""
    from helpers.api.flows import members, summary

    row = summary(node)
    origin = members(node, body)
    if origin is not None and "owner_id" in origin.row:
        people = {user.get("id"): user.get("email") for user in body.get("users") or []}
        number = origin.row.get("owner_id")
        row |= {"tags": origin.row.get("tags"), "owner": {"id": number, "email": people.get(number)}}
        row["updated_at"] = origin.row.get("updated_at")
    return {**row, "tree": _tree(origin) if origin else None} if full else row


def _tree(member: Any) -> dict[str, Any]:
    row = {"type": member.kind, "id": member.id, "name": member.name, "status": member.status}
    return {**row, "node_id": member.node_id, "children": [_tree(child) for child in member.children]}


def _sorted(field: str | None, rows: Any, warnings: list[str]) -> Any:
    if not field:
        return rows
    name, _, order = field.partition(":")
    if order not in ("", "asc", "desc"):
        raise usage(f"--sort {field}: the order is asc or desc", "for example --sort updated_at:desc")
    found = list(rows)
    if found and not any(pick(row, name) is not None for row in found):
        warnings.append(f"no row has the field {name}: the rows are not sorted")

    def key(row: Any) -> tuple[bool, Any, str]:
        value = pick(row, name)
        return (value is None, value if isinstance(value, int | float) else 0, str(value).lower())

    return sorted(found, key=key, reverse=order == "desc")


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), list_resources, argv)


if __name__ == "__main__":
    raise SystemExit(main())
