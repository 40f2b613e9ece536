"""Flow logs: paged, oldest first, without the rows that a shifting page repeats."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from helpers.api.flows import Member
from helpers.api.session import Session
from helpers.api.transport import ApiError, call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path
from helpers.core.times import iso

PAGE, SMALL_PAGE, MAX_PAGES = 500, 100, 10_000
ANY_RUN = -1
EARLY = 3_600_000  # ms; ``from`` of a run's log, which may begin a little before the run id's time
LABELS = {"SOURCE": "sources", "DATASET": "nexsets", "SINK": "destinations"}
_NUMBERS = re.compile(r"\b(records|errors|size)=(\d+)")
_DIGITS = re.compile(r"\d+")
Warn = Callable[[str], None]


def read_lines(
    session: Session,
    kind: Kind,
    number: int,
    *,
    run_id: int = ANY_RUN,
    since: int,
    until: int | None = None,
    warn: Warn,
) -> Iterator[Row]:
    """The log rows of the whole flow that a resource belongs to, oldest first, one page in memory at a time.

    Args:
        run_id: only this run; ANY_RUN for all.
        since, until: epoch milliseconds; ``from`` is compulsory in the API.
        warn: told when rows are missing or had to be sorted here.

    Raises:
        ApiError: the logs could not be read.
        OperatorError: UPSTREAM, when the server never comes to an end.
    """
    params: dict[str, Any] = {"from": since, "run_id": run_id, "order_by": "ts", "sort_order": "asc"}
    if until is not None:
        params["to"] = until
    first, total, pages, size = _first_page(session, kind, number, params)
    if _descends(first):
        warn("the server does not sort by time; all lines were read before the first was shown")
        rest = [row for page in _pages(session, kind, number, params, first, pages, size) for row in page]
        rows: Iterator[Row] = iter(sorted(rest, key=_time_of))
    else:
        rows = (row for page in _pages(session, kind, number, params, first, pages, size) for row in page)
    seen = 0
    for row in rows:
        seen += 1
        yield _as_line(row, run_id)
    if total is not None and seen < total:
        warn(f"{total - seen} of {total} log lines are missing: pages shifted while they were read; run again")


def _first_page(
    session: Session, kind: Kind, number: int, params: dict[str, Any]
) -> tuple[list[Row], int | None, int | None, int]:
    try:
        rows, total, pages = _page(session, kind, number, params, 1, PAGE)
        return rows, total, pages, PAGE
    except ApiError as error:
        if error.http_status != 400:
            raise
    rows, total, pages = _page(session, kind, number, params, 1, SMALL_PAGE)  # some endpoints cap the page
    return rows, total, pages, SMALL_PAGE


def _page(
    session: Session, kind: Kind, number: int, params: dict[str, Any], page: int, size: int
) -> tuple[list[Row], int | None, int | None]:
    query = {**params, "page": page, "per_page": size}
    body = call(session, "GET", item_path(kind, number, "flow", "logs"), params=query).data
    logs = body.get("logs")
    data = logs.get("data") if isinstance(logs, dict) else logs
    if not isinstance(data, list):
        raise OperatorError(Exit.UPSTREAM, f"the logs of {kind.singular} {number} came in an unknown shape")
    meta = (logs.get("meta") if isinstance(logs, dict) else None) or {}
    counts = [value if isinstance(value := meta.get(key), int) else None for key in ("total_count", "pages_count")]
    return [row for row in data if isinstance(row, dict)], counts[0], counts[1]


def _pages(
    session: Session,
    kind: Kind,
    number: int,
    params: dict[str, Any],
    first: list[Row],
    pages: int | None,
    size: int,
) -> Iterator[list[Row]]:
    page, rows, before = 1, first, list[Row]()
    while rows:
        yield rows[_overlap(before, rows) :]
        if pages is not None and page >= pages:
            return
        before, page = rows, page + 1
        if page > MAX_PAGES:
            raise OperatorError(Exit.UPSTREAM, f"the logs do not end after {MAX_PAGES} pages")
        rows, _, told = _page(session, kind, number, params, page, size)
        pages = told if told is not None else pages


def _overlap(before: list[Row], rows: list[Row]) -> int:
    """How many of the first rows stand already at the end of the page before, because rows moved meanwhile."""
    return next((n for n in range(min(len(before), len(rows)), 0, -1) if before[-n:] == rows[:n]), 0)


def _time_of(row: Row) -> int:
    value = row.get("timestamp")
    return value if isinstance(value, int) else 0


def _descends(rows: list[Row]) -> bool:
    times = [_time_of(row) for row in rows]
    return bool(times) and times[0] > times[-1]


def _as_line(row: Row, run_id: int) -> Row:
    """A log row under the names that we show; the SDK's names for the text and severity are taken as well."""
    at = row.get("timestamp")
    return {
        "time": iso(at) if isinstance(at, int) else None,
        "severity": str(row.get("severity") or row.get("level") or "").upper() or None,
        "resource": f"{row.get('resource_type')} {row.get('resource_id')}",
        "type": row.get("log_type"),
        "text": row.get("log") if "log" in row else row.get("message"),
        "run_id": row.get("run_id", run_id if run_id != ANY_RUN else None),  # the API may leave it out
        "timestamp": at,
        "resource_type": row.get("resource_type"),
        "resource_id": row.get("resource_id"),
    }


def numbers_in(line: Row) -> dict[str, int] | None:
    """records, errors and size of a SUMMARY line; they stand in its text. None for other lines."""
    found = {key: int(value) for key, value in _NUMBERS.findall(str(line["text"]))}
    return found if line["type"] == "SUMMARY" and found else None


def shape(line: Row) -> str:
    """A line's text with its numbers blotted out, so that lines of two runs can be compared."""
    return f"{line['resource']}: " + _DIGITS.sub("0", str(line["text"]))


def belongs_to(line: Row, member: Member) -> bool:
    """Whether a line is about this member; the API writes SOURCE, DATASET and SINK."""
    return (LABELS.get(str(line["resource_type"]).upper()), line["resource_id"]) == (member.kind, member.id)


def summaries(lines: Iterator[Row]) -> list[Row]:
    """Records, errors and bytes of each run and resource, from the SUMMARY lines."""
    sums: dict[tuple[Any, ...], Row] = {}
    for line in lines:
        numbers = numbers_in(line)
        if numbers is None:
            continue
        key = (line["run_id"], line["resource_type"], line["resource_id"])
        zero = {"records": 0, "errors": 0, "size": 0}
        row = sums.setdefault(key, {"run_id": key[0], "resource": line["resource"], **zero})
        for name, value in numbers.items():
            row[name] += value
    return list(sums.values())
