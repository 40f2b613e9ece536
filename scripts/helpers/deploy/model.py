"""The model of deploy_flow.py's config file.

``model.schema.json`` beside this file is its JSON Schema; a test keeps the two equal. The schema is stored so that
printing it, and rejecting a file that violates it, works without pydantic. ``config.structure`` words the rules about
keys that exclude or require each other, which the schema has under ``not``, ``oneOf`` and ``if``; ``config.references``
checks what a schema cannot express, such as references between entries.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError

from helpers.core import config_file
from helpers.deploy.config import SEE_SCHEMA, TRANSFORM_KEYS, LoadedConfig

_QUARTZ = r"^\s*[0-9*?/,-]+( +[0-9A-Za-z*?/,#-]+){5,6}\s*$"  # seconds first; Nexla does not validate it

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"\S")]
Cron = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=_QUARTZ),
    Field(description="a Quartz cron with seconds, e.g. 0 0 6 * * ?"),
]
Id = Annotated[int, Field(gt=0, strict=True)]
Text = Annotated[str, StringConstraints(max_length=255)]


Schema = dict[str, Any]


def _has(**types: str) -> Schema:
    """A schema: these keys are there and have these types, so they are not null."""
    return {"required": list(types), "properties": {key: {"type": kind} for key, kind in types.items()}}


def _not_both(**types: str) -> Schema:
    return {"not": _has(**types)}


ONE_CREDENTIAL = _not_both(credential="object", data_credentials_id="integer")
ON_NEXSET = _has(data_set_id="integer")  # a destination of a nexset that exists already
DESTINATION_ONLY: Schema = {  # what a config without a source must have and cannot have
    "anyOf": [
        {"required": ["destination"], "properties": {"destination": {"type": "object"}}},
        {"required": ["destinations"], "properties": {"destinations": {"minItems": 1}}},
    ],
    "properties": {
        "destination": {"if": {"type": "object"}, "then": ON_NEXSET},
        "destinations": {"items": ON_NEXSET},
        "nexset": {"type": "null"},
        "nexsets": {"maxItems": 0},
        "schedule": {"type": "null"},
        "project": {"type": "null"},
    },
}
STRUCTURE: list[Any] = [
    {
        "not": {
            "required": ["destination", "destinations"],
            "properties": {"destination": {"type": "object"}, "destinations": {"minItems": 1}},
        }
    },
    {"if": {"not": _has(source="object")}, "then": DESTINATION_ONLY},
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Credential(_Strict):
    """A credential that is created unless one with this name and type exists. Pass secrets as ``${VAR}``."""

    name: Name
    credentials_type: Name
    credentials: dict[str, Any] | None = None
    description: Text | None = None
    vendor_id: int | None = None
    auth_template_id: int | None = None
    template_config: dict[str, Any] | None = None


class Source(_Strict):
    """Where the flow reads its data."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"allOf": [ONE_CREDENTIAL]})

    name: Name
    source_type: Name
    data_credentials_id: Id | None = None
    credential: Credential | None = None
    source_config: dict[str, Any] = Field(default_factory=dict)
    description: Text | None = None
    tags: list[Name] = Field(default_factory=list)
    ingest_method: str | None = None
    vendor_endpoint_id: int | None = None
    template_config: dict[str, Any] | None = None


class DetectedNexset(_Strict):
    """Selects one of the nexsets that Nexla detects in the source; needed only when there are several."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"oneOf": [_has(name="string"), _has(fields="array")]})

    name: Name | None = None
    fields: list[Name] | None = Field(default=None, description="fields that the nexset's schema must have")


class DerivedNexset(_Strict):
    """A nexset that a transform derives from another nexset."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": [key], "properties": {key: {"not": {"type": "null"}}}} for key in TRANSFORM_KEYS]
        },
    )

    name: Name
    parent: Name | None = Field(default=None, description="name of an earlier entry; default: the previous entry")
    transform: list[dict[str, Any]] | dict[str, Any] | None = Field(
        default=None, description="inline: Jolt operations, or {version, data_maps, transforms}"
    )
    transform_id: Id | None = Field(default=None, description="id of a reusable transform")
    transform_name: Name | None = Field(default=None, description="exact name of a reusable transform")
    description: Text | None = None
    tags: list[Name] = Field(default_factory=list)


