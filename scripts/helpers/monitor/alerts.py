"""Telling a webhook what opened, stays open and cleared; what could not be delivered is told in the next round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from helpers.core import redact
from helpers.core.errors import config_error
from helpers.core.kinds import Row
from helpers.core.limits import Clock
from helpers.core.settings import LOOPBACK
from helpers.monitor.alert_text import Events, payload
from helpers.monitor.incidents import AlertPolicy, count, event_key, events, held_state, mark_told, save

TRIES = 3
ANSWER_SECONDS = 10.0  # what the receiver has for one answer
NO_WEBHOOK = "no webhook is set"


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


def deliver(url: str, form: str, told: Events, *, key: str, host: str, report: Callable[[str], None]) -> str | None:
    """Send one alert, in up to three tries. Returns None when it was taken, else why not (without the URL)."""
    body = payload(form, told, host)
    why = ""
    for attempt in range(1, TRIES + 1):
        try:
            with requests.post(  # streamed: the body of the answer is of no interest, and may never end
                url,
                json=body,
                timeout=ANSWER_SECONDS,
                allow_redirects=False,
                stream=True,
                headers={"Idempotency-Key": key},
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
            report(f"alert: {why}; trying again")
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
    path: str, rows: list[Row], policy: AlertPolicy, *, url: str | None, form: str, host: str, now: float,
    report: Callable[[str], None],
) -> Told:  # fmt: skip
    """One round: count, tell what changed, remember it. What could not be delivered is told in the next round.

    Raises:
        OperatorError: CONFIG, for the state file.
    """
    with held_state(path) as incidents:
        if incidents is None:
            return Told({"opened": [], "still": [], "recovered": []}, "another run holds the state file")
        after = count(incidents, rows, policy)
        due = events(after, rows, policy, now)
        failure = None if url else NO_WEBHOOK
        if url and any(due.values()):
            failure = deliver(url, form, due, key=event_key(after, due), host=host, report=report)
        if failure is None:
            mark_told(after, due, now)
        save(path, after)
        return Told(due, failure)
