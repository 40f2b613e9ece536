"""How often, how long and how much: each constant of the requests with the values around it."""

from __future__ import annotations

import random
import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from helpers.api.failures import ApiError
from helpers.api.flow_lookup import read_flow_target
from helpers.api.flows import run_rows
from helpers.api.logs import read_lines
from helpers.api.probes import probe
from helpers.api.runs import merge_runs, read_runs
from helpers.api.session import Session
from helpers.api.transport import BACKOFF, call
from helpers.api.writes import create, poll_for_row
from helpers.core import limits, redact
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS
from helpers.core.settings import Settings
from support.clocks import VirtualClock
from support.requesting import NOTHING_TO_FIND, ends_with
from support.scripted import URL, Asked, Reply, ScriptedSession, flow_body, log_row, paged, run_row

NOW = 1_795_240_000.5
TOKEN = "t" * 20
SOURCES = KINDS["sources"]


@pytest.fixture(autouse=True)
def _longest_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


def failing(status: int, times: int = 99, **headers: str) -> ScriptedSession:
    """A server that fails so many times."""
    session = ScriptedSession(lambda asked: Reply(status, {}, headers) if len(session.asked) <= times else {"id": 1})
    return session


@pytest.mark.parametrize(("times", "code"), [(2, None), (3, None), (4, Exit.UPSTREAM)])
def test_a_read_is_tried_four_times(clock: VirtualClock, times: int, code: Exit | None) -> None:
    session = failing(503, times)
    if code:
        ends_with(code, lambda: call(session, "GET", "/x"))
    else:
        call(session, "GET", "/x")
    assert clock.slept == [0.5, 1.0, 2.0][:times]


@pytest.mark.parametrize(("status", "tries"), [(499, 1), (500, 2), (501, 1)])
def test_a_500_is_tried_twice(clock: VirtualClock, status: int, tries: int) -> None:
    session = failing(status)
    with pytest.raises(ApiError):
        call(session, "GET", "/x")
    assert len(session.asked) == tries


@pytest.mark.parametrize(("attempt", "wait"), [(1, 0.5), (4, 4.0), (5, 8.0), (6, 8.0)])
def test_a_wait_is_at_most_eight_seconds(attempt: int, wait: float) -> None:
    state: Any = SimpleNamespace(outcome=None, attempt_number=attempt)
    assert BACKOFF(state) == wait


@pytest.mark.parametrize(("seconds", "slept"), [("59", [59.0]), ("60", [60.0]), ("61", [])])
def test_a_server_may_ask_for_a_minute(clock: VirtualClock, seconds: str, slept: list[float]) -> None:
    session = failing(503, 1, **{"Retry-After": seconds})
    if slept:
        call(session, "GET", "/x")
    else:
        ends_with(Exit.UPSTREAM, lambda: call(session, "GET", "/x"))
    assert clock.slept == slept


@pytest.mark.parametrize(("seconds", "slept"), [("3", [3.0] * 3), ("4", [4.0, 4.0]), ("9", [9.0]), ("11", [])])
def test_a_server_may_not_ask_for_more_than_the_time_that_is_left(
    clock: VirtualClock, seconds: str, slept: list[float]
) -> None:
    """Ten seconds in all. Who stops early says what the server said, and not that the time is over."""
    session = failing(429, **{"Retry-After": seconds})
    session.deadline = limits.Deadline(10)
    assert f"wait {seconds} s" in ends_with(Exit.THROTTLED, lambda: call(session, "GET", "/x")).message
    assert clock.slept == slept


@pytest.mark.parametrize(("status", "good"), [(299, True), (300, False), (301, False)])
def test_statuses_below_300_are_answers(status: int, good: bool) -> None:
    session = ScriptedSession(lambda asked: Reply(status, {"id": 1}))
    try:
        assert call(session, "GET", "/x").data == {"id": 1}
        assert good, "it was taken for an answer"
    except ApiError as error:
        assert not good, error.message


@pytest.mark.parametrize(("status", "posts"), [(502, 2), (503, 2), (504, 1)])
def test_a_create_is_not_sent_again_after_a_504(clock: VirtualClock, status: int, posts: int) -> None:
    session = ScriptedSession(lambda asked: Reply(status))
    with pytest.raises(OperatorError):
        create(session, "/data_sources", {"name": "x"}, NOTHING_TO_FIND, lambda text: None)
    assert session.hits("/data_sources") == posts


