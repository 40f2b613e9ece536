"""Times as people and the API write them, and Quartz schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.core.errors import OperatorError
from helpers.core.schedule import Schedule
from helpers.core.times import iso, to_ms

NOW = 1_795_000_000.0


@given(st.integers(min_value=10**9, max_value=4 * 10**9 - 1))
def test_seconds_milliseconds_and_iso_are_distinguished(seconds: int) -> None:
    assert to_ms(seconds, NOW) == to_ms(seconds * 1000, NOW) == seconds * 1000
    written = datetime.fromtimestamp(seconds, UTC)
    assert to_ms(written.isoformat(), NOW) == seconds * 1000
    assert to_ms(written.astimezone().isoformat(), NOW) == seconds * 1000


@pytest.mark.parametrize(
    "text", ["", "12", "12345678", "10:00", "-5", "1e12", "5 parsecs", "20261", "nan", "20261101120000", "202611011200"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(OperatorError):
        to_ms(text, NOW)


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
    found = Schedule(expression).next_after(to_ms(after, NOW) / 1000)
    assert iso(int(found * 1000) if found else None) == expected
    if found:
        before = Schedule(expression).last_before(found)
        assert before is not None
        assert before < found <= before + timedelta(days=8).total_seconds()
