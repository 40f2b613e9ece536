"""Quartz schedules, as Nexla keeps them in ``source_config["start.cron"]``. All times are UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from croniter import CroniterError, croniter

_QUARTZ_ONLY = re.compile(r"\bL(W|-\d+)?\b|\dL\b|\dW\b|(?<!\w)L(?!\w)|#\d")
_WEEKDAY = re.compile(r"(?<![\w#/])([1-7])")


class Schedule:
    """A Quartz expression (seconds first, year optional).

    The API does not validate it: an expression that lies in the past, or is not Quartz, simply never fires.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        fields = expression.split()
        if len(fields) > 5:  # Quartz counts weekdays from 1 (Sunday), croniter from 0
            fields[5] = _WEEKDAY.sub(lambda match: str(int(match[1]) - 1), fields[5])
        self._plain = len(fields) in (6, 7)
        self._fields = " ".join(fields).replace("?", "*")

    def never_fires(self, moment: float) -> bool:
        """Whether the schedule certainly never fires after a moment (epoch seconds).

        False for Quartz features that croniter cannot parse (``LW``, ``6L``), because nothing is certain about them.
        """
        return self.next_after(moment) is None and not (_QUARTZ_ONLY.search(self.expression) and self._plain)

    def next_after(self, moment: float) -> float | None:
        """The first time it fires after a moment, in epoch seconds; None when it never does."""
        return self._fire(moment, later=True)

    def last_before(self, moment: float) -> float | None:
        """The last time it fired before a moment, in epoch seconds; None when it never did."""
        return self._fire(moment, later=False)

    def _fire(self, moment: float, *, later: bool) -> float | None:
        try:
            fires = croniter(self._fields, datetime.fromtimestamp(moment, UTC), second_at_beginning=True)
            return float(fires.get_next(float) if later else fires.get_prev(float))
        except (CroniterError, ValueError):
            return None


def schedule_of(config: Any) -> Schedule | None:
    """The schedule in a source's config; None when it has none."""
    expression = config.get("start.cron") if isinstance(config, dict) else None
    return Schedule(expression) if isinstance(expression, str) and expression.strip() else None