class Destination(_Strict):
    """Where a nexset is delivered. Within its flow, the name and the type together identify it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"allOf": [ONE_CREDENTIAL, _not_both(nexset="string", data_set_id="integer")]},
    )

    name: Name
    sink_type: Name
    data_credentials_id: Id | None = None
    credential: Credential | None = None
    nexset: Name | None = Field(default=None, description="name of an entry in nexsets; default: the last one")
    data_set_id: Id | None = Field(
        default=None, description="id of an existing nexset: of this flow, or, without a source, of any flow"
    )
    sink_config: dict[str, Any] = Field(default_factory=dict)
    description: Text | None = None
    tags: list[Name] = Field(default_factory=list)
    vendor_endpoint_id: int | None = None
    template_config: dict[str, Any] | None = None
    _key: str = PrivateAttr(default="")

    @property
    def key(self) -> str:
        """What identifies the destination within its config: its name, with its type if another has that name."""
        return self._key or self.name

    def use_key(self, key: str) -> None:
        """Set the key, which the config knows."""
        self._key = key


class Verify(_Strict):
    """What the first run must deliver to each new destination."""

    min_records: Annotated[int, Field(ge=0)] = 1
    max_errors: Annotated[int, Field(ge=0)] = 0


class FlowConfig(_Strict):
    """A flow: its source, the nexsets derived from the source's data, and its destinations.

    Without a source: destinations of nexsets that exist already, each given by ``data_set_id``.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"allOf": [*STRUCTURE]})

    credential_id: Id | None = Field(
        default=None, description="credential of every source and destination without its own"
    )
    source: Source | None = None
    nexset: DetectedNexset | None = None
    nexsets: list[DerivedNexset] = Field(default_factory=list)
    destination: Destination | None = None
    destinations: list[Destination] = Field(default_factory=list)
    schedule: Cron | None = None
    tags: list[Name] = Field(default_factory=list, description="added to every resource of the flow")
    project: Name | Id | None = Field(default=None, description="name or id of an existing project")
    connector_types: list[Name] = Field(
        default_factory=list, description="connector types of your Nexla beyond the published ones"
    )
    verify: Verify = Field(default_factory=Verify)

    @property
    def flow_source(self) -> Source:
        """The source of a config that has one."""
        assert self.source is not None, "a config without a source has no flow of its own"
        return self.source

    @property
    def all_destinations(self) -> list[Destination]:
        """The destinations, whether the config has one or several."""
        return self.destinations or ([self.destination] if self.destination else [])

    @property
    def nexset_parents(self) -> dict[str, str | None]:
        """The name of the nexset above each derived one, in their order; None for the detected nexset."""
        names = [nexset.name for nexset in self.nexsets]
        return {
            nexset.name: nexset.parent or above for nexset, above in zip(self.nexsets, [None, *names], strict=False)
        }

    def source_settings(self) -> dict[str, Any]:
        """``source_config`` with the schedule in ``start.cron``, where Nexla keeps it."""
        return {**self.flow_source.source_config, **({"start.cron": self.schedule} if self.schedule else {})}


def parse(config: LoadedConfig) -> FlowConfig:
    """Build the model of a loaded config.

    Raises:
        OperatorError: USAGE, for anything that the stored schema accepts but the model does not.
    """
    try:
        parsed = FlowConfig.model_validate(config.values)
    except ValidationError as error:
        found = [_problem(entry["loc"], entry["msg"]) for entry in error.errors(include_input=False, include_url=False)]
        raise config_file.invalid_config(config.path, found, SEE_SCHEMA) from None
    _assign_keys(parsed.all_destinations)
    return parsed


def _assign_keys(entries: list[Destination]) -> None:
    """Give every destination a key that no other has, and that is not the key of the source."""
    taken = {"source"}
    for entry in entries:
        types = [other.sink_type for other in entries if other.name == entry.name]
        key = entry.name if len(types) == 1 else f"{entry.name} ({entry.sink_type})"
        if types.count(entry.sink_type) > 1:
            key = f"{entry.name} ({entry.sink_type}, nexset {entry.data_set_id})"
        while key in taken:
            key += "'"
        taken.add(key)
        entry.use_key(key)


def _problem(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in location if part not in ("constrained-str", "constrained-int"))
    return f"{where}: {message}" if where else message


def schema_text() -> str:
    """The JSON Schema of the config, as stored in model.schema.json."""
    return json.dumps(FlowConfig.model_json_schema(), indent=2) + "\n"
