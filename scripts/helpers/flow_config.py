"""The config file of deploy_flow.py: its model, ``${VAR}`` substitution, and errors that name the key.

``flow_config.schema.json`` beside this file is the model's JSON Schema; a test keeps the two equal. It is stored so
that ``--print-schema`` does not have to load pydantic.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from . import redact
from .errors import OperatorError, usage

SEE_SCHEMA = "see python scripts/deploy_flow.py --print-schema; nothing was sent"
SCHEMA_FILE = Path(__file__).with_name("flow_config.schema.json")
_QUARTZ = r"^[0-9*?/,-]+( +[0-9A-Za-z*?/,#-]+){5,6}$"  # seconds first; Nexla does not check it, and never fires
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Cron = Annotated[str, StringConstraints(strip_whitespace=True, pattern=_QUARTZ)]
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

    @model_validator(mode="after")
    def _one_way(self) -> DetectedNexset:
        if (self.name is None) == (self.fields is None):
            raise ValueError("give either name or fields")
        return self


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

    @model_validator(mode="after")
    def _one_transform(self) -> DerivedNexset:
        if [self.transform, self.transform_id, self.transform_name].count(None) != 2:
            raise ValueError("give exactly one of transform, transform_id, transform_name")
        return self


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
    schedule: Cron | None = Field(default=None, description="Quartz cron with seconds, e.g. 0 0 6 * * ?")
    tags: list[Name] = Field(default_factory=list, description="added to every resource of the flow")
    project: Name | Id | None = Field(default=None, description="name or id of an existing project")
    verify: Verify = Field(default_factory=Verify)

    @model_validator(mode="after")
    def _consistent(self) -> FlowConfig:
        if self.destination and self.destinations:
            raise ValueError("give destination or destinations, not both")
        if not self.all_destinations:
            raise ValueError("a flow needs a destination")
        for what, names in (
            ("nexsets", [nexset.name for nexset in self.nexsets]),
            ("destinations", [sink.name for sink in self.all_destinations]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} have the same name: {', '.join(twice)}")
        self._check_references()
        return self

    def _check_references(self) -> None:
        earlier: list[str] = []
        for nexset in self.nexsets:
            if nexset.parent is not None and nexset.parent not in earlier:
                raise ValueError(f"nexset {nexset.name!r}: parent {nexset.parent!r} is not an earlier entry")
            earlier.append(nexset.name)
        for sink in self.all_destinations:
            if sink.nexset is not None and sink.nexset not in earlier:
                raise ValueError(f"destination {sink.name!r}: nexset {sink.nexset!r} is not in nexsets")
            if sink.data_credentials_id is None and sink.credential is None and self.credential_id is None:
                raise ValueError(f"destination {sink.name!r} has no credential")

    @property
    def all_destinations(self) -> list[Destination]:
        return self.destinations or ([self.destination] if self.destination else [])

    def source_settings(self) -> dict[str, Any]:
        """source_config with the schedule where Nexla keeps it."""
        return {**self.source.source_config, **({"start.cron": self.schedule} if self.schedule else {})}


def load(path: str, environ: Mapping[str, str] | None = None, *, need_secrets: bool = True) -> tuple[FlowConfig, str]:
    """Read, fill in ``${VAR}`` and check a config file (``-`` is standard input).

    Args:
        need_secrets: whether variables inside ``credentials`` must be set; a teardown does without them.

    Returns:
        The config, and a digest of the file as written.

    Raises:
        OperatorError: USAGE, naming the file and the key.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        raw = json.loads(text, object_pairs_hook=_no_twins)
    except OSError as error:
        raise usage(f"cannot read the config {path}: {error.strerror}") from error
    except ValueError as error:
        raise usage(
            f"{path} is not the JSON of a config: {error}", "see python scripts/deploy_flow.py --print-schema"
        ) from error
    if not isinstance(raw, dict):
        raise usage(f"{path} must hold one JSON object", SEE_SCHEMA)
    missing: list[str] = []
    filled = _fill(raw, os.environ if environ is None else environ, missing, need_secrets=need_secrets)
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        raise usage(f"{path} uses variables that are not set: {names}", "export them and run again")
    _remember_secrets(filled)
    try:
        return FlowConfig.model_validate(filled), hashlib.sha256(text.encode()).hexdigest()[:12]
    except ValidationError as error:
        problems = [_problem(dict(entry)) for entry in error.errors(include_input=False, include_url=False)]
        raise _refused(path, problems) from None


def _refused(path: str, problems: list[str]) -> OperatorError:
    more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
    message = f"{path}: " + "; ".join(problems[:5]) + more
    return usage(message, SEE_SCHEMA)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the key {twice[0]!r} stands twice in one object")
    return dict(pairs)


def _fill(value: Any, environ: Mapping[str, str], missing: list[str], *, need_secrets: bool) -> Any:
    """``${VAR}`` in every text replaced from the environment; the values count as secret from then on."""
    if isinstance(value, dict):
        return {
            key: item
            if not need_secrets and key in ("credentials", "template_config")
            else _fill(item, environ, missing, need_secrets=need_secrets)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_fill(item, environ, missing, need_secrets=need_secrets) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if match[1] not in environ:
            missing.append(match[1])
            return match[0]
        redact.remember(environ[match[1]])
        return environ[match[1]]

    return _VARIABLE.sub(replace, value)


def _remember_secrets(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("credentials", "template_config") or redact.is_secret_key(str(key)):
                redact.remember_tree(item)
            else:
                _remember_secrets(item)
    elif isinstance(value, list):
        for item in value:
            _remember_secrets(item)
    elif isinstance(value, str):
        redact.remember_inline(value)


def _problem(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"] if part not in ("constrained-str", "constrained-int"))
    if error["type"] != "extra_forbidden":
        text = str(error["msg"]).removeprefix("Value error, ")
        return f"{where}: {text}" if where else text
    known = _fields_at(error["loc"][:-1])
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    return f"unknown key {where!r}" + (f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")


def _fields_at(location: tuple[Any, ...]) -> list[str]:
    model: Any = FlowConfig
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def schema_text() -> str:
    """The JSON Schema of the config, as stored in flow_config.schema.json."""
    return json.dumps(FlowConfig.model_json_schema(), indent=2) + "\n"
