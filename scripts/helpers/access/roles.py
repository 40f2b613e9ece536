"""Roles, accessor types, and the kinds of resources that have access rules.

Source: the public API description.
"""

from __future__ import annotations

from helpers.core.errors import usage
from helpers.core.kinds import KINDS, Kind, kind_of

ROLES = ("collaborator", "operator", "admin", "owner")  # weakest first
SHARER = "sharer"  # nexsets only; unranked
ROLE_NAMES = (*ROLES, SHARER)
ACCESSOR_TYPES = ("USER", "TEAM", "ORG")
IDENTIFIERS = {"USER": ("id", "email"), "TEAM": ("id", "name"), "ORG": ("id", "domain")}
# Nothing but their access concerns the scripts, so they are no kinds of the other commands.
ACCESS_ONLY = {
    kind.name: kind
    for kind in (
        Kind("data_schemas", "/data_schemas", "data_schemas", "data schema", ("data_schema", "schemas", "schema")),
        Kind("doc_containers", "/doc_containers", "doc_containers", "doc container", ("doc_container", "docs")),
    )
}
UNLISTED = ("doc_containers",)  # the API has neither a list nor an item of them, only their rules and their log
SHARED = ("sources", "nexsets", "destinations", "credentials", "flows", "projects", "teams", "code_containers",
          "lookups", *ACCESS_ONLY)  # fmt: skip
CONTAINERS = ("transforms", "attribute_transforms")  # their rules belong to the code container
_ONLY_BY_ALIAS = {alias: kind for kind in ACCESS_ONLY.values() for alias in (kind.name, *kind.aliases)}


def resource_kind(name: str) -> Kind:
    """The kind with this name or alias, also of the resources that only access commands know.

    Raises:
        OperatorError: USAGE, for an unknown name.
    """
    alias = name.strip().lower().replace("-", "_").replace(" ", "_")
    return _ONLY_BY_ALIAS.get(alias) or kind_of(name)


def access_kind(name: str) -> Kind:
    """The kind that holds the access rules of a resource type.

    Raises:
        OperatorError: USAGE, for a type without access rules.
    """
    kind = resource_kind(name)
    if kind.name in CONTAINERS:
        return KINDS["code_containers"]
    if kind.name not in SHARED:
        raise usage(f"{kind.name} have no access rules", f"known: {', '.join(SHARED)}")
    return kind
