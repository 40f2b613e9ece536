"""Quartz cron expressions (seconds first, optional year), as ``source_config["start.cron"]`` holds them."""

from __future__ import annotations

from datetime import UTC, datetime

from croniter import CroniterError, croniter

NEVER = float("inf")


def next_fire(expression: str, after: float) -> float:
    """When the expression fires next, in epoch seconds (UTC); infinity when it never does or cannot be read.

    The API server does not check the expression, so a wrong one simply never fires.
    """
    try:
        iterator = croniter(expression.replace("?", "*"), datetime.fromtimestamp(after, UTC), second_at_beginning=True)
        return float(iterator.get_next(float))
    except (CroniterError, ValueError):
        return NEVER
