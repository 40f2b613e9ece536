"""What a run leaves behind: batches, discovered nexsets, samples, schemas, metrics, logs and quarantine."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from sandbox.engine import transforming
from sandbox.engine.connectors import Reading
from sandbox.engine.transforming import TransformError
from sandbox.state.store import Doc
from sandbox.state.world import World

SAMPLES_KEPT = 20
QUARANTINE_SHOWN = 100  # records of a run that the API can show; the file has them all
TYPES = {"data_sources": "SOURCE", "data_sets": "DATASET", "data_sinks": "SINK"}
API_TYPES = {label: name for name, label in TYPES.items()}
JSON_TYPES: dict[type, str] = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}


def log(world: World, doc: Doc, label: str, run_id: int, text: str, *, severity: str, kind: str = "LOG") -> None:
    """One line of the flow's log; ``label`` is SOURCE, DATASET or SINK."""
    entry = {
        "timestamp": int(world.clock.now() * 1000),
        "resource_id": doc["id"],
        "resource_type": label,
        "log": text,
        "log_type": kind,
        "severity": severity,
        "run_id": run_id,
        "origin_node_id": doc["origin_node_id"],
    }
    world.store.put("logs", entry)


def count(
    world: World,
    resource_type: str,
    number: int,
    run_id: int,
    records: int,
    size: int,
    *,
    errors: int = 0,
    data_set_id: int | None = None,
) -> None:
    """Add to the metrics row of a resource, run and nexset."""
    key: Doc = {
        "resource_type": resource_type,
        "resource_id": number,
        "run_id": run_id,
        "data_set_id": data_set_id or (number if resource_type == "data_sets" else 0),
    }
    rows = world.store.where("metrics", **key)
    row = rows[0] if rows else {**key, "records": 0, "size": 0, "errors": 0}
    row["records"] += records
    row["size"] += size
    row["errors"] += errors
    row["last_written"] = int(world.clock.now() * 1000)
    world.store.put("metrics", row)


def finish(
    world: World,
    doc: Doc,
    label: str,
    run_id: int,
    batch: Path,
    good: int,
    bad: int,
    *,
    data_set_id: int | None = None,
) -> None:
    """Metrics and the SUMMARY log line of one batch."""
    size = batch.stat().st_size if good and batch.exists() else 0
    count(world, API_TYPES[label], doc["id"], run_id, good, size, errors=bad, data_set_id=data_set_id)
    text = f"Processed records={good}, errors={bad}, size={size}"
    log(world, doc, label, run_id, text, severity="ERROR" if bad else "INFO", kind="SUMMARY")


def quarantine(world: World, doc: Doc, label: str, run_id: int, bad: list[Doc]) -> None:
    """Keep bad records in a file and say so in the log."""
    if not bad:
        return
    file = world.folder("quarantine") / f"{label.lower()}-{doc['id']}-{run_id}.jsonl"
    with file.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in bad)
    entry = {
        "resource_id": doc["id"],
        "label": label,
        "run_id": run_id,
        "file": str(file),
        "records": bad[:QUARANTINE_SHOWN],
    }
    world.store.put("quarantine", entry)
    first = bad[0]["error"]
    log(world, doc, label, run_id, f"{len(bad)} records in quarantine, first: {first}", severity="ERROR")
    notify(world, doc, label, f"{len(bad)} records in quarantine")


def notify(world: World, doc: Doc, label: str, message: str) -> None:
    """A notification of level ERROR for the resource's owner."""
    entry = {
        "owner_id": doc["owner_id"],
        "org_id": doc["org_id"],
        "level": "ERROR",
        "resource_id": doc["id"],
        "resource_type": label,
        "message_id": 0,
        "message": message,
        "read_at": None,
        "ts": int(world.clock.now()),
    }
    world.store.put("notifications", world.stamp(entry, new=True))


def add_batch(world: World, nexset: Doc, run_id: int, file: Path, records: int) -> None:
    """Append a batch to a nexset."""
    doc = {"data_set_id": nexset["id"], "run_id": run_id, "file": str(file), "records": records}
    world.store.put("batches", doc)


def store_reading(world: World, source: Doc, run_id: int, reading: Reading) -> None:
    """File what a source read under the nexset of that shape, which is created when it is new."""
    if reading.columns:
        nexset = _nexset_for(world, source, reading)
        _refresh_samples(world, source, nexset, run_id, reading.path)
        add_batch(world, nexset, run_id, reading.path, reading.records)
        finish(world, nexset, "DATASET", run_id, reading.path, reading.records, 0)
        number = nexset["id"]
    else:
        number = 0
    quarantine(world, source, "SOURCE", run_id, reading.rejects)
    bad = len(reading.rejects)
    finish(world, source, "SOURCE", run_id, reading.path, reading.records, bad, data_set_id=number)
    world.store.put("sources", source)


