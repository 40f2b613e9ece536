"""Loading the config file of deploy_flow.py. Cheap to import: only the job builds the model, which needs pydantic."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from helpers.core import config_file
from helpers.core.commands import command_line

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
        need_secrets: whether variables inside ``credentials`` must be set; a teardown does not need them.

    Raises:
        OperatorError: USAGE, naming the file and the key.
    """
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    values, digest = config_file.read(path, schema, SEE_SCHEMA, environ, need_secrets=need_secrets)
    if found := list(contradictions(values)):
        raise config_file.invalid_config(path, found, SEE_SCHEMA)
    return LoadedConfig(path, values, digest)


def contradictions(config: dict[str, Any]) -> Iterator[str]:
    """Inconsistencies between the parts of a config that matches the schema, one line each."""
    nexset, nexsets = config.get("nexset"), config.get("nexsets", [])
    if nexset is not None and (nexset.get("name") is None) == (nexset.get("fields") is None):
        yield "nexset: set either name or fields"
    for index, derived in enumerate(nexsets):
        if [derived.get(key) for key in TRANSFORM_KEYS].count(None) != len(TRANSFORM_KEYS) - 1:
            yield f"nexsets.{index}: set exactly one of {', '.join(TRANSFORM_KEYS)}"
    single, several = config.get("destination"), config.get("destinations", [])
    if single and several:
        yield "set either destination or destinations, not both"
    sinks = several or ([single] if single else [])
    if not sinks:
        yield "a flow needs a destination"
    for what, rows in (("nexsets", nexsets), ("destinations", sinks)):
        names = [row["name"].strip() for row in rows]
        if duplicates := sorted({name for name in names if names.count(name) > 1}):
            yield f"{what} have the same name: {', '.join(duplicates)}"
    yield from _dangling_references(nexsets, sinks, config.get("credential_id"))


def _dangling_references(
    nexsets: list[dict[str, Any]], sinks: list[dict[str, Any]], credential_id: int | None
) -> Iterator[str]:
    """References to entries or credentials that do not exist, one line each."""
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
        if (sink.get("data_credentials_id"), sink.get("credential"), credential_id) == (None, None, None):
            yield f"destination {name!r} has no credential"
