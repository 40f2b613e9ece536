"""Checked requests of the access commands: resources, accessors, roles. Cheap to import."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

from helpers.access.roles import ACCESSOR_TYPES, IDENTIFIERS, UNLISTED, access_kind, resource_kind
from helpers.command.parser import ChangeOptions, flag, split_list
from helpers.core.errors import usage
from helpers.core.kinds import Kind, checked_id
from helpers.core.times import Moment

SELECTORS = ("resource_id", "resource_ids", "names", "pipeline_of", "project", "tag")
WRITES = ("grant", "revoke", "replace", "copy-from", "sync")
OPERATIONS = ("list", *WRITES)


class AccessorName(NamedTuple):
    """An accessor as the user named it.

    Attributes:
        type: USER, TEAM or ORG.
        identifier: What names it: id, email, name or domain.
        value: The id (an int) or the text.
    """

    type: str
    identifier: str
    value: Any


class Selection(NamedTuple):
    """Resources as the user named them. Exactly one of ids, names, pipeline_of, project and tag is set.

    Attributes:
        kind: The kind of the ids or names. With a tag, None means sources, nexsets and destinations.
        ids: Ids of the kind.
        names: Exact names.
        pipeline_of: Kind and id of any member of the flow.
        project: Id of a project, for everything in its flows.
        tag: A tag.
        with_credentials: Whether to include the credentials of the pipeline or project.
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
        """Whether nothing is selected."""
        return not (self.ids or self.names or self.pipeline_of or self.project or self.tag is not None)


class AccessRequest(NamedTuple):
    """One operation on access rules.

    Attributes:
        operation: One of OPERATIONS.
        selection: The resources; empty for sync.
        accessor: For grant, revoke and replace.
        role: For grant, revoke and replace; for revoke, None means every role.
        expires_at: For grant and replace: when the access expires, as the user wrote it.
        accessors_file: For replace: the file with the accessors.
        accessors: For replace: the entries of that file.
        copy_from: Kind and id of the resource whose rules are copied.
        declared: For sync: the entries of the file of declared access.
        digest: Digest of the file that was read; empty without one.
        prune: For sync: revoke what is not declared.
        rollback: Roll back on failure, instead of keeping what was done.
        confirmed: ``--yes`` was passed.
        identity: Text that identifies this change, for its journal.
        change: The flags of all commands that write.
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
        """Whether the change removes every rule that is not declared."""
        return self.operation == "replace" or self.prune


class AuditRequest(NamedTuple):
    """What to audit, and what to compare it with.

    Attributes:
        selection: The resources; may be empty with ``everything`` or ``declared``.
        everything: Audit everything that the caller owns.
        declared: Entries of the file of declared access; None without one.
        person: Email or id of the only person to show.
        expand_teams: List people instead of teams.
        findings: Check the named rules.
        changes: List who changed access.
        since: Start of the window for changes.
        until: End of the window; None for now.
        report_file: Where to write the HTML report.
    """

    selection: Selection
    everything: bool
    declared: list[dict[str, Any]] | None
    person: str | None
    expand_teams: bool
    findings: bool
    changes: bool
    since: Moment
    until: Moment | None
    report_file: str | None


def add_selection_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that select the resources of an access command."""
    what = parser.add_argument_group("which resources (one of)").add_argument
    what("--resource-type", metavar="TYPE", help="sources, nexsets, destinations, credentials, lookups, …")
    what("--resource-id", metavar="ID")
    what("--resource-ids", metavar="ID,ID")
    what("--names", metavar="A,B", help="exact names")
    what(
        "--pipeline-of",
        metavar="TYPE:ID",
        help="the entire flow of this resource: its source and every nexset and destination",
    )
    what("--project", metavar="ID", help="everything in the flows of a project")
    what(
        "--tag", metavar="TAG", help="resources with this tag; without --resource-type: sources, nexsets, destinations"
    )
    what("--with-credentials", action="store_true", help="pipelines and projects: include their credentials")


def selection(given: Mapping[str, Any], *more: str) -> Selection:
    """The resources that the flags select.

    Args:
        given: The parsed flags by name.
        more: Additional flags of the command that select resources.

    Raises:
        OperatorError: USAGE, including when not exactly one flag selects resources.
    """
    used = [name for name in (*SELECTORS, *more) if given[name] not in (None, False)]
    if len(used) != 1:
        raise usage("select resources with exactly one of " + ", ".join(map(flag, (*SELECTORS, *more))))
    selector = used[0]
    if given["with_credentials"] and selector not in ("pipeline_of", "project", *more):
        raise usage("--with-credentials can only be used with --pipeline-of or --project")
    parts: tuple[str, ...] = ()
    kind = None
    if selector in ("resource_id", "resource_ids", "names"):
        if given["resource_type"] is None:
            raise usage(f"{flag(selector)} needs --resource-type")
        access_kind(given["resource_type"])
        parts = split_list(given[selector])
        if not parts:
            raise usage(f"{flag(selector)} is empty", "is a variable unset?")
    if given["resource_type"] is not None:
        kind = resource_kind(given["resource_type"])
        if kind.name in UNLISTED and selector in ("names", "tag"):
            raise usage(f"the API has no list of {kind.name}", "select them with --resource-ids")
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
    """Parse ``sources:123`` into kind and id.

    Args:
        text: What the user wrote.
        flag_name: The flag, for messages.

    Raises:
        OperatorError: USAGE.
    """
    name, colon, resource_id = text.rpartition(":")
    if not colon:
        raise usage(f"{flag_name} must be TYPE:ID", f"for example {flag_name} sources:123")
    return resource_kind(name), checked_id(resource_id, flag_name)


def accessor_name(kind: Any, given: Mapping[str, Any], where: str) -> AccessorName:
    """The accessor that flags or an entry of a file name.

    Args:
        kind: The accessor's type: USER, TEAM or ORG.
        given: The values of ``id``, ``email``, ``name`` and ``domain``; None or empty where absent.
        where: The flags or the entry of a file, for messages.

    Raises:
        OperatorError: USAGE.
    """
    if kind not in ACCESSOR_TYPES:
        raise usage(f"{where}: the accessor's type must be one of {', '.join(ACCESSOR_TYPES)}")
    named = {identifier: value for identifier, value in given.items() if value not in (None, "")}
    if len(named) != 1 or next(iter(named)) not in IDENTIFIERS[kind]:
        raise usage(f"{where}: name the {kind} by exactly one of {', '.join(IDENTIFIERS[kind])}")
    ((identifier, value),) = named.items()
    return AccessorName(
        kind, identifier, checked_id(value, f"{where}: id") if identifier == "id" else str(value).strip()
    )
