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


@pytest.mark.parametrize(("asked", "rate"), [(3.99, 2.9925), (4.0, 3.0), (4.01, 3.0075)])
def test_of_the_limit_that_the_server_tells_three_quarters_are_used(asked: float, rate: float) -> None:
    limiter = limits.RateLimiter()
    limiter.lower({"light": asked})
    assert limiter.rates["light"] == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize("rate", [0.5, 50.0])
def test_a_rate_that_the_user_set_stays_whatever_the_server_tells(rate: float) -> None:
    limiter = limits.RateLimiter(rate)
    limiter.lower({"light": 4.0, "medium": 0.1, "high": 0.1})
    assert set(limiter.rates.values()) == {rate}
    limiter.throttle()
    assert set(limiter.rates.values()) == {rate}


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
    ("secret", "shown"),
    [("qz3x5", "a qz3x5 b"), ("qz3x56", "a [redacted] b"), ("qz3x567", "a [redacted] b")],
)
def test_a_known_secret_has_at_least_six_characters(secret: str, shown: str) -> None:
    redact.remember(secret)
    assert redact.redact_text(f"a {secret} b") == shown


@pytest.mark.parametrize(
    ("secret", "shown"),
    [("qz3x56", "xqz3x56y"), ("qz3x567", "xqz3x567y"), ("qz3x5678", "x[redacted]y"), ("qz3x56789", "x[redacted]y")],
)
def test_a_known_secret_of_eight_characters_is_found_inside_a_word(secret: str, shown: str) -> None:
    redact.remember(secret)
    assert redact.redact_text(f"x{secret}y") == shown


@pytest.mark.parametrize(("length", "is_known"), [(15, False), (16, True), (17, True)])
def test_a_part_of_a_known_key_or_url_has_16_characters(length: int, is_known: bool) -> None:
    part = "0123456789abcdefg"[:length]
    redact.remember(f"first\n{part}\nlast")
    assert (redact.redact_text(part) == redact.MARK) is is_known
    redact.forget()
    redact.remember_url(f"https://h.test/a/{part}/b?c=d")
    assert (redact.redact_text(part) == redact.MARK) is is_known


@pytest.mark.parametrize(("length", "is_shown"), [(14, True), (15, True), (16, False), (17, False)])
def test_a_user_of_16_characters_in_a_url_is_a_token(length: int, is_shown: bool) -> None:
    user = "abcdefghijklmnopqrst"[:length]
    assert (user in redact.redact_text(f"https://{user}@h.test/")) is is_shown


@pytest.mark.parametrize(("length", "is_secret"), [(119, True), (120, True), (121, False)])
def test_the_last_128_characters_of_a_name_are_judged(length: int, is_secret: bool) -> None:
    """The name consists of ``pwd``, digits and the neutral word ``value``; cut off, nothing of ``pwd`` is left."""
    assert redact.is_secret_key("pwd" + "1" * length + "value") is is_secret


@pytest.mark.parametrize(("depth", "is_shown"), [(99, True), (100, True), (101, False)])
def test_an_object_is_shown_100_levels_deep(depth: int, is_shown: bool) -> None:
    value: Any = "inside"
    for _ in range(depth):
        value = [value]
    assert ("inside" in str(redact.redact(value))) is is_shown


@pytest.mark.parametrize(("length", "shown"), [(199, 199), (200, 200), (201, 201)])
def test_an_excerpt_has_200_characters(length: int, shown: int) -> None:
    found: Any = redact.excerpt("x" * length)
    assert (len(found), found.endswith("…")) == (shown, length > 200)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("abcdefxxxx", ["abcdefghij"]),  # 6 of 10 letters
        ("abcdexxxxx", []),
        ("mnopqrstxxxxx", []),  # 8 of 13 and of 14 letters: 16/27, a little less than six tenths
        ("rows", ["rows", "rows1", "rows2"]),
        ("ROWS2", ["rows2", "rows", "rows1"]),
    ],
)
def test_three_words_that_share_six_tenths_of_their_letters(word: str, near: list[str]) -> None:
    assert sorted(nearest(word, ["abcdefghij", "mnopqrstuvwyz1", "rows", "rows1", "rows2", "rows34"])) == sorted(near)
