"""Reading a list page by page, while its rows may come and go.

The API's pages are windows on a list that is sorted by age: a row deleted between two requests moves the next one onto
a page that was read already, where nobody sees it. A list is therefore read again until it is known to be whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from helpers.api.failures import ApiError
from helpers.api.session import Session
from helpers.api.transport import MAX_TOTAL_DIGITS, Response, call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row

PER_PAGE = 100
SMALL_PER_PAGE = 50  # some endpoints return 400 above this
MAX_PAGES = 10_000
MAX_UNCOUNTED_PAGES = 1000  # of a list without a total: nothing says that its pages will ever end
MAX_PASSES = 4


def rows_of(response: Response) -> list[Row]:
    """The rows of one list response; flows are wrapped in an object. Entries that are not objects are dropped.

    Raises:
        OperatorError: UPSTREAM, for an object without a list, which must not be mistaken for an empty list.
    """
    return [row for row in _entries(response) if isinstance(row, dict)]


def _entries(response: Response) -> list[Any]:
    """The entries of one list response, malformed ones included."""
    data = response.data
    if isinstance(data, dict):
        data = data.get("flows", ...)
    if data is ... or not isinstance(data, list | None):
        raise OperatorError(Exit.UPSTREAM, "a list request returned an object without a list", retryable=True)
    return data or []


@dataclass
class _Pass:
    """What one reading of the list has shown so far.

    Attributes:
        keys: what identifies the rows: their ids, or their content and place among equal ones.
        malformed: the number of entries that are no objects or whose id is none.
        totals: every total that the server has reported, with None for none.
        pages: the number of pages with entries.
        full: whether a page had as many entries as were asked for.
        empty: the number of empty pages since the last one with entries.
        ended: whether the total, an empty page or a repeated one ended it.
        cut: whether a full page was repeated: the server does not turn pages, and there may be more rows.
        unusable: whether the last page had only malformed entries; a second such page ends the pass.
    """

    keys: set[Any] = field(default_factory=set)
    malformed: int = 0
    totals: set[int | None] = field(default_factory=set)
    pages: int = 0
    full: bool = False
    empty: int = 0
    ended: bool = False
    cut: bool = False
    unusable: bool = False

    @property
    def counted(self) -> int:
        """The number of different entries."""
        return len(self.keys) + self.malformed

    @property
    def is_whole(self) -> bool:
        """Whether no row can have moved to another page: the count is that of every page, or there was one page."""
        if self.totals == {None}:
            return self.ended and self.pages <= 1 and not self.full
        return self.totals == {self.counted}

    def agrees_with(self, before: _Pass) -> bool:
        """Whether the reading before this one has ended with the same."""
        return self.ended and before.ended and (self.keys, self.totals) == (before.keys, before.totals)

    def add(self, total: int | None, length: int, keys: list[Any], *, asked: int) -> bool:
        """Add a page, and find out whether it is the last one.

        Args:
            total: the total that came with the page.
            length: the number of its entries.
            keys: the keys of those that are well-formed.
            asked: the page size that was asked for.

        Returns:
            Whether the page has shown anything that those before it have not.
        """
        self.totals.add(total)
        unusable = length > 0 and not keys
        if self.pages and ((unusable and self.unusable) or (keys and all(self._had(key) for key in keys))):
            self.ended, self.cut = True, length == asked
            return False
        self.unusable = unusable
        self.keys.update(keys)
        self.malformed += length - len(keys)
        self.pages, self.full = self.pages + bool(length), self.full or length >= asked
        self.empty = 0 if length else self.empty + 1
        may_be_gap = self.empty == 1 and self.pages > 0 and len(self.totals) == 1 and self.counted < (total or 0)
        self.ended = self.totals == {self.counted} or (self.empty > 0 and not may_be_gap)
        return True

    def _had(self, key: Any) -> bool:
        """Whether a page before has shown it. A row without an id has, if one with the same content was there."""
        return ((key[0], 1) if isinstance(key, tuple) else key) in self.keys


class Pages:
    """A list read page by page: iterate over it for rows; its attributes then tell what was read.

    One pass is enough when it brought as many different rows as ``X-Total-Count`` said on each page. Otherwise the list
    is read again until two passes agree or MAX_PASSES are over. Without a total, an empty page ends a pass, and so does
    one that brings nothing new, because a server may ignore the page number. Each row is yielded once.

    Args:
        report: called with one line before the wait for another attempt.

    Attributes:
        total: the number of rows that the server reports; None before the first page or when it reports none.
        seen: the number of rows yielded.
        malformed: the number of entries left out because they were not objects or their id was none.
        complete: whether the list was read to its end.
        stable: whether no row can be missing: the last pass was whole, or showed the same as the one before.
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
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._session, self._kind = session, kind
        self._report = report or (lambda _: None)
        self._params, self._per_page, self._workers = dict(params or {}), per_page, workers
        self.total: int | None = None
        self.seen = self.malformed = 0
        self.complete = self.stable = False
        self.body: Row = {}
        self._last = _Pass()
        self._vanished, self._over = 0, False

    def __iter__(self) -> Iterator[Row]:
        yield from self._passes()
        self._over = True

    def _passes(self) -> Iterator[Row]:
        yielded: set[Any] = set()
        before = _Pass()
        for _ in range(MAX_PASSES):
            this = _Pass()
            for key, row in self._read(this):
                if key not in yielded:
                    yielded.add(key)
                    self.seen += 1
                    yield row
            self.complete, self._last = this.ended and not this.cut, this
            self._vanished = len(yielded - this.keys)
            agrees = this.agrees_with(before)
            self.stable = self.complete and (this.is_whole or agrees)
            if self.stable or agrees or not this.ended:
                return
            before = this

    def still_there(self, row: Row) -> bool:
        """Whether a row with an id that was yielded was there in the last pass."""
        return row["id"] in self._last.keys

    @property
    def missing(self) -> int:
        """How many rows, at least, the server reported or may have had, and did not show in the last pass."""
        short = max(0, (self.total or 0) - self._last.counted)
        return short if self.stable else max(1, short)

    @property
    def problem(self) -> str | None:
        """After the last row, why rows may be missing or gone; None when the list is whole."""
        shown = self._last.counted
        if not self._over:
            return None
        if not self.complete:
            return f"the list goes on behind the pages that can be read: {self.seen} rows are not all"
        if not self.stable:
            of_total = "" if self.total is None else f" of {self.total}"
            return f"the list changed while it was read: {shown}{of_total} rows arrived, and others may be missing"
        if self.total is not None and shown != self.total:
            return f"the server reports {self.total} rows, but {shown} arrived"
        if self._vanished:
            return f"the list changed while it was read: {self._vanished} of the {self.seen} rows may be gone"
        return None

    def _read(self, this: _Pass) -> Iterator[tuple[Any, Row]]:
        """One pass: every row with its key, and ``this`` filled."""
        equal: dict[str, int] = {}
        for response in self._responses():
            entries = _entries(response)
            self.body = response.data if isinstance(response.data, dict) else {}
            self.total = response.total if response.total is not None else self.total
            keyed = [(key, row) for row in rows_of(response) if (key := _key(row, equal)) is not None]
            fresh = this.add(response.total, len(entries), [key for key, _ in keyed], asked=self._per_page)
            self.malformed = this.malformed
            yield from keyed if fresh else ()
            if this.ended or (None in this.totals and this.pages >= MAX_UNCOUNTED_PAGES):
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
            response = call(
                self._session, "GET", self._kind.path, params=params, expect=(list, dict), report=self._report
            )
        except ApiError as error:
            if number > 1 or error.http_status != 400 or self._per_page <= SMALL_PER_PAGE:
                raise
            self._per_page = SMALL_PER_PAGE
            return self._page(number)
        return response


