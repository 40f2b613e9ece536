"""Which resource a command is about: its flags, and the flow around it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from helpers.api.flows import Flow, Member, read_flow
from helpers.api.resources import by_name, one_of
from helpers.api.session import Session
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.kinds import KINDS, Kind, checked_id, kind_of

TYPES = ("flows", "sources", "nexsets", "destinations")


@dataclass
class Target:
    """A resource inside its flow. For a flow, ``member`` is the node that was named (its origin, as a rule)."""

    kind: Kind
    id: int
    flow: Flow
    member: Member

    @property
    def api(self) -> Kind:
        """The kind under which the member's own endpoints stand: a flow's are those of its source."""
        return KINDS[self.member.kind]


def checked_kind(args: argparse.Namespace) -> Kind:
    """The kind that the flags name.

    Raises:
        OperatorError: USAGE, when it is no part of a flow, or not exactly one of id and name is given.
    """
    kind = kind_of(args.resource_type)
    if kind.name not in TYPES:
        raise usage(f"{kind.name} are not part of a flow", f"--resource-type is one of {', '.join(TYPES)}")
    if (args.resource_id is None) == (args.name is None):
        raise usage("give either --resource-id or --name")
    if args.resource_id is not None:
        checked_id(args.resource_id, "--resource-id")
    return kind


def find_target(session: Session, args: argparse.Namespace) -> Target:
    """The resource that the flags name, with its flow.

    Raises:
        OperatorError: USAGE; NOT_FOUND when there is none, or several have the name; AUTH.
    """
    kind = checked_kind(args)
    number = checked_id(args.resource_id) if args.resource_id is not None else _id_of(session, kind, args.name)
    return read_target(session, kind, number)


def read_target(session: Session, kind: Kind, number: int) -> Target:
    """The resource with its flow, as it is now.

    Raises:
        OperatorError: NOT_FOUND; AUTH.
    """
    flow = read_flow(session, kind, number)
    member = None
    if flow is not None:
        member = flow.by_node(number) if kind.name == "flows" else flow.find(kind.name, number)
    if flow is None or member is None:
        hint = f"see python scripts/list_resources.py --type {kind.name} --all"
        text = f"there is no {kind.singular} {number} with a flow"
        raise OperatorError(Exit.NOT_FOUND, text, hint=hint, resource={"type": kind.name, "id": number})
    return Target(kind, number, flow, member)


def _id_of(session: Session, kind: Kind, name: str) -> int:
    row = one_of(kind, name, by_name(session, kind, name, access_role="collaborator"))
    if row is None:
        hint = f"see python scripts/list_resources.py --type {kind.name} --all"
        raise OperatorError(Exit.NOT_FOUND, f"no {kind.singular} is named {name!r}", hint=hint)
    return int(row["id"])
