"""Constants of time, rate and redaction, each with the values around it."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.core import limits, redact
from helpers.core.errors import Exit, OperatorError
from helpers.core.nearest import nearest
from helpers.core.times import age_text, iso, moment, to_ms
from support.clocks import VirtualClock
from support.requesting import accepts

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("method", "path", "at_once", "wait"),
    [
        ("GET", "/data_sources", 9, 1.0),  # three quarters of 12 a second
        ("POST", "/data_sources", 6, 1.0),  # of 8
        ("GET", "/users", 6, 1.0),
        ("GET", "/data_sets", 4, 4 / 3.75),  # of 5
    ],
)
def test_so_many_requests_go_at_once_and_the_next_one_waits(
    clock: VirtualClock, method: str, path: str, at_once: int, wait: float
) -> None:
    limiter, deadline, sent = limits.RateLimiter(), limits.Deadline(None), []
    for _ in range(at_once + 1):
        limiter.wait(method, path, deadline)
        sent.append(clock.now())
    assert sent == [0.0] * at_once + [pytest.approx(wait, rel=1e-9)]


@pytest.mark.parametrize(("told", "rate"), [(3.99, 2.9925), (4.0, 3.0), (4.01, 3.0075)])
def test_of_the_limit_that_the_server_tells_three_quarters_are_used(told: float, rate: float) -> None:
    limiter = limits.RateLimiter()
    limiter.lower({"light": told})
    assert limiter.rates["light"] == pytest.approx(rate, rel=1e-9)


def test_a_throttled_command_sends_one_request_a_second(clock: VirtualClock) -> None:
    limiter, deadline, sent = limits.RateLimiter(), limits.Deadline(None), []
    limiter.throttle()
    for _ in range(4):
        limiter.wait("GET", "/data_sources", deadline)
        sent.append(clock.now())
    assert sent == [0.0, 1.0, 2.0, 3.0]


def test_polls_begin_quickly_and_grow_to_five_seconds(clock: VirtualClock) -> None:
    for _ in limits.Deadline(None).poll(60.0):
        pass
    assert clock.slept[:3] == pytest.approx([0.1, 0.15, 0.225])
    assert clock.slept[9:12] == pytest.approx([3.8443359375, 5.0, 5.0])


@pytest.mark.parametrize(("left", "code"), [(4.9, Exit.TIMEOUT), (5.0, Exit.TIMEOUT), (5.1, None)])
def test_a_sleep_that_reaches_the_deadline_raises_at_once(clock: VirtualClock, left: float, code: Exit | None) -> None:
    try:
        limits.Deadline(left).sleep(5.0)
        assert code is None, "it slept"
    except OperatorError as error:
        assert (error.code, clock.slept) == (code, [])


@pytest.mark.parametrize(
    ("age", "seconds"),
    [("1s", 1), ("7s", 7), ("1m", 60), ("1h", 3600), ("24h", 86_400), ("1d", 86_400), ("1w", 604_800)],
)
def test_an_age_is_so_many_seconds(age: str, seconds: int) -> None:
    assert moment(age, "--since").at(NOW) == (1_795_000_000 - seconds) * 1000


@pytest.mark.parametrize(
    ("age", "good"),
    [("3649d", True), ("3650d", True), ("3651d", False), ("315360000s", True), ("315360001s", False)],
)
def test_an_age_is_at_most_3650_days(age: str, good: bool) -> None:
    assert accepts(lambda: moment(age, "--since")) is good


@pytest.mark.parametrize(
    ("number", "milliseconds"),
    [
        (999_999_999, None), (1_000_000_000, 1_000_000_000_000), (1_000_000_001, 1_000_000_001_000),
        (3_999_999_999, 3_999_999_999_000), (4_000_000_000, None),
        (999_999_999_999, None), (1_000_000_000_000, 1_000_000_000_000),
        (3_999_999_999_999, 3_999_999_999_999), (4_000_000_000_000, None),
    ],
)  # fmt: skip
def test_numbers_are_seconds_or_milliseconds_of_2001_to_2096(number: int, milliseconds: int | None) -> None:
    try:
        assert to_ms(number) == moment(str(number), "--since").at(NOW) == milliseconds
    except ValueError:
        assert milliseconds is None, number
        assert not accepts(lambda: moment(str(number), "--since"))


@pytest.mark.parametrize(
    ("number", "text"),
    [(-1, None), (0, "1970-01-01T00:00:00.000Z"), (99_999_999_999_999, "5138-11-16T09:46:39.999Z"), (10**14, None)],
)
def test_what_is_no_moment_has_no_text(number: int, text: str | None) -> None:
    assert iso(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h"), (172_799, "48.0 h"), (172_800, "2.0 days")],
)
def test_an_age_is_told_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("secret", "shown"), [("qzx", "a qzx b"), ("qzxv", "a [redacted] b"), ("qzxvw", "a [redacted] b")]
)
def test_a_secret_has_at_least_four_characters(secret: str, shown: str) -> None:
    redact.remember(secret)
    assert redact.redact_text(f"a {secret} b") == shown


@pytest.mark.parametrize(("length", "shown"), [(199, 199), (200, 200), (201, 201)])
def test_an_excerpt_has_200_characters(length: int, shown: int) -> None:
    found: Any = redact.excerpt("x" * length)
    assert (len(found), found.endswith("…")) == (shown, length > 200)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("abcdefxxxx", ["abcdefghij"]),  # 6 of 10 letters
        ("abcdexxxxx", []),
        ("rows", ["rows", "rows1", "rows2"]),
        ("ROWS2", ["rows2", "rows", "rows1"]),
    ],
)
def test_three_words_that_share_six_tenths_of_their_letters(word: str, near: list[str]) -> None:
    assert sorted(nearest(word, ["abcdefghij", "rows", "rows1", "rows2", "rows34"])) == sorted(near)
