"""Connectors that really read and write: buckets are folders, databases are DuckDB files or a real PostgreSQL.

Records travel as JSON Lines files. ``path`` of a file connector is ``bucket/folder…``, as in the real API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from sandbox.engine import postgres
from sandbox.server import contract
from sandbox.state.store import Doc
from sandbox.state.world import World

FILES = frozenset(contract.connector_types("File")) | {"file_upload"}
DATABASES = frozenset(contract.connector_types("Database"))
WEBHOOKS = frozenset({"nexla_rest"})
DELIMITED = {".csv": ",", ".tsv": "\t", ".txt": ","}


class ConnectorError(Exception):
    """The outside system refused; the message goes into the flow's log."""


class NotReadyError(ConnectorError):
    """The target is not there yet. The batch is kept, and tried again with the next one."""


@dataclass
class Reading:
    """What one file or table gave: JSON Lines in ``path``, its columns, and the rows that could not be read."""

    path: Path
    columns: tuple[str, ...] = ()
    records: int = 0
    rejects: list[Doc] = field(default_factory=list)


def connection_type(kind: str) -> str:
    if kind in FILES:
        return "file"
    return "database" if kind in DATABASES else kind


def bucket_path(world: World, path: str) -> Path:
    """The local place of a bucket path; one that leaves the sandbox is refused."""
    root = world.folder("buckets")
    place = (root / path.strip("/")).resolve()
    if not place.is_relative_to(root):
        raise ConnectorError(f"path {path!r} leaves the bucket")
    return place


def list_files(world: World, path: str) -> list[Path]:
    """The files under a path (or the file itself), in name order."""
    place = bucket_path(world, path)
    if place.is_file():
        return [place]
    return sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else []


def read_file(file: Path, target: Path, delimiter: str | None = None) -> Reading:
    """Read one file of any supported kind into JSON Lines at ``target``."""
    suffix = file.suffix.lower()
    if suffix in DELIMITED:
        return _read_delimited(file, target, delimiter or DELIMITED[suffix])
    if suffix in {".json", ".jsonl", ".ndjson"}:
        return _read_json(file, target)
    if suffix == ".parquet":
        with duckdb.connect() as db:
            return _copy(db, "SELECT * FROM read_parquet(?)", [str(file)], target)
    raise ConnectorError(f"cannot read {file.name}: unsupported format")


def _copy(db: duckdb.DuckDBPyConnection, select: str, values: list[Any], target: Path) -> Reading:
    relation = db.execute(f"DESCRIBE {select}", values).fetchall()
    db.execute(f"COPY ({select}) TO '{target}' (FORMAT json)", values)
    with target.open("rb") as lines:
        return Reading(target, tuple(row[0] for row in relation), sum(1 for _ in lines))


def _read_delimited(file: Path, target: Path, delimiter: str) -> Reading:
    if file.stat().st_size == 0:
        target.write_text("")
        return Reading(target)
    select = f"SELECT * FROM read_csv(?, delim='{delimiter}', header=true, sample_size=-1, store_rejects=true)"
    with duckdb.connect() as db:
        try:
            reading = _copy(db, select, [str(file)], target)
            # DESCRIBE and COPY each scan the file; the last scan's rejects are the ones that belong to the copy.
            rejects = db.execute(
                "SELECT DISTINCT line, error_message, csv_line FROM reject_errors "
                "WHERE scan_id = (SELECT max(scan_id) FROM reject_errors) ORDER BY line"
            ).fetchall()
        except duckdb.Error as error:
            raise ConnectorError(f"cannot read {file.name}: {str(error).splitlines()[0]}") from error
    lines = {line: (message, text) for line, message, text in rejects}
    reading.rejects = [
        {"file": file.name, "line": line, "error": str(message).splitlines()[0], "record": text}
        for line, (message, text) in lines.items()
    ]
    return reading


def _objects(file: Path) -> Iterator[tuple[int, Any]]:
    text = file.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        yield from enumerate(json.loads(text), 1)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                yield number, error


def _read_json(file: Path, target: Path) -> Reading:
    reading = Reading(target)
    columns: dict[str, None] = {}
    with target.open("w", encoding="utf-8") as out:
        for number, value in _objects(file):
            if isinstance(value, dict):
                columns |= dict.fromkeys(value)
                out.write(json.dumps(value, ensure_ascii=False) + "\n")
                reading.records += 1
            else:
                problem = str(value) if isinstance(value, Exception) else "not an object"
                reading.rejects.append({"file": file.name, "line": number, "error": problem, "record": None})
    reading.columns = tuple(columns)
    return reading


def database_file(world: World, credential: Doc, config: Doc) -> Path:
    """The DuckDB file that stands for a database connector's database."""
    name = config.get("database") or credential.get("credentials", {}).get("database") or f"db{credential['id']}"
    return world.folder("databases") / f"{re.sub(r'[^A-Za-z0-9_-]', '_', str(name))}.duckdb"


def quoted(name: str) -> str:
    """A possibly schema-qualified SQL name, quoted part by part."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def read_table(world: World, credential: Doc, config: Doc, target: Path) -> Reading:
    """Read a database source's query or table."""
    query = config.get("query") or f"SELECT * FROM {quoted(str(config.get('table')))}"
    if postgres.wanted(credential):
        return Reading(target, *postgres.read(credential, query, target))
    try:
        with duckdb.connect(str(database_file(world, credential, config))) as db:
            return _copy(db, query, [], target)
    except duckdb.Error as error:
        raise ConnectorError(str(error).splitlines()[0]) from error


