"""What a job returns, and how the user wants to see it. Cheap to import: writing it is the business of ``render``."""

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


class OutputOptions(NamedTuple):
    """Where a result goes, and in which form.

    Attributes:
        form: a format of every command, or one of the command's own.
        file: to write instead of standard output, with symbolic links followed.
        fields: the only ones to show.
    """

    form: str
    file: Path | None
    fields: tuple[str, ...]

    @classmethod
    def of(cls, args: argparse.Namespace) -> OutputOptions:
        """What ``--format``, ``--output`` and ``--fields`` say; ``--full`` rows are too wide for a table.

        Raises:
            OperatorError: USAGE or CONFIG, when the output could not be written later; nothing has been done by then.
        """
        file = None if args.output in (None, "-") else checked_file(args.output, "--output")
        wide = bool(getattr(args, "full", False))
        table = sys.stdout.isatty() and file is None and not wide
        fields = tuple(name.strip() for name in (args.fields or "").split(",") if name.strip())
        if args.fields is not None and not fields:
            raise usage("--fields is empty", "for example --fields id,name")
        return cls(args.format or ("table" if table else "json"), file, fields)

    @property
    def holds_a_document(self) -> bool:
        """Whether a file may hold the document of an earlier run, which must not pass for this one's."""
        return self.file is not None and self.form in ("json", "ndjson")


def to_line(document: Any) -> str:
    """A document as one redacted JSON line."""
    return json.dumps(redact(document), ensure_ascii=False)
