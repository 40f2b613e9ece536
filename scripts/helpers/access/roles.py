"""Roles, types of accessors, and the kinds of resources that have access rules."""

from __future__ import annotations

from helpers.core.errors import usage
from helpers.core.kinds import KINDS, Kind, kind_of

ROLES = ("collaborator", "operator", "admin", "owner")  # the weakest first
SHARER = "sharer"  # nexsets only, outside the order
ROLE_NAMES = (*ROLES, SHARER)
ACCESSOR_TYPES = ("USER", "TEAM", "ORG")
WAYS = {"USER": ("id", "email"), "TEAM": ("id", "name"), "ORG": ("id", "domain")}
SHARED = ("sources", "nexsets", "destinations", "credentials", "flows", "projects", "teams", "code_containers")
CONTAINERS = ("transforms", "attribute_transforms")  # their rules are those of the code container


def access_kind(name: str) -> Kind:
    """The kind whose path the rules of a resource belong to.

    Raises:
        OperatorError: USAGE, for a kind that has none.
    """
    kind = kind_of(name)
    if kind.name in CONTAINERS:
        return KINDS["code_containers"]
    if kind.name not in SHARED:
        raise usage(f"{kind.name} have no access rules", f"known: {', '.join(SHARED)}")
    return kind
