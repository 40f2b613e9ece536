"""Finding a resource and its flow by id or name."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.api.flows import Flow, Member, read_flow
from helpers.api.resources import require_by_name
from helpers.api.session import Session
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind


@dataclass
class FlowTarget:
    """A resource and its flow. If a flow was requested, ``member`` is the node with that id, usually the origin."""

    kind: Kind
    id: int
    flow: Flow
    member: Member

    @property
    def api(self) -> Kind:
        """The kind of the member's own endpoints. For a flow, these are the endpoints of its origin."""
        return KINDS[self.member.kind]

    def flags(self) -> list[str]:
        """The flags that select this resource on a command line."""
        return ["--resource-type", self.kind.name, "--resource-id", str(self.id)]


def find_flow_target(session: Session, kind: Kind, resource_id: int | None, name: str | None) -> FlowTarget:
    """Find a resource by its id, or by its exact name when the id is None.

    Raises:
        OperatorError: NOT_FOUND, when no resource matches or several have the name; AUTH.
    """
    if resource_id is None:
        resource_id = int(require_by_name(session, kind, str(name), access_role="collaborator")["id"])
    return read_flow_target(session, kind, resource_id)


def read_flow_target(session: Session, kind: Kind, resource_id: int) -> FlowTarget:
    """Read a resource and its flow.

    Raises:
        OperatorError: NOT_FOUND; AUTH.
    """
    flow = read_flow(session, kind, resource_id)
    member = None
    if flow is not None:
        member = flow.by_node(resource_id) if kind.name == "flows" else flow.find(kind.name, resource_id)
    if flow is None or member is None:
        raise OperatorError(
            Exit.NOT_FOUND,
            f"{kind.singular} {resource_id} does not exist or has no flow",
            hint=f"see {command_line('list_resources', '--type', kind.name, '--all')}",
            resource={"type": kind.name, "id": resource_id},
        )
    return FlowTarget(kind, resource_id, flow, member)
