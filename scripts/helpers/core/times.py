"""Times as the API and users write them. All times are UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from helpers.core.errors import usage

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d+)\s*([smhdw])")
_FIRST, _LAST = 10**9, 4 * 10**9  # epoch seconds of 2001 and 2096; in milliseconds, a thousand times that
_MONTH_OR_YEAR = re.compile(r"\d{4}(-\d{2})?")


def to_ms(value: Any, now: float) -> int:
    """A point in time as epoch milliseconds.

    Args:
        value: epoch seconds or milliseconds (distinguished by their size), an ISO 8601 date or time (UTC unless it has
            an offset), or an age such as ``24h`` or ``7d``.
        now: the current time in epoch seconds, for ages.

    Raises:
        OperatorError: USAGE, for anything else.
    """
    text = str(value).strip()
    if ago := _AGO.fullmatch(text):
        return int((now - int(ago[1]) * _UNITS[ago[2]]) * 1000)
    if re.fullmatch(r"\d{9,}(\.\d+)?", text):
        epoch = float(text)
        if _FIRST <= epoch < _LAST:
            return int(epoch * 1000)
        if _FIRST * 1000 <= epoch < _LAST * 1000:
            return int(epoch)
    try:
        moment = datetime.fromisoformat(f"{text}-01-01"[:10] if _MONTH_OR_YEAR.fullmatch(text) else text)
    except ValueError:
        hint = "use an age (24h, 7d), a date (2026-11-01), ISO 8601, or epoch seconds or milliseconds"
        raise usage(f"{text!r} is not a time", hint) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def iso(milliseconds: Any) -> str | None:
    """Epoch milliseconds as ISO 8601 in UTC, as the API writes times; None when the value is not a time."""
    if not isinstance(milliseconds, int) or not 0 <= milliseconds < 10**14:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def age_text(seconds: float) -> str:
    """An age in words: ``40 s``, ``12 min``, ``5.3 h``, ``12.0 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
