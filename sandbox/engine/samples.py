"""Samples and schemas of nexsets, recomputed when data or transforms change."""

from __future__ import annotations

import json
import zlib
from typing import Any

from sandbox.engine import transforming
from sandbox.engine.transforming import TransformError
from sandbox.state.store import Doc
from sandbox.state.world import World

JSON_TYPES: dict[type, str] = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}


def refresh_children(world: World, nexset: Doc) -> None:
    """Recompute samples and schema of everything that is derived from a nexset."""
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
    if not nexset.get("schema_given"):  # a schema that a client sent is kept
        nexset["output_schema"] = schema_of([pair["rawMessage"] for pair in pairs])
    world.store.put("nexsets", nexset)
    refresh_children(world, nexset)


def schema_of(records: list[Any]) -> Doc:
    """A JSON Schema that describes the records, with the ``$schema-id`` that the API's schemas have."""
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
        types = sorted({JSON_TYPES.get(type(value), "object") for value in values})
        if nested and len(nested) == len(values):
            properties[name] = _object_schema(nested)
        else:
            properties[name] = {"type": types[0] if len(types) == 1 else types or "null"}
    return {"type": "object", "properties": properties}
