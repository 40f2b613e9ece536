"""The health report as HTML and Markdown."""

from __future__ import annotations

from helpers.command import html_page
from helpers.command.html_page import Cell, Line
from helpers.command.markdown import table as markdown_table
from helpers.core.kinds import Row
from helpers.monitor.health import HEALTHY, UNHEALTHY, UNKNOWN

COLUMNS = ["Verdict", "Type", "Id", "Name", "Flow", "Status", "Last run", "Records", "Errors", "Runs", "Issues"]
TONES = {HEALTHY: "good", UNHEALTHY: "bad", UNKNOWN: "dim"}
WORST_FIRST = (UNHEALTHY, UNKNOWN, HEALTHY)


def counts(rows: list[Row]) -> dict[str, int]:
    """The number of resources by verdict, worst first."""
    return {name: sum(row["verdict"] == name for row in rows) for name in WORST_FIRST}


def page(rows: list[Row], host: str, at: str) -> str:
    """The report as a self-contained HTML page.

    Args:
        rows: The verdicts, with their history.
        host: The API's host.
        at: Time of the report, ISO 8601.
    """
    found = counts(rows)
    tiles = [(name, count, TONES[name] if count else "") for name, count in found.items()]
    tiles.append(("checked", len(rows), ""))
    flows: dict[int | None, list[str]] = {}
    for row in rows:
        flows.setdefault(row["flow"], []).append(_anchor(row))
    lines = [_line(row, _next_member(flows[row["flow"]], _anchor(row))) for row in rows]
    return html_page.render("Nexla health", f"{host}, {at}", tiles, COLUMNS, lines, "Verdict")


def _next_member(members: list[str], anchor: str) -> str:
    """The next member of the same flow, in a cycle: every member can be reached from every other one."""
    return members[(members.index(anchor) + 1) % len(members)]


def _anchor(row: Row) -> str:
    return f"{row['type']}-{row['id']}"


def _line(row: Row, neighbour: str) -> Line:
    cells = [
        Cell(row["verdict"], WORST_FIRST.index(row["verdict"]), TONES[row["verdict"]], short=True),
        Cell(row["type"], short=True),
        Cell(row["id"]),
        Cell(row["name"]),
        Cell(row["flow"], link=f"#{neighbour}" if row["flow"] is not None else ""),
        Cell(row["status"], short=True),
        Cell(_minute(row["last_run"]), row["last_run"] or "", short=True),
        Cell(row["records"]),
        Cell(row["errors"]),
        Cell("", row["records"], svg=html_page.bars(row["history"])),
        Cell("; ".join(row["issues"])),
    ]
    return Line(cells, _anchor(row), row["verdict"])


def _minute(moment: str | None) -> str:
    return f"{moment[:10]} {moment[11:16]} UTC" if moment else ""


def markdown(rows: list[Row], host: str, at: str) -> str:
    """The report as Markdown, for a chat or a pull request: counts, and everything that is not healthy."""
    found = counts(rows)
    head = ", ".join(f"{count} {name}" for name, count in found.items())
    lines = [f"### Nexla health: {head}", "", f"{host}, {at}", ""]
    bad = [row for row in rows if row["verdict"] != HEALTHY]
    if bad:
        found_rows = [
            (row["verdict"], f"{row['type']} {row['id']}", row["name"], row["last_run"], "; ".join(row["issues"]))
            for row in bad
        ]
        lines += markdown_table(("Verdict", "Resource", "Name", "Last run", "Issues"), found_rows)
    return "\n".join(lines) + "\n"
