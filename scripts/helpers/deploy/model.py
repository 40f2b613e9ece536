"""The model of deploy_flow.py's config file.

``model.schema.json`` beside this file is its JSON Schema; a test keeps the two equal. The schema is stored so that
printing it, and rejecting a file that violates it, works without pydantic. ``config.contradictions`` checks what a
schema cannot express, such as references between entries.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from helpers.core import config_file
from helpers.deploy.config import SEE_SCHEMA, LoadedConfig

_QUARTZ = r"^[0-9*?/,-]+( +[0-9A-Za-z*?/,#-]+){5,6}$"  # seconds first; Nexla does not validate it

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Cron = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=_QUARTZ),
    Field(description="a Quartz cron with seconds, e.g. 0 0 6 * * ?"),
]
Id = Annotated[int, Field(gt=0, strict=True)]
Text = Annotated[str, StringConstraints(max_length=255)]


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

    name: Name | None = None
    fields: list[Name] | None = Field(default=None, description="fields that the nexset's schema must have")


class DerivedNexset(_Strict):
    """A nexset that a transform derives from another nexset."""

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
    """Where the flow delivers a nexset."""

    name: Name
    sink_type: Name
    data_credentials_id: Id | None = None
    credential: Credential | None = None
    nexset: Name | None = Field(default=None, description="name of an entry in nexsets; default: the last one")
    data_set_id: Id | None = Field(default=None, description="only for an existing flow: the nexset's id")
    sink_config: dict[str, Any] = Field(default_factory=dict)
    description: Text | None = None
    tags: list[Name] = Field(default_factory=list)
    vendor_endpoint_id: int | None = None
    template_config: dict[str, Any] | None = None


class Verify(_Strict):
    """What the first run must deliver to each new destination."""

    min_records: Annotated[int, Field(ge=0)] = 1
    max_errors: Annotated[int, Field(ge=0)] = 0


class FlowConfig(_Strict):
    """A flow: its source, the nexsets derived from the source's data, and its destinations."""

    credential_id: Id | None = Field(
        default=None, description="credential of every source and destination without its own"
    )
    source: Source
    nexset: DetectedNexset | None = None
    nexsets: list[DerivedNexset] = Field(default_factory=list)
    destination: Destination | None = None
    destinations: list[Destination] = Field(default_factory=list)
    schedule: Cron | None = None
    tags: list[Name] = Field(default_factory=list, description="added to every resource of the flow")
    project: Name | Id | None = Field(default=None, description="name or id of an existing project")
    verify: Verify = Field(default_factory=Verify)

    @property
    def all_destinations(self) -> list[Destination]:
        """The destinations, whether the config has one or several."""
        return self.destinations or ([self.destination] if self.destination else [])

    def source_settings(self) -> dict[str, Any]:
        """``source_config`` with the schedule in ``start.cron``, where Nexla keeps it."""
        return {**self.source.source_config, **({"start.cron": self.schedule} if self.schedule else {})}


def parse(config: LoadedConfig) -> FlowConfig:
    """Build the model of a loaded config.

    Raises:
        OperatorError: USAGE, for anything that the stored schema accepts but the model does not.
    """
    try:
        return FlowConfig.model_validate(config.values)
    except ValidationError as error:
        found = [_problem(entry["loc"], entry["msg"]) for entry in error.errors(include_input=False, include_url=False)]
        raise config_file.invalid_config(config.path, found, SEE_SCHEMA) from None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in location if part not in ("constrained-str", "constrained-int"))
    return f"{where}: {message}" if where else message


def schema_text() -> str:
    """The JSON Schema of the config, as stored in model.schema.json."""
    return json.dumps(FlowConfig.model_json_schema(), indent=2) + "\n"
