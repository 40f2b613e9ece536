"""Alerting a webhook to incidents that opened, remain open or cleared. What cannot be delivered is sent next time."""

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
from helpers.monitor.incidents import (
    event_key,
    events,
    locked_state,
    mark_reported,
    save,
    update_incidents,
)
from helpers.monitor.request import AlertPolicy

TRIES = 3
RESPONSE_SECONDS = 10.0  # how long the receiver has to respond
NO_WEBHOOK = "no webhook is set"


def webhook(url: str | None, file: str | None, environ: Mapping[str, str | None]) -> tuple[str | None, list[str]]:
    """The webhook's URL, which is a secret, from a flag, a file or NEXLA_ALERT_WEBHOOK.

    Args:
        url: The URL, if passed as a flag.
        file: Path of a file with the URL, if passed as a flag.
        environ: The environment.

    Returns:
        The URL, or None without one; and warnings.

    Raises:
        OperatorError: CONFIG, if the file cannot be read or the URL is not an https URL.
    """
    warnings = []
    if url:
        warnings.append("--alert-webhook exposes a secret in the process list; use --alert-webhook-file")
    elif file:
        try:
            url = Path(file).read_text(encoding="utf-8").strip()
            if Path(file).stat().st_mode & 0o077:
                warnings.append(f"other users can read {file}: run chmod 600 on it")
        except (OSError, UnicodeDecodeError) as error:
            raise config_error(f"cannot read {file}: {error}") from error
    else:
        url = (environ.get("NEXLA_ALERT_WEBHOOK") or "").strip() or None
    if url is None:
        return None, ["no alert webhook is set: incidents are counted, but nobody is alerted"]
    redact.remember(url)
    try:
        parts = urlsplit(url)
        redact.remember_url(url)
        host = parts.hostname
    except ValueError as error:
        raise config_error("the alert webhook is not a URL") from error
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)):
        raise config_error("the alert webhook is not an https URL")
    return url, warnings


def _no_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep the request as it is; without any ``auth``, a password from ``~/.netrc`` would go to the receiver."""
    return request


def deliver(url: str, form: str, due: Events, *, key: str, host: str, report: Callable[[str], None]) -> str | None:
    """Send one alert, in up to three attempts.

    Args:
        url: The webhook.
        form: One of FORMATS.
        due: The events to report.
        key: Idempotency key, the same for every attempt.
        host: The API's host.
        report: Called with progress lines.

    Returns:
        None if the receiver accepted the alert; otherwise why not, without the URL.
    """
    body = payload(form, due, host)
    reason = ""
    for attempt in range(1, TRIES + 1):
        try:
            with requests.post(  # streamed: the response body is ignored, and may never end
                url,
                json=body,
                timeout=RESPONSE_SECONDS,
                allow_redirects=False,
                stream=True,
                headers={"Idempotency-Key": key},
                auth=_no_authorization,
            ) as response:
                status = response.status_code
            if 200 <= status < 300:
                return None
            reason = f"the receiver responded with {status}"
            if status < 500 and status != 429:
                return reason
        except requests.RequestException as error:
            reason = f"the receiver could not be reached ({type(error).__name__})"
        if attempt < TRIES:
            report(f"alert: {reason}; trying again")
            Clock.sleep(float(attempt))
    return reason


@dataclass
class AlertResult:
    """The outcome of one round of alerts.

    Attributes:
        sent: The events that were due.
        failure: Why they were not delivered; None if they were.
    """

    sent: Events
    failure: str | None = None

    def as_meta(self) -> dict[str, Any]:
        """The number of events of each kind, and whether they were delivered (None without events)."""
        counts = {name: len(rows) for name, rows in self.sent.items()}
        return {**counts, "delivered": self.failure is None if any(counts.values()) else None}


def alert(
    path: str, account: str, rows: list[Row], policy: AlertPolicy, *, url: str | None, form: str, host: str, now: float,
    report: Callable[[str], None],
) -> AlertResult:  # fmt: skip
    """One round: update the incidents, report what changed, save the state. What cannot be delivered is sent next time.

    Args:
        path: The state file.
        account: Whose resources these are; see ``locked_state``.
        rows: The verdicts.
        policy: When incidents open and clear, and when to remind.
        url: The webhook; None to count incidents without alerting.
        form: One of FORMATS.
        host: The API's host.
        now: Epoch seconds, by the server's clock.
        report: Called with progress lines.

    Raises:
        OperatorError: CONFIG, if the state file cannot be read or written.
    """
    with locked_state(path, account) as incidents:
        if incidents is None:
            return AlertResult({"opened": [], "still": [], "recovered": []}, "another run has locked the state file")
        after = update_incidents(incidents, rows, policy)
        due = events(after, rows, policy, now)
        failure = None if url else NO_WEBHOOK
        if url and any(due.values()):
            failure = deliver(url, form, due, key=event_key(after, due), host=host, report=report)
        if failure is None:
            mark_reported(after, due, now)
        save(path, account, after)
        return AlertResult(due, failure)