@pytest.mark.parametrize(("status", "seconds"), [(503, 15.0), (504, 90.0), (None, 90.0)])
def test_a_lost_create_is_looked_for_15_or_90_seconds(clock: VirtualClock, status: int | None, seconds: float) -> None:
    """After an answer that the server is overloaded, 15; when the first request may still be under way, 90."""
    session = ScriptedSession(lambda asked: Reply(status) if status else ConnectionResetError())
    with pytest.raises(OperatorError):
        create(session, "/data_sources", {"name": "x"}, NOTHING_TO_FIND, lambda text: None)
    assert sum(clock.slept) == seconds * session.hits("/data_sources")


def test_the_looks_for_a_lost_create_grow_apart_and_are_reported_every_ten_seconds(clock: VirtualClock) -> None:
    lines: list[str] = []
    session = ScriptedSession(lambda asked: {})
    assert poll_for_row(session, lambda: None, 15.0, "POST /x", lines.append) is None
    assert clock.slept == [0.5, 1.0, 2.0, 4.0, 4.0, 3.5]
    assert [line.partition("up to ")[2] for line in lines] == ["15 s", "4 s"]


@pytest.mark.parametrize(
    ("run_id", "good"),
    [(999_999_999_999, False), (10**12, True), (10**12 + 1, True), (3_999_999_999_999, True), (4 * 10**12, False)],
)
def test_a_run_is_of_2001_to_2096(run_id: int, good: bool) -> None:
    runs, unreadable = merge_runs([run_row(run_id)])
    assert ([run.id for run in runs], unreadable) == (([run_id], 0) if good else ([], 1))


@pytest.mark.parametrize(
    ("status", "verdict"), [(399, "unknown"), (400, "failed"), (428, "failed"), (429, "unknown"), (430, "failed"),
                            (499, "failed"), (500, "unknown")],
)  # fmt: skip
def test_a_probe_fails_by_what_the_system_says(clock: VirtualClock, status: int, verdict: str) -> None:
    assert probe(ScriptedSession(lambda asked: Reply(status, {"message": "no"})), 1).verdict == verdict


# -- pages of runs and logs


def test_the_rows_of_runs_that_are_asked_for() -> None:
    session = ScriptedSession(lambda asked: {"metrics": {"data": []}})
    read_runs(session, SOURCES, 1)
    run_rows(session, SOURCES, 1)
    assert [asked.params["size"] for asked in session.asked] == [100, 20]


def read_log(session: Session) -> int:
    return sum(1 for _ in read_lines(session, SOURCES, 1, since=0, warn=lambda text: None))


def test_a_page_of_a_log_has_500_lines_or_100() -> None:
    rows = [log_row(n) for n in range(501)]
    session = ScriptedSession(lambda asked: paged(rows, asked))
    assert read_log(session) == 501
    assert [asked.params["per_page"] for asked in session.asked] == [500, 500]
    assert session.asked[0].params["run_id"] == -1, "the API's word for every run"
    small = ScriptedSession(lambda asked: Reply(400, {}) if asked.params["per_page"] > 100 else paged(rows, asked))
    assert read_log(small) == 501
    assert [asked.params["per_page"] for asked in small.asked] == [500, *[100] * 6]


@pytest.mark.parametrize(("pages", "good"), [(9_999, True), (10_000, True), (10_001, False)])
def test_a_log_has_at_most_10_000_pages(pages: int, good: bool) -> None:
    def answer(asked: Asked) -> Any:
        page = asked.params["page"]
        return {"logs": {"data": [log_row(page)] if page <= pages else [], "meta": {"pages_count": pages}}}

    try:
        assert (read_log(ScriptedSession(answer)), good) == (pages, True)
    except OperatorError as error:
        assert (error.code, good) == (Exit.UPSTREAM, False), error.message


def test_a_flow_is_read_once() -> None:
    session = ScriptedSession(lambda asked: flow_body())
    read_flow_target(session, SOURCES, 1)
    assert len(session.asked) == 1


# -- the wire


