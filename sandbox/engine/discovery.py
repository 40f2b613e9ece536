"""Discovery: what a source read is filed under the nexset with the same columns, which is created when it is new."""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.engine import records, samples
from sandbox.engine.json_lines import Reading
from sandbox.state.store import Doc
from sandbox.state.world import World

SAMPLES_KEPT = 20


def store_reading(world: World, source: Doc, run_id: int, reading: Reading) -> None:
    """Store one reading: batch, samples and metrics of its nexset, and the rejected rows in quarantine."""
    nexset_id = 0
    if reading.columns:
        nexset = _nexset_for(world, source, reading)
        _add_samples(world, source, nexset, run_id, reading.path)
        records.add_batch(world, nexset, run_id, reading.path, reading.records)
        records.summarize(world, nexset, "DATASET", run_id, reading.path, reading.records, 0)
        nexset_id = nexset["id"]
    records.quarantine(world, source, "SOURCE", run_id, reading.rejects)
    bad = len(reading.rejects)
    records.summarize(world, source, "SOURCE", run_id, reading.path, reading.records, bad, data_set_id=nexset_id)
    world.store.put("sources", source)


def _nexset_for(world: World, source: Doc, reading: Reading) -> Doc:
    detected = world.store.where("nexsets", data_source_id=source["id"])
    for nexset in detected:
        if set(nexset["columns"]) == set(reading.columns):
            return nexset
    node_id = world.store.new_id("nodes")
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
        "flow_node_id": node_id,
        "parent_node_id": source["flow_node_id"],
        "origin_node_id": source["origin_node_id"],
    }
    world.store.put("nodes", {"id": node_id})
    return world.store.put("nexsets", world.stamp(nexset, new=True))


def _add_samples(world: World, source: Doc, nexset: Doc, run_id: int, file: Path) -> None:
    """Put a batch's first records before the older samples, and bring schemas and derived nexsets up to date."""
    with file.open(encoding="utf-8") as lines:
        for offset, line in enumerate(lines):
            if offset >= SAMPLES_KEPT:
                break
            metadata = {
                "sourceType": source["source_type"],
                "ingestTime": int(world.clock.now() * 1000),
                "sourceOffset": offset,
                "resourceType": "SOURCE",
                "resourceId": source["id"],
                "runId": run_id,
            }
            nexset["samples"].insert(0, {"rawMessage": json.loads(line), "nexlaMetaData": metadata})
    nexset["samples"] = nexset["samples"][:SAMPLES_KEPT]
    nexset["source_schema"] = samples.schema_of([sample["rawMessage"] for sample in nexset["samples"]])
    nexset["output_schema"] = nexset["source_schema"]
    world.store.put("nexsets", nexset)
    samples.refresh_children(world, nexset)
