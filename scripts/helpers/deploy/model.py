"""The model of deploy_flow.py's config file.

``model.schema.json`` beside this file is its JSON Schema; a test keeps the two equal. It is stored so that printing the
schema, and refusing a file that violates it, need not load pydantic. What a schema cannot say, such as which names
belong together, is in ``config.contradictions``.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from helpers.core import config_file
from helpers.deploy.config import SEE_SCHEMA, LoadedConfig

_QUARTZ = r"^[0-9*?/,-]+( +[0-9A-Za-z*?/,#-]+){5,6}$"  # seconds first; Nexla does not check it, and never fires

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
    """A credential to create when none of this name and type exists. Secrets come in as ``${VAR}``."""

    name: Name
    credentials_type: Name
    credentials: dict[str, Any] | None = None
    description: Text | None = None
    vendor_id: int | None = None
    auth_template_id: int | None = None
    template_config: dict[str, Any] | None = None


class Source(_Strict):
    """What is read."""

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
    """Which of the nexsets that Nexla detects in the source is meant; needed only when there are several."""

    name: Name | None = None
    fields: list[Name] | None = Field(default=None, description="fields that the nexset's schema must have")


class DerivedNexset(_Strict):
    """A nexset made from another one by a transform."""

    name: Name
    parent: Name | None = Field(default=None, description="name of an earlier entry; default: the entry before")
    transform: list[dict[str, Any]] | dict[str, Any] | None = Field(
        default=None, description="inline: Jolt operations, or {version, data_maps, transforms}"
    )
    transform_id: Id | None = Field(default=None, description="id of a reusable transform")
    transform_name: Name | None = Field(default=None, description="exact name of a reusable transform")
    description: Text | None = None
    tags: list[Name] = Field(default_factory=list)


class Destination(_Strict):
    """Where a nexset is delivered."""

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
    """What the first run must show at each new destination."""

    min_records: Annotated[int, Field(ge=0)] = 1
    max_errors: Annotated[int, Field(ge=0)] = 0


class FlowConfig(_Strict):
    """A flow: source, nexsets derived from what it reads, destinations."""

    credential_id: Id | None = Field(default=None, description="for the source and destinations that name no other")
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
        return self.destinations or ([self.destination] if self.destination else [])

    def source_settings(self) -> dict[str, Any]:
        """source_config with the schedule where Nexla keeps it."""
        return {**self.source.source_config, **({"start.cron": self.schedule} if self.schedule else {})}


def parse(config: LoadedConfig) -> FlowConfig:
    """The model of a loaded config.

    Raises:
        OperatorError: USAGE, for what the stored schema lets pass and the model does not.
    """
    try:
        return FlowConfig.model_validate(config.values)
    except ValidationError as error:
        found = [_problem(entry["loc"], entry["msg"]) for entry in error.errors(include_input=False, include_url=False)]
        raise config_file.refused(config.path, found, SEE_SCHEMA) from None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in location if part not in ("constrained-str", "constrained-int"))
    return f"{where}: {message}" if where else message


def schema_text() -> str:
    """The JSON Schema of the config, as stored in model.schema.json."""
    return json.dumps(FlowConfig.model_json_schema(), indent=2) + "\n"
