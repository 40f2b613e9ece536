"""File connectors: a bucket is a folder below the sandbox's data folder, a path is ``bucket/folder…`` as in the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from sandbox.engine.errors import ConnectorError
from sandbox.engine.json_lines import Reading, batch_relation, copy_query
from sandbox.state.store import Doc
from sandbox.state.world import World

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": ","}
COPY_OPTIONS = {
    "csv": "FORMAT csv, HEADER",
    "tsv": "FORMAT csv, HEADER, DELIMITER '\t'",
    "json": "FORMAT json",
    "parquet": "FORMAT parquet",
}


def bucket_path(world: World, path: str) -> Path:
    """The local path that stands for a bucket path.

    Raises:
        ConnectorError: the path leads out of the buckets folder.
    """
    root = world.folder("buckets")
    local = (root / path.strip("/")).resolve()
    if not local.is_relative_to(root):
        raise ConnectorError(f"path {path!r} leaves the bucket")
    return local


def list_files(world: World, path: str) -> list[Path]:
    """The files below a path, or the file itself, sorted by name.

    Raises:
        ConnectorError: the path leads out of the buckets folder.
    """
    local = bucket_path(world, path)
    if local.is_file():
        return [local]
    return sorted(file for file in local.rglob("*") if file.is_file()) if local.is_dir() else []


def read_file(file: Path, target: Path, delimiter: str | None = None) -> Reading:
    """Read a CSV, TSV, JSON, JSON Lines or Parquet file into JSON Lines at ``target``.

    Raises:
        ConnectorError: the format is not supported, or the file does not parse.
        ValueError: a file that begins as a JSON array is not valid JSON.
        duckdb.Error: a Parquet file does not parse.
    """
    suffix = file.suffix.lower()
    if suffix in DELIMITERS:
        return _read_delimited(file, target, delimiter or DELIMITERS[suffix])
    if suffix in {".json", ".jsonl", ".ndjson"}:
        return _read_json(file, target)
    if suffix == ".parquet":
        with duckdb.connect() as db:
            return copy_query(db, "SELECT * FROM read_parquet(?)", [str(file)], target)
    raise ConnectorError(f"cannot read {file.name}: unsupported format")


def _read_delimited(file: Path, target: Path, delimiter: str) -> Reading:
    if file.stat().st_size == 0:
        target.write_text("")
        return Reading(target)
    select = f"SELECT * FROM read_csv(?, delim='{delimiter}', header=true, sample_size=-1, store_rejects=true)"
    with duckdb.connect() as db:
        try:
            reading = copy_query(db, select, [str(file)], target)
            # copy_query scans the file twice; the rejects of the last scan are the ones that belong to the copy
            rejects = db.execute(
                "SELECT DISTINCT line, error_message, csv_line FROM reject_errors "
                "WHERE scan_id = (SELECT max(scan_id) FROM reject_errors) ORDER BY line"
            ).fetchall()
        except duckdb.Error as error:
            raise ConnectorError(f"cannot read {file.name}: {str(error).splitlines()[0]}") from error
    by_line = {line: (message, text) for line, message, text in rejects}
    reading.rejects = [
        {"file": file.name, "line": line, "error": str(message).splitlines()[0], "record": text}
        for line, (message, text) in by_line.items()
    ]
    return reading


def _json_values(file: Path) -> Iterator[tuple[int, Any]]:
    """Each value with its line number, or its position in an array; a malformed line yields its ValueError."""
    text = file.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        yield from enumerate(json.loads(text), 1)
        return
    for line_number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield line_number, json.loads(line)
            except ValueError as error:
                yield line_number, error


def _read_json(file: Path, target: Path) -> Reading:
    reading = Reading(target)
    columns: dict[str, None] = {}
    with target.open("w", encoding="utf-8") as out:
        for line_number, value in _json_values(file):
            if isinstance(value, dict):
                columns |= dict.fromkeys(value)
                out.write(json.dumps(value, ensure_ascii=False) + "\n")
                reading.records += 1
            else:
                problem = str(value) if isinstance(value, Exception) else "not an object"
                reading.rejects.append({"file": file.name, "line": line_number, "error": problem, "record": None})
    reading.columns = tuple(columns)
    return reading


def write_file(world: World, config: Doc, batch: Path, stem: str) -> None:
    """Write one batch as one file below the destination's path.

    Raises:
        ConnectorError: the format is not supported, or the path leads out of the buckets folder.
        duckdb.Error: the file cannot be written.
    """
    data_format = str(config.get("data_format", "json")).lower()
    if data_format not in COPY_OPTIONS:
        raise ConnectorError(f"the sandbox cannot write {data_format}")
    folder = bucket_path(world, str(config.get("path", "")))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{config.get('file.name.prefix', 'part')}-{stem}.{data_format}"
    with duckdb.connect() as db:
        db.execute(f"COPY (SELECT * FROM {batch_relation(batch)}) TO '{target}' ({COPY_OPTIONS[data_format]})")
