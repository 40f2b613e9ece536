"""The monitoring config of health_check.py: which resources, and what is healthy for each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from helpers.core import config_file
from helpers.core.errors import usage
from helpers.core.kinds import checked_id, kind_of

TYPES = ("sources", "nexsets", "destinations", "flows")
CHECKS = ("status", "freshness", "errors", "volume", "stalled", "quarantine", "credential", "sla")
MOST_RUNS = 100  # rows that one request for a run summary asks for
HINT = "a monitoring config is like examples/monitoring.json; see REFERENCE.md, Monitoring"
_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
_POSITIVE: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0}
LIMITS_SCHEMA: dict[str, Any] = {
    "max_age_hours": _POSITIVE,
    "threshold": _SHARE,
    "last": {"type": "integer", "minimum": 1, "maximum": MOST_RUNS},
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
    """What is still healthy. ``sla`` holds max_age_hours, min_success_rate, max_error_rate, min_records_per_day."""

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
    """One resource to check. A flow stands for all of its members."""

    kind: str
    id: int
    limits: HealthLimits


def watched_kind(name: str) -> str:
    """The kind of a resource type whose health can be checked.

    Raises:
        OperatorError: USAGE.
    """
    kind = kind_of(name)
    if kind.name not in TYPES:
        raise usage(f"the health of {kind.name} cannot be checked", f"types: {', '.join(TYPES)}")
    return kind.name


def load(path: str, base: HealthLimits) -> list[Watched]:
    """The resources of a monitoring config, each with its own limits over the defaults over ``base``.

    Raises:
        OperatorError: USAGE, naming the file and the key; also for a file that names no resource, or one twice.
    """
    config, _ = config_file.read(path, SCHEMA, HINT)
    if not config["resources"]:
        raise usage(f"{path} names no resource to check", HINT)
    defaults = config.get("defaults", {})
    watched = [_watched(row, base, defaults) for row in config["resources"]]
    keys = [(entry.kind, entry.id) for entry in watched]
    twice = sorted({f"{kind} {number}" for kind, number in keys if keys.count((kind, number)) > 1})
    if twice:
        raise usage(f"{path} names resources twice: {', '.join(twice)}", HINT)
    return watched


def _watched(row: dict[str, Any], base: HealthLimits, defaults: dict[str, Any]) -> Watched:
    kind = watched_kind(row["type"])
    own = {key: value for key, value in row.items() if key not in ("type", "id", "name")}
    changed = {**base._asdict(), **defaults, **own}
    changed["skip"] = frozenset({*base.skip, *defaults.get("skip", ()), *own.get("skip", ())})
    return Watched(kind, checked_id(row["id"]), HealthLimits(**changed))