def _key(row: Row, equal: dict[str, int]) -> Any:
    """What identifies a row in every pass; None when its id is none. An id written as text becomes a number.

    Args:
        equal: how many rows of each content, without an id, this pass has had.
    """
    value = row.get("id")
    if value is None:
        text = json.dumps(row, sort_keys=True)
        equal[text] = equal.get(text, 0) + 1
        return text, equal[text]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MAX_TOTAL_DIGITS:
        row["id"] = value = int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def read_stable(pages: Pages, what: str) -> list[Row]:
    """The rows of a list, for callers to whom a row that was missed would mean that it does not exist.

    Raises:
        OperatorError: UPSTREAM, when the list never stood still, or could not be read to its end; ``what`` names it.
    """
    rows = list(pages)
    if not pages.stable:
        raise _incomplete(pages, what)
    return rows


def _incomplete(pages: Pages, what: str) -> OperatorError:
    text = f"the list of {what} is incomplete: {pages.problem}"
    return OperatorError(Exit.UPSTREAM, text, hint="it may have changed while it was read; run again", retryable=True)


def read_all_or_fail(pages: Pages, what: str) -> list[Row]:
    """All rows of a list, for callers that must not miss any.

    Args:
        what: what the rows are, for messages.

    Raises:
        OperatorError: UPSTREAM, when an entry cannot be read, or the list is not known to be whole.
    """
    rows = list(pages)
    if pages.malformed or any(not isinstance(row.get("id"), int) for row in rows):
        raise OperatorError(Exit.UPSTREAM, f"the list of {what} contains an entry that cannot be read")
    if pages.missing:
        raise _incomplete(pages, what)
    return [row for row in rows if pages.still_there(row)]