def write(world: World, sink: Doc, credential: Doc, batch: Path, run_id: int) -> list[Doc]:
    """Deliver one batch to a destination. Returns the records that a table refused one by one.

    Raises:
        NotReadyError: there is no such table.
        ConnectorError: the target refused the batch; nothing of it was delivered.
    """
    refused: list[Doc] = []
    config = sink.get("sink_config") or {}
    try:
        if sink["sink_type"] in FILES:
            _write_files(world, config, batch, f"{sink['id']}-{run_id}-{batch.stem}")
        elif sink["sink_type"] in DATABASES and postgres.wanted(credential):
            postgres.write(credential, config, _renamed(config), batch)
        elif sink["sink_type"] in DATABASES:
            refused = _write_table(database_file(world, credential, config), config, batch)
        else:
            raise ConnectorError(f"the sandbox cannot write to {sink['sink_type']}")
    except duckdb.CatalogException as error:
        raise NotReadyError(str(error).splitlines()[0]) from error
    except (duckdb.Error, postgres.Error) as error:
        raise ConnectorError(str(error).splitlines()[0]) from error
    return refused


def _renamed(config: Doc) -> dict[str, str]:
    """Source field → column, of a manual mapping; empty means as they are."""
    mapping = config.get("mapping") or {}
    if mapping.get("mode") != "manual":
        return {}
    fields = mapping.get("mapping") or {}
    return {name: next(iter(column)) if isinstance(column, dict) else str(column) for name, column in fields.items()}


def _write_files(world: World, config: Doc, batch: Path, stem: str) -> None:
    kind = str(config.get("data_format", "json")).lower()
    if kind not in {"csv", "tsv", "json", "parquet"}:
        raise ConnectorError(f"the sandbox cannot write {kind}")
    folder = bucket_path(world, str(config.get("path", "")))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{config.get('file.name.prefix', 'part')}-{stem}.{kind}"
    options = {"csv": "FORMAT csv, HEADER", "tsv": "FORMAT csv, HEADER, DELIMITER '\t'"}.get(kind, f"FORMAT {kind}")
    with duckdb.connect() as db:
        db.execute(f"COPY (SELECT * FROM {_batch_sql(batch)}) TO '{target}' ({options})")


def _batch_sql(batch: Path) -> str:
    return f"read_json('{batch}', format='newline_delimited', sample_size=-1, maximum_object_size=67108864)"


def _write_table(file: Path, config: Doc, batch: Path) -> list[Doc]:
    """The whole batch in one go, or, when the table refuses a record of it, one record after the other."""
    table, renames = quoted(str(config.get("table"))), _renamed(config)
    columns = ", ".join(f"{quoted(a)} AS {quoted(b)}" for a, b in renames.items()) or "*"
    select = f"SELECT {columns} FROM {_batch_sql(batch)}"
    with duckdb.connect(str(file)) as db:
        if not renames:
            db.execute(f"CREATE TABLE IF NOT EXISTS {table} AS {select} LIMIT 0")
        try:
            _insert(db, table, config, select)
            return []
        except (duckdb.ConversionException, duckdb.ConstraintException):
            db.execute("ROLLBACK")
        refused = []
        db.execute(f"CREATE TEMP TABLE batch AS SELECT row_number() OVER () AS line, * FROM ({select})")
        lines = db.execute("SELECT count(*) FROM batch").fetchall()[0][0]
        for line in range(1, lines + 1):
            one = f"SELECT * EXCLUDE (line) FROM batch WHERE line = {line}"
            try:
                _insert(db, table, config, one)
            except (duckdb.ConversionException, duckdb.ConstraintException) as error:
                db.execute("ROLLBACK")
                record = db.execute(f"SELECT to_json(b)::VARCHAR FROM ({one}) b").fetchall()[0][0]
                refused.append({"error": str(error).splitlines()[0], "record": json.loads(record)})
        return refused


def _insert(db: duckdb.DuckDBPyConnection, table: str, config: Doc, select: str) -> None:
    db.execute("BEGIN")
    if str(config.get("insert.mode", "INSERT")).upper() == "UPSERT":
        keys = [quoted(key.strip()) for key in str(config["primary.key"]).split(",")]
        tie = " AND ".join(f"{table}.{key} IS NOT DISTINCT FROM incoming.{key}" for key in keys)
        db.execute(f"DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM ({select}) incoming WHERE {tie})")
    db.execute(f"INSERT INTO {table} BY NAME {select}")
    db.execute("COMMIT")


def sample_rows(world: World, credential: Doc, config: Doc, limit: int = 100) -> Doc:
    """Columns and rows of a table, for a credential's content preview."""
    with duckdb.connect(str(database_file(world, credential, config))) as db:
        rows = db.execute(f"SELECT * FROM {quoted(str(config.get('table')))} LIMIT {limit}")
        names = [column[0] for column in rows.description or []]
        data = [json.loads(json.dumps(row, default=str)) for row in rows.fetchall()]
    return {"columns": names, "data": data}