class Body:
    """A body that comes in parts, each after so many seconds."""

    def __init__(self, clock: VirtualClock, text: str, pause: float) -> None:
        self.parts, self.clock, self.pause = [text[:1].encode(), text[1:].encode()], clock, pause

    def read1(self, size: int, *, decode_content: bool) -> bytes:
        if not self.parts:
            return b""
        self.clock.sleep(self.pause if len(self.parts) == 1 else 0.0)
        return self.parts.pop(0)


class Wire:
    """What the session sends through, instead of a socket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: VirtualClock) -> None:
        self.clock, self.paths, self.timeouts = clock, list[str](), list[float]()
        self.pause, self.token_seconds, self.byte_order_mark = 0.0, 3600, ""
        wire = self

        def send(adapter: Any, request: Any, *args: Any, timeout: float, **kwargs: Any) -> requests.Response:
            return wire.answer(request, timeout)

        monkeypatch.setattr(HTTPAdapter, "send", send)

    def answer(self, request: Any, timeout: float) -> requests.Response:
        self.paths.append(request.url.removeprefix(URL))
        self.timeouts.append(timeout)
        token = f'{self.byte_order_mark}{{"access_token": "{TOKEN}", "expires_in": {self.token_seconds}}}'
        is_token = self.paths[-1] == "/token"
        found: Any = requests.Response()
        found.status_code, found.request, found.url = 200, request, request.url
        found.raw = Body(self.clock, token if is_token else '{"id": 1}', 0.0 if is_token else self.pause)
        return found


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch, clock: VirtualClock) -> Wire:
    monkeypatch.setattr(time, "time", lambda: NOW)
    return Wire(monkeypatch, clock)


def session_with(seconds: float | None = None) -> Session:
    settings = Settings(URL, service_key="k" * 20)
    return Session(settings, limits.Deadline(seconds), limits.RateLimiter(unlimited=True))


@pytest.mark.parametrize(("left", "timeout"), [(None, 30.0), (29.0, 29.0), (30.0, 30.0), (31.0, 30.0)])
def test_a_server_may_be_silent_for_30_seconds(wire: Wire, left: float | None, timeout: float) -> None:
    call(session_with(left), "GET", "/x")
    assert wire.timeouts == [timeout] * 2


@pytest.mark.parametrize(("seconds", "good"), [(299, True), (300, True), (301, False)])
def test_an_answer_may_take_five_minutes(wire: Wire, seconds: int, good: bool) -> None:
    wire.pause = seconds
    exchange = session_with().send("GET", "/x", None, None)
    assert (exchange.status == 200, exchange.error is None) == (good, good)


@pytest.mark.parametrize(("seconds", "good"), [(9, True), (10, False), (11, False)])
def test_an_answer_that_drips_ends_at_the_deadline(wire: Wire, seconds: int, good: bool) -> None:
    """The deadline is in ten seconds."""
    wire.pause = seconds
    if good:
        call(session_with(10), "GET", "/x")
    else:
        ends_with(Exit.TIMEOUT, lambda: call(session_with(10), "GET", "/x"))


def test_a_token_is_a_secret_even_in_a_response_that_only_the_sdk_can_read(wire: Wire) -> None:
    wire.byte_order_mark = "\ufeff"
    call(session_with(), "GET", "/x")
    assert redact.redact_text(f"you sent {TOKEN}") == "you sent [redacted]"


@pytest.mark.parametrize(("seconds", "tokens"), [(59, 2), (60, 1), (61, 1)])
def test_a_token_is_renewed_a_minute_before_its_end(wire: Wire, seconds: int, tokens: int) -> None:
    wire.token_seconds = seconds
    session = session_with()
    call(session, "GET", "/x")
    call(session, "GET", "/y")
    assert wire.paths.count("/token") == tokens, wire.paths


@pytest.mark.parametrize(("now", "lead"), [(0.02, 0.0), (0.0, 0.0), (-0.02, 2.02)])
def test_a_clock_that_is_two_seconds_off_is_right(monkeypatch: pytest.MonkeyPatch, now: float, lead: float) -> None:
    """The server's clock is two seconds ahead of 0, and its header knows no parts of seconds."""
    base = 1_795_240_000.0
    session = session_with()
    monkeypatch.setattr(time, "time", lambda: base + now)
    session.note_time(formatdate(base + 2, usegmt=True))
    assert session.server_time() - (base + now) == pytest.approx(lead, abs=1e-5)
