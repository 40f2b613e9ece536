"""Samples of a nexset from the API, and records from a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import usage
from helpers.core.kinds import KINDS, Row, item_path

NO_INPUT = object()


@dataclass(frozen=True)
class Sample:
    """One sample: a transform's input and output. ``input`` is NO_INPUT for nexsets without a parent."""

    input: Any
    output: Any

    @property
    def has_input(self) -> bool:
        """Whether the sample has the input of its output."""
        return self.input is not NO_INPUT


def read_samples(session: Session, nexset_id: int, count: int, *, live: bool = False) -> list[Sample]:
    """Read samples of a nexset. The API returns input/output pairs, wrapped records or bare records.

    Args:
        count: the maximum number of samples.
        live: request new samples instead of cached ones (at most 20 to 30 are cached).

    Raises:
        ApiError: the samples could not be read.
    """
    params: dict[str, Any] = {"count": count} | ({"live": "true"} if live else {})
    rows = call(session, "GET", item_path(KINDS["nexsets"], nexset_id, "samples"), params=params, expect=list).data
    return [sample_of(row) for row in rows if isinstance(row, dict)]


def sample_of(row: Row) -> Sample:
    """A sample in any of the three forms that the API returns."""
    if set(row) >= {"input", "output"}:
        return Sample(_record(row["input"]), _record(row["output"]))
    return Sample(NO_INPUT, _record(row))


def _record(value: Any) -> Any:
    return value.get("rawMessage", value) if isinstance(value, dict) else value


def load_records(path: str, what: str) -> list[Any]:
    """Read records from a file that holds a JSON list, one JSON object, or JSON Lines.

    Args:
        what: what the file is, for messages.

    Raises:
        OperatorError: USAGE, naming the invalid line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"cannot read the {what} {path}: {error}") from error
    try:
        content = json.loads(text)
        return content if isinstance(content, list) else [content]
    except RecursionError as error:
        raise usage(f"{path} is nested too deeply") from error
    except ValueError as error:
        if text.lstrip().startswith("[") or text.lstrip()[:1] not in ("{", '"'):
            hint = "use a JSON list, or one JSON object per line"
            raise usage(f"{path} is not valid JSON: {error}", hint) from error
    records = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                records.append(json.loads(line))
            except ValueError as error:
                raise usage(f"{path}, line {number} is not valid JSON: {error}") from error
    return records
