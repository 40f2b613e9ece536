"""Quartz cron expressions (seconds first, optional year), as ``source_config["start.cron"]`` holds them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from croniter import CroniterError, croniter

NEVER = float("inf")
WEEKDAY = re.compile(r"(?<![\w#/])([1-7])")


def next_fire(expression: str, after: float) -> float:
    """When the expression fires next, in epoch seconds (UTC); infinity when it never does or cannot be read.

    The API server does not check the expression, so a wrong one simply never fires.
    """
    try:
        fields = expression.split()
        fields[5] = WEEKDAY.sub(lambda match: str(int(match[1]) - 1), fields[5])  # Quartz: 1 is Sunday; croniter: 0
        iterator = croniter(
            " ".join(fields).replace("?", "*"), datetime.fromtimestamp(after, UTC), second_at_beginning=True
        )
        return float(iterator.get_next(float))
    except (CroniterError, ValueError, IndexError):
        return NEVER
