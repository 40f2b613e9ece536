"""The monitoring config of health_check.py: which resources to check, and the limits for each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from helpers.core import config_file
from helpers.core.errors import usage
from helpers.core.kinds import checked_id, kind_of

TYPES = ("sources", "nexsets", "destinations", "flows")
CHECKS = ("status", "freshness", "errors", "volume", "stalled", "quarantine", "credential", "sla")
MAX_RUNS = 100  # rows requested per run summary
HINT = "see examples/monitoring.json, and REFERENCE.md, Monitoring"
_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
_POSITIVE: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0}
LIMITS_SCHEMA: dict[str, Any] = {
    "max_age_hours": _POSITIVE,
    "threshold": _SHARE,
    "last": {"type": "integer", "minimum": 1, "maximum": MAX_RUNS},
    "min_volume": _SHARE,
    "stall_minutes": _POSITIVE,
    "grace_minutes": {"type": "number", "minimum": 0},
    "expected_status": {"type": "string", "enum": ["ACTIVE", "PAUSED", "INIT"]},
    "skip": {"type": "array", "items": {"type": "string", "enum": list(CHECKS)}},
    "sla": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "max_age_hours": _POSITIVE,
            "min_success_rate": _SHARE,
            "max_error_rate": _SHARE,
            "min_records_per_day": {"type": "number", "minimum": 0},
        },
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["resources"],
    "properties": {
        "resources": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "id"],
                "properties": {"type": {"type": "string"}, "id": {"type": "integer"}, "name": {"type": "string"},
                               **LIMITS_SCHEMA},
            },
        },
        "defaults": {"type": "object", "additionalProperties": False, "properties": LIMITS_SCHEMA},
    },
}  # fmt: skip


class HealthLimits(NamedTuple):
    """What is still healthy.

    Attributes:
        max_age_hours: Maximum age of the last run without a schedule.
        threshold: Maximum error share, from 0 to 1.
        last: Number of runs to evaluate.
        min_volume: Minimum records of the last run, as a share of the median.
        stall_minutes: How long a destination may deliver nothing while it is PROCESSING.
        grace_minutes: How late a scheduled run may start.
        expected_status: The status that is healthy.
        skip: Names of checks to skip.
        sla: Bounds for max_age_hours, min_success_rate, max_error_rate and min_records_per_day.
    """

    max_age_hours: float = 24.0
    threshold: float = 0.2
    last: int = 10
    min_volume: float = 0.3
    stall_minutes: float = 60.0
    grace_minutes: float = 30.0
    expected_status: str = "ACTIVE"
    skip: frozenset[str] = frozenset()
    sla: Mapping[str, float] = MappingProxyType({})


class Watched(NamedTuple):
    """One resource to check, with its limits. A flow stands for all of its members."""

    kind: str
    id: int
    limits: HealthLimits


def watched_kind(name: str) -> str:
    """The name of the kind for a resource type.

    Raises:
        OperatorError: USAGE, if its health cannot be checked.
    """
    kind = kind_of(name)
    if kind.name not in TYPES:
        raise usage(f"the health of {kind.name} cannot be checked", f"types: {', '.join(TYPES)}")
    return kind.name


def load(path: str, base: HealthLimits) -> list[Watched]:
    """Read a monitoring config.

    Args:
        path: The file; ``-`` is standard input.
        base: Limits from the flags. The file's defaults override them, and a resource's own limits override both.

    Raises:
        OperatorError: USAGE; the message names the file and the key. Also for no resource, or one that occurs twice.
    """
    config, _ = config_file.read(path, SCHEMA, HINT)
    if not config["resources"]:
        raise usage(f"{path} names no resource to check", HINT)
    defaults = config.get("defaults", {})
    watched = [_watched(row, base, defaults) for row in config["resources"]]
    keys = [(entry.kind, entry.id) for entry in watched]
    twice = sorted({f"{kind} {resource_id}" for kind, resource_id in keys if keys.count((kind, resource_id)) > 1})
    if twice:
        raise usage(f"{path} names resources twice: {', '.join(twice)}", HINT)
    return watched


def _watched(row: dict[str, Any], base: HealthLimits, defaults: dict[str, Any]) -> Watched:
    kind = watched_kind(row["type"])
    own = {key: value for key, value in row.items() if key not in ("type", "id", "name")}
    changed = {**base._asdict(), **defaults, **own}
    changed["skip"] = frozenset({*base.skip, *defaults.get("skip", ()), *own.get("skip", ())})
    return Watched(kind, checked_id(row["id"]), HealthLimits(**changed))