def _nexset_for(world: World, source: Doc, reading: Reading) -> Doc:
    detected = world.store.where("nexsets", data_source_id=source["id"])
    for nexset in detected:
        if set(nexset["columns"]) == set(reading.columns):
            return nexset
    number = world.store.new_id("nodes")
    nexset = {
        "name": f"{source['name']}, Schema #{len(detected) + 1}",
        "description": None,
        "status": source["status"],
        "owner_id": source["owner_id"],
        "org_id": source["org_id"],
        "data_source_id": source["id"],
        "parent_data_set_id": None,
        "columns": list(reading.columns),
        "samples": [],
        "tags": [],
        "flow_node_id": number,
        "parent_node_id": source["flow_node_id"],
        "origin_node_id": source["origin_node_id"],
    }
    world.store.put("nodes", {"id": number})
    return world.store.put("nexsets", world.stamp(nexset, new=True))


def _refresh_samples(world: World, source: Doc, nexset: Doc, run_id: int, file: Path) -> None:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number >= SAMPLES_KEPT:
                break
            metadata = {
                "sourceType": source["source_type"],
                "ingestTime": int(world.clock.now() * 1000),
                "sourceOffset": number,
                "resourceType": "SOURCE",
                "resourceId": source["id"],
                "runId": run_id,
            }
            nexset["samples"].insert(0, {"rawMessage": json.loads(line), "nexlaMetaData": metadata})
    nexset["samples"] = nexset["samples"][:SAMPLES_KEPT]
    nexset["source_schema"] = schema_of([sample["rawMessage"] for sample in nexset["samples"]])
    nexset["output_schema"] = nexset["source_schema"]
    world.store.put("nexsets", nexset)
    refresh_children(world, nexset)


def refresh_children(world: World, nexset: Doc) -> None:
    """Recompute samples and schema of everything derived from a nexset."""
    for child in world.store.where("nexsets", parent_data_set_id=nexset["id"]):
        refresh_derived(world, child)


def refresh_derived(world: World, nexset: Doc) -> None:
    """Run the parent's samples through the nexset's transform; a transform that cannot run changes nothing."""
    parent = world.store.get("nexsets", nexset["parent_data_set_id"])
    inputs = parent["samples"] if parent else []
    try:
        outcomes = transforming.apply_to_nexset(world.store, nexset, [sample["rawMessage"] for sample in inputs])
    except TransformError:
        return
    pairs = [
        {"input": sample, "rawMessage": record, "nexlaMetaData": sample["nexlaMetaData"]}
        for sample, (record, error) in zip(inputs, outcomes, strict=True)
        if error is None and isinstance(record, dict)
    ]
    nexset["samples"] = pairs
    if not nexset.get("schema_given"):  # one that was sent is kept
        nexset["output_schema"] = schema_of([pair["rawMessage"] for pair in pairs])
    world.store.put("nexsets", nexset)
    refresh_children(world, nexset)


def schema_of(records: list[Any]) -> Doc:
    """A JSON Schema that describes the records."""
    body = _object_schema([record for record in records if isinstance(record, dict)])
    return {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "$schema-id": zlib.crc32(json.dumps(body).encode()),
        **body,
    }


def _object_schema(records: list[Doc]) -> Doc:
    names = dict.fromkeys(key for record in records for key in record)
    properties: Doc = {}
    for name in names:
        values = [record[name] for record in records if record.get(name) is not None]
        nested = [value for value in values if isinstance(value, dict)]
        kinds = sorted({JSON_TYPES.get(type(value), "object") for value in values})
        if nested and len(nested) == len(values):
            properties[name] = _object_schema(nested)
        else:
            properties[name] = {"type": kinds[0] if len(kinds) == 1 else kinds or "null"}
    return {"type": "object", "properties": properties}


def past_run(
    world: World,
    doc: Doc,
    label: str,
    ago: float = 0,
    records: int = 0,
    errors: int = 0,
    logs: int | list[str] = 0,
    run_id: int = 0,
) -> int:
    """A run that was ``ago`` seconds before now, or has this id, as metrics row and log lines. Returns the run id."""
    run_id = run_id or int((world.clock.now() - ago) * 1000)
    key = {"resource_type": API_TYPES[label], "resource_id": doc["id"], "run_id": run_id}
    numbers = {"records": records, "size": records * 180, "errors": errors, "last_written": run_id + 4000}
    world.store.put("metrics", {**key, "data_set_id": doc["id"] if label == "DATASET" else 0, **numbers})
    texts = logs if isinstance(logs, list) else [f"Processed record {n}" for n in range(1, logs + 1)]
    origin = {"resource_id": doc["id"], "resource_type": label, "run_id": run_id}
    origin["origin_node_id"] = doc["origin_node_id"]
    for number, text in enumerate(texts):
        severity = "ERROR" if "failed" in text.lower() else "INFO"
        line = {"timestamp": run_id + number, "log": text, "log_type": "LOG", "severity": severity}
        world.store.put("logs", {**line, **origin})
    if logs:
        text = f"Processed records={records}, errors={errors}, size={records * 180}"
        line = {"timestamp": run_id + len(texts), "log": text, "log_type": "SUMMARY"}
        world.store.put("logs", {**line, "severity": "ERROR" if errors else "INFO", **origin})
    if label == "SOURCE":
        doc["last_run_id"] = max(doc.get("last_run_id") or 0, run_id)
        created = {"id": run_id, "created_at": world.clock.iso(run_id / 1000)}
        doc["run_ids"] = sorted([created, *doc.get("run_ids", [])], key=lambda run: run["id"], reverse=True)[:5]
        world.store.put("sources", doc)
    return run_id
