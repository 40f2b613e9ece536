"""Reading who has access: the rules of many resources, and the people behind them.

Roles come from ownership, access rules, team membership and org admin rights. Public server sources suggest [?] that
org admins may do everything in their org, and that a flow's own rules apply in addition to those of its origin, which
is a source or a shared nexset.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from helpers.access.accessors import org_members, team_members
from helpers.access.roles import UNLISTED
from helpers.access.rules import AccessRule, AccessRules, read_rules
from helpers.access.targets import AccessTarget, origin_target, target_from_row
from helpers.api.caller import remember_caller
from helpers.api.resources import get
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row


@dataclass
class AuditedResource:
    """One resource with everything that could be read about it.

    Attributes:
        target: The resource.
        rules: Its own access rules.
        inherited: For a flow, the rules of its origin.
        problem: Why the rules could not be read; empty if they were.
    """

    target: AccessTarget
    rules: AccessRules = field(default_factory=dict)
    inherited: AccessRules = field(default_factory=dict)
    problem: str = ""

    def all_rules(self) -> list[AccessRule]:
        """Its own rules, and those of its origin."""
        return [*self.rules.values(), *self.inherited.values()]


@dataclass
class OrgPeople:
    """The caller's org.

    Attributes:
        org_id: The org's id; None if the API does not show it.
        domain: The org's email domain in lower case; empty if it has none.
        members: The org's members by user id.
        problem: Why the members are not known; empty if they are.
        teams: The members of each team that was read, by team id.
    """

    org_id: int | None
    domain: str
    members: dict[int, Row]
    problem: str = ""
    teams: dict[int, list[Row]] = field(default_factory=dict)

    def email(self, user_id: int) -> str:
        """A member's email; empty if unknown."""
        return str(self.members.get(user_id, {}).get("email") or "")


def ends_audit(error: OperatorError) -> bool:
    """Whether an error makes further reads pointless; any other error concerns only one resource."""
    return error.ends_command or error.code in (Exit.CONFIG, Exit.THROTTLED)


def read_resources(
    session: Session, targets: list[AccessTarget], workers: int, *, with_public: bool
) -> list[AuditedResource]:
    """Read the rules and owner of each resource. One that cannot be read does not stop the others.

    Args:
        session: The API session.
        targets: The resources.
        workers: How many to read at a time.
        with_public: Also read each nexset itself: only its own response shows whether it is public.

    Returns:
        One entry per target, in order.

    Raises:
        OperatorError: Nothing more can be read (see ``ends_audit``).
    """

    def read(target: AccessTarget) -> AuditedResource:
        try:
            return _read_resource(session, target, with_public=with_public)
        except OperatorError as error:
            if ends_audit(error):
                raise
            return AuditedResource(target, problem=error.message)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(read, targets))


def _read_resource(session: Session, target: AccessTarget, *, with_public: bool) -> AuditedResource:
    if target.kind.name == "flows":
        target = target if target.parent_key else origin_target(session, target)
        origin = target.parent_key
        inherited = read_rules(session, KINDS[origin[0]], origin[1]) if origin else {}
        return AuditedResource(target, read_rules(session, target.kind, target.id), inherited)
    if target.kind.name in UNLISTED:
        return AuditedResource(target, read_rules(session, target.kind, target.id))
    if target.owner_id is None or (with_public and target.kind.name == "nexsets"):
        row = get(session, target.kind, target.id)
        if row.get("id") != target.id:
            raise OperatorError(Exit.UPSTREAM, "the response is for another resource")
        target = target_from_row(target.kind, row)._replace(
            parent_key=target.parent_key, name=target.name or row.get("name")
        )
    return AuditedResource(target, read_rules(session, target.kind, target.id))


def read_people(session: Session) -> OrgPeople:
    """The caller's org and its members. If the members cannot be read, ``problem`` explains why.

    Raises:
        ApiError: The caller could not be read.
        OperatorError: Nothing more can be read (see ``ends_audit``).
    """
    current = call(session, "GET", "/users/current").data
    remember_caller(session, current)  # with an access token, no login has given the ids
    org = current.get("org") or {}
    people = OrgPeople(org.get("id"), str(org.get("email_domain") or "").casefold(), {})
    try:
        people.members = {row["id"]: row for row in org_members(session)}
    except OperatorError as error:
        if ends_audit(error):
            raise
        people.problem = f"cannot read its members: {error.message}"
    else:
        if session.user_id is not None and session.user_id not in people.members:
            people.problem = "its member list is incomplete: you are not in it"
    return people


def read_teams(session: Session, people: OrgPeople, resources: Iterable[AuditedResource]) -> list[Row]:
    """Read the members of every team that has access to any of the resources into ``people.teams``.

    Returns:
        A row with ``type``, ``id`` and ``problem`` for each team that could not be read.

    Raises:
        OperatorError: Nothing more can be read (see ``ends_audit``).
    """
    unread = []
    team_ids = {rule.id for resource in resources for rule in resource.all_rules() if rule.type == "TEAM"}
    for team_id in sorted(team_ids):
        try:
            people.teams[team_id] = team_members(session, team_id)
        except OperatorError as error:
            if ends_audit(error):
                raise
            unread.append({"type": "teams", "id": team_id, "problem": f"cannot read its members: {error.message}"})
    return unread
