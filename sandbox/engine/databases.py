"""Database connectors: a DuckDB file stands for each database, unless the credential names a real PostgreSQL host."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb

from sandbox.engine import postgres
from sandbox.engine.errors import ConnectorError
from sandbox.engine.json_lines import Reading, batch_relation, copy_query
from sandbox.state.store import Doc
from sandbox.state.world import World

REFUSED_RECORD = (duckdb.ConversionException, duckdb.ConstraintException)


def database_file(world: World, credential: Doc, config: Doc) -> Path:
    """The DuckDB file that stands for the database of a config, or else of its credential."""
    name = config.get("database") or credential.get("credentials", {}).get("database") or f"db{credential['id']}"
    return world.folder("databases") / f"{re.sub(r'[^A-Za-z0-9_-]', '_', str(name))}.duckdb"


def quoted(name: str) -> str:
    """A SQL name, quoted part by part when a schema precedes it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def read_table(world: World, credential: Doc, config: Doc, target: Path) -> Reading:
    """Read a database source's query or table into JSON Lines at ``target``.

    Raises:
        ConnectorError: DuckDB refused the query.
        PostgresError: PostgreSQL refused the query or the connection.
    """
    query = config.get("query") or f"SELECT * FROM {quoted(str(config.get('table')))}"
    if postgres.is_configured(credential):
        return Reading(target, *postgres.read(credential, query, target))
    try:
        with duckdb.connect(str(database_file(world, credential, config))) as db:
            return copy_query(db, query, [], target)
    except duckdb.Error as error:
        raise ConnectorError(str(error).splitlines()[0]) from error


def write_table(world: World, credential: Doc, config: Doc, batch: Path) -> list[Doc]:
    """Write one batch to a table. Returns the records that the table refused one by one.

    Raises:
        duckdb.Error: the table does not exist, or refused the batch.
        PostgresError: PostgreSQL refused the batch or the connection.
    """
    if postgres.is_configured(credential):
        postgres.write(credential, config, column_names(config), batch)
        return []
    return _write_to_duckdb(database_file(world, credential, config), config, batch)


def column_names(config: Doc) -> dict[str, str]:
    """Field → column of a manual mapping; empty when fields keep their names."""
    mapping = config.get("mapping") or {}
    if mapping.get("mode") != "manual":
        return {}
    fields = mapping.get("mapping") or {}
    return {name: next(iter(column)) if isinstance(column, dict) else str(column) for name, column in fields.items()}


def _write_to_duckdb(file: Path, config: Doc, batch: Path) -> list[Doc]:
    """Insert the batch at once or, when the table refuses a record of it, one record after the other."""
    table, renames = quoted(str(config.get("table"))), column_names(config)
    columns = ", ".join(f"{quoted(field)} AS {quoted(column)}" for field, column in renames.items()) or "*"
    select = f"SELECT {columns} FROM {batch_relation(batch)}"
    with duckdb.connect(str(file)) as db:
        if not renames:
            db.execute(f"CREATE TABLE IF NOT EXISTS {table} AS {select} LIMIT 0")
        try:
            _insert(db, table, config, select)
            return []
        except REFUSED_RECORD:
            db.execute("ROLLBACK")
        return _insert_one_by_one(db, table, config, select)


def _insert(db: duckdb.DuckDBPyConnection, table: str, config: Doc, select: str) -> None:
    db.execute("BEGIN")
    if str(config.get("insert.mode", "INSERT")).upper() == "UPSERT":
        keys = [quoted(key.strip()) for key in str(config["primary.key"]).split(",")]
        same_key = " AND ".join(f"{table}.{key} IS NOT DISTINCT FROM incoming.{key}" for key in keys)
        db.execute(f"DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM ({select}) incoming WHERE {same_key})")
    db.execute(f"INSERT INTO {table} BY NAME {select}")
    db.execute("COMMIT")


def _insert_one_by_one(db: duckdb.DuckDBPyConnection, table: str, config: Doc, select: str) -> list[Doc]:
    refused = []
    db.execute(f"CREATE TEMP TABLE batch AS SELECT row_number() OVER () AS line, * FROM ({select})")
    lines = db.execute("SELECT count(*) FROM batch").fetchall()[0][0]
    for line in range(1, lines + 1):
        row = f"SELECT * EXCLUDE (line) FROM batch WHERE line = {line}"
        try:
            _insert(db, table, config, row)
        except REFUSED_RECORD as error:
            db.execute("ROLLBACK")
            record = db.execute(f"SELECT to_json(b)::VARCHAR FROM ({row}) b").fetchall()[0][0]
            refused.append({"error": str(error).splitlines()[0], "record": json.loads(record)})
    return refused


def sample_rows(world: World, credential: Doc, config: Doc, limit: int = 100) -> Doc:
    """Columns and first rows of a table, for a credential's content preview.

    Raises:
        duckdb.Error: there is no such table.
    """
    with duckdb.connect(str(database_file(world, credential, config))) as db:
        rows = db.execute(f"SELECT * FROM {quoted(str(config.get('table')))} LIMIT {limit}")
        names = [column[0] for column in rows.description or []]
        data = [json.loads(json.dumps(row, default=str)) for row in rows.fetchall()]
    return {"columns": names, "data": data}


def table_names(world: World, credential: Doc, config: Doc) -> list[str]:
    """The names of all tables in a database, sorted."""
    with duckdb.connect(str(database_file(world, credential, config))) as db:
        return [
            name for (name,) in db.execute("SELECT table_name FROM information_schema.tables ORDER BY 1").fetchall()
        ]
