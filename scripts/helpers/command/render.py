"""Writing a result as a table, JSON, NDJSON, CSV or text, to standard output or atomically to a file."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from helpers.command.output import FORMATS, OutputOptions, Result
from helpers.core.errors import Exit, config_error
from helpers.core.files import replacing
from helpers.core.nearest import did_you_mean
from helpers.core.redact import redact, redact_text

WIDTH = 160  # characters; the width of a table that goes to a pipe or file
Meta = Callable[[], dict[str, Any]]


def render(command: str, options: OutputOptions, result: Result, meta: Meta) -> None:
    """Write a result.

    Args:
        command: the script's name, for the JSON document.
        meta: returns additional ``meta`` fields; called last, when all rows have been consumed.

    Raises:
        OperatorError: CONFIG, when the output file cannot be written.
        OSError: standard output cannot be written.
    """
    if options.fields and result.data is not None:
        chosen: Any = choose(result.rows(), options.fields, result.warnings.append)
        if isinstance(result.data, dict):
            (chosen,) = list(chosen)  # consume all of it, so that missing fields are noticed
        result.data, result.columns = chosen, options.fields
    document = _Document(command, options.form, _rows_only(result, options.form), meta)
    if options.file is None:
        _write(document, sys.stdout)
        sys.stdout.flush()
        return
    try:
        if options.file.exists() and not options.file.is_file():  # write to a device or a pipe, do not replace it
            with options.file.open("w", encoding="utf-8") as stream:
                _write(document, stream)
            return
        with replacing(options.file) as stream:
            _write(document, stream)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise config_error(f"cannot write {options.file}: {error.strerror}") from error


class _Document(NamedTuple):
    command: str
    form: str
    result: Result
    meta: Meta

    def all_meta(self) -> dict[str, Any]:
        return {**self.result.meta, **self.meta()}


def pick(row: Any, path: str) -> Any:
    """A field of a row by its dotted path; None when it is missing."""
    for part in path.split("."):
        row = row.get(part) if isinstance(row, dict) else None
    return row


def choose(rows: Iterable[Any], fields: Iterable[str], warn: Callable[[str], None]) -> Iterator[Any]:
    """Reduce rows to the requested fields. ``warn`` is called for fields that no row has."""
    names = list(fields)
    missing = set(names)
    known: list[str] = []
    for row in rows:
        if not isinstance(row, dict):
            yield row
            continue
        known = known or sorted(row)
        missing -= {name for name in missing if pick(row, name) is not None or name in row}
        yield {name: pick(row, name) for name in names}
    if missing and known:
        guess = did_you_mean(min(missing), known)
        warn(f"no row has the field {', '.join(sorted(missing))}; {guess}known: {', '.join(known)}")


def _rows_only(result: Result, form: str) -> Result:
    """For a table or CSV, the result reduced to the rows that the job named in its data."""
    if form in ("table", "csv") and isinstance(result.data, dict) and result.table in result.data:
        rows = result.data[str(result.table)]
        return Result(rows, result.meta, result.warnings, result.code, result.columns)
    return result


def _write(document: _Document, out: TextIO) -> None:
    result = document.result
    if document.form not in FORMATS or result.only_text:
        out.write(redact_text(result.text))
        return
    writer = {"json": _json, "ndjson": _ndjson, "csv": _csv, "table": _table}[document.form]
    if result.live:
        result.data = _flushed(result.rows(), out)
        writer = _lines if document.form == "table" else writer
    writer(document, out)


def _json(document: _Document, out: TextIO) -> None:
    result = document.result
    data = result.data if isinstance(result.data, dict | list | str | int | None) else list(result.data)
    body = {
        "ok": result.code is Exit.OK,
        "command": document.command,
        "data": data,
        "meta": document.all_meta(),
        "warnings": result.warnings,
    }
    out.write(json.dumps(redact(body), ensure_ascii=False, indent=2) + "\n")


def _ndjson(document: _Document, out: TextIO) -> None:
    result = document.result
    for row in result.rows() if result.data is not None else ():
        out.write(json.dumps(redact(row), ensure_ascii=False) + "\n")
    last = {"_meta": {**document.all_meta(), "ok": result.code is Exit.OK, "warnings": result.warnings}}
    out.write(json.dumps(redact(last), ensure_ascii=False) + "\n")


def _csv(document: _Document, out: TextIO) -> None:
    result, writer = document.result, None
    for row in result.rows():
        clean = redact(row) if isinstance(row, dict) else {"value": redact(row)}
        if writer is None:
            columns = list(result.columns) or list(clean)
            writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
        writer.writerow({key: _cell(value, safe=True) for key, value in clean.items()})
    if writer is None and result.columns:
        csv.DictWriter(out, list(result.columns), lineterminator="\n").writeheader()


def _lines(document: _Document, out: TextIO) -> None:
    """A table whose widths are not known in advance: columns grow with their content."""
    columns = document.result.columns
    widths = dict.fromkeys(columns, 0)
    for row in document.result.rows():
        cells = {name: _cell(redact(row).get(name)) for name in columns}
        widths = {name: max(widths[name], len(cell)) for name, cell in cells.items()}
        out.write("  ".join(cell.ljust(widths[name]) for name, cell in cells.items()).rstrip() + "\n")
    out.write(_footer(redact(document.all_meta())) + "\n")


def _table(document: _Document, out: TextIO) -> None:
    result = document.result
    width = None if out.isatty() else WIDTH
    console = Console(file=out, width=width, soft_wrap=False, highlight=False, markup=False, emoji=False)
    rows = [redact(row) for row in result.rows()]
    console.print(_object_table(rows[0] or {}) if isinstance(result.data, dict) else _row_table(result, rows))
    console.print(Text(_footer(redact(document.all_meta())), style="dim"))


def _object_table(fields: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    for key, value in fields.items():
        table.add_row(Text(str(key), style="bold"), Text(_cell(value)))
    return table


def _row_table(result: Result, rows: list[Any]) -> Table:
    columns = list(result.columns) or (list(rows[0]) if rows and isinstance(rows[0], dict) else ["value"])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        cells = row if isinstance(row, dict) else {"value": row}
        table.add_row(*(Text(_cell(cells.get(name))) for name in columns))
    return table


def _footer(meta: dict[str, Any]) -> str:
    return "  ".join(f"{key}={_cell(value)}" for key, value in meta.items())


def _flushed(rows: Iterator[Any], out: TextIO) -> Iterator[Any]:
    for row in rows:
        yield row
        out.flush()


def _cell(value: Any, *, safe: bool = False) -> str:
    """A value as the text of one cell. ``safe`` keeps a spreadsheet from interpreting text as a formula."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = "; ".join(value)
    elif isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    is_number = isinstance(value, int | float)
    return "'" + text if safe and not is_number and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
