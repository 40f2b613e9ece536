"""What a job returns, and how the user wants to see it. Cheap to import; ``render`` does the writing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from helpers.core.errors import Exit, config_error, usage
from helpers.core.redact import redact

SPACE_FOR_RESULT = 65_536  # bytes that must be free on the disk of an output file before anything is done
FORMATS = ("table", "json", "ndjson", "csv")


class Result:
    """The result of a job.

    Attributes:
        data: an object, or rows (a list or any iterable of objects).
        meta: ``total``, ``returned``, ``truncated``, ``access_role``…; may be completed while rows are consumed.
        warnings: one line each; may be completed while rows are consumed.
        code: the exit code; ``ok`` is true only for OK.
        columns: the columns of a table or CSV; default: the keys of the first row.
        table: the key in ``data`` of the rows for a table or CSV, when ``data`` is an object.
        text: the result in the command's own format, such as Markdown.
        only_text: whether to print ``text`` in every format.
        live: whether rows arrive over minutes and are shown one by one (a JSON document still ends with the last row).
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
        """An iterator over the rows; an object is one row."""
        single = isinstance(self.data, dict) or not isinstance(self.data, Iterable)
        return iter([self.data] if single else self.data)


def checked_file(name: str, flag: str) -> Path:
    """Check early that an output file can be written.

    Args:
        flag: the flag that names the file, for messages.

    Returns:
        The path, with symbolic links followed.

    Raises:
        OperatorError: USAGE, when the name is empty or a directory; CONFIG, when its directory is not writable.
    """
    if not name.strip():
        raise usage(f"{flag} is empty", "pass a file name")
    target = Path(name).resolve()
    if target.is_dir():
        raise usage(f"{flag} {name} is a directory", "pass a file name")
    given = Path(name).absolute()
    if given.exists() and not given.is_file():
        return given  # a device or a pipe, such as /dev/stdout, is written to and not replaced
    _try_to_write(name, target.parent / f".{target.name}.{os.getpid()}")
    return target


def _try_to_write(name: str, beside: Path) -> None:
    """Write a file beside the output file and remove it, because a full disk shows only when something is written."""
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, bytes(SPACE_FOR_RESULT))
        finally:
            os.close(descriptor)
            beside.unlink()
    except OSError as error:
        raise config_error(f"cannot write {name}: {error.strerror}") from error


class OutputOptions(NamedTuple):
    """Where a result goes, and in which format.

    Attributes:
        form: one of FORMATS, or the command's own format.
        file: the file to write, with symbolic links followed; None for standard output.
        fields: the fields to show; empty for all.
    """

    form: str
    file: Path | None
    fields: tuple[str, ...]

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> OutputOptions:
        """Read ``--format``, ``--output`` and ``--fields``. ``--full`` rows are too wide for a table.

        Raises:
            OperatorError: USAGE or CONFIG, when the output cannot be written; nothing has been done yet.
        """
        file = None if args.output in (None, "-") else checked_file(args.output, "--output")
        wide = bool(getattr(args, "full", False))
        table = sys.stdout.isatty() and file is None and not wide
        fields = tuple(name.strip() for name in (args.fields or "").split(",") if name.strip())
        if args.fields is not None and not fields:
            raise usage("--fields is empty", "for example --fields id,name")
        return cls(args.format or ("table" if table else "json"), file, fields)

    @property
    def may_hold_old_result(self) -> bool:
        """Whether a file may contain the document of an earlier run, which must not be mistaken for this run's."""
        return self.file is not None and self.form in ("json", "ndjson")


def json_line(document: Any) -> str:
    """A document as one line of redacted JSON."""
    return json.dumps(redact(document), ensure_ascii=False)
