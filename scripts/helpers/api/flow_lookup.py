"""From a resource's id or name to the resource inside its flow."""

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
    """A resource inside its flow. For a flow, ``member`` is the node that was named (its origin, as a rule)."""

    kind: Kind
    id: int
    flow: Flow
    member: Member

    @property
    def api(self) -> Kind:
        """The kind that the member's own endpoints belong to: a flow's are those of its source."""
        return KINDS[self.member.kind]

    def words(self) -> list[str]:
        """The flags that name this resource in a command line."""
        return ["--resource-type", self.kind.name, "--resource-id", str(self.id)]


def find_flow_target(session: Session, kind: Kind, resource_id: int | None, name: str | None) -> FlowTarget:
    """The resource of this id, or of this exact name where no id is given, with its flow.

    Raises:
        OperatorError: NOT_FOUND when there is none, or several have the name; AUTH.
    """
    if resource_id is None:
        resource_id = int(require_by_name(session, kind, str(name), access_role="collaborator")["id"])
    return read_flow_target(session, kind, resource_id)


def read_flow_target(session: Session, kind: Kind, resource_id: int) -> FlowTarget:
    """The resource with its flow, as it is now.

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
            f"there is no {kind.singular} {resource_id} with a flow",
            hint=f"see {command_line('list_resources', '--type', kind.name, '--all')}",
            resource={"type": kind.name, "id": resource_id},
        )
    return FlowTarget(kind, resource_id, flow, member)
