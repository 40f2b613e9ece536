"""Times as people and the API write them, and Quartz schedules."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.access.declaration import any_expiry, expiry
from helpers.core.errors import Exit
from helpers.core.schedule import Schedule
from helpers.core.times import check_order, iso, moment, to_ms
from support.requesting import ends_with

NOW = 1_795_000_000.0  # 2026-11-18T11:06:40Z
DAY = 86_400


@given(st.integers(min_value=10**9, max_value=4 * 10**9 - 1))
def test_seconds_milliseconds_and_iso_are_distinguished(seconds: int) -> None:
    written = datetime.fromtimestamp(seconds, UTC)
    for text in (str(seconds), str(seconds * 1000), written.isoformat(), written.astimezone().isoformat()):
        assert to_ms(text) == moment(text, "--since").at(NOW) == seconds * 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", "2026-11-18T11:05:10.000Z"),
        ("90m", "2026-11-18T09:36:40.000Z"),
        ("24h", "2026-11-17T11:06:40.000Z"),
        ("7d", "2026-11-11T11:06:40.000Z"),
        ("7 d", "2026-11-11T11:06:40.000Z"),
        (" 2w ", "2026-11-04T11:06:40.000Z"),
        ("0d", "2026-11-18T11:06:40.000Z"),
        ("2026", "2026-01-01T00:00:00.000Z"),
        ("2026-11", "2026-11-01T00:00:00.000Z"),
        ("2026-11-01", "2026-11-01T00:00:00.000Z"),
        ("20261101", "2026-11-01T00:00:00.000Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000Z"),
        ("2026-11-01T10:00", "2026-11-01T10:00:00.000Z"),
        ("2026-11-01 10:00:05.250", "2026-11-01T10:00:05.250Z"),
        ("2026-11-01T10:00Z", "2026-11-01T10:00:00.000Z"),
        ("2026-11-01T10:00+02:00", "2026-11-01T08:00:00.000Z"),
        ("2026-11-01T00:30-09:30", "2026-11-01T10:00:00.000Z"),
        ("2026-03-29T02:30", "2026-03-29T02:30:00.000Z"),  # an hour that some time zones skip
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30:00.000Z"),  # an hour that some have twice
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30:00.000Z"),
        ("1970-01-01", "1970-01-01T00:00:00.000Z"),
        ("5138-11-16", "5138-11-16T00:00:00.000Z"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Chatham"])
def test_what_a_time_means_in_any_time_zone(
    monkeypatch: pytest.MonkeyPatch, zone: str, text: str, expected: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert iso(moment(text, "--since").at(NOW)) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


NO_TIMES = [
    "", " ", "12", "12345678", "10:00", "-5", "-7d", "+7d", "1e12", "1e30d", "1.5d", "7D", "7y", "7 days", "5 parsecs",
    "d", "P7D", "PT24H", "20261", "nan", "inf", "20261101120000", "202611011200", "yesterday", "now", "today",
    "2026-13-01", "2026-02-29", "2026-02-30", "0000-01-01", "10000-01-01", "2026-11-01T25:00", "2026-11-01T10:00+25:00",
    "2026-11-01T10:00 CET", "2026-11-01T10:00 Europe/Berlin", "01/11/2026", "1. 11. 2026", "٧d", "７d", "9" * 5000,
    "9" * 5000 + "d", "2026-11-01\n--all", "null", "None", "[]",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    error = ends_with(Exit.USAGE, lambda: moment(text, "--since"))
    assert error.message.startswith("--since ")
    assert all(example in error.hint for example in ("90m", "7d", "2w", "2026-11-01", "+02:00", "UTC unless"))
    with pytest.raises(ValueError, match="is not a time"):
        to_ms(text)


@pytest.mark.parametrize(
    "text", ["0001-01-01", "1969-12-31T23:59:59", "1970-01-01T00:00+00:01", "5139-01-01", "9999-12-31"]
)
def test_what_lies_too_far_off_is_refused(text: str) -> None:
    assert "between 1970 and 5138" in ends_with(Exit.USAGE, lambda: moment(text, "--since")).message


def test_an_age_in_a_response_is_no_time() -> None:
    with pytest.raises(ValueError, match="7d"):
        to_ms("7d")


@pytest.mark.parametrize(
    ("since", "until", "good"),
    [("1h", None, True), ("0s", None, False), ("2h", "1h", True), ("1h", "1h", False), ("1h", "2h", False),
     ("2026-11-19", None, False), ("2026-11-19", "2026-11-20", True), ("2026-11-20", "2026-11-19", False)],
)  # fmt: skip
def test_a_window_begins_before_it_ends(since: str, until: str | None, good: bool) -> None:
    def check() -> None:
        check_order(moment(since, "--since"), moment(until, "--until") if until else None, NOW)

    if good:
        check()
    else:
        assert "--since must be earlier" in ends_with(Exit.USAGE, check).message


@pytest.mark.parametrize("text", [text for text in NO_TIMES if text])
def test_an_expiry_takes_the_same_forms(text: str) -> None:
    ends_with(Exit.USAGE, lambda: expiry(text))
    ends_with(Exit.USAGE, lambda: any_expiry(text))


def test_an_expiry_is_no_age_because_a_resumed_command_would_mean_another_time() -> None:
    error = ends_with(Exit.USAGE, lambda: expiry("90d"))
    assert "is an age" in error.message
    day = error.hint.split()[-1]
    assert abs(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() - time.time() - 90 * DAY) <= DAY
    assert expiry(day) == f"{day}T00:00:00.000Z"
    assert ends_with(Exit.USAGE, lambda: any_expiry("90d")).message == error.message


def test_an_expiry_lies_in_the_future_unless_it_is_only_compared() -> None:
    assert "not in the future" in ends_with(Exit.USAGE, lambda: expiry("2020-01-01")).message
    assert any_expiry("2020-01-01") == "2020-01-01T00:00:00.000Z"
    assert expiry("2090-01-01T02:00+02:00") == "2090-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 0 6 * * ?", "2026-11-21T05:00:00Z", "2026-11-21T06:00:00.000Z"),
        ("0 0 6 ? * 2", "2026-11-21T05:00:00Z", "2026-11-23T06:00:00.000Z"),  # Quartz: 2 is Monday
        ("0 0 6 ? * MON-FRI", "2026-11-21T05:00:00Z", "2026-11-23T06:00:00.000Z"),
        ("0 0/15 * * * ?", "2026-11-21T05:01:00Z", "2026-11-21T05:15:00.000Z"),
        ("0 0 6 1 1 ? 2020", "2026-11-21T05:00:00Z", None),
        ("every day", "2026-11-21T05:00:00Z", None),
    ],
)
def test_quartz_schedules(expression: str, after: str, expected: str | None) -> None:
    found = Schedule(expression).next_after(to_ms(after) / 1000)
    assert iso(int(found * 1000) if found else None) == expected
    if found:
        before = Schedule(expression).last_before(found)
        assert before is not None
        assert before < found <= before + timedelta(days=8).total_seconds()
