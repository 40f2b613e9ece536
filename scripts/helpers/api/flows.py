"""The flow tree: reading it, walking it, and the real status of each member.

A flow response is a tree that starts at the origin. Only the origin node has a status; the status of nexsets and
destinations is in the resource lists beside the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from helpers.api.failures import ApiError
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, ResourceRef, Row, item_path

RESOURCE_KEYS = {"data_source_id": "sources", "data_set_id": "nexsets", "data_sink_id": "destinations"}
LISTS = {"sources": "data_sources", "nexsets": "data_sets", "destinations": "data_sinks"}
FLOW_KINDS = tuple(LISTS)  # what a flow consists of
MemberKey = tuple[str, int]  # kind and id


@dataclass
class Member:
    """One node of a flow and its resource.

    Attributes:
        kind: ``sources``, ``nexsets`` or ``destinations``.
        id: the id of the resource.
        node_id: the id of the flow node.
        row: the resource's row from the flow response; with ``flows_only``, the few fields of its node.
        children: the members directly below.
    """

    kind: str
    id: int
    node_id: int
    row: Row
    children: list[Member] = field(default_factory=list)

    @property
    def status(self) -> str | None:
        """INIT, ACTIVE, PAUSED or RATE_LIMITED; None when the response did not include it."""
        return self.row.get("status")

    @property
    def runtime_status(self) -> str | None:
        """IDLE or PROCESSING; None when the response did not include it."""
        return self.row.get("runtime_status")

    @property
    def name(self) -> str | None:
        """The name of the resource; None when the response did not include it."""
        return self.row.get("name")

    @property
    def key(self) -> MemberKey:
        """The kind and id of the resource."""
        return self.kind, self.id

    @property
    def ref(self) -> ResourceRef:
        """The resource as a reference, without its place in the flow."""
        return ResourceRef(self.kind, self.id, self.name)

    @property
    def label(self) -> str:
        """The member in messages: ``destination 12 'orders warehouse'``."""
        return self.ref.label

    @property
    def credential_id(self) -> int | None:
        """The credential of a source or destination; None for nexsets, and when the response did not include it."""
        inner = self.row.get("data_credentials")
        credential_id = inner.get("id") if isinstance(inner, dict) else self.row.get("data_credentials_id")
        return credential_id if isinstance(credential_id, int) else None

    def walk(self) -> Iterator[Member]:
        """This member and everything below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse_members(node: Row, body: Row) -> Member | None:
    """Build the member tree of a flow node.

    Args:
        node: one node of the response's ``flows``, with its ``children``.
        body: the complete response, for the resource lists beside the tree.

    Returns:
        The member, with everything below it; None for a node that is no source, nexset or destination. What is below
        such a node counts as below the member above it.

    Raises:
        OperatorError: UPSTREAM, when the tree or a list beside it has an unknown shape.
    """
    found = _resource_of(node)
    if found is None:
        return None
    kind, resource_id = found
    if not isinstance(resource_id, int) or not isinstance(node.get("id"), int):
        raise _unknown_shape("a node without ids")
    row = next((entry for entry in _objects(body, LISTS[kind]) if entry.get("id") == resource_id), None)
    if row is None:
        row = {key: node[key] for key in ("name", "status", "last_run_id", "project_id") if key in node}
    return Member(kind, resource_id, node["id"], row, _members_below(node, body))


def _resource_of(node: Row) -> tuple[str, Any] | None:
    return next(((kind, node[key]) for key, kind in RESOURCE_KEYS.items() if node.get(key)), None)


def _members_below(node: Row, body: Row) -> list[Member]:
    members = []
    for child in _objects(node, "children"):
        member = parse_members(child, body)
        members += [member] if member is not None else _members_below(child, body)
    return members


def _unknown_nodes(node: Row) -> list[str]:
    """The nodes that are no source, nexset or destination, for messages."""
    own = [] if _resource_of(node) else [f"node {node.get('id')} ({node.get('name') or 'of an unknown kind'})"]
    return own + [label for child in _objects(node, "children") for label in _unknown_nodes(child)]


def _objects(row: Row, key: str) -> list[Row]:
    """The objects in a list of a response; empty for a missing list or null."""
    value = row.get(key)
    if value is not None and not (isinstance(value, list) and all(isinstance(entry, dict) for entry in value)):
        raise _unknown_shape(f"{key} is not a list of objects")
    return value or []


def _unknown_shape(what: str) -> OperatorError:
    return OperatorError(Exit.UPSTREAM, f"the flow came in an unknown shape: {what}")


