"""Database connectors on a real PostgreSQL, used when the credential names a host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from sandbox.state.store import Doc

SECRET_KEYS = {"host": "host", "port": "port", "user": "username", "password": "password", "dbname": "database"}


class PostgresError(Exception):
    """PostgreSQL refused the connection or a statement."""


def is_configured(credential: Doc) -> bool:
    """Whether a credential names a real server."""
    return bool((credential.get("credentials") or {}).get("host"))


def _connect(credential: Doc) -> psycopg.Connection[Any]:
    secret = credential["credentials"]
    try:
        return psycopg.connect(**{option: secret[key] for option, key in SECRET_KEYS.items() if secret.get(key)})
    except psycopg.Error as error:
        raise PostgresError(str(error)) from error


def check(credential: Doc) -> None:
    """Connect once.

    Raises:
        PostgresError: the connection was refused.
    """
    _connect(credential).close()


def read(credential: Doc, query: str, target: Path) -> tuple[tuple[str, ...], int]:
    """Write a query's rows to ``target`` as JSON Lines. Returns the column names and the number of rows.

    Raises:
        PostgresError: the connection or the query was refused.
    """
    try:
        with _connect(credential) as db, target.open("w", encoding="utf-8") as out:
            cursor = db.execute(query.encode())
            names = tuple(column.name for column in cursor.description or [])
            count = 0
            for row in cursor:
                out.write(json.dumps(dict(zip(names, row, strict=True)), default=str) + "\n")
                count += 1
            return names, count
    except psycopg.Error as error:
        raise PostgresError(str(error)) from error


def write(credential: Doc, config: Doc, renames: dict[str, str], batch: Path) -> None:
    """Insert or upsert one batch in one transaction. Without a manual mapping a missing table is created.

    Raises:
        PostgresError: the connection or a statement was refused; nothing of the batch was written.
        KeyError: an upsert without ``primary.key``.
    """
    rows = [json.loads(line) for line in batch.read_text(encoding="utf-8").splitlines()]
    fields = list(renames) or list(dict.fromkeys(key for row in rows for key in row))
    columns = [sql.Identifier(renames.get(name, name)) for name in fields]
    table = sql.Identifier(*str(config.get("table")).split("."))
    values = [[Jsonb(v) if isinstance(v := row.get(name), dict | list) else v for name in fields] for row in rows]
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        table, sql.SQL(", ").join(columns), sql.SQL(", ").join([sql.Placeholder()] * len(fields))
    )
    try:
        with _connect(credential) as db, db.cursor() as cursor:
            if not renames:
                types = [sql.SQL(_column_type([row.get(name) for row in rows])) for name in fields]
                parts = [sql.SQL("{} {}").format(c, t) for c, t in zip(columns, types, strict=True)]
                cursor.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(table, sql.SQL(", ").join(parts)))
            if str(config.get("insert.mode", "INSERT")).upper() == "UPSERT":
                _delete_same_keys(cursor, table, config, renames, rows)
            cursor.executemany(insert, values)
    except psycopg.Error as error:
        raise PostgresError(str(error)) from error


def _column_type(values: list[Any]) -> str:
    types = {type(value) for value in values if value is not None}
    if types == {bool}:
        return "boolean"
    if types == {int}:
        return "bigint"
    if types and types <= {int, float}:
        return "double precision"
    return "jsonb" if types & {dict, list} else "text"


def _delete_same_keys(
    cursor: psycopg.Cursor[Any], table: sql.Identifier, config: Doc, renames: dict[str, str], rows: list[Doc]
) -> None:
    keys = [key.strip() for key in str(config["primary.key"]).split(",")]
    same_key = sql.SQL(" AND ").join([sql.SQL("{} = %s").format(sql.Identifier(key)) for key in keys])
    field_of = {column: name for name, column in renames.items()}
    cursor.executemany(
        sql.SQL("DELETE FROM {} WHERE {}").format(table, same_key),
        [[row.get(field_of.get(key, key)) for key in keys] for row in rows],
    )
