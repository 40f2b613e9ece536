"""Batches of records as JSON Lines files, and DuckDB's way in and out of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from sandbox.state.store import Doc

MAX_RECORD_BYTES = 64 << 20


@dataclass
class Reading:
    """The result of reading one file or table: its records in the JSON Lines file ``path``, and the rejected rows."""

    path: Path
    columns: tuple[str, ...] = ()
    records: int = 0
    rejects: list[Doc] = field(default_factory=list)


def copy_query(db: duckdb.DuckDBPyConnection, select: str, values: list[Any], target: Path) -> Reading:
    """Write a query's rows to ``target``.

    Raises:
        duckdb.Error: the query failed.
    """
    columns = db.execute(f"DESCRIBE {select}", values).fetchall()
    db.execute(f"COPY ({select}) TO '{target}' (FORMAT json)", values)
    with target.open("rb") as lines:
        return Reading(target, tuple(column[0] for column in columns), sum(1 for _ in lines))


def batch_relation(batch: Path) -> str:
    """The SQL expression that reads a batch as a table."""
    return f"read_json('{batch}', format='newline_delimited', sample_size=-1, maximum_object_size={MAX_RECORD_BYTES})"
