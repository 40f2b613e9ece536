"""Times as the API and users write them. All times are UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from helpers.core.errors import usage

TIME_FORMS = "24h, 7d, 2026-11-01, 2026-11-01T10:00 (UTC), 2026-11-01T10:00+02:00, epoch seconds or milliseconds"
_EXAMPLES = (
    "use an age (90m, 24h, 7d, 2w), a date (2026-11-01), an ISO 8601 time (2026-11-01T10:00, UTC unless it has an "
    "offset such as +02:00), or epoch seconds or milliseconds"
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MAX_AGE = 3650 * 86_400
_AGE = re.compile(r"([0-9]{1,12})\s*([smhdw])")
_EPOCH = re.compile(r"[0-9]{9,20}(\.[0-9]{1,20})?")
_FIRST, _LAST = 10**9, 4 * 10**9  # epoch seconds of 2001 and 2096; in milliseconds, a thousand times that
_MONTH_OR_YEAR = re.compile(r"[0-9]{4}(-[0-9]{2})?")


class Moment(NamedTuple):
    """A point in time as a user wrote it: fixed, or an age by a clock that is known only later.

    Attributes:
        text: what the user wrote.
        fixed: epoch milliseconds; None for an age.
        age: seconds before now, each day of 24 hours.
    """

    text: str
    fixed: int | None
    age: int = 0

    def at(self, now: float) -> int:
        """The time in epoch milliseconds.

        Args:
            now: the current time in epoch seconds, by the server's clock.
        """
        return int((now - self.age) * 1000) if self.fixed is None else self.fixed


def moment(text: str, flag: str) -> Moment:
    """Parse the value of any flag, or key of a file, that takes a time.

    Args:
        text: an age such as ``24h`` or ``7d``; an ISO 8601 date, month, year or time (UTC unless it has an offset);
            epoch seconds or milliseconds, which are distinguished by their size.
        flag: the flag or key, for messages.

    Raises:
        OperatorError: USAGE, for anything else, and for times before 1970 or after 5138.
    """
    given = text.strip()
    if age := _AGE.fullmatch(given):
        seconds = int(age[1]) * _UNITS[age[2]]
        if seconds > _MAX_AGE:
            raise usage(f"{flag} {text!r} is more than ten years ago: write a date", _EXAMPLES)
        return Moment(text, None, seconds)
    fixed = _parsed(given)
    if fixed is None:
        raise usage(f"{flag} {text!r} is not a time", _EXAMPLES)
    if iso(fixed) is None:
        raise usage(f"{flag} {text!r} must lie between 1970 and 5138", _EXAMPLES)
    return Moment(text, fixed)


def check_order(since: Moment, until: Moment | None, now: float) -> None:
    """Check that a window begins before it ends.

    Args:
        until: None for now.
        now: the current time in epoch seconds.

    Raises:
        OperatorError: USAGE.
    """
    if since.at(now) >= (until.at(now) if until else now * 1000):
        raise usage("--since must be earlier than --until (default: now)", _EXAMPLES)


def to_ms(value: Any) -> int:
    """A time in a response of the API as epoch milliseconds.

    Args:
        value: epoch seconds or milliseconds (distinguished by their size), or ISO 8601 (UTC unless it has an offset).

    Raises:
        ValueError: for anything else.
    """
    milliseconds = _parsed(str(value).strip())
    if milliseconds is None:
        raise ValueError(f"{str(value)[:40]!r} is not a time")
    return milliseconds


def _parsed(text: str) -> int | None:
    """Epoch milliseconds; None for what is neither a number of these sizes nor ISO 8601."""
    if _EPOCH.fullmatch(text):
        epoch = float(text)
        if _FIRST <= epoch < _LAST:
            return int(epoch * 1000)
        if _FIRST * 1000 <= epoch < _LAST * 1000:
            return int(epoch)
    try:
        point = datetime.fromisoformat(f"{text}-01-01"[:10] if _MONTH_OR_YEAR.fullmatch(text) else text)
    except ValueError:
        return None
    return int((point if point.tzinfo else point.replace(tzinfo=UTC)).timestamp() * 1000)


def iso(milliseconds: Any) -> str | None:
    """Epoch milliseconds as ISO 8601 in UTC, as the API writes times; None when the value is not a time."""
    if not isinstance(milliseconds, int) or not 0 <= milliseconds < 10**14:
        return None
    point = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return point.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def age_text(seconds: float) -> str:
    """An age in words: ``40 s``, ``12 min``, ``5.3 h``, ``12.0 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
