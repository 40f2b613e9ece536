"""Lists whose rows come and go while they are read, and servers that count or turn pages wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from helpers.api.paging import Pages, read_all_or_fail
from helpers.api.resources import by_name
from helpers.api.session import Session
from helpers.api.transport import Response
from helpers.core.errors import Exit
from helpers.core.kinds import KINDS, Row
from helpers.monitor.health_facts import all_flows
from helpers.transforms.steps import by_exact_name
from support import Sandbox
from support.interference import before_request
from support.requesting import ends_with, session_on
from support.scripted import Asked, Reply, ScriptedSession

SOURCES = KINDS["sources"]
Change = Callable[[list[Any]], None]


def some(count: int) -> list[Any]:
    """Rows as the API sorts them: the newest, which has the highest id, first."""
    return [{"id": n, "name": f"n{n}"} for n in range(count, 0, -1)]


class Server(ScriptedSession):
    """A server with one list, which changes right before the requests with these numbers.

    Args:
        total: the header of the total; by default the truth, empty for none.
        cap: the most rows that it gives on a page.
    """

    def __init__(
        self, rows: list[Any], changes: dict[int, Change] | None = None, *, total: str | None = None, cap: int = 100
    ) -> None:
        super().__init__(self._answer)
        self.rows, self._changes, self._total, self._cap = rows, changes or {}, total, cap

    def _answer(self, asked: Asked) -> Any:
        self._changes.get(len(self.asked), lambda rows: None)(self.rows)
        total = str(len(self.rows)) if self._total is None else self._total
        return Reply(200, self.page(asked.params["page"], min(asked.params["per_page"], self._cap)),
                     {"X-Total-Count": total} if total else {})  # fmt: skip

    def page(self, number: int, size: int) -> list[Any]:
        return self.rows[(number - 1) * size : number * size]


def without(*ids: int) -> Change:
    def change(rows: list[Any]) -> None:
        rows[:] = [row for row in rows if row["id"] not in ids]

    return change


def newer(*ids: int) -> Change:
    def change(rows: list[Any]) -> None:
        rows[:0] = [{"id": n, "name": f"n{n}"} for n in ids]

    return change


def ids_of(rows: list[Row]) -> list[Any]:
    return [row["id"] for row in rows]


def read(server: Session, **options: Any) -> tuple[Pages, list[Any]]:
    pages = Pages(server, SOURCES, **options)
    return pages, ids_of(list(pages))


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 5000])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_list_that_stands_still_is_read_once(count: int, workers: int) -> None:
    server = Server(some(count))
    pages, ids = read(server, workers=workers)
    assert sorted(ids) == list(range(1, count + 1))
    assert len(server.asked) == max(1, -(-count // 100))
    assert (pages.complete, pages.stable, pages.missing, pages.problem) == (True, True, 0, None)


@pytest.mark.parametrize("total", [None, ""])
@pytest.mark.parametrize("request_number", [2, 3])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_row_deleted_between_pages_hides_no_other(total: str | None, request_number: int, workers: int) -> None:
    server = Server(some(250), {request_number: without(240)}, total=total)
    pages, ids = read(server, workers=workers)
    assert set(ids) >= set(range(1, 251)) - {240}
    assert len(ids) == len(set(ids))
    assert (pages.stable, pages.missing) == (True, 0)
    assert "1 of the 250 rows may be gone" in str(pages.problem)


def test_a_page_of_rows_deleted_at_the_end_is_stable_after_another_pass() -> None:
    server = Server(some(201), {2: without(201, 200)})
    pages, ids = read(server)
    assert set(range(1, 200)) <= set(ids)
    assert (pages.stable, pages.total, pages.missing) == (True, 199, 0)


@pytest.mark.parametrize("many", [1, 7, 100, 150])
@pytest.mark.parametrize("total", [None, ""])
def test_rows_inserted_between_pages_repeat_none(many: int, total: str | None) -> None:
    server = Server(some(250), {2: newer(*range(250 + many, 250, -1))}, total=total)
    pages, ids = read(server)
    assert sorted(ids) == list(range(1, 251 + many))
    assert pages.problem is None


def test_rows_that_are_listed_twice_are_shown_once() -> None:
    rows = some(150)
    pages, ids = read(Server([*rows, *rows[:20]]))
    assert ids == ids_of(rows)
    assert pages.problem == "the server reports 170 rows, but 150 arrived"


@pytest.mark.parametrize(
    ("rows", "total", "requests", "problem"),
    [
        (3, "", 2, None),  # a server without pages: all rows, whatever is asked for
        (150, "", 4, None),  # more than were asked for: it knows no page size either
        (100, "", 4, "goes on behind"),  # as many as were asked for: the second hundred may never be shown
        (100, "250", 4, "goes on behind"),
        (100, "100", 1, None),
        (0, "", 1, None),
        (0, "0", 1, None),
    ],
)
def test_a_server_that_repeats_one_page_for_ever_is_left(
    rows: int, total: str, requests: int, problem: str | None
) -> None:
    class Repeating(Server):
        def page(self, number: int, size: int) -> list[Any]:
            return self.rows

    server = Repeating(some(rows), total=total)
    pages, ids = read(server)
    assert ids == ids_of(some(rows))
    assert len(server.asked) == requests
    assert (problem or "") in str(pages.problem)
    assert bool(pages.missing) == bool(problem) == (pages.problem is not None)


def test_rows_without_an_id_that_repeat_for_ever_are_left() -> None:
    server = ScriptedSession(lambda asked: [{"name": "a"}, {"name": "a"}, {"name": "b"}])
    assert [row["name"] for row in Pages(server, SOURCES)] == ["a", "a", "b"]
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("total", "problem", "requests"),
    [
        ("400", "reports 400 rows, but 250 arrived", 10),  # a page may be empty by chance: one more is asked for
        ("999999999", "reports 999999999 rows, but 250 arrived", 10),
        ("120", "reports 120 rows, but 250 arrived", 8),
        ("7", "reports 7 rows, but 250 arrived", 8),
        ("", None, 8),
        ("many", None, 8),
        ("-5", None, 8),
        ("2.5e2", None, 8),
        ("9" * 5000, None, 8),
    ],
)
@pytest.mark.parametrize("workers", [1, 4])
def test_a_total_that_lies_hides_no_row(total: str, problem: str | None, requests: int, workers: int) -> None:
    server = Server(some(250), total=total)
    pages, ids = read(server, workers=workers)
    assert ids == ids_of(some(250))
    assert len(server.asked) <= requests + (6 if workers > 1 else 0), "pages asked for at the same time are a few more"
    assert (pages.problem is None) if problem is None else problem in str(pages.problem)


def test_an_empty_page_in_the_middle_hides_no_row() -> None:
    class Gap(Server):
        def page(self, number: int, size: int) -> list[Any]:
            return [] if number == 2 else super().page(number - (number > 2), size)

    pages, ids = read(Gap(some(250)))
    assert ids == ids_of(some(250))
    assert pages.problem is None


@pytest.mark.parametrize("cap", [1, 50, 99])
@pytest.mark.parametrize("total", [None, ""])
def test_a_page_size_capped_by_the_server_hides_no_row(cap: int, total: str | None) -> None:
    pages, ids = read(Server(some(120), cap=cap, total=total))
    assert ids == ids_of(some(120))
    assert pages.problem is None


def test_ids_written_as_text_are_numbers_and_rows_of_both_forms_are_one() -> None:
    server = Server([{"id": "12"}, {"id": 12}, {"id": "x-1"}, {"id": True}, {"id": 1.5}, None], total="")
    pages, ids = read(server)
    assert (ids, pages.malformed) == ([12, "x-1"], 3)


def test_what_must_not_miss_a_row_fails_while_the_list_moves() -> None:
    def always(rows: list[Any]) -> None:
        rows.pop(0)

    server = Server(some(400), dict.fromkeys(range(2, 400), always))
    error = ends_with(Exit.UPSTREAM, lambda: read_all_or_fail(Pages(server, SOURCES), "sources"))
    assert "others may be missing" in error.message
    assert error.retryable


def test_a_transform_that_a_moving_list_may_hide_is_not_taken_for_absent() -> None:
    def always(rows: list[Any]) -> None:
        rows.pop(0)

    server = Server(some(400), dict.fromkeys(range(2, 400), always))
    ends_with(Exit.UPSTREAM, lambda: by_exact_name(server, KINDS["transforms"], "n1"))


def test_what_must_not_miss_a_row_gets_none_that_is_gone() -> None:
    server = Server(some(250), {2: without(240)})
    rows = read_all_or_fail(Pages(server, SOURCES), "sources")
    assert sorted(ids_of(rows)) == [n for n in range(1, 251) if n != 240]


def test_a_name_is_found_though_a_row_before_it_is_deleted_meanwhile() -> None:
    server = Server(some(250), {2: without(240)})
    assert ids_of(by_name(server, SOURCES, "n150")) == [150]  # the first row of the second page


def test_flows_that_move_between_pages_are_all_checked(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    sandbox.control("POST", "bulk", {"count": 250})
    session = session_on(sandbox)
    newest = sandbox.api("GET", "/data_sources?page=1&per_page=1")[1][0]["id"]
    gone = before_request(monkeypatch, "GET", "/flows", lambda: sandbox.api("DELETE", f"/data_sources/{newest}"),
                          after="GET /flows")  # fmt: skip
    found = {flow.origin.id for flow in all_flows(session, {}, lambda text: None)}
    assert gone[0] == (200, None)
    there = {row["id"] for row in sandbox.api("GET", "/data_sources")[1]}
    assert found >= there
    assert len(there) == 253


def test_a_listing_tells_that_a_row_has_gone_and_shows_all_others(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    sandbox.control("POST", "bulk", {"count": 250})
    newest = sandbox.api("GET", "/data_sources?page=1&per_page=1")[1][0]["id"]
    before_request(monkeypatch, "GET", "/data_sources", lambda: sandbox.api("DELETE", f"/data_sources/{newest}"),
                   after="GET /data_sources")  # fmt: skip
    document = sandbox.run_inside("list_resources.py", "--type", "sources", "--all").ok().json
    there = {row["id"] for row in sandbox.api("GET", "/data_sources")[1]}
    assert {row["id"] for row in document["data"]} >= there
    assert any("changed while it was read" in text for text in document["warnings"])


def test_the_header_of_the_total_is_read_as_a_number_only() -> None:
    for text in ("many", "-1", "1.0", "²", "", "0x10", "1_000"):
        assert Response([], {"X-Total-Count": text}).total is None, text
    assert Response(json.loads("[]"), {"X-Total-Count": " 12 "}).total == 12
