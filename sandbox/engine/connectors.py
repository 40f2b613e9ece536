"""Reading sources and writing destinations, whichever system their connector type stands for."""

from __future__ import annotations

from pathlib import Path

import duckdb

from sandbox.engine import databases, files
from sandbox.engine.connector_types import DATABASES, FILES
from sandbox.engine.errors import ConnectorError, NotReadyError
from sandbox.engine.json_lines import Reading
from sandbox.engine.postgres import PostgresError
from sandbox.state.store import Doc
from sandbox.state.world import World

REFUSED_CREDENTIAL = "403 Forbidden: the credential was refused"


def read(world: World, source: Doc, run_id: int) -> list[Reading]:
    """Read what is new in a source: one reading for each new or changed file, or one for its table or query.

    Remembers the files that were read in ``source["read_state"]``. A source of any other connector type has nothing.

    Raises:
        ConnectorError: the credential is bad, or the system refused.
        ValueError: a file is not valid JSON.
    """
    config = source.get("source_config") or {}
    credential = world.store.get("credentials", source.get("data_credentials_id")) or {"id": 0, "credentials": {}}
    if credential.get("bad"):
        raise ConnectorError(REFUSED_CREDENTIAL)
    folder = world.folder("batches", f"source-{source['id']}")
    if source["source_type"] in DATABASES:
        return [databases.read_table(world, credential, config, folder / f"{run_id}-0.jsonl")]
    if source["source_type"] not in FILES:
        return []
    state: Doc = source.setdefault("read_state", {})
    readings = []
    for position, file in enumerate(files.list_files(world, str(config.get("path", "")))):
        fingerprint = [file.stat().st_mtime_ns, file.stat().st_size]
        if state.get(str(file)) == fingerprint:
            continue
        readings.append(files.read_file(file, folder / f"{run_id}-{position}.jsonl", config.get("csv.delimiter")))
        state[str(file)] = fingerprint
    return readings


def write(world: World, sink: Doc, credential: Doc, batch: Path, run_id: int) -> list[Doc]:
    """Write one batch to a destination. Returns the records that a table refused one by one.

    Raises:
        NotReadyError: the table does not exist.
        ConnectorError: the system refused; nothing of the batch was written.
    """
    config = sink.get("sink_config") or {}
    try:
        if sink["sink_type"] in FILES:
            files.write_file(world, config, batch, f"{sink['id']}-{run_id}-{batch.stem}")
            return []
        if sink["sink_type"] in DATABASES:
            return databases.write_table(world, credential, config, batch)
        raise ConnectorError(f"the sandbox cannot write to {sink['sink_type']}")
    except duckdb.CatalogException as error:
        raise NotReadyError(str(error).splitlines()[0]) from error
    except (duckdb.Error, PostgresError) as error:
        raise ConnectorError(str(error).splitlines()[0]) from error
