"""Incidents in a state file, so that each is told once when it opens and once when it clears."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.core.errors import config_error
from helpers.core.files import write_text
from helpers.core.kinds import Row
from helpers.monitor.alert_text import Events
from helpers.monitor.health import HEALTHY

OPEN, CLEAR = "open", "clear"


@dataclass(frozen=True)
class AlertPolicy:
    """When an incident opens and clears (checks in a row), and how often an open one is told again (0: never)."""

    open_after: int = 2
    clear_after: int = 2
    remind_hours: float = 6.0


@contextmanager
def held_state(path: str) -> Iterator[dict[str, Any] | None]:
    """The state file's content while this process alone holds it; None when another one does.

    Raises:
        OperatorError: CONFIG, when it cannot be read or is no state file.
    """
    file = Path(path)
    try:
        lock = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise config_error(f"cannot write the state file {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield _read(file)
    finally:
        os.close(lock)


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise config_error(f"cannot read the state file {file}: {error}") from error
    try:
        state = json.loads(text)
        incidents = state["incidents"]
        if not isinstance(incidents, dict) or not all(map(_is_entry, incidents.values())):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise config_error(f"{file} is not a state file; it was left as it is", "pass another --state FILE") from None
    return dict(incidents)


def _is_entry(entry: Any) -> bool:
    numbers = ("bad", "good", "told_at")
    return isinstance(entry, dict) and all(isinstance(entry.get(name, 0), int | float) for name in numbers)


def save(path: str, incidents: dict[str, Any]) -> None:
    """Replace the state file, all of it or nothing.

    Raises:
        OperatorError: CONFIG.
    """
    try:
        write_text(path, json.dumps({"version": 1, "incidents": incidents}, indent=1))
    except OSError as error:
        raise config_error(f"cannot write the state file {path}: {error.strerror}") from error


def count(incidents: dict[str, Any], rows: list[Row], policy: AlertPolicy) -> dict[str, Any]:
    """The incidents after one more round of checks. Whatever is not healthy counts as bad: also what is unknown.

    What is not among the rows stays as it is: several checks may share a state file.
    """
    checked = {f"{row['type']} {row['id']}" for row in rows}
    after = {key: entry for key, entry in incidents.items() if key not in checked}
    for row in rows:
        key = f"{row['type']} {row['id']}"
        before = incidents.get(key, {})
        good = row["verdict"] == HEALTHY
        entry = {
            "bad": 0 if good else before.get("bad", 0) + 1,
            "good": before.get("good", 0) + 1 if good else 0,
            "state": before.get("state", CLEAR),
            "told": before.get("told", CLEAR),
            "told_at": before.get("told_at", 0.0),
        }
        if entry["bad"] >= policy.open_after:
            entry["state"] = OPEN
        elif entry["good"] >= policy.clear_after:
            entry["state"] = CLEAR
        if entry["state"] == OPEN or entry["told"] == OPEN or entry["bad"] or entry["told_at"]:
            after[key] = entry
    return after


def events(incidents: dict[str, Any], rows: list[Row], policy: AlertPolicy, now: float) -> Events:
    """What has to be told: incidents that opened, that are still open and due for a reminder, that cleared."""
    found: Events = {"opened": [], "still": [], "recovered": []}
    for row in rows:
        entry = incidents.get(f"{row['type']} {row['id']}")
        if entry is None:
            continue
        if entry["state"] != entry["told"]:
            found["opened" if entry["state"] == OPEN else "recovered"].append(row)
        elif entry["state"] == OPEN and policy.remind_hours and now - entry["told_at"] >= policy.remind_hours * 3600:
            found["still"].append(row)
    return found


def mark_told(incidents: dict[str, Any], told: Events, now: float) -> None:
    """Remember that these events were delivered."""
    for rows in told.values():
        for row in rows:
            entry = incidents[f"{row['type']} {row['id']}"]
            entry["told"], entry["told_at"] = entry["state"], now


def event_key(incidents: dict[str, Any], told: Events) -> str:
    """The same for every try of an alert, and for its repeat after a crash; another one for the next incident."""
    names = [f"{row['type']} {row['id']}" for rows in told.values() for row in rows]
    marks = [[name, incidents[name]["state"], incidents[name]["told_at"]] for name in names]
    return hashlib.sha256(json.dumps(sorted(marks)).encode()).hexdigest()[:32]
