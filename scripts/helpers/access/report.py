"""The access report as HTML and Markdown."""

from __future__ import annotations

from typing import Any

from helpers.command import html_page, markdown
from helpers.command.html_page import Cell, Line
from helpers.core.kinds import Row

EMPTY = {"type": "", "id": "", "name": None, "accessor_type": "", "accessor_id": "", "accessor": None, "role": None,
         "via": None, "expires_at": None}  # fmt: skip
COLUMNS = ["Type", "Id", "Name", "Accessor", "Who", "Role", "Via", "Expires", "Findings"]


def _notes(data: Row) -> dict[tuple[str, int, Any], list[str]]:
    """Findings and differences by type, id and accessor; those of the resource itself under the accessor None."""
    found: dict[tuple[str, int, Any], list[str]] = {}
    for row in data.get("findings", []):
        found.setdefault((row["type"], row["id"], row["accessor"]), []).append(row["finding"])
    for row in data.get("differences", []):
        text = f"{row['difference']}: expected {row['expected'] or 'nothing'}, has {row['actual'] or 'nothing'}"
        found.setdefault((row["type"], row["id"], row["accessor"]), []).append(text)
    return found


def page(data: Row, host: str, at: str) -> str:
    """The report as a self-contained HTML page.

    Args:
        data: The data of the audit.
        host: The API's host.
        at: Time of the report, ISO 8601.
    """
    rows, notes = data["access"], _notes(data)
    resources = {(row["type"], row["id"]) for row in rows}
    count = sum(map(len, notes.values()))
    tiles = [("resources", len(resources), ""), ("entries", len(rows), ""), ("findings", count, "bad" if count else "")]
    tiles.append(("unread", len(data["unread"]), "dim" if data["unread"] else ""))
    lines = []
    for index, row in enumerate(rows):
        title = f"{row['accessor_type']} {row['accessor_id']}" + (f" {row['accessor']}" if row["accessor"] else "")
        own = notes.pop((row["type"], row["id"], title), []) + notes.pop((row["type"], row["id"], None), [])
        lines.append(_line(row, own, f"row-{index}"))
    names = {(row["type"], row["id"]): row["name"] for row in rows}
    for index, ((kind, resource_id, title), texts) in enumerate(notes.items()):  # e.g. missing access has no row
        row = {**EMPTY, "type": kind, "id": resource_id, "name": names.get((kind, resource_id)), "accessor": title}
        lines.append(_line(row, texts, f"note-{index}"))
    for index, row in enumerate(data["unread"]):
        lines.append(_line({**EMPTY, **row, "role": "unread"}, [f"not read: {row['problem']}"], f"unread-{index}"))
    for index, row in enumerate(data.get("changes", [])):
        by = f"{row['who']} for {row['impersonator']}" if row["impersonator"] else row["who"]
        via = f"{row['event']} by {by} at {row['time']}: {row['before'] or 'nothing'} to {row['after'] or 'nothing'}"
        lines.append(_line({**EMPTY, **row, "role": "change", "via": via}, [], f"change-{index}"))
    return html_page.render("Nexla access", f"{host}, {at}", tiles, COLUMNS, lines, "Role")


def _line(row: Row, notes: list[str], anchor: str) -> Line:
    who = row["accessor"] or row["accessor_id"]
    cells = [
        Cell(row["type"], short=True), Cell(row["id"]), Cell(row["name"]), Cell(row["accessor_type"], short=True),
        Cell(who), Cell(row["role"] or "none", short=True), Cell(row["via"]), Cell((row["expires_at"] or "")[:10]),
        Cell("; ".join(notes), tone="bad" if notes else ""),
    ]  # fmt: skip
    return Line(cells, anchor, row["role"] or "none")


def text(data: Row, warnings: list[str], host: str, at: str) -> str:
    """The report as Markdown, for a chat or a pull request. See ``page`` for ``host`` and ``at``."""
    lines = [f"### Nexla access: {len(data['access'])} entries", "", f"{host}, {at}", ""]
    columns = ("Resource", "Name", "Accessor", "Role", "Via", "Expires")
    rows = [
        (f"{row['type']} {row['id']}", row["name"], f"{row['accessor_type']} {row['accessor'] or row['accessor_id']}",
         row["role"], row["via"], row["expires_at"])
        for row in data["access"]
    ]  # fmt: skip
    lines += markdown.table(columns, rows)
    for name, keys in (
        ("findings", ("finding", "type", "id", "accessor", "text")),
        ("differences", ("difference", "type", "id", "accessor", "expected", "actual")),
        ("changes", ("time", "who", "impersonator", "type", "id", "event", "accessor", "before", "after")),
        ("unread", ("type", "id", "problem")),
    ):
        if name in data and (data[name] or name != "unread"):
            lines += ["", f"#### {name.title()}" + ("" if data[name] else ": none"), ""]
        if data.get(name):
            lines += markdown.table(keys, [[row[key] for key in keys] for row in data[name]])
    if warnings:
        lines += ["", "#### Warnings", "", *(f"- {markdown.cell(warning)}" for warning in warnings)]
    return "\n".join(lines) + "\n"
