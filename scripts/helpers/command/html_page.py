"""A self-contained HTML page with tiles and a table that can be sorted and filtered offline.

All text is escaped here, and the page's content security policy forbids any request.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from helpers.core.errors import config_error
from helpers.core.files import write_text
from helpers.core.redact import redact_text

PAGE = Path(__file__).with_name("page.html")
TONES = ("good", "bad", "dim", "")


@dataclass(frozen=True)
class Cell:
    """One cell of the table.

    Attributes:
        text: the text to show; it is redacted and escaped.
        sort: the sort key; default: the text. Empty cells come last.
        tone: ``good``, ``bad``, ``dim`` or nothing.
        short: whether the text is kept on one line on a wide screen.
        link: ``#id`` of a row on the page.
        svg: markup created by this module, shown instead of the text.
    """

    text: Any = ""
    sort: Any = None
    tone: str = ""
    short: bool = False
    link: str = ""
    svg: str = ""


@dataclass(frozen=True)
class Line:
    """One row of the table: its cells, its anchor, and the value that the filter compares."""

    cells: list[Cell]
    anchor: str
    choice: str


def _clean(value: Any) -> str:
    return escape(redact_text("" if value is None else str(value)), quote=True)


def render(
    title: str, note: str, tiles: list[tuple[str, Any, str]], columns: list[str], lines: list[Line], choice_label: str
) -> str:
    """Render the page.

    Args:
        tiles: (label, value, tone) of each tile.
        choice_label: the label of the filter.

    Returns:
        The HTML.
    """
    choices = sorted({line.choice for line in lines})
    values = {
        "title": _clean(title),
        "note": _clean(note),
        "tiles": "".join(
            f'<div class="tile">{_clean(label)}<b class="{tone}">{_clean(value)}</b></div>'
            for label, value, tone in tiles
        ),
        "choice_label": _clean(choice_label),
        "choices": "".join(f'<option value="{_clean(choice)}">{_clean(choice)}</option>' for choice in choices),
        "head": "".join(f'<th scope="col"><button type="button">{_clean(name)}</button></th>' for name in columns),
        "body": "".join(_row(line, columns) for line in lines),
    }
    return Template(PAGE.read_text(encoding="utf-8")).substitute(values)


def _row(line: Line, columns: list[str]) -> str:
    cells = "".join(_cell(cell, name) for cell, name in zip(line.cells, columns, strict=True))
    return f'<tr id="{_clean(line.anchor)}" data-choice="{_clean(line.choice)}">{cells}</tr>\n'


def _cell(cell: Cell, name: str) -> str:
    shown = cell.svg or _clean(cell.text)
    if cell.link:
        shown = f'<a href="{_clean(cell.link)}">{shown}</a>'
    elif cell.tone:
        shown = f'<span class="{cell.tone}">{shown}</span>'
    kind = ' class="number"' if isinstance(cell.text, int | float) else ' class="short"' if cell.short else ""
    sort = _clean(cell.text if cell.sort is None else cell.sort)
    return f'<td{kind} data-label="{_clean(name)}" data-sort="{sort}"><span>{shown}</span></td>'


def bars(history: list[list[int]]) -> str:
    """Draw runs as SVG bars, oldest on the left: the height shows all records, the red part those that failed.

    Args:
        history: (run id, records, errors) of each run, newest first.
    """
    if not history:
        return ""
    top = max(records + errors for _, records, errors in history) or 1
    width, height, shapes = 180 / max(len(history), 15), 36, []
    for index, (run, records, errors) in enumerate(reversed(history)):
        tall = max(1.0, (records + errors) / top * (height - 2))
        red = tall * errors / ((records + errors) or 1)
        x = index * width
        title = f"<title>{run}: {records} records, {errors} errors</title>"
        shapes.append(_bar(x, height - tall, width, tall - red, "ok", title))
        if red:
            shapes.append(_bar(x, height - red, width, red, "err", title))
    label = f"records of the last {len(history)} runs"
    return f'<svg viewBox="0 0 180 {height}" role="img" aria-label="{label}">{"".join(shapes)}</svg>'


def _bar(x: float, y: float, width: float, height: float, name: str, title: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width - 1:.1f}" height="{max(height, 0):.1f}"'
    return f'<rect class="{name}" {place}>{title}</rect>'


def write_page(path: str, text: str) -> None:
    """Write a page to a file atomically (mode 0600).

    Raises:
        OperatorError: CONFIG, when the file cannot be written.
    """
    try:
        write_text(path, text)
    except OSError as error:
        raise config_error(f"cannot write {path}: {error.strerror}") from error
