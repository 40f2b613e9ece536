"""The text of an alert, in the format of each receiver."""

from __future__ import annotations

from typing import Any

from helpers.core.kinds import Row
from helpers.core.redact import redact, redact_text

TITLE_MAX, SECTION_MAX, BLOCKS_MAX, TEXT_MAX = 150, 3000, 50, 3500  # Slack's limits; text stays below its limit of 4000
TEAMS_MAX = 60  # lines; Teams accepts messages up to about 28 KB
LINE_MAX = 350
HEADINGS = {"opened": "New", "still": "Still open", "recovered": "Recovered"}
Events = dict[str, list[Row]]


def title(events: Events) -> str:
    """The title of an alert, with the number of events of each kind."""
    parts = [f"{len(rows)} {name}" for name, rows in events.items() if rows]
    return f"Nexla health: {', '.join(parts)}"


def line(row: Row) -> str:
    """A resource and its issues in one line, redacted and at most LINE_MAX characters long."""
    issues = "; ".join(row["issues"]) or "healthy again"
    text = " ".join(redact_text(f"{row['type']} {row['id']} {row['name'] or ''}: {issues}").split())
    return text if len(text) <= LINE_MAX else text[: LINE_MAX - 1] + "…"


def payload(form: str, events: Events, host: str) -> dict[str, Any]:
    """The JSON body of an alert.

    Args:
        form: One of FORMATS.
        events: Rows by kind of event: opened, still, recovered.
        host: The API's host.
    """
    if form == "slack":
        return _slack(events, host)
    if form == "teams":
        return _teams(events, host)
    shown = ("type", "id", "name", "verdict", "issues", "flow", "last_run")
    rows = {name: [{key: row.get(key) for key in shown} for row in found] for name, found in events.items()}
    body: dict[str, Any] = redact({"event": "nexla_health", "title": title(events), "api": host, **rows})
    return body


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    """Text with Markdown's special characters escaped."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>()#|!" else char for char in text)


def _slack(events: Events, host: str) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title(events)[:TITLE_MAX]}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(host)}]},
    ]
    for name, rows in events.items():
        for part in _sections(f"*{HEADINGS[name]}*", [_escaped(line(row)) for row in rows]):
            blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": part}})
    if len(blocks) > BLOCKS_MAX:
        note = f"{len(blocks) - BLOCKS_MAX + 1} more sections are omitted; run health_check.py to see everything"
        blocks = [*blocks[: BLOCKS_MAX - 1], {"type": "section", "text": {"type": "mrkdwn", "text": note}}]
    plain = "\n".join([title(events), *(line(row) for rows in events.values() for row in rows)])
    return {"text": _escaped(plain)[:TEXT_MAX], "blocks": blocks}


def _sections(heading: str, lines: list[str]) -> list[str]:
    """The lines joined into texts that fit into a section each."""
    parts: list[str] = []
    current = heading
    for text in lines:
        entry = f"\n• {text}"
        if len(current) + len(entry) > SECTION_MAX:
            parts.append(current)
            current = entry.lstrip("\n")
        else:
            current += entry
    return [*parts, current] if lines else []


def _teams(events: Events, host: str) -> dict[str, Any]:
    lines = [f"**{HEADINGS[name]}**: {_plain(line(row))}" for name, rows in events.items() for row in rows]
    if len(lines) > TEAMS_MAX:
        lines = [
            *lines[:TEAMS_MAX],
            f"{len(lines) - TEAMS_MAX} more are omitted; run health_check.py to see everything",
        ]
    body = [{"type": "TextBlock", "size": "Large", "weight": "Bolder", "wrap": True, "text": title(events)},
            {"type": "TextBlock", "isSubtle": True, "wrap": True, "text": host},
            *({"type": "TextBlock", "wrap": True, "text": text} for text in lines)]  # fmt: skip
    card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
            "body": body}  # fmt: skip
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [content]}
