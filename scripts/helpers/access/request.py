"""What the access commands are asked for: resources, accessors, roles; checked, and cheap to import."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

from helpers.access.roles import ACCESSOR_TYPES, WAYS, access_kind
from helpers.command.parser import ChangeOptions, flag, split_list
from helpers.core.errors import usage
from helpers.core.kinds import Kind, checked_id, kind_of

SELECTORS = ("resource_id", "resource_ids", "names", "pipeline_of", "project", "tag")
WRITES = ("grant", "revoke", "replace", "copy-from", "sync")
OPERATIONS = ("list", *WRITES)


class AccessorName(NamedTuple):
    """An accessor as the user named it: its type, the way it is named (id, email, name or domain), and the value."""

    type: str
    way: str
    value: Any


class Selection(NamedTuple):
    """Resources as the user named them; exactly one of ids, names, pipeline_of, project and tag is set.

    Attributes:
        kind: of ids and names; of a tag None means the three types of a flow.
        pipeline_of: kind and id of any member of the flow.
        with_credentials: of a pipeline or project: its credentials, too.
    """

    kind: Kind | None = None
    ids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    pipeline_of: tuple[Kind, int] | None = None
    project: int | None = None
    tag: str | None = None
    with_credentials: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.ids or self.names or self.pipeline_of or self.project or self.tag is not None)


class AccessRequest(NamedTuple):
    """One operation on access rules.

    Attributes:
        accessor, role, expires_at: of grant, revoke and replace; a role of None means every role.
        accessors_file, accessors: of replace: the file, and its entries.
        copy_from: kind and id of the resource whose rules are copied.
        file, declared, digest: of sync: declared access, and a digest of the file that says what is wanted.
        prune: sync: take away what is not declared.
        confirmed: ``--yes`` was given.
        identity: what tells this change apart from others, for its journal.
    """

    operation: str
    selection: Selection
    accessor: AccessorName | None
    role: str | None
    expires_at: str | None
    accessors_file: str | None
    accessors: list[dict[str, Any]]
    copy_from: tuple[Kind, int] | None
    declared: list[dict[str, Any]]
    digest: str
    prune: bool
    rollback: bool
    confirmed: bool
    identity: str
    change: ChangeOptions

    @property
    def exact(self) -> bool:
        """Whether nothing else may be there afterwards."""
        return self.operation == "replace" or self.prune


class AuditRequest(NamedTuple):
    """What to audit, and against what.

    Attributes:
        everything: all that the caller owns.
        declared: entries of the file of expected access; None when nothing is expected.
        person: email or id of the only person to show.
        since, until: window of the changes, as the user gave them; None for 30 days, and for now.
    """

    selection: Selection
    everything: bool
    declared: list[dict[str, Any]] | None
    person: str | None
    expand_teams: bool
    findings: bool
    changes: bool
    since: str | None
    until: str | None
    report_file: str | None


def add_selection_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that say which resources an access command is about."""
    what = parser.add_argument_group("which resources (one of)").add_argument
    what("--resource-type", metavar="TYPE", help="sources, nexsets, destinations, credentials, …")
    what("--resource-id", metavar="ID")
    what("--resource-ids", metavar="ID,ID")
    what("--names", metavar="A,B", help="exact names")
    what("--pipeline-of", metavar="TYPE:ID", help="its whole flow: source, every nexset, every destination")
    what("--project", metavar="ID", help="everything in the flows of a project")
    what("--tag", metavar="TAG", help="what has this tag; of --resource-type, or of a flow's three types")
    what("--with-credentials", action="store_true", help="pipelines and projects: their credentials, too")


def selection(given: Mapping[str, Any], *more: str) -> Selection:
    """The resources that the flags name.

    Args:
        given: the parsed flags by name.
        more: flags of the command's own that select resources as well.

    Raises:
        OperatorError: USAGE, also when not exactly one flag selects.
    """
    used = [name for name in (*SELECTORS, *more) if given[name] not in (None, False)]
    if len(used) != 1:
        raise usage("say which resources: exactly one of " + ", ".join(map(flag, (*SELECTORS, *more))))
    selector = used[0]
    if given["with_credentials"] and selector not in ("pipeline_of", "project", *more):
        raise usage("--with-credentials goes with --pipeline-of and --project")
    parts: tuple[str, ...] = ()
    kind = None
    if selector in ("resource_id", "resource_ids", "names"):
        if given["resource_type"] is None:
            raise usage(f"{flag(selector)} needs --resource-type")
        access_kind(given["resource_type"])
        parts = split_list(given[selector])
        if not parts:
            raise usage(f"{flag(selector)} names nothing", "is a variable empty?")
    if given["resource_type"] is not None:
        kind = kind_of(given["resource_type"])
    by_id = selector in ("resource_id", "resource_ids")
    return Selection(
        kind=kind,
        ids=tuple(checked_id(part, flag(selector)) for part in parts) if by_id else (),
        names=parts if selector == "names" else (),
        pipeline_of=typed_id(given["pipeline_of"], "--pipeline-of") if given["pipeline_of"] is not None else None,
        project=checked_id(given["project"], "--project") if given["project"] is not None else None,
        tag=given["tag"],
        with_credentials=given["with_credentials"],
    )


def typed_id(text: str, flag_name: str) -> tuple[Kind, int]:
    """``sources:123`` as kind and id. Raises: OperatorError, USAGE."""
    name, colon, resource_id = text.rpartition(":")
    if not colon:
        raise usage(f"{flag_name} must be TYPE:ID", f"for example {flag_name} sources:123")
    return kind_of(name), checked_id(resource_id, flag_name)


def accessor_name(kind: Any, given: Mapping[str, Any], where: str) -> AccessorName:
    """The accessor that some values name.

    Args:
        given: ``id``, ``email``, ``name`` and ``domain``, as far as they are there.
        where: the flags or the entry of a file, for messages.

    Raises:
        OperatorError: USAGE.
    """
    if kind not in ACCESSOR_TYPES:
        raise usage(f"{where}: the accessor's type must be one of {', '.join(ACCESSOR_TYPES)}")
    named = {way: value for way, value in given.items() if value not in (None, "")}
    if len(named) != 1 or next(iter(named)) not in WAYS[kind]:
        raise usage(f"{where}: a {kind} is named by either {' or '.join(WAYS[kind])}")
    ((way, value),) = named.items()
    return AccessorName(kind, way, checked_id(value, f"{where}: id") if way == "id" else str(value).strip())
