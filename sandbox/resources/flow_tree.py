"""The tree of a flow: from the origin (a source) through nexsets to destinations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sandbox.server.routing import ApiError, Request
from sandbox.state.store import Doc
from sandbox.state.world import World, is_at_least

KINDS = {"data_sources": "sources", "data_sets": "nexsets", "data_sinks": "sinks"}
RESOURCE_TYPES = {kind: resource_type for resource_type, kind in KINDS.items()}


@dataclass
class Node:
    """One flow node: its resource, and the nodes below it."""

    kind: str
    doc: Doc
    children: list[Node] = field(default_factory=list)

    @property
    def resource_type(self) -> str:
        """The API's name of the kind: data_sources, data_sets or data_sinks."""
        return RESOURCE_TYPES[self.kind]

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents before children."""
        yield self
        for child in self.children:
            yield from child.walk()

    def deepest_first(self) -> list[Node]:
        """This node and all below it, children before parents."""
        return list(self.walk())[::-1]


def _nexset_node(world: World, doc: Doc) -> Node:
    children = [_nexset_node(world, child) for child in world.store.where("nexsets", parent_data_set_id=doc["id"])]
    children += [Node("sinks", sink) for sink in world.store.where("sinks", data_set_id=doc["id"])]
    return Node("nexsets", doc, children)


def tree_of(world: World, source: Doc) -> Node:
    """The flow of a source."""
    detected = world.store.where("nexsets", data_source_id=source["id"])
    return Node("sources", source, [_nexset_node(world, nexset) for nexset in detected])


def locate(request: Request, node_id: int) -> tuple[Node, Node]:
    """The origin of the flow that a node belongs to, and the node itself.

    Raises:
        ApiError: 404, there is no such node.
    """
    store = request.world.store
    docs = [doc for kind in KINDS.values() for doc in store.where(kind, flow_node_id=node_id)]
    for source in store.where("sources", flow_node_id=docs[0]["origin_node_id"]) if docs else ():
        root = tree_of(request.world, source)
        for node in root.walk():
            if node.doc["flow_node_id"] == node_id:
                return root, node
    raise ApiError(404)


def locate_resource(request: Request) -> tuple[Node, Node]:
    """The origin and the node of the resource that the path names.

    Raises:
        ApiError: 404, there is no such resource.
    """
    doc = request.world.store.get(KINDS[request.resource_type], request.ids["resource_id"])
    if doc is None:
        raise ApiError(404)
    return locate(request, doc["flow_node_id"])


def require_role(request: Request, root: Node, needed: str) -> None:
    """Check the caller's role on a flow.

    Raises:
        ApiError: 403, it is too weak.
    """
    if not is_at_least(request.world.flow_role(request.user, root.doc), needed):
        raise ApiError(403)
