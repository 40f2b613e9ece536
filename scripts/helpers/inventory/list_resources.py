"""Listing resources: every filter applies to all pages, and the result says which rows it does not show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from helpers.api.flows import FLOW_KINDS, Member, flow_summary, parse_flows, parse_members
from helpers.api.paging import Pages
from helpers.api.resources import require_by_name
from helpers.api.transport import call
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.command.render import pick
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.kinds import KINDS, Row, checked_id, item_path
from helpers.core.times import to_ms
from helpers.inventory.request import ListRequest

COLUMNS = ("id", "name", "status", "type", "updated_at")
FLOW_COLUMNS = ("id", "name", "status", "nodes", "sources", "nexsets", "destinations")
ROW_FIELDS = {"tag": "tags", "owner": "owner", "updated_since": "updated_at", "status": "status"}
TYPE_KEYS = ("source_type", "sink_type", "credentials_type", "code_type", "task_type")
Test = Callable[[Row], bool]


def run(request: ListRequest, context: Context) -> Result:
    """List the rows that match all filters, up to the limit.

    Returns:
        The rows; ``meta`` has their total and whether the list is truncated.

    Raises:
        OperatorError: NOT_FOUND, when none of the requested ids exists; USAGE, for a filter that does not apply.
    """
    tests = _tests(request)
    if request.project:
        ids = _ids_in_project(request, context)
        tests.append(lambda row: row.get("id") in ids)
    few = not (tests or request.limit is None or request.sort)
    size = min(request.limit or 100, 100) if few else 100
    workers = 1 if request.kind.name == "flows" or few else context.workers
    pages = Pages(context.session, request.kind, _query(request), per_page=size, workers=workers)
    meta: dict[str, Any] = {"type": request.kind.name, "access_role": request.access_role or "owner"}
    columns = FLOW_COLUMNS if request.kind.name == "flows" else COLUMNS
    result = Result(None, meta, columns=() if request.full else columns)
    rows = _rows(request, context, pages, tests, result)
    result.data = rows if request.streams else list(rows)
    return result


def _rows(request: ListRequest, context: Context, pages: Pages, tests: list[Test], result: Result) -> Iterator[Row]:
    """The rows. The result's ``meta`` and warnings are complete once the last row was consumed."""
    matched = returned = 0
    fields: set[str] = set()
    is_flows = request.kind.name == "flows"
    source = (_flow_row(row, pages.body, full=request.full) for row in pages) if is_flows else pages
    with context.progress(request.kind.name, pages.total) as show:
        for row in _sorted(request, source, result.warnings):
            show(pages.seen)
            fields.update(row)
            if not all(test(row) for test in tests):
                continue
            matched += 1
            if request.limit is None or returned < request.limit:
                returned += 1
                yield _shaped(request, row)
            if returned == request.limit and not tests and pages.total is not None:
                break
    exact = pages.complete or not tests
    total = matched if tests else max(pages.total or 0, matched)
    result.meta.update(total=total if exact else None, returned=returned, truncated=returned < total)
    _warn(request, pages, fields, matched, result)


def _warn(request: ListRequest, pages: Pages, fields: set[str], matched: int, result: Result) -> None:
    """Add warnings about rows that are missing or cannot match.

    Raises:
        OperatorError: NOT_FOUND, when ids were requested and none of them was found.
    """
    if pages.problem:
        result.warnings.append(pages.problem)
    for name, key in ROW_FIELDS.items():
        if getattr(request, name) and fields and key not in fields:
            flag = f"--{name.replace('_', '-')}"
            result.warnings.append(f"rows of this kind have no {key}: {flag} cannot match anything")
    requested = len(request.ids)
    if requested and matched == 0:
        ids = ",".join(map(str, sorted(request.ids)))
        raise OperatorError(
            Exit.NOT_FOUND,
            f"none of the {request.kind.name} that you own and that match the other filters has the id {ids}",
            hint="add --access-role collaborator to include resources of other users",
        )
    if requested > matched:
        result.warnings.append(f"{requested - matched} of the {requested} ids were not found")


def _shaped(request: ListRequest, row: Row) -> Row:
    """A row of the output: complete, or reduced to the most important fields."""
    if request.kind.name == "flows":
        hidden = () if request.full or request.all_fields else ("tags", "owner", "updated_at")
        return {key: value for key, value in row.items() if key not in hidden}
    if request.full:
        return row
    return {**row, **_brief(row)} if request.all_fields else _brief(row)


