"""Reading resources tolerantly: one by one, page by page, and by name.

List rows are brief (no config, no credential); pass ``expand=1`` to get them. By default, a list contains only what
the caller owns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.api.failures import ApiError
from helpers.api.session import Session
from helpers.api.transport import Response, call
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path
from helpers.core.marks import nfc, same_name

PER_PAGE = 100
SMALL_PER_PAGE = 50  # some endpoints return 400 above this
MAX_PAGES = 10_000


def get(session: Session, kind: Kind, resource_id: Any, **params: Any) -> Row:
    """One resource, as the API returns it.

    Raises:
        ApiError: NOT_FOUND, AUTH and so on; its ``resource`` is set.
    """
    try:
        data: Row = call(session, "GET", item_path(kind, resource_id), params=params).data
    except ApiError as error:
        error.resource = {"type": kind.name, "id": int(resource_id)}
        raise
    return data


def get_or_none(session: Session, kind: Kind, resource_id: int, **params: Any) -> Row | None:
    """One resource, or None after a 404.

    Raises:
        ApiError: any other failure.
    """
    try:
        return get(session, kind, resource_id, **params)
    except ApiError as error:
        if error.http_status == 404:
            return None
        raise


def rows_of(response: Response) -> list[Row]:
    """The rows of one list response; flows are wrapped in an object. Entries that are not objects are dropped.

    Raises:
        OperatorError: UPSTREAM, for an object without a list, which must not be mistaken for an empty list.
    """
    if isinstance(response.data, dict) and "flows" not in response.data:
        raise OperatorError(Exit.UPSTREAM, "a list request returned an object without a list", retryable=True)
    data = response.data["flows"] if isinstance(response.data, dict) else response.data
    return [row for row in data or [] if isinstance(row, dict)]


def response_length(response: Response) -> int:
    """The number of entries in a list response, including malformed ones."""
    data = response.data["flows"] if isinstance(response.data, dict) else response.data
    return len(data or [])


class Pages:
    """A list read page by page: iterate over it for rows; its attributes then tell what was read.

    ``X-Total-Count`` is trusted. Without it, only an empty page ends the list, because a server may limit the page
    size. Rows are de-duplicated by id, because the pages shift when the list changes while it is read.

    Attributes:
        total: the number of rows that the server reports; None before the first page or when it reports none.
        seen: the number of rows yielded.
        received: the number of entries received, including those left out.
        complete: whether the list was read to its end.
        malformed: the number of entries left out because they were not objects or their id was none.
        body: for flows, the complete response with the current row, with the resources beside the trees.
    """

    def __init__(
        self,
        session: Session,
        kind: Kind,
        params: Mapping[str, Any] | None = None,
        *,
        per_page: int = PER_PAGE,
        workers: int = 1,
    ) -> None:
        self._session, self._kind = session, kind
        self._params, self._per_page, self._workers = dict(params or {}), per_page, workers
        self.total: int | None = None
        self.seen = self.received = self.malformed = 0
        self.complete = False
        self.body: Row = {}

    def __iter__(self) -> Iterator[Row]:
        ids: set[Any] = set()
        self.received = self.malformed = 0
        for response in self._responses():
            rows = rows_of(response)
            self.malformed += response_length(response) - len(rows)
            self.body = response.data if isinstance(response.data, dict) else {}
            self.total = response.total if response.total is not None else self.total
            self.received += response_length(response)
            self.complete = not response_length(response) or (self.total is not None and self.received >= self.total)
            for row in rows:
                key = row.get("id")
                if not isinstance(key, int | str | None):
                    self.malformed += 1
                elif key is None or key not in ids:
                    ids.add(key)
                    self.seen += 1
                    yield row
            if self.complete:
                return

    def _responses(self) -> Iterator[Response]:
        """Page by page, in order. Once the total is known, several pages are fetched at the same time."""
        first = self._page(1)
        yield first
        number, size = 2, len(rows_of(first))
        if self._workers > 1 and first.total is not None and size:
            pages = -(-first.total // size)
            with ThreadPoolExecutor(self._workers) as pool:
                while number <= pages:
                    window = range(number, min(number + self._workers, pages + 1))
                    yield from pool.map(self._page, window)
                    number = window.stop
        for later in range(number, MAX_PAGES + 1):
            yield self._page(later)

    def _page(self, number: int) -> Response:
        params = {**self._params, "page": number, "per_page": self._per_page}
        try:
            response = call(self._session, "GET", self._kind.path, params=params, expect=(list, dict))
        except ApiError as error:
            if number > 1 or error.http_status != 400 or self._per_page <= SMALL_PER_PAGE:
                raise
            self._per_page = SMALL_PER_PAGE
            return self._page(number)
        return response


def read_all_or_fail(pages: Pages, what: str) -> list[Row]:
    """All rows of a list, for callers that must not miss any.

    Args:
        what: what the rows are, for messages.

    Raises:
        OperatorError: UPSTREAM, when an entry cannot be read, or fewer rows arrived than the server reports.
    """
    rows = list(pages)
    if pages.malformed or any(not isinstance(row.get("id"), int) for row in rows):
        raise OperatorError(Exit.UPSTREAM, f"the list of {what} contains an entry that cannot be read")
    if pages.total is not None and len(rows) < pages.total:
        text = f"the list of {what} is incomplete: {len(rows)} of {pages.total} arrived"
        hint = "it may have changed while it was read; run again"
        raise OperatorError(Exit.UPSTREAM, text, hint=hint, retryable=True)
    return rows


def count(session: Session, kind: Kind, **params: Any) -> tuple[int, list[Row]]:
    """The number of resources of a kind, and the first rows; one request when the server reports the total."""
    first = Pages(session, kind, params, per_page=5)
    rows = []
    for row in first:
        rows.append(row)
        if first.total is not None and first.total > first.seen and first.seen >= 5:
            return first.total, rows
    return max(first.total or 0, first.seen), rows


def by_name(session: Session, kind: Kind, name: str, **params: Any) -> list[Row]:
    """All resources with this name, from all pages (the API's own filter matches substrings).

    Names are compared in Unicode's NFC form. A name that has several forms is asked for in each of them, because it is
    unknown in which one a server stores it and looks for it.
    """
    rows: dict[Any, Row] = {}
    for form in _forms(name) if "name" in kind.filters else [None]:
        query = {**params, "name": form} if form is not None else params
        rows |= {row.get("id"): row for row in Pages(session, kind, query) if same_name(row.get("name"), name)}
    return list(rows.values())


def _forms(name: str) -> list[str]:
    """The Unicode forms of a name: one for most names, such as those in ASCII."""
    return list(dict.fromkeys([nfc(name), unicodedata.normalize("NFD", name)]))


def newest(session: Session, kind: Kind, **params: Any) -> list[Row]:
    """The first page of a list: the newest rows, because lists are sorted by the time of creation, newest first."""
    query = {**params, "page": 1, "per_page": SMALL_PER_PAGE}
    return rows_of(call(session, "GET", kind.path, params=query, expect=(list, dict)))


def shared_by_name(session: Session, kind: Kind, name: str, **params: Any) -> list[Row]:
    """All resources with this name that the caller may see, whoever owns them."""
    if "access_role" not in kind.filters:
        return []
    return by_name(session, kind, name, access_role="collaborator", **params)


def owner_of(session: Session, row: Row) -> str | None:
    """Who else owns a resource, by name or id; None when the caller does, or the owner is unknown."""
    owner = row.get("owner")
    owner_id = owner.get("id") if isinstance(owner, dict) else row.get("owner_id")
    if not isinstance(owner_id, int) or session.user_id is None or owner_id == session.user_id:
        return None
    named = owner if isinstance(owner, dict) else {}
    return str(named.get("full_name") or named.get("email") or f"user {owner_id}")


def require_unique(kind: Kind, name: str, rows: list[Row]) -> Row | None:
    """The only row, or None when there are no rows.

    Raises:
        OperatorError: NOT_FOUND with the candidates, when there are several rows.
    """
    if len(rows) > 1:
        listed = ", ".join(f"{row['id']} ({row.get('status', '-')})" for row in rows)
        raise OperatorError(
            Exit.NOT_FOUND,
            f"{len(rows)} {kind.name} are named {name!r}: ids {listed}",
            hint="rename or delete all but one, or use the id; nothing was changed",
            resource={"type": kind.name, "name": name, "candidates": [row["id"] for row in rows]},
        )
    return rows[0] if rows else None


def require_by_name(session: Session, kind: Kind, name: str, **params: Any) -> Row:
    """The only resource with exactly this name.

    Raises:
        OperatorError: NOT_FOUND, when none or (with the candidates) several have the name.
    """
    row = require_unique(kind, name, by_name(session, kind, name, **params))
    if row is None:
        hint = f"see {command_line('list_resources', '--type', kind.name, '--all')}"
        raise OperatorError(Exit.NOT_FOUND, f"no {kind.singular} is named {name!r}", hint=hint)
    return row
