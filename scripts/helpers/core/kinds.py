"""The kinds of resources: names, aliases and paths. Cheap to import, so that a wrong name is rejected at once."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

from helpers.core.errors import usage
from helpers.core.nearest import did_you_mean

Row = dict[str, Any]


class Kind(NamedTuple):
    """One kind of resource.

    Attributes:
        name: the canonical name, as flags and output use it.
        path: path of the list endpoint, below the API URL.
        api_type: the API's name for it in ``/{resource_type}/{id}/…`` paths.
        singular: the singular, for messages.
        aliases: every other name that users or the API use for it.
        filters: query parameters that the list endpoint supports.
        statuses: the values of ``status`` in the API's contract; empty for a kind whose rows have none.
    """

    name: str
    path: str
    api_type: str
    singular: str
    aliases: tuple[str, ...]
    filters: frozenset[str] = frozenset()
    statuses: tuple[str, ...] = ()


class ResourceRef(NamedTuple):
    """A resource by its kind and id. An id is never passed on without its kind; ``name`` is None when unknown."""

    kind: str
    id: int
    name: str | None = None

    @property
    def label(self) -> str:
        """The resource in messages: ``destination 12 'orders warehouse'``."""
        return f"{KINDS[self.kind].singular} {self.id} {self.name!r}"


_LIST = frozenset({"name", "status", "access_role"})
_STATUSES = ("INIT", "PAUSED", "ACTIVE")  # the SDK lists more, which the server never stores
_ORIGIN_STATUSES = (*_STATUSES, "RATE_LIMITED")
_USER_STATUSES = ("ACTIVE", "DEACTIVATED", "SOURCE_COUNT_CAPPED", "SOURCE_DATA_CAPPED", "TRIAL_EXPIRED")
_TASK_STATUSES = ("pending", "running", "completed", "failed", "cancelled")
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("sources", "/data_sources", "data_sources", "source", ("source", "data_source"), _LIST | {"tags"},
             _ORIGIN_STATUSES),
        Kind("nexsets", "/data_sets", "data_sets", "nexset", ("nexset", "data_set", "dataset", "datasets"), _LIST,
             _STATUSES),
        Kind("destinations", "/data_sinks", "data_sinks", "destination", ("destination", "sink", "sinks", "data_sink"),
             _LIST, _STATUSES),
        Kind("flows", "/flows", "flows", "flow", ("flow", "data_flow", "data_flows"), frozenset({"access_role"}),
             _ORIGIN_STATUSES),
        Kind("credentials", "/data_credentials", "data_credentials", "credential",
             ("credential", "creds", "data_credential"), frozenset({"name", "access_role"})),
        Kind("transforms", "/transforms", "transforms", "transform", ("transform", "record_transforms")),
        Kind("attribute_transforms", "/attribute_transforms", "attribute_transforms", "attribute transform",
             ("attribute_transform",)),
        Kind("lookups", "/data_maps", "data_maps", "lookup", ("lookup", "data_map"), frozenset({"access_role"})),
        Kind("projects", "/projects", "projects", "project", ("project",), frozenset({"access_role", "expand"})),
        Kind("teams", "/teams", "teams", "team", ("team",), frozenset({"access_role"})),
        Kind("users", "/users", "users", "user", ("user",), statuses=_USER_STATUSES),
        Kind("notifications", "/notifications", "notifications", "notification", ("notification",)),
        Kind("async_tasks", "/async_tasks", "async_tasks", "async task", ("async_task", "tasks", "task"),
             statuses=_TASK_STATUSES),
        Kind("code_containers", "/code_containers", "code_containers", "code container", ("code_container",)),
    )
}  # fmt: skip
_BY_ALIAS = {alias: kind for kind in KINDS.values() for alias in (kind.name, kind.api_type, *kind.aliases)}


def kind_of(name: str) -> Kind:
    """The kind with this name or alias; singular, plural, Nexla's and the API's names all work.

    Raises:
        OperatorError: USAGE, with the closest name, when the name is unknown.
    """
    alias = name.strip().lower().replace("-", "_").replace(" ", "_")
    if alias not in _BY_ALIAS:
        raise usage(f"unknown resource type {name!r}", f"{did_you_mean(alias, _BY_ALIAS)}known: {', '.join(KINDS)}")
    return _BY_ALIAS[alias]


def checked_id(value: Any, what: str = "id") -> int:
    """The value as a positive integer. Nothing else may end up in a path: ``DELETE /data_sources/`` is a real route.

    Args:
        what: what the value is, for the message.

    Raises:
        OperatorError: USAGE, when the value is not a positive integer.
    """
    if isinstance(value, bool) or not str(value).strip().isascii() or not str(value).strip().isdigit():
        raise usage(f"{what} must be a positive number, not {value!r}")
    resource_id = int(str(value).strip())
    if resource_id <= 0:
        raise usage(f"{what} must be a positive number, not {value!r}")
    return resource_id


def item_path(kind: Kind, resource_id: Any, *rest: str) -> str:
    """The path of one resource, or of the subresource that ``rest`` names.

    Raises:
        OperatorError: USAGE, when the id is not a positive integer.
    """
    checked = checked_id(resource_id, f"{kind.singular} id")
    return "/".join((kind.path, str(checked), *(quote(part, safe="") for part in rest)))
