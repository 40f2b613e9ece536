"""Samples of a nexset, from the API or from a file: what goes into a transform and what comes out."""

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
    """One sample. ``input`` is NO_INPUT for nexsets that have no parent."""

    input: Any
    output: Any

    @property
    def has_input(self) -> bool:
        return self.input is not NO_INPUT


def read_samples(session: Session, nexset: int, count: int, *, live: bool = False) -> list[Sample]:
    """Samples in the three forms in which they come: pairs of input and output, wrapped records, bare records.

    Args:
        live: ask for new ones; else cached ones (20 to 30 at most).

    Raises:
        ApiError: they could not be read.
    """
    params: dict[str, Any] = {"count": count} | ({"live": "true"} if live else {})
    rows = call(session, "GET", item_path(KINDS["nexsets"], nexset, "samples"), params=params, expect=list).data
    return [sample_of(row) for row in rows if isinstance(row, dict)]


def sample_of(row: Row) -> Sample:
    if set(row) >= {"input", "output"}:
        return Sample(_record(row["input"]), _record(row["output"]))
    return Sample(NO_INPUT, _record(row))


def _record(value: Any) -> Any:
    return value.get("rawMessage", value) if isinstance(value, dict) else value


def load_records(path: str, what: str) -> list[Any]:
    """Records of a file: a JSON list, one JSON object, or JSON Lines. ``what`` they are, for messages.

    Raises:
        OperatorError: USAGE, naming the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"cannot read the {what} {path}: {error}") from error
    try:
        whole = json.loads(text)
        return whole if isinstance(whole, list) else [whole]
    except RecursionError as error:
        raise usage(f"{path} is nested too deeply") from error
    except ValueError as error:
        if text.lstrip().startswith("[") or text.lstrip()[:1] not in ("{", '"'):
            raise usage(
                f"{path} is not JSON: {error}", "wanted: a JSON list, or one JSON object in each line"
            ) from error
    records = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                records.append(json.loads(line))
            except ValueError as error:
                raise usage(f"{path}, line {number} is not JSON: {error}") from error
    return records
