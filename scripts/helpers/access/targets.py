"""The resources of an access command, selected by ids, names, pipeline, project or tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from helpers.access.request import Selection
from helpers.access.roles import ACCESS_ONLY, access_kind
from helpers.api.flows import FLOW_KINDS, Flow, parse_flow, read_flow
from helpers.api.paging import Pages, read_all_or_fail
from helpers.api.resources import by_name, require_unique
from helpers.api.session import Session
from helpers.api.similar_names import similar_names
from helpers.api.transport import call
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, item_path

NOTHING = "nothing was changed"


class AccessTarget(NamedTuple):
    """One resource.

    Attributes:
        kind: The kind that holds its rules.
        id: Its id of that kind.
        name: None if unknown.
        owner_id: None if unknown.
        parent_key: Kind and id of its parent, if known; that of a flow is its origin, a source or a shared nexset.
        public: Whether everybody may use it; only known from the resource's own response.
    """

    kind: Kind
    id: int
    name: str | None = None
    owner_id: int | None = None
    parent_key: tuple[str, int] | None = None
    public: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """Name of the kind, and id."""
        return self.kind.name, self.id

    @property
    def title(self) -> str:
        """The resource, for people."""
        return f"{self.kind.singular} {self.id}" + (f" {self.name!r}" if self.name else "")


def find_targets(session: Session, selection: Selection) -> list[AccessTarget]:
    """The selected resources, each once.

    Raises:
        OperatorError: NOT_FOUND if a name, flow or project does not exist, or nothing is selected; UPSTREAM if a flow
            cannot be read completely.
    """
    found = {target.key: target for target in _selected(session, selection)}
    if not found:
        raise OperatorError(Exit.NOT_FOUND, "no resource matches the selection", hint=NOTHING)
    return list(found.values())


def _selected(session: Session, selection: Selection) -> Iterator[AccessTarget]:
    credentials = selection.with_credentials
    if selection.kind is not None and selection.ids:
        kind = access_kind(selection.kind.name)
        yield from (origin_target(session, AccessTarget(kind, resource_id)) for resource_id in selection.ids)
    elif selection.kind is not None and selection.names:
        yield from (_named(session, selection.kind, name) for name in selection.names)
    elif selection.pipeline_of is not None:
        yield from pipeline_targets(session, *selection.pipeline_of, credentials=credentials)
    elif selection.project is not None:
        yield from project_targets(session, selection.project, credentials=credentials)
    else:
        kinds = [selection.kind] if selection.kind else [KINDS[name] for name in FLOW_KINDS]
        for kind in kinds:
            yield from _tagged(session, kind, str(selection.tag))


def _tagged(session: Session, kind: Kind, tag: str) -> Iterator[AccessTarget]:
    params = {"access_role": "collaborator", **({"tags": tag} if "tags" in kind.filters else {})}
    rows = read_all_or_fail(Pages(session, kind, params), kind.name)
    return (target_from_row(kind, row) for row in rows if tag in (row.get("tags") or []))


def origin_target(session: Session, target: AccessTarget) -> AccessTarget:
    """For a flow, the target of its origin node, whichever node was named: its rules belong there. Others unchanged.

    Raises:
        OperatorError: NOT_FOUND, if the flow does not exist.
    """
    if target.kind.name != "flows":
        return target
    flow = read_flow(session, target.kind, target.id)
    if flow is None:
        raise OperatorError(Exit.NOT_FOUND, f"flow {target.id} does not exist", hint=NOTHING)
    return _origin_target(flow)


def _origin_target(flow: Flow) -> AccessTarget:
    origin = target_from_row(KINDS[flow.origin.kind], {**flow.origin.row, "id": flow.origin.id})
    return AccessTarget(KINDS["flows"], flow.origin.node_id, flow.origin.name, origin.owner_id, origin.key)


def target_from_row(kind: Kind, row: Row) -> AccessTarget:
    """The target for a row of a list or an item."""
    owner = row.get("owner")
    owner_id = owner.get("id") if isinstance(owner, dict) else row.get("owner_id")
    public = bool(row.get("public"))
    return AccessTarget(access_kind(kind.name), int(row["id"]), row.get("name"), owner_id, public=public)


def _named(session: Session, kind: Kind, name: str) -> AccessTarget:
    row = require_unique(kind, name, by_name(session, kind, name, access_role="collaborator"))
    if row is None:
        guess = similar_names(session, kind, name, access_role="collaborator")
        listing = command_line("list_resources", "--type", kind.name, "--all")
        see = "" if kind.name in ACCESS_ONLY else f"see {listing}; "
        raise OperatorError(Exit.NOT_FOUND, f"no {kind.singular} is named {name!r}", hint=guess + see + NOTHING)
    return target_from_row(kind, row)


def pipeline_targets(session: Session, kind: Kind, resource_id: int, *, credentials: bool) -> Iterator[AccessTarget]:
    """Every resource of the flow that contains a resource.

    Args:
        session: The API session.
        kind: Kind of any member of the flow.
        resource_id: Id of that member.
        credentials: Include the credentials that the members use.

    Raises:
        OperatorError: NOT_FOUND; UPSTREAM, when the flow cannot be read completely.
    """
    flow = read_flow(session, kind, resource_id)
    if flow is None:
        raise OperatorError(Exit.NOT_FOUND, f"{kind.singular} {resource_id} has no flow", hint=NOTHING)
    yield from flow_targets(flow, credentials=credentials)


def project_targets(session: Session, project_id: int, *, credentials: bool) -> Iterator[AccessTarget]:
    """Every resource in the flows of a project. The server ignores the filter ``project_id`` of lists.

    Raises:
        OperatorError: NOT_FOUND, if it has no flow; UPSTREAM, if a flow cannot be read completely.
    """
    response = call(session, "GET", item_path(KINDS["projects"], project_id, "flows"))
    body: Row = response.data
    if not isinstance(body.get("flows"), list) or len(body["flows"]) < (response.total or 0):
        raise OperatorError(Exit.UPSTREAM, f"the flows of project {project_id} cannot be read")
    if not body["flows"]:
        raise OperatorError(Exit.NOT_FOUND, f"project {project_id} has no flow", hint=NOTHING)
    for index in range(len(body["flows"])):
        flow = parse_flow(body, index)
        if flow is None:
            raise OperatorError(Exit.UPSTREAM, f"a flow in project {project_id} cannot be read")
        yield from flow_targets(flow, credentials=credentials)


def flow_targets(flow: Flow, *, credentials: bool) -> Iterator[AccessTarget]:
    """The flow itself, its members, and (on request) the credentials that they use.

    Raises:
        OperatorError: UPSTREAM, if any part of it cannot be read: no resource may be overlooked.
    """
    members = list(flow.origin.walk())
    node = next(node for node in flow.body["flows"] if node.get("id") == flow.origin.node_id)
    if _count_nodes(node) != len(members):
        text = f"the flow of {flow.origin.label} has a member of an unknown kind"
        raise OperatorError(Exit.UPSTREAM, text)
    yield _origin_target(flow)
    parents = {child.key: member.key for member in members for child in member.children}
    for member in members:
        row = {**member.row, "id": member.id, "name": member.name}
        yield target_from_row(KINDS[member.kind], row)._replace(parent_key=parents.get(member.key))
    for member in members if credentials else ():
        if member.kind != "nexsets" and not {"data_credentials_id", "data_credentials"} & member.row.keys():
            text = f"the flow does not show which credential {member.label} uses"
            raise OperatorError(Exit.UPSTREAM, text, hint="select the credentials by id instead")
        if member.credential_id is not None:
            yield AccessTarget(KINDS["credentials"], member.credential_id)


def _count_nodes(node: Row) -> int:
    return 1 + sum(_count_nodes(child) for child in node.get("children") or [] if isinstance(child, dict))
