"""Incidents that are kept in a state file, so that each is told once when it opens and once when it clears."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from helpers.core import redact
from helpers.core.errors import config_error
from helpers.core.kinds import Row
from helpers.core.limits import Clock
from helpers.core.settings import LOOPBACK
from helpers.monitor.alert_text import Events, payload
from helpers.monitor.health import HEALTHY

TRIES, TIMEOUT = 3, 10.0
OPEN, CLEAR = "open", "clear"
NO_WEBHOOK = "no webhook is set"


@dataclass(frozen=True)
class Rules:
    """When an incident opens and clears (checks in a row), and how often an open one is told again (0: never)."""

    open_after: int = 2
    clear_after: int = 2
    remind_hours: float = 6.0


def webhook(url: str | None, file: str | None, environ: Mapping[str, str | None]) -> tuple[str | None, list[str]]:
    """The receiver's URL, which is a secret, and warnings.

    Raises:
        OperatorError: CONFIG, when the file cannot be read or the URL is none.
    """
    warnings = []
    if url:
        warnings.append("--alert-webhook puts a secret into the process list; use --alert-webhook-file")
    elif file:
        try:
            url = Path(file).read_text(encoding="utf-8").strip()
            if Path(file).stat().st_mode & 0o077:
                warnings.append(f"{file} can be read by others; chmod 600 it")
        except (OSError, UnicodeDecodeError) as error:
            raise config_error(f"cannot read {file}: {error}") from error
    else:
        url = (environ.get("NEXLA_ALERT_WEBHOOK") or "").strip() or None
    if url is None:
        return None, ["no alert webhook is set: incidents are counted, and nobody is told"]
    redact.remember(url, urlsplit(url).path)
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        raise config_error("the alert webhook is not an https URL")
    return url, warnings


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
    file = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(json.dumps({"version": 1, "incidents": incidents}, indent=1))
        os.replace(name, file)
    except OSError as error:
        raise config_error(f"cannot write the state file {path}: {error.strerror}") from error


def count(incidents: dict[str, Any], rows: list[Row], rules: Rules) -> dict[str, Any]:
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
        if entry["bad"] >= rules.open_after:
            entry["state"] = OPEN
        elif entry["good"] >= rules.clear_after:
            entry["state"] = CLEAR
        if entry["state"] == OPEN or entry["told"] == OPEN or entry["bad"] or entry["told_at"]:
            after[key] = entry
    return after


def events(incidents: dict[str, Any], rows: list[Row], rules: Rules, now: float) -> Events:
    """What has to be told: incidents that opened, that are still open and due for a reminder, that cleared."""
    found: Events = {"opened": [], "still": [], "recovered": []}
    for row in rows:
        entry = incidents.get(f"{row['type']} {row['id']}")
        if entry is None:
            continue
        if entry["state"] != entry["told"]:
            found["opened" if entry["state"] == OPEN else "recovered"].append(row)
        elif entry["state"] == OPEN and rules.remind_hours and now - entry["told_at"] >= rules.remind_hours * 3600:
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


def deliver(url: str, form: str, told: Events, *, key: str, host: str, say: Callable[[str], None]) -> str | None:
    """Send one alert, in up to three tries. Returns None when it was taken, else why not (without the URL)."""
    import requests

    body = payload(form, told, host)
    why = ""
    for attempt in range(1, TRIES + 1):
        try:
            with requests.post(  # streamed: the body of the answer is of no interest, and may never end
                url, json=body, timeout=TIMEOUT, allow_redirects=False, stream=True, headers={"Idempotency-Key": key}
            ) as answer:
                status = answer.status_code
            if 200 <= status < 300:
                return None
            why = f"the receiver answered {status}"
            if status < 500 and status != 429:
                return why
        except requests.RequestException as error:
            why = f"the receiver could not be reached ({type(error).__name__})"
        if attempt < TRIES:
            say(f"alert: {why}; trying again")
            Clock.sleep(float(attempt))
    return why


@dataclass
class Told:
    """What became of the alerts of one round."""

    sent: Events
    failure: str | None = None

    def as_meta(self) -> dict[str, Any]:
        counts = {name: len(rows) for name, rows in self.sent.items()}
        return {**counts, "delivered": self.failure is None if any(counts.values()) else None}


def alert(
    path: str, rows: list[Row], rules: Rules, *, url: str | None, form: str, host: str, now: float,
    say: Callable[[str], None],
) -> Told:  # fmt: skip
    """One round: count, tell what changed, remember it. What could not be delivered is told in the next round.

    Raises:
        OperatorError: CONFIG, for the state file.
    """
    with held_state(path) as incidents:
        if incidents is None:
            return Told({"opened": [], "still": [], "recovered": []}, "another run holds the state file")
        after = count(incidents, rows, rules)
        due = events(after, rows, rules, now)
        failure = None if url else NO_WEBHOOK
        if url and any(due.values()):
            failure = deliver(url, form, due, key=event_key(after, due), host=host, say=say)
        if failure is None:
            mark_told(after, due, now)
        save(path, after)
        return Told(due, failure)
