"""Loading the config file of deploy_flow.py. Cheap to import: only the job builds the model, which needs pydantic."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from helpers.core import config_file
from helpers.core.commands import command_line
from helpers.core.names import nfc

SEE_SCHEMA = f"see {command_line('deploy_flow', '--print-schema')}; nothing was sent"
TRANSFORM_KEYS = ("transform", "transform_id", "transform_name")
SCHEMA_FILE = Path(__file__).with_name("model.schema.json")


class LoadedConfig(NamedTuple):
    """A config that matches the schema and is consistent.

    Attributes:
        path: the file; ``-`` for standard input.
        values: the content of the file, with every ``${VAR}`` expanded.
        digest: the digest of the file before expansion.
    """

    path: str
    values: dict[str, Any]
    digest: str


def load(path: str, environ: Mapping[str, str] | None = None, *, need_secrets: bool = True) -> LoadedConfig:
    """Read a config file, expand ``${VAR}`` and validate the result.

    Args:
        path: the file; ``-`` reads standard input.
        environ: where variables are looked up; default ``os.environ``.
        need_secrets: whether credentials, and the variables inside them, must be set; a teardown needs neither.

    Raises:
        OperatorError: USAGE, naming the file and the key.
    """
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    values, digest = config_file.read(path, schema, SEE_SCHEMA, environ, need_secrets=need_secrets)
    if found := list(contradictions(values, need_credentials=need_secrets)):
        raise config_file.invalid_config(path, found, SEE_SCHEMA)
    return LoadedConfig(path, values, digest)


def contradictions(config: dict[str, Any], *, need_credentials: bool = True) -> Iterator[str]:
    """Inconsistencies between the parts of a config, one line each.

    Args:
        config: passes ``config_file.problems``.
        need_credentials: whether every destination must have a credential; a teardown does not need one.
    """
    yield from structure(config)
    yield from references(config, need_credentials=need_credentials)


def destinations(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The destinations, whether the config has one or several."""
    single = config.get("destination")
    return config.get("destinations") or ([single] if single else [])


def structure(config: dict[str, Any]) -> Iterator[str]:
    """Keys that exclude or require each other, one line per violation. The JSON Schema has the same rules."""
    nexset, nexsets, sinks = config.get("nexset"), config.get("nexsets", []), destinations(config)
    if nexset is not None and (nexset.get("name") is None) == (nexset.get("fields") is None):
        yield "nexset: set either name or fields"
    for index, derived in enumerate(nexsets):
        if [derived.get(key) for key in TRANSFORM_KEYS].count(None) != len(TRANSFORM_KEYS) - 1:
            yield f"nexsets.{index}: set exactly one of {', '.join(TRANSFORM_KEYS)}"
    if config.get("destination") is not None and config.get("destinations"):
        yield "set either destination or destinations, not both"
    for what, entry in [("source", config.get("source") or {}), *((f"destination {s['name']!r}", s) for s in sinks)]:
        if None not in (entry.get("credential"), entry.get("data_credentials_id")):
            yield f"{what}: set either credential or data_credentials_id, not both"
    for sink in sinks:
        if None not in (sink.get("nexset"), sink.get("data_set_id")):
            yield f"destination {sink['name']!r}: set either nexset or data_set_id, not both"
    if config.get("source") is None:
        yield from _without_source(config, sinks)


def _without_source(config: dict[str, Any], sinks: list[dict[str, Any]]) -> Iterator[str]:
    if not sinks:
        yield "source: is missing (or set a destination with data_set_id, to add it to an existing nexset)"
    for sink in sinks:
        if sink.get("data_set_id") is None:
            yield f"destination {sink['name']!r}: without a source, data_set_id must name an existing nexset"
    for key in ("nexset", "nexsets", "schedule", "project"):
        if config.get(key) not in (None, []):
            yield f"{key}: needs a source"


def references(config: dict[str, Any], *, need_credentials: bool = True) -> Iterator[str]:
    """What no JSON Schema can express: repeated names and dangling references, one line each."""
    nexsets, sinks = config.get("nexsets", []), destinations(config)
    yield from _repeated("nexsets have the same name", [row["name"].strip() for row in nexsets])
    keys = ["name", "sink_type"] if config.get("source") else ["name", "sink_type", "data_set_id"]
    shown = [", ".join(str(row.get(key)).strip() for key in keys) for row in sinks]
    yield from _repeated(f"destinations have the same {' and '.join(keys)}", shown)
    earlier: list[str] = []
    for nexset in nexsets:
        name, parent = nexset["name"].strip(), nexset.get("parent")
        if parent is not None and parent.strip() not in earlier:
            yield f"nexset {name!r}: parent {parent.strip()!r} is not an earlier entry"
        earlier.append(name)
    for sink in sinks:
        name, nexset_name = sink["name"].strip(), sink.get("nexset")
        if nexset_name is not None and nexset_name.strip() not in earlier:
            yield f"destination {name!r}: nexset {nexset_name.strip()!r} is not in nexsets"
        own = (sink.get("data_credentials_id"), sink.get("credential"), config.get("credential_id"))
        if need_credentials and own == (None, None, None):
            yield f"destination {name!r} has no credential"


def _repeated(what: str, rows: list[str]) -> Iterator[str]:
    names = [nfc(row) for row in rows]
    if found := sorted({name for name in names if names.count(name) > 1}):
        yield f"{what}: {'; '.join(found)}"
