"""The flow tree: reading it, walking it, and the real status of each member.

A flow answer is a tree from the origin; only the origin node carries a status. The status of nexsets and destinations
stands in the resource lists beside the tree.
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
    """One node of a flow with its resource.

    Attributes:
        kind: ``sources``, ``nexsets`` or ``destinations``.
        id: of the resource; ``node_id`` is the flow node's.
        row: the resource's row from the flow answer; empty with ``flows_only``.
    """

    kind: str
    id: int
    node_id: int
    row: Row
    children: list[Member] = field(default_factory=list)

    @property
    def status(self) -> str | None:
        """INIT, ACTIVE, PAUSED or RATE_LIMITED; None when the answer did not carry it."""
        return self.row.get("status")

    @property
    def runtime_status(self) -> str | None:
        """IDLE or PROCESSING; None when the answer did not carry it."""
        return self.row.get("runtime_status")

    @property
    def name(self) -> str | None:
        return self.row.get("name")

    @property
    def key(self) -> MemberKey:
        return self.kind, self.id

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef(self.kind, self.id, self.name)

    @property
    def label(self) -> str:
        """For messages: ``destination 12 'orders warehouse'``."""
        return self.ref.label

    @property
    def credential_id(self) -> int | None:
        """Of a source or destination; None for others, and where the answer does not say."""
        inner = self.row.get("data_credentials")
        credential_id = inner.get("id") if isinstance(inner, dict) else self.row.get("data_credentials_id")
        return credential_id if isinstance(credential_id, int) else None

    def walk(self) -> Iterator[Member]:
        """This member and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def members(node: Row, body: Row) -> Member | None:
    """A tree node as members; None for a node that belongs to none of the three resource kinds."""
    found = next(((kind, node[key]) for key, kind in RESOURCE_KEYS.items() if node.get(key)), None)
    if found is None:
        return None
    kind, resource_id = found
    rows = body.get(LISTS[kind]) or []
    row = next((entry for entry in rows if isinstance(entry, dict) and entry.get("id") == resource_id), None)
    if row is None:
        row = {key: node[key] for key in ("name", "status", "last_run_id", "project_id") if key in node}
    member = Member(kind, resource_id, node["id"], row)
    for child in node.get("children") or []:
        below = members(child, body) if isinstance(child, dict) else None
        if below is not None:
            member.children.append(below)
    return member


@dataclass
class Flow:
    """One flow: its origin, and the rows that came beside the tree."""

    origin: Member
    project_id: int | None
    body: Row

    def find(self, kind: str, resource_id: int) -> Member | None:
        """The member that is this resource, however deep."""
        return next((member for member in self.origin.walk() if member.key == (kind, resource_id)), None)

    def by_node(self, node_id: int) -> Member | None:
        """The member at a flow node."""
        return next((member for member in self.origin.walk() if member.node_id == node_id), None)

    def path_to(self, member: Member) -> list[Member]:
        """From the origin down to a member, both included."""

        def below(here: Member) -> list[Member]:
            if here is member:
                return [here]
            return next(([here, *rest] for child in here.children if (rest := below(child))), [])

        return below(self.origin)

    def of_kind(self, kind: str) -> list[Member]:
        return [member for member in self.origin.walk() if member.kind == kind]

    def is_on(self, member: Member) -> bool:
        """Whether the member and everything above it is ACTIVE."""
        return all(above.status == "ACTIVE" for above in self.path_to(member))

    def code(self, container_id: int | None) -> Row | None:
        """The code container of this id, if the answer carries it."""
        rows = self.body.get("code_containers") or []
        return next((row for row in rows if row.get("id") == container_id), None)


def read_flow(session: Session, kind: Kind, resource_id: int) -> Flow | None:
    """The complete flow that a source, nexset, destination or flow node belongs to; None when the API says 404.

    Raises:
        ApiError: it could not be read.
    """
    path = item_path(kind, resource_id) if kind.name == "flows" else item_path(kind, resource_id, "flow")
    try:
        body: Row = call(session, "GET", path).data
    except ApiError as error:
        if error.http_status == 404:
            return None
        raise
    return flow_from(body)


def flow_from(body: Row, index: int = 0) -> Flow | None:
    """One flow of a flow answer; None when there is none at that place, or its origin has no resource."""
    nodes = body.get("flows") or []
    if len(nodes) <= index:
        return None
    origin = members(nodes[index], body)
    return Flow(origin, nodes[index].get("project_id"), body) if origin else None


def flows_in(body: Row) -> list[Flow]:
    """Every flow of a flow answer."""
    return [flow for index in range(len(body.get("flows") or [])) if (flow := flow_from(body, index))]


def run_rows(session: Session, kind: Kind, resource_id: int, size: int = 20) -> list[Any]:
    """The newest run rows of a resource, from ``GET …/metrics/run_summary``.

    Args:
        size: rows to ask for.

    Returns:
        Rows with ``runId`` (epoch ms), ``records``, ``size`` and ``errors``; they carry no status.

    Raises:
        ApiError: they could not be read.
        OperatorError: UPSTREAM, for an answer of an unknown shape, which must not pass for no runs.
    """
    params: dict[str, Any] = {"groupby": "runId", "orderby": "runId", "page": 1, "size": size}
    body = call(session, "GET", item_path(kind, resource_id, "metrics", "run_summary"), params=params).data
    metrics = body.get("metrics")
    data = metrics.get("data") if isinstance(metrics, dict) else metrics
    if not isinstance(data, list):
        raise OperatorError(Exit.UPSTREAM, f"the runs of {kind.singular} {resource_id} came in an unknown shape")
    return data


def summary(flow: Row) -> Row:
    """A flow node as one list row: name, status, and how many members it has."""
    origin = members(flow, {})
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
