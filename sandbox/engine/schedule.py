"""Quartz cron expressions (seconds first, optional year), as ``source_config["start.cron"]`` holds them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from croniter import CroniterError, croniter

NEVER = float("inf")
WEEKDAY = re.compile(r"(?<![\w#/])([1-7])")


def next_fire(expression: str, after: float) -> float:
    """When the expression fires next after a time; both in epoch seconds (UTC).

    Infinity when it never fires again or does not parse. The API server accepts any text here (public server sources),
    so a wrong expression simply never fires.
    """
    try:
        fields = expression.split()
        fields[5] = WEEKDAY.sub(lambda match: str(int(match[1]) - 1), fields[5])  # Sunday is 1 in Quartz, 0 in croniter
        iterator = croniter(
            " ".join(fields).replace("?", "*"), datetime.fromtimestamp(after, UTC), second_at_beginning=True
        )
        return float(iterator.get_next(float))
    except (CroniterError, ValueError, IndexError):
        return NEVER
