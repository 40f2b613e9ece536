"""Database connectors on a real PostgreSQL, used when the credential names a host (psycopg is needed for that)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.state.store import Doc

if TYPE_CHECKING:
    import psycopg


class Error(Exception):
    """PostgreSQL refused."""


def wanted(credential: Doc) -> bool:
    """Whether a credential points at a real server."""
    return bool((credential.get("credentials") or {}).get("host"))


def _connect(credential: Doc) -> psycopg.Connection[Any]:
    import psycopg

    secret = credential["credentials"]
    names = {"host": "host", "port": "port", "user": "username", "password": "password", "dbname": "database"}
    try:
        return psycopg.connect(**{key: secret[name] for key, name in names.items() if secret.get(name)})
    except psycopg.Error as error:
        raise Error(str(error)) from error


def check(credential: Doc) -> None:
    """Connect once.

    Raises:
        Error: no connection.
    """
    _connect(credential).close()


def read(credential: Doc, query: str, target: Path) -> tuple[tuple[str, ...], int]:
    """Write a query's rows as JSON Lines; gives the column names and the number of rows."""
    import psycopg

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
        raise Error(str(error)) from error


def _type(values: list[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "bigint"
    if kinds and kinds <= {int, float}:
        return "double precision"
    return "jsonb" if kinds & {dict, list} else "text"


def write(credential: Doc, config: Doc, renames: dict[str, str], batch: Path) -> None:
    """Insert or upsert one batch in one transaction; without a manual mapping a missing table is made."""
    import psycopg
    from psycopg import sql
    from psycopg.types.json import Jsonb

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
                types = [sql.SQL(_type([row.get(name) for row in rows])) for name in fields]
                parts = [sql.SQL("{} {}").format(c, t) for c, t in zip(columns, types, strict=True)]
                cursor.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(table, sql.SQL(", ").join(parts)))
            if str(config.get("insert.mode", "INSERT")).upper() == "UPSERT":
                keys = [key.strip() for key in str(config["primary.key"]).split(",")]
                tie = sql.SQL(" AND ").join([sql.SQL("{} = %s").format(sql.Identifier(key)) for key in keys])
                back = {column: name for name, column in renames.items()}
                cursor.executemany(
                    sql.SQL("DELETE FROM {} WHERE {}").format(table, tie),
                    [[row.get(back.get(key, key)) for key in keys] for row in rows],
                )
            cursor.executemany(insert, values)
    except psycopg.Error as error:
        raise Error(str(error)) from error
