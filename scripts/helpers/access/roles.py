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
SHARED = ("sources", "nexsets", "destinations", "credentials", "flows", "projects", "teams", "code_containers")
CONTAINERS = ("transforms", "attribute_transforms")  # their rules belong to the code container


def access_kind(name: str) -> Kind:
    """The kind that holds the access rules of a resource type.

    Raises:
        OperatorError: USAGE, for a type without access rules.
    """
    kind = kind_of(name)
    if kind.name in CONTAINERS:
        return KINDS["code_containers"]
    if kind.name not in SHARED:
        raise usage(f"{kind.name} have no access rules", f"known: {', '.join(SHARED)}")
    return kind
