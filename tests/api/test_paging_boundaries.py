"""How many rows a page has, how many pages a list, and how often it is read: the values around each constant."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.api.paging import Pages
from helpers.api.resources import count
from helpers.api.similar_names import similar_names
from helpers.api.transport import Response
from helpers.core.kinds import KINDS
from support.scripted import Asked, Reply, ScriptedSession

SOURCES = KINDS["sources"]


def listing(total: int | None, *, most: int = 100) -> ScriptedSession:
    """A list of so many rows, or one without end; a page that asks for more than ``most`` is refused."""

    def answer(asked: Asked) -> Any:
        page, size = asked.params["page"], asked.params["per_page"]
        if size > most:
            return Reply(400, {})
        rows = range((page - 1) * size, page * size if total is None else min(page * size, total))
        return Reply(200, [{"id": n + 1} for n in rows], {} if total is None else {"X-Total-Count": str(total)})

    return ScriptedSession(answer)


def test_a_page_has_a_hundred_rows_or_fifty() -> None:
    session = listing(60)
    assert len(list(Pages(session, SOURCES))) == 60
    assert [asked.params["per_page"] for asked in session.asked] == [100]
    session = listing(60, most=50)
    assert len(list(Pages(session, SOURCES))) == 60
    assert [asked.params["per_page"] for asked in session.asked] == [100, 50, 50]


@pytest.mark.parametrize(("total", "pages"), [(10**9, 10_000), (None, 1_000)])
def test_a_list_without_end_is_left_after_10_000_pages_or_1_000_without_a_total(total: int | None, pages: int) -> None:
    headers = {} if total is None else {"X-Total-Count": str(total)}
    session = ScriptedSession(lambda asked: Reply(200, [{"id": asked.params["page"]}], headers))
    read = Pages(session, SOURCES)
    assert sum(1 for _ in read) == len(session.asked) == pages
    assert not read.complete
    assert "goes on behind the pages" in str(read.problem)


def test_a_list_that_never_stands_still_is_read_four_times() -> None:
    """With every request, the newest row is there for the first time and the oldest for the last time."""
    session: Any = ScriptedSession(
        lambda asked: Reply(200, moving(asked, len(session.asked)), {"X-Total-Count": "250"})
    )
    read = Pages(session, SOURCES)
    list(read)
    assert [asked.params["page"] for asked in session.asked].count(1) == 4
    assert "others may be missing" in str(read.problem)


def moving(asked: Asked, newest: int) -> list[dict[str, int]]:
    end = 1000 + newest - (asked.params["page"] - 1) * 100
    return [{"id": n} for n in range(end, max(end - 100, 750 + newest), -1)]


@pytest.mark.parametrize(("text", "total"), [("9" * 12, 10**12 - 1), ("9" * 13, None), ("0", 0), ("²", None)])
def test_a_total_has_at_most_12_digits(text: str, total: int | None) -> None:
    assert Response([], {"X-Total-Count": text}).total == total


@pytest.mark.parametrize(("total", "rows", "requests"), [(4, 4, 1), (5, 5, 1), (6, 5, 1), (7, 5, 1)])
def test_five_rows_are_enough_to_count(total: int, rows: int, requests: int) -> None:
    session = listing(total)
    found, first = count(session, SOURCES)
    assert (found, len(first), len(session.asked)) == (total, rows, requests)
    assert session.asked[0].params["per_page"] == 5


@pytest.mark.parametrize(("place", "found"), [(299, True), (300, True), (301, False)])
def test_300_names_are_read_for_a_hint_and_60_characters_of_each_shown(place: int, found: bool) -> None:
    name = "orders-" + "x" * 54  # 61 characters

    def answer(asked: Asked) -> Reply:
        first = (asked.params["page"] - 1) * 100 + 1
        rows = [{"id": n, "name": name if n == place else f"#{n}"} for n in range(first, first + 100)]
        return Reply(200, rows, {"X-Total-Count": "1000"})

    session = ScriptedSession(answer)
    assert similar_names(session, SOURCES, name) == (f"did you mean '{name[:60]}…'? " if found else "")
    assert len(session.asked) == 3