@dataclass
class Flow:
    """One flow: its origin, its project, and the response body with the resource lists.

    Attributes:
        unknown: the nodes of unknown kinds. They cannot be switched or judged, but what is below them can.
    """

    origin: Member
    project_id: int | None
    body: Row
    unknown: list[str] = field(default_factory=list)

    def find(self, kind: str, resource_id: int) -> Member | None:
        """The member with this kind and id, at any depth; None when the flow has none."""
        return next((member for member in self.origin.walk() if member.key == (kind, resource_id)), None)

    def by_node(self, node_id: int) -> Member | None:
        """The member at a flow node; None when the flow has no such node."""
        return next((member for member in self.origin.walk() if member.node_id == node_id), None)

    def path_to(self, member: Member) -> list[Member]:
        """The members from the origin down to this one, both included."""

        def below(here: Member) -> list[Member]:
            if here is member:
                return [here]
            return next(([here, *rest] for child in here.children if (rest := below(child))), [])

        return below(self.origin)

    def of_kind(self, kind: str) -> list[Member]:
        """The members of one kind, parents first."""
        return [member for member in self.origin.walk() if member.kind == kind]

    def is_active_from_origin(self, member: Member) -> bool:
        """Whether the member and everything above it are ACTIVE."""
        return all(above.status == "ACTIVE" for above in self.path_to(member))

    def code(self, container_id: int | None) -> Row | None:
        """The code container with this id; None when the response does not include it."""
        return next((row for row in _objects(self.body, "code_containers") if row.get("id") == container_id), None)


def read_flow(session: Session, kind: Kind, resource_id: int) -> Flow | None:
    """The complete flow that a source, nexset, destination or flow node belongs to; None after a 404.

    Raises:
        ApiError: the flow could not be read.
    """
    path = item_path(kind, resource_id) if kind.name == "flows" else item_path(kind, resource_id, "flow")
    try:
        body: Row = call(session, "GET", path).data
    except ApiError as error:
        if error.http_status == 404:
            return None
        raise
    flow = parse_flow(body)
    if flow is None and _objects(body, "flows"):
        raise _unknown_shape("its origin is no source, nexset or destination")
    return flow


def parse_flow(body: Row, index: int = 0) -> Flow | None:
    """The flow at this index of a flow response; None when there is none, or its origin has no resource.

    Raises:
        OperatorError: UPSTREAM, when the response has an unknown shape.
    """
    nodes = _objects(body, "flows")
    if len(nodes) <= index:
        return None
    origin = parse_members(nodes[index], body)
    unknown = _unknown_nodes(nodes[index])
    return Flow(origin, nodes[index].get("project_id"), body, unknown) if origin else None


def parse_flows(body: Row) -> list[Flow]:
    """All flows of a flow response.

    Raises:
        OperatorError: UPSTREAM, when the response has an unknown shape.
    """
    return [flow for index in range(len(_objects(body, "flows"))) if (flow := parse_flow(body, index))]


def run_rows(session: Session, kind: Kind, resource_id: int, size: int = 20) -> list[Any]:
    """The newest run rows of a resource, from ``GET …/metrics/run_summary``.

    Args:
        size: the maximum number of rows.

    Returns:
        Rows with ``runId`` (epoch ms), ``records``, ``size`` (bytes) and ``errors``. They have no status.

    Raises:
        ApiError: the rows could not be read.
        OperatorError: UPSTREAM, when the response has an unexpected format, which must not be mistaken for no runs.
    """
    params: dict[str, Any] = {"groupby": "runId", "orderby": "runId", "page": 1, "size": size}
    body = call(session, "GET", item_path(kind, resource_id, "metrics", "run_summary"), params=params).data
    metrics = body.get("metrics")
    data = metrics.get("data") if isinstance(metrics, dict) else metrics
    if not isinstance(data, list):
        raise OperatorError(Exit.UPSTREAM, f"the runs of {kind.singular} {resource_id} have an unexpected format")
    return data


def flow_summary(flow: Row) -> Row:
    """A flow node as one list row: its name and status, and how many members of each kind it has."""
    origin = parse_members(flow, {})
    all_members = list(origin.walk()) if origin else []
    kinds = [member.kind for member in all_members]
    return {
        "id": flow.get("id"),
        "name": flow.get("name"),
        "status": flow.get("status"),
        "nodes": len(all_members),
        "sources": kinds.count("sources"),
        "nexsets": kinds.count("nexsets"),
        "destinations": kinds.count("destinations"),
        "project_id": flow.get("project_id"),
        "last_run_id": flow.get("last_run_id"),
    }