def _tests(request: ListRequest) -> list[Test]:
    """The filters that the API does not apply, or not exactly, as tests of a row."""
    tests: list[Test] = []
    if (name := request.name) is not None:
        tests.append(lambda row: name.matches(str(row.get("name") or "")))
    if (status := request.status) is not None:
        tests.append(lambda row: str(row.get("status", "")).lower() == status.lower())
    if (tag := request.tag) is not None:
        tests.append(lambda row: tag in [_tag_name(tag) for tag in row.get("tags") or []])
    if (owner := request.owner) is not None:
        tests.append(lambda row: owner in (str(pick(row, "owner.id")), pick(row, "owner.email")))
    if (since := request.updated_since) is not None:
        tests.append(lambda row: bool(row.get("updated_at")) and to_ms(row["updated_at"], 0) >= since)
    if request.ids:
        tests.append(lambda row: row.get("id") in request.ids)
    return tests


def _tag_name(tag: Any) -> Any:
    return tag.get("name") if isinstance(tag, dict) else tag


def _query(request: ListRequest) -> dict[str, Any]:
    """The query parameters for filters that the API supports; every filter is tested again on the rows."""
    filters = {"status": request.status, "tags": request.tag, "access_role": request.access_role}
    filters["name"] = request.name.substring if request.name else None
    query: dict[str, Any] = {
        key: value for key, value in filters.items() if value is not None and key in request.kind.filters
    }
    brief = not (request.full or request.tag or request.owner or request.updated_since)
    if request.kind.name == "flows" and brief:
        query["flows_only"] = 1
    elif request.full and request.kind.name in FLOW_KINDS:
        query["expand"] = 1
    return query


def _ids_in_project(request: ListRequest, context: Context) -> set[int]:
    """The ids of one kind in a project's flows. The server ignores the project filter of its lists."""
    projects, project, kind = KINDS["projects"], str(request.project), request.kind.name
    if not project.isdigit():
        project = str(require_by_name(context.session, projects, project)["id"])
    flows = parse_flows(call(context.session, "GET", item_path(projects, checked_id(project), "flows")).data)
    if kind == "flows":
        return {flow.origin.node_id for flow in flows}
    if kind not in FLOW_KINDS:
        raise usage(f"--project does not apply to {kind}", "it works for flows, sources, nexsets and destinations")
    return {member.id for flow in flows for member in flow.of_kind(kind)}


def _brief(row: Row) -> Row:
    kind = next((row[key] for key in TYPE_KEYS if row.get(key)), None)
    name = row.get("name") or row.get("full_name")
    brief = {"id": row.get("id"), "name": name, "status": row.get("status"), "type": kind}
    return brief | {"owner": pick(row, "owner.email"), "tags": row.get("tags"), "updated_at": row.get("updated_at")}


def _flow_row(node: Row, body: Row, *, full: bool) -> Row:
    """A flow with its counts and, when the response includes the resources, its origin's tags, owner and time."""
    row = flow_summary(node)
    origin = parse_members(node, body)
    if origin is not None and "owner_id" in origin.row:
        emails = {user.get("id"): user.get("email") for user in body.get("users") or []}
        owner_id = origin.row.get("owner_id")
        row |= {"tags": origin.row.get("tags"), "owner": {"id": owner_id, "email": emails.get(owner_id)}}
        row["updated_at"] = origin.row.get("updated_at")
    return {**row, "tree": _tree(origin) if origin else None} if full else row


def _tree(member: Member) -> Row:
    row = {"type": member.kind, "id": member.id, "name": member.name, "status": member.status}
    return {**row, "node_id": member.node_id, "children": [_tree(child) for child in member.children]}


def _sorted(request: ListRequest, rows: Iterable[Row], warnings: list[str]) -> Iterable[Row]:
    if request.sort is None:
        return rows
    name, descending = request.sort
    found = list(rows)
    if found and not any(pick(row, name) is not None for row in found):
        warnings.append(f"no row has the field {name}; the rows are not sorted")

    def key(row: Row) -> tuple[Any, str]:
        value = pick(row, name)
        return (value if isinstance(value, int | float) else 0, str(value).lower())

    with_value = sorted((row for row in found if pick(row, name) is not None), key=key, reverse=descending)
    return [*with_value, *(row for row in found if pick(row, name) is None)]
