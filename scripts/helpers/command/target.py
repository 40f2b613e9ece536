"""The flags that select one resource of a flow."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from helpers.core.errors import usage
from helpers.core.kinds import Kind, checked_id, kind_of

FLOW_TYPES = ("flows", "sources", "nexsets", "destinations")


class ResourceSelector(NamedTuple):
    """A resource as the user selected it: by kind, and by id or exact name."""

    kind: Kind
    id: int | None = None
    name: str | None = None


def add_target_flags(parser: argparse.ArgumentParser, *, default_type: str | None = None) -> None:
    """Add ``--resource-type``, ``--resource-id`` and ``--name``. Without a default type, the type is required."""
    parser.add_argument("--resource-type", metavar="TYPE", required=default_type is None, default=default_type,
                        help="flows, sources, nexsets or destinations, or an alias")  # fmt: skip
    parser.add_argument("--resource-id", metavar="ID", help="id of the resource")
    parser.add_argument("--name", metavar="NAME", help="exact name of the resource, instead of its id")


def selected_resource(args: argparse.Namespace) -> ResourceSelector:
    """The resource that the flags of ``add_target_flags`` select.

    Raises:
        OperatorError: USAGE, when its kind is not part of a flow, or unless exactly one of id and name is given.
    """
    kind = kind_of(args.resource_type)
    resource_id = None if args.resource_id is None else checked_id(args.resource_id, "--resource-id")
    if kind.name not in FLOW_TYPES:
        raise usage(f"{kind.name} are not part of a flow", f"--resource-type is one of {', '.join(FLOW_TYPES)}")
    if (resource_id is None) == (args.name is None):
        raise usage("pass either --resource-id or --name")
    return ResourceSelector(kind, resource_id, args.name)
