"""Listing resources: every filter applies to all pages, and the result says which rows it does not show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from helpers.api.flows import FLOW_KINDS, parse_flows
from helpers.api.paging import Pages
from helpers.api.resources import get, require_by_name
from helpers.api.similar_names import similar_names
from helpers.api.transport import call
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.command.render import pick
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.kinds import KINDS, Row, checked_id, item_path
from helpers.core.marks import PREFIX, is_mark
from helpers.inventory.changes import ChangeReader
from helpers.inventory.filters import Filters
from helpers.inventory.flow_rows import MEMBERS, flow_row
from helpers.inventory.request import ANY_MARK, ListRequest

COLUMNS = ("id", "name", "status", "type", "updated_at")
FLOW_COLUMNS = ("id", "name", "status", "nodes", "sources", "nexsets", "destinations")
ROW_FIELDS = {"tag": "tags", "owner": "owner", "updated_since": "updated_at", "status": "status"}
TYPE_KEYS = ("source_type", "sink_type", "credentials_type", "code_type", "task_type")


def run(request: ListRequest, context: Context) -> Result:
    """List the rows that match all filters, up to the limit.

    Returns:
        The rows; ``meta`` has their total and whether the list is truncated. The exit code is PARTIAL when the audit
        log of a row could not be read.

    Raises:
        OperatorError: NOT_FOUND, when none of the requested ids exists; USAGE, for a filter that does not apply.
    """
    filters = Filters(request, context.session.server_time)
    if request.project:
        ids = _ids_in_project(request, context)
        filters.tests.append(lambda row: row.get("id") in ids)
    if (mark := request.mark) is not None:
        filters.tests.append(lambda row: _carries(context, request, row, mark))
    few = not (filters.tests or request.limit is None or request.sort)
    size = min(request.limit or 100, 100) if few else 100
    workers = 1 if request.kind.name == "flows" or few else context.workers
    pages = Pages(context.session, request.kind, _query(request), per_page=size, workers=workers)
    meta: dict[str, Any] = {"type": request.kind.name, "access_role": request.access_role or "owner"}
    if looked_at := filters.looked_at():
        meta["looked_at"] = looked_at
    result = Result(None, meta, columns=() if request.full else _columns(request))
    rows = _rows(request, context, pages, filters, result)
    result.data = rows if request.streams else list(rows)
    return result


def _carries(context: Context, request: ListRequest, row: Row, change: str) -> bool:
    """Whether a row carries a mark of these scripts. Rows of the list of credentials show no tags, single ones do."""
    tags = row.get("tags")
    if tags is None:
        tags = get(context.session, request.kind, row.get("id")).get("tags")
    marks = [tag for tag in tags or [] if is_mark(tag)]
    return bool(marks) if change == ANY_MARK else any(tag.startswith(f"{PREFIX}{change}") for tag in marks)


def _columns(request: ListRequest) -> tuple[str, ...]:
    columns: tuple[str, ...] = FLOW_COLUMNS if request.kind.name == "flows" else COLUMNS
    if request.updated_since and "updated_at" not in columns:
        columns = (*columns, "updated_at")
    return (*columns, "changed_by") if request.with_changes else columns


def _rows(request: ListRequest, context: Context, pages: Pages, filters: Filters, result: Result) -> Iterator[Row]:
    """The rows. The result's ``meta`` and warnings are complete once the last row was consumed."""
    matched = returned = 0
    fields: set[str] = set()
    is_flows = request.kind.name == "flows"
    source = (flow_row(row, pages.body, full=request.full) for row in pages) if is_flows else pages
    changes: ChangeReader | None = None
    with context.progress(request.kind.name, pages.total) as show:
        for row in _sorted(request, source, result.warnings):
            show(pages.seen)
            fields.update(row)
            if not filters.accept(row):
                continue
            matched += 1
            if request.limit is None or returned < request.limit:
                returned += 1
                if request.with_changes:
                    changes = changes or ChangeReader(context.session, filters.since)
                yield _shaped(request, row) | _matching(request, row, filters, changes)
            if returned == request.limit and not filters.tests and pages.total is not None:
                break
    exact = pages.complete or not filters.tests
    total = matched if filters.tests else max(pages.total or 0, matched)
    result.meta.update(total=total if exact else None, returned=returned, truncated=returned < total)
    if changes and changes.problems:
        result.warnings += changes.problems
        result.code = Exit.PARTIAL
    result.warnings += filters.warnings()
    _warn(request, context, pages, fields, matched, result)


def _matching(request: ListRequest, row: Row, filters: Filters, changes: ChangeReader | None) -> Row:
    """What a row shows because of the filters: the members of a flow that match, and who changed what."""
    found: Row = {}
    if (members := filters.matching_members(row)) is not None:
        found["matching"] = members
    if changes is not None:
        keys: list[tuple[str, Any]] = [(member["type"], member["id"]) for member in members or []]
        keys = keys or [(request.kind.name, row.get("id"))]
        made = changes.changes_of(keys)
        people = None if made is None else sorted({str(change["who"]) for change in made if change["who"]})
        found |= {"changed_by": people, "changes": made}
    return found


def _warn(request: ListRequest, context: Context, pages: Pages, fields: set[str], matched: int, result: Result) -> None:
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
    if request.name and request.name.substring and matched == 0:
        role = {"access_role": request.access_role} if request.access_role else {}
        if guess := similar_names(context.session, request.kind, request.name.substring, **role):
            result.warnings.append(f"nothing matches --name {request.name.substring}: {guess.strip()}")
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
        hidden = {MEMBERS} if request.full or request.all_fields else {MEMBERS, "tags", "owner", "updated_at"}
        if request.updated_since:
            hidden -= {"updated_at"}
        return {key: value for key, value in row.items() if key not in hidden}
    if request.full:
        return row
    return {**row, **_brief(row)} if request.all_fields else _brief(row)


def _query(request: ListRequest) -> dict[str, Any]:
    """The query parameters for filters that the API supports; every filter is tested again on the rows."""
    filters = {"status": request.status, "tags": request.tag, "access_role": request.access_role}
    filters["name"] = request.name.substring if request.name else None
    query: dict[str, Any] = {
        key: value for key, value in filters.items() if value is not None and key in request.kind.filters
    }
    brief = not (request.full or request.tag or request.owner or request.updated_since or request.any_member)
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
