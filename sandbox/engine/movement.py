"""Moving records: from a source into its nexsets, and from each nexset on to derived nexsets and destinations.

Each nexset keeps its batches (JSON Lines files tagged with their run id). A derived nexset and a destination each
remember the last batch that they took in ``taken``, so one that is activated late still gets every batch once.
A ``generation`` that is no longer the world's belongs to a world that was reset meanwhile: its results are dropped.
"""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.engine import connectors, discovery, files, records, transforming
from sandbox.engine.connector_types import FILES
from sandbox.engine.errors import ConnectorError, NotReadyError
from sandbox.engine.transforming import TransformError
from sandbox.state.store import Doc
from sandbox.state.world import World


def ingest(world: World, source: Doc, run_id: int, generation: int) -> None:
    """Read a source and store what it gave; a refusal goes into the flow's log, metrics and notifications."""
    try:
        readings = connectors.read(world, source, run_id)
    except (ConnectorError, OSError, ValueError) as error:
        with world.lock:
            records.log(world, source, "SOURCE", run_id, f"Read failed: {error}", severity="ERROR")
            records.count(world, "data_sources", source["id"], run_id, 0, 0, errors=1)
            records.notify(world, source, "SOURCE", f"Reading failed: {error}")
        return
    with world.lock:
        if generation != world.generation or world.store.get("sources", source["id"]) is None:
            return
        if not readings:
            _log_nothing_new(world, source, run_id)
        for reading in readings:
            discovery.store_reading(world, source, run_id, reading)


def _log_nothing_new(world: World, source: Doc, run_id: int) -> None:
    path = str((source.get("source_config") or {}).get("path", ""))
    if source["source_type"] in FILES and not files.list_files(world, path):
        records.log(world, source, "SOURCE", run_id, f"No files found under {path}", severity="WARNING")
    else:
        records.log(world, source, "SOURCE", run_id, "No new data", severity="INFO")


def move_on(world: World, nexset: Doc, generation: int) -> None:
    """Bring every waiting batch of a nexset to its active children and destinations, and so on down the flow."""
    with world.lock:
        store = world.store
        children = [n for n in store.where("nexsets", parent_data_set_id=nexset["id"]) if n["status"] == "ACTIVE"]
        sinks = [s for s in store.where("sinks", data_set_id=nexset["id"]) if s["status"] == "ACTIVE"]
    for child in children:
        for batch in _waiting_batches(world, nexset, "nexsets", child):
            _derive(world, child, batch, generation)
    for sink in sinks:
        for batch in _waiting_batches(world, nexset, "sinks", sink):
            _deliver(world, sink, nexset, batch, generation)
    with world.lock:
        below = world.store.where("nexsets", parent_data_set_id=nexset["id"])
    for child in below:
        move_on(world, child, generation)


def _waiting_batches(world: World, nexset: Doc, kind: str, taker: Doc) -> list[Doc]:
    with world.lock:
        current = world.store.get(kind, taker["id"]) or {"taken": float("inf")}
        batches = world.store.where("batches", data_set_id=nexset["id"])
        return [batch for batch in batches if batch["id"] > current.get("taken", 0)]


def _take(world: World, kind: str, taker: Doc, batch: Doc, generation: int) -> bool:
    """Note that a batch was taken; false when the world was reset or the taker was deleted or replaced meanwhile."""
    if generation != world.generation or world.store.get(kind, taker["id"]) is not taker:
        return False
    taker["taken"] = batch["id"]
    world.store.put(kind, taker)
    return True


def _derive(world: World, child: Doc, batch: Doc, generation: int) -> None:
    inputs = [json.loads(line) for line in Path(batch["file"]).read_text(encoding="utf-8").splitlines()]
    try:
        outcomes = transforming.apply_to_nexset(world.store, child, inputs)
    except TransformError as error:
        outcomes = [(None, str(error))] * len(inputs)
    good = [record for record, error in outcomes if error is None and record is not None]
    bad = [
        {"error": error, "record": record}
        for record, (_, error) in zip(inputs, outcomes, strict=True)
        if error is not None
    ]
    folder = world.folder("batches", f"nexset-{child['id']}")
    target = folder / f"{batch['run_id']}-{batch['id']}.jsonl"
    with target.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in good)
    with world.lock:
        if _take(world, "nexsets", child, batch, generation):
            records.add_batch(world, child, batch["run_id"], target, len(good))
            records.quarantine(world, child, "DATASET", batch["run_id"], bad)
            records.summarize(world, child, "DATASET", batch["run_id"], target, len(good), len(bad))


def _deliver(world: World, sink: Doc, nexset: Doc, batch: Doc, generation: int) -> None:
    with world.lock:
        credential = world.store.get("credentials", sink.get("data_credentials_id"))
    file, run_id, refused, problem = Path(batch["file"]), batch["run_id"], [], ""
    try:
        if credential is None or credential.get("bad"):
            raise ConnectorError(connectors.REFUSED_CREDENTIAL)
        if batch["records"]:
            refused = connectors.write(world, sink, credential, file, run_id)
    except NotReadyError as error:
        with world.lock:
            if generation == world.generation:
                _keep_waiting(world, sink, run_id, str(error))
        return
    except (ConnectorError, OSError, KeyError) as error:
        problem = f"Write failed: {error}"
    errors = batch["records"] if problem else len(refused)
    with world.lock:
        if not _take(world, "sinks", sink, batch, generation):
            return
        sink["runtime_status"] = "IDLE"
        if problem:
            records.log(world, sink, "SINK", run_id, problem, severity="ERROR")
            records.notify(world, sink, "SINK", problem)
        records.quarantine(world, sink, "SINK", run_id, refused)
        good = batch["records"] - errors
        records.summarize(world, sink, "SINK", run_id, file, good, errors, data_set_id=nexset["id"])


def _keep_waiting(world: World, sink: Doc, run_id: int, reason: str) -> None:
    """Leave the batch in place; the destination appears busy and delivers nothing."""
    sink["runtime_status"] = "PROCESSING"
    world.store.put("sinks", sink)
    records.log(world, sink, "SINK", run_id, f"Waiting for the table: {reason}", severity="WARNING")
