"""Rendering a result: table, JSON, NDJSON or CSV, to standard output or atomically to a file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from helpers.core.errors import Exit, config_error, usage
from helpers.core.redact import redact, redact_text

WIDTH = 160  # of a table that goes into a pipe or file
FORMATS = ("table", "json", "ndjson", "csv")


class Result:
    """What a script's job returns.

    Attributes:
        data: an object, or rows (a list or any iterable of objects).
        meta: ``total``, ``returned``, ``truncated``, ``access_role``…; may be filled while rows are drawn.
        warnings: likewise.
        code: exit code; FINDINGS makes ``ok`` false.
        columns: of a table or CSV; default: the keys of the first row.
        text: the result as Markdown or the like, for a format of the command's own; ``only_text`` prints it whatever
            the format is.
        table: the key of an object's data under which the rows for a table or CSV stand.
        live: rows come over minutes: each is shown at once (JSON, being one document, still ends with the last).
    """

    def __init__(  # not a dataclass: dataclasses take longer to import than argparse, at each start
        self,
        data: Any,
        meta: dict[str, Any] | None = None,
        warnings: list[str] | None = None,
        code: Exit = Exit.OK,
        columns: Sequence[str] = (),
        table: str | None = None,
        text: str = "",
        only_text: bool = False,
        live: bool = False,
    ) -> None:
        self.data = data
        self.meta = {} if meta is None else meta
        self.warnings = [] if warnings is None else warnings
        self.code = code
        self.columns = columns
        self.table = table
        self.text = text
        self.only_text = only_text
        self.live = live

    def rows(self) -> Iterator[Any]:
        """The data as rows; an object is one row."""
        single = isinstance(self.data, dict) or not isinstance(self.data, Iterable)
        return iter([self.data] if single else self.data)


def pick(row: Any, path: str) -> Any:
    """A field by its dotted path; None where it is missing."""
    for part in path.split("."):
        row = row.get(part) if isinstance(row, dict) else None
    return row


def choose(rows: Iterable[Any], fields: list[str], warn: Callable[[str], None]) -> Iterator[Any]:
    """Rows cut down to the asked-for fields; a field that no row has is warned of."""
    missing = set(fields)
    known: list[str] = []
    for row in rows:
        if not isinstance(row, dict):
            yield row
            continue
        known = known or sorted(row)
        missing -= {name for name in missing if pick(row, name) is not None or name in row}
        yield {name: pick(row, name) for name in fields}
    if missing and known:
        warn(f"no row has the field {', '.join(sorted(missing))}; known: {', '.join(known)}")


def checked_file(name: str, flag: str) -> Path:
    """The file that will be written, with symbolic links followed; a place that cannot be written is refused early.

    Raises:
        OperatorError: USAGE or CONFIG.
    """
    if not name.strip():
        raise usage(f"{flag} is empty", "give a file")
    target = Path(name).resolve()
    if target.is_dir():
        raise usage(f"{flag} {name} is a folder", "give a file")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise config_error(f"cannot write {name}: no such folder, or it cannot be written")
    return target


class Renderer:
    """Writes one result in one format.

    Args:
        command: the script's name, for the JSON document.
        form: one of FORMATS; None picks table on a terminal and JSON otherwise.
        output: file to write instead of standard output; ``-`` is standard output.
        whole_rows: the rows are too wide for a table, so that a terminal gets JSON as well.

    Raises:
        OperatorError: USAGE or CONFIG when the output could not be written later; nothing has been done by then.
    """

    def __init__(
        self, command: str, form: str | None, output: str | None, fields: str | None, *, whole_rows: bool = False
    ) -> None:
        self.command, self.output = command, None if output in (None, "-") else checked_file(str(output), "--output")
        self.form = form or ("table" if sys.stdout.isatty() and not self.output and not whole_rows else "json")
        self.fields = [name.strip() for name in fields.split(",") if name.strip()] if fields else []
        if fields is not None and not self.fields:
            raise usage("--fields is empty", "for example --fields id,name")

    def render(self, result: Result, meta: Callable[[], dict[str, Any]]) -> None:
        """Write the result. ``meta`` is asked last, when every row has been drawn.

        Raises:
            OperatorError: CONFIG when the output file cannot be written.
        """
        if self.fields and result.data is not None:
            chosen: Any = choose(result.rows(), self.fields, result.warnings.append)
            if isinstance(result.data, dict):
                (chosen,) = list(chosen)  # to the end, so that missing fields are noticed
            result.data = chosen
            result.columns = self.fields
        if self.output is None:
            self._write(result, meta, sys.stdout)
            sys.stdout.flush()
            return
        import tempfile  # late, like csv and rich: a refusal does without

        try:
            if self.output.exists() and not self.output.is_file():  # a device or a pipe is written to, not replaced
                with self.output.open("w", encoding="utf-8") as stream:
                    self._write(result, meta, stream)
                return
            handle, name = tempfile.mkstemp(dir=self.output.parent, prefix=f".{self.output.name}.")
        except OSError as error:
            raise config_error(f"cannot write {self.output}: {error.strerror}") from error
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                self._write(result, meta, stream)
            os.replace(name, self.output)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _write(self, result: Result, meta: Callable[[], dict[str, Any]], out: TextIO) -> None:
        if self.form in ("table", "csv") and isinstance(result.data, dict) and result.table in result.data:
            rows = result.data[str(result.table)]
            result = Result(rows, result.meta, result.warnings, result.code, result.columns)
        if self.form not in FORMATS or result.only_text:
            out.write(redact_text(result.text))
            return
        writer = {"json": self._json, "ndjson": self._ndjson, "csv": self._csv, "table": self._table}[self.form]
        if result.live:
            result.data = _flushed(result.rows(), out)
            writer = self._lines if self.form == "table" else writer
        writer(result, meta, out)

    def _json(self, result: Result, meta: Callable[[], dict[str, Any]], out: TextIO) -> None:
        data = result.data if isinstance(result.data, dict | list | str | int | None) else list(result.data)
        document = {
            "ok": result.code is Exit.OK,
            "command": self.command,
            "data": data,
            "meta": {**result.meta, **meta()},
            "warnings": result.warnings,
        }
        out.write(json.dumps(redact(document), ensure_ascii=False, indent=2) + "\n")

    def _ndjson(self, result: Result, meta: Callable[[], dict[str, Any]], out: TextIO) -> None:
        for row in result.rows() if result.data is not None else ():
            out.write(json.dumps(redact(row), ensure_ascii=False) + "\n")
        last = {"_meta": {**result.meta, **meta(), "ok": result.code is Exit.OK, "warnings": result.warnings}}
        out.write(json.dumps(redact(last), ensure_ascii=False) + "\n")

    def _csv(self, result: Result, meta: Callable[[], dict[str, Any]], out: TextIO) -> None:
        import csv

        writer = None
        for row in result.rows():
            clean = redact(row) if isinstance(row, dict) else {"value": redact(row)}
            if writer is None:
                columns = list(result.columns) or list(clean)
                writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
                writer.writeheader()
            writer.writerow({key: _cell(value, safe=True) for key, value in clean.items()})
        if writer is None and result.columns:
            csv.DictWriter(out, list(result.columns), lineterminator="\n").writeheader()

    def _lines(self, result: Result, meta: Callable[[], dict[str, Any]], out: TextIO) -> None:
        """A table whose widths are not known yet: columns grow with what comes."""
        widths = dict.fromkeys(result.columns, 0)
        for row in result.rows():
            cells = {name: _cell(redact(row).get(name)) for name in result.columns}
            widths = {name: max(widths[name], len(cell)) for name, cell in cells.items()}
            out.write("  ".join(cell.ljust(widths[name]) for name, cell in cells.items()).rstrip() + "\n")
        numbers = {**result.meta, **meta()}
        out.write("  ".join(f"{key}={_cell(value)}" for key, value in redact(numbers).items()) + "\n")

    def _table(self, result: Result, meta: Callable[[], dict[str, Any]], out: TextIO) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        width = None if out.isatty() else WIDTH
        console = Console(file=out, width=width, soft_wrap=False, highlight=False, markup=False, emoji=False)
        rows = [redact(row) for row in result.rows()]
        if isinstance(result.data, dict):
            table = Table(show_header=False, box=None, pad_edge=False)
            for key, value in (rows[0] or {}).items():
                table.add_row(Text(str(key), style="bold"), Text(_cell(value)))
        else:
            columns = list(result.columns) or (list(rows[0]) if rows and isinstance(rows[0], dict) else ["value"])
            table = Table(box=None, pad_edge=False, header_style="bold")
            for name in columns:
                table.add_column(Text(name), overflow="fold")
            for row in rows:
                cells = row if isinstance(row, dict) else {"value": row}
                table.add_row(*(Text(_cell(cells.get(name))) for name in columns))
        console.print(table)
        numbers = {**result.meta, **meta()}
        console.print(Text("  ".join(f"{key}={_cell(value)}" for key, value in numbers.items()), style="dim"))


def _flushed(rows: Iterator[Any], out: TextIO) -> Iterator[Any]:
    for row in rows:
        yield row
        out.flush()


def _cell(value: Any, *, safe: bool = False) -> str:
    """A value in one cell. ``safe`` keeps a spreadsheet from taking text for a formula."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    return "'" + text if safe and isinstance(value, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def to_line(document: Any) -> str:
    """A document as one redacted JSON line."""
    return json.dumps(redact(document), ensure_ascii=False)
