"""Flow logs, page by page and oldest first, without the rows that shifting pages repeat."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from helpers.api.failures import ApiError
from helpers.api.flows import Member
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, ResourceRef, Row, item_path
from helpers.core.times import iso

PAGE, SMALL_PAGE, MAX_PAGES = 500, 100, 10_000
ANY_RUN = -1
LOG_LEAD_MS = 3_600_000  # ms; how long before the time of its run id the log of a run is searched
KINDS_BY_LABEL = {"SOURCE": "sources", "DATASET": "nexsets", "SINK": "destinations"}
_COUNTS = re.compile(r"\b(records|errors|size)=(\d+)")
_DIGITS = re.compile(r"\d+")


class LogLine(NamedTuple):
    """One line of a flow's log. Fields that the API left out are None.

    Attributes:
        time: ISO 8601; ``timestamp`` is the same time in epoch milliseconds.
        resource: the API's label, such as ``SINK 12``.
        type: LOG, SUMMARY…
    """

    time: str | None
    severity: str | None
    resource: str
    type: str | None
    text: Any
    run_id: Any
    timestamp: Any
    resource_type: str | None
    resource_id: Any

    @property
    def is_problem(self) -> bool:
        """Whether the line is a warning or an error."""
        return self.severity not in ("INFO", None)

    @property
    def member_key(self) -> tuple[str, Any]:
        """The kind (under its canonical name) and id of the resource that the line is about."""
        return KINDS_BY_LABEL.get(str(self.resource_type).upper(), ""), self.resource_id

    def is_about(self, member: Member) -> bool:
        """Whether the line is about this member of the flow."""
        return self.member_key == member.key

    def counts(self) -> dict[str, int] | None:
        """The records, errors and size (bytes) in the text of a SUMMARY line; None for other lines."""
        found = {key: int(value) for key, value in _COUNTS.findall(str(self.text))}
        return found if self.type == "SUMMARY" and found else None

    def masked_text(self) -> str:
        """The text with its digits masked, so that lines of two runs can be compared."""
        return f"{self.resource}: " + _DIGITS.sub("0", str(self.text))

    def as_row(self) -> Row:
        """The line as a row of a report."""
        return self._asdict()


class _Query(NamedTuple):
    """What the requests for all pages have in common."""

    session: Session
    resource: ResourceRef
    path: str
    params: dict[str, Any]
    size: int


class _Page(NamedTuple):
    rows: list[Row]
    total: int | None
    pages: int | None


def read_lines(
    session: Session,
    kind: Kind,
    resource_id: int,
    *,
    run_id: int = ANY_RUN,
    since: int,
    until: int | None = None,
    warn: Callable[[str], None],
) -> Iterator[LogLine]:
    """The log lines of the complete flow that a resource belongs to, oldest first, one page in memory at a time.

    Args:
        run_id: only this run; ANY_RUN for all runs.
        since, until: epoch milliseconds. The API requires a start time.
        warn: called when rows are missing or had to be sorted here.

    Raises:
        ApiError: the logs could not be read.
        OperatorError: UPSTREAM, when the response has an unexpected format or the pages never end.
    """
    params: dict[str, Any] = {"from": since, "run_id": run_id, "order_by": "ts", "sort_order": "asc"}
    if until is not None:
        params["to"] = until
    path = item_path(kind, resource_id, "flow", "logs")
    query, first = _first_page(_Query(session, ResourceRef(kind.name, resource_id), path, params, PAGE))
    rows: Iterator[Row] = (row for page in _pages(query, first) for row in page)
    if _is_descending(first.rows):
        warn("the server did not sort the log by time; all lines were read before the first was shown")
        rows = iter(sorted(rows, key=_time_of))
    received = 0
    for row in rows:
        received += 1
        yield _as_line(row, run_id)
    if first.total is not None and received < first.total:
        missing = first.total - received
        warn(f"{missing} of {first.total} log lines are missing: the pages shifted while they were read; run again")


def read_run_lines(
    session: Session, kind: Kind, resource_id: int, run_id: int, warn: Callable[[str], None]
) -> Iterator[LogLine]:
    """As ``read_lines``: the log lines of one run."""
    return read_lines(session, kind, resource_id, run_id=run_id, since=run_id - LOG_LEAD_MS, warn=warn)


def _first_page(query: _Query) -> tuple[_Query, _Page]:
    try:
        return query, _read_page(query, 1)
    except ApiError as error:
        if error.http_status != 400:
            raise
    smaller = query._replace(size=SMALL_PAGE)  # some endpoints limit the page size
    return smaller, _read_page(smaller, 1)


def _read_page(query: _Query, page: int) -> _Page:
    params = {**query.params, "page": page, "per_page": query.size}
    logs = call(query.session, "GET", query.path, params=params).data.get("logs")
    data = logs.get("data") if isinstance(logs, dict) else logs
    if not isinstance(data, list):
        what = f"{query.resource.kind.removesuffix('s')} {query.resource.id}"
        raise OperatorError(Exit.UPSTREAM, f"the logs of {what} have an unexpected format")
    meta = (logs.get("meta") if isinstance(logs, dict) else None) or {}
    total, pages = (
        value if isinstance(value := meta.get(key), int) else None for key in ("total_count", "pages_count")
    )
    return _Page([row for row in data if isinstance(row, dict)], total, pages)


def _pages(query: _Query, first: _Page) -> Iterator[list[Row]]:
    number, page, before = 1, first, list[Row]()
    pages = first.pages
    while page.rows:
        yield page.rows[_overlap(before, page.rows) :]
        if pages is not None and number >= pages:
            return
        before, number = page.rows, number + 1
        if number > MAX_PAGES:
            raise OperatorError(Exit.UPSTREAM, f"the logs have more than {MAX_PAGES} pages")
        page = _read_page(query, number)
        pages = page.pages if page.pages is not None else pages


def _overlap(before: list[Row], rows: list[Row]) -> int:
    """How many of the first rows repeat the end of the previous page, because rows shifted in the meantime."""
    return next((n for n in range(min(len(before), len(rows)), 0, -1) if before[-n:] == rows[:n]), 0)


def _time_of(row: Row) -> int:
    value = row.get("timestamp")
    return value if isinstance(value, int) else 0


def _is_descending(rows: list[Row]) -> bool:
    times = [_time_of(row) for row in rows]
    return bool(times) and times[0] > times[-1]


def _as_line(row: Row, run_id: int) -> LogLine:
    """A log row as a line. The SDK's names for the text and the severity are accepted as well."""
    at = row.get("timestamp")
    return LogLine(
        time=iso(at) if isinstance(at, int) else None,
        severity=str(row.get("severity") or row.get("level") or "").upper() or None,
        resource=f"{row.get('resource_type')} {row.get('resource_id')}",
        type=row.get("log_type"),
        text=row.get("log") if "log" in row else row.get("message"),
        run_id=row.get("run_id", run_id if run_id != ANY_RUN else None),  # the API may leave it out
        timestamp=at,
        resource_type=row.get("resource_type"),
        resource_id=row.get("resource_id"),
    )


def summaries(lines: Iterable[LogLine]) -> list[Row]:
    """The records, errors and bytes of each run and resource, added up from the SUMMARY lines."""
    sums: dict[tuple[Any, ...], Row] = {}
    for line in lines:
        counts = line.counts()
        if counts is None:
            continue
        key = (line.run_id, line.resource_type, line.resource_id)
        zero = {"records": 0, "errors": 0, "size": 0}
        row = sums.setdefault(key, {"run_id": line.run_id, "resource": line.resource, **zero})
        for name, value in counts.items():
            row[name] += value
    return list(sums.values())
