"""Which resources an access command is about: ids, names, a whole pipeline, a project's flows, a tag."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from helpers.access.flags import access_kind, parts, pipeline
from helpers.api.flows import Flow, flow_from, read_flow
from helpers.api.resources import Pages, by_name, one_of, whole
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, item_path, kind_of

FLOW_KINDS = ("sources", "nexsets", "destinations")


class Target(NamedTuple):
    """One resource. ``name``, ``owner`` (a user's id) and ``above`` (the key of its parent; a flow's is its source) are
    None where not known."""

    kind: Kind
    id: int
    name: str | None = None
    owner: int | None = None
    above: tuple[str, int] | None = None
    public: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.kind.name, self.id

    @property
    def title(self) -> str:
        return f"{self.kind.singular} {self.id}" + (f" {self.name!r}" if self.name else "")


def find_targets(session: Session, args: argparse.Namespace) -> list[Target]:
    """The resources, each once.

    Raises:
        OperatorError: NOT_FOUND when a name, flow or project is not there, or the selection is empty.
    """
    found = {target.key: target for target in _selected(session, args)}
    if not found:
        raise OperatorError(Exit.NOT_FOUND, "there is no such resource", hint="nothing was changed")
    return list(found.values())


def _selected(session: Session, args: argparse.Namespace) -> Iterator[Target]:
    if args.resource_id is not None or args.resource_ids is not None:
        kind = access_kind(args.resource_type)
        for number in parts(args.resource_ids or args.resource_id):
            yield origin_of(session, Target(kind, int(number)))
    elif args.names is not None:
        yield from (_named(session, kind_of(args.resource_type), name) for name in parts(args.names))
    elif args.pipeline_of is not None:
        yield from of_pipeline(session, *pipeline(args.pipeline_of), credentials=args.with_credentials)
    elif args.project is not None:
        yield from of_project(session, int(args.project), credentials=args.with_credentials)
    else:
        names = [kind_of(args.resource_type).name] if args.resource_type else FLOW_KINDS
        for name in names:
            params = {"access_role": "collaborator", **({"tags": args.tag} if "tags" in KINDS[name].filters else {})}
            rows = whole(Pages(session, KINDS[name], params), name)
            yield from (of_row(KINDS[name], row) for row in rows if args.tag in (row.get("tags") or []))


def origin_of(session: Session, target: Target) -> Target:
    """A flow by its origin's node, whichever of its nodes was named: its rules lie there. Others as they are."""
    if target.kind.name != "flows":
        return target
    flow = read_flow(session, target.kind, target.id)
    if flow is None:
        raise OperatorError(Exit.NOT_FOUND, f"there is no flow {target.id}", hint="nothing was changed")
    return _of_origin(flow)


def _of_origin(flow: Flow) -> Target:
    source = of_row(KINDS["sources"], {**flow.origin.row, "id": flow.origin.id})
    return Target(KINDS["flows"], flow.origin.node_id, flow.origin.name, source.owner, source.key)


def of_row(kind: Kind, row: Row) -> Target:
    owner = row.get("owner")
    number = owner.get("id") if isinstance(owner, dict) else row.get("owner_id")
    return Target(access_kind(kind.name), int(row["id"]), row.get("name"), number, public=bool(row.get("public")))


def _named(session: Session, kind: Kind, name: str) -> Target:
    row = one_of(kind, name, by_name(session, kind, name, access_role="collaborator"))
    if row is None:
        hint = f"see python scripts/list_resources.py --type {kind.name} --all; nothing was changed"
        raise OperatorError(Exit.NOT_FOUND, f"no {kind.singular} is named {name!r}", hint=hint)
    return of_row(kind, row)


def of_pipeline(session: Session, kind: Kind, number: int, *, credentials: bool) -> Iterator[Target]:
    """Every resource of a flow, however deep."""
    flow = read_flow(session, kind, number)
    if flow is None:
        raise OperatorError(Exit.NOT_FOUND, f"{kind.singular} {number} has no flow", hint="nothing was changed")
    yield from of_flow(flow, credentials=credentials)


def of_project(session: Session, number: int, *, credentials: bool) -> Iterator[Target]:
    """Everything in the flows of a project; the lists' own ``project_id`` is ignored by the server."""
    answer = call(session, "GET", item_path(KINDS["projects"], number, "flows"))
    body: Row = answer.data
    if not isinstance(body.get("flows"), list) or len(body["flows"]) < (answer.total or 0):
        raise OperatorError(Exit.UPSTREAM, f"the flows of project {number} cannot be read")
    if not body["flows"]:
        raise OperatorError(Exit.NOT_FOUND, f"project {number} has no flow", hint="nothing was changed")
    for index in range(len(body["flows"])):
        flow = flow_from(body, index)
        if flow is None:
            raise OperatorError(Exit.UPSTREAM, f"a flow of project {number} cannot be read")
        yield from of_flow(flow, credentials=credentials)


def of_flow(flow: Flow, *, credentials: bool) -> Iterator[Target]:
    if _nodes(next(n for n in flow.body["flows"] if n.get("id") == flow.origin.node_id)) != len(
        list(flow.origin.walk())
    ):
        raise OperatorError(
            Exit.UPSTREAM, f"the flow of {flow.origin.label} holds a member of a kind that is not known"
        )
    yield _of_origin(flow)
    above = {(child.kind, child.id): (m.kind, m.id) for m in flow.origin.walk() for child in m.children}
    for member in flow.origin.walk():
        row = {**member.row, "id": member.id, "name": member.name}
        yield of_row(KINDS[member.kind], row)._replace(above=above.get((member.kind, member.id)))
    if credentials:
        for member in flow.origin.walk():
            if member.kind != "nexsets" and not {"data_credentials_id", "data_credentials"} & member.row.keys():
                text = f"the flow does not tell which credential {member.label} uses"
                raise OperatorError(Exit.UPSTREAM, text, hint="name the credentials by id instead")
            number = member.row.get("data_credentials_id") or (member.row.get("data_credentials") or {}).get("id")
            if isinstance(number, int):
                yield Target(KINDS["credentials"], number)


def _nodes(node: Row) -> int:
    return 1 + sum(_nodes(child) for child in node.get("children") or [] if isinstance(child, dict))
