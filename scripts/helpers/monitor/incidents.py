"""Incidents in a state file, so that each is reported once when it opens and once when it clears."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers.core.errors import config_error
from helpers.core.files import write_text
from helpers.core.kinds import Row
from helpers.monitor.alert_text import Events
from helpers.monitor.health import HEALTHY
from helpers.monitor.request import AlertPolicy

OPEN, CLEAR = "open", "clear"


@contextmanager
def locked_state(path: str, account: str) -> Iterator[dict[str, Any] | None]:
    """Lock the state file and yield the account's incidents; yields None if another process has locked it.

    Args:
        path: The state file; several accounts may share it.
        account: Identifies API, organisation and user: ids of resources mean something only within an account.

    Raises:
        OperatorError: CONFIG, if it cannot be read or is not a state file.
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
        yield _read(file, account).get(account, {})
    finally:
        os.close(lock)


def _read(file: Path, account: str) -> dict[str, dict[str, Any]]:
    """The incidents of each account."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise config_error(f"cannot read the state file {file}: {error}") from error
    try:
        state = json.loads(text)
        # version 1 did not tell accounts apart: whoever reads it first takes its incidents over, so that none is lost
        accounts = {account: state["incidents"]} if state.get("version") == 1 else state["accounts"]
        if not all(_is_entry(entry) for incidents in accounts.values() for entry in incidents.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise config_error(f"{file} is not a state file; it was not changed", "pass another --state FILE") from None
    return dict(accounts)


def _is_entry(entry: Any) -> bool:
    numbers = ("bad", "good", "told_at")
    return isinstance(entry, dict) and all(isinstance(entry.get(name, 0), int | float) for name in numbers)


def save(path: str, account: str, incidents: dict[str, Any]) -> None:
    """Replace the account's incidents in the state file, atomically.

    Raises:
        OperatorError: CONFIG, if it cannot be written.
    """
    try:
        accounts = {**_read(Path(path), account), account: incidents}
        write_text(path, json.dumps({"version": 2, "accounts": accounts}, indent=1))
    except OSError as error:
        raise config_error(f"cannot write the state file {path}: {error.strerror}") from error


def update_incidents(incidents: dict[str, Any], rows: list[Row], policy: AlertPolicy) -> dict[str, Any]:
    """The incidents after another round of checks. Anything that is not healthy counts as bad, including unknown.

    Incidents of resources that are not among the rows stay unchanged: several checks may share a state file.

    Args:
        incidents: The incidents so far, by resource.
        rows: The verdicts of this round.
        policy: When incidents open and clear.
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
    """The events to report: incidents that opened, that are due for a reminder, and that cleared.

    Args:
        incidents: The incidents after this round.
        rows: The verdicts of this round.
        policy: When to remind.
        now: Epoch seconds.
    """
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


def mark_reported(incidents: dict[str, Any], reported: Events, now: float) -> None:
    """Record in the incidents that these events were delivered at ``now`` (epoch seconds)."""
    for rows in reported.values():
        for row in rows:
            entry = incidents[f"{row['type']} {row['id']}"]
            entry["told"], entry["told_at"] = entry["state"], now


def event_key(incidents: dict[str, Any], due: Events) -> str:
    """The idempotency key of an alert: the same for every attempt and after a crash, but new for the next incident."""
    names = [f"{row['type']} {row['id']}" for rows in due.values() for row in rows]
    marks = [[name, incidents[name]["state"], incidents[name]["told_at"]] for name in names]
    return hashlib.sha256(json.dumps(sorted(marks)).encode()).hexdigest()[:32]
