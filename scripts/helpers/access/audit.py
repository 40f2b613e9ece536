"""Reading who has access: rules of many resources, and the people behind them.

The owner, access rules, teams and the admins of an org give roles. That an org's admins may do everything in it, and
that a flow's own rules count besides its source's, is how public server sources read [?].
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from helpers.access.accessors import org_members, team_members
from helpers.access.rules import AccessRules, read_rules
from helpers.access.targets import AccessTarget, of_row, origin_of
from helpers.api.resources import get
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row


@dataclass
class AuditedResource:
    """One resource with what could be read of it.

    Attributes:
        inherited: the rules of a flow's source.
        problem: why its rules could not be read; empty when they were.
    """

    target: AccessTarget
    rules: AccessRules = field(default_factory=dict)
    inherited: AccessRules = field(default_factory=dict)
    problem: str = ""


@dataclass
class OrgPeople:
    """The caller's org.

    Attributes:
        members: by user id; ``teams``: members by team id, as far as requested.
        problem: why it is not known who is a member; empty when it is.
    """

    org_id: int | None
    domain: str
    members: dict[int, Row]
    problem: str = ""
    teams: dict[int, list[Row]] = field(default_factory=dict)

    def email(self, user_id: int) -> str:
        return str(self.members.get(user_id, {}).get("email") or "")


def ends_audit(error: OperatorError) -> bool:
    """Whether nothing more can be read; any other failure is one resource's."""
    return error.ends_command or error.code in (Exit.CONFIG, Exit.THROTTLED)


def read_resources(
    session: Session, targets: list[AccessTarget], workers: int, *, with_public: bool
) -> list[AuditedResource]:
    """Rules and owner of each resource; one that cannot be read stops none of the others.

    Args:
        with_public: read each nexset itself as well: only its own answer says whether it is public.
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
        target = target if target.above else origin_of(session, target)
        inherited = read_rules(session, KINDS["sources"], target.above[1]) if target.above else {}
        return AuditedResource(target, read_rules(session, target.kind, target.id), inherited)
    if target.owner_id is None or (with_public and target.kind.name == "nexsets"):
        row = get(session, target.kind, target.id)
        if row.get("id") != target.id:
            raise OperatorError(Exit.UPSTREAM, "the answer is not this resource")
        target = of_row(target.kind, row)._replace(above=target.above, name=target.name or row.get("name"))
    return AuditedResource(target, read_rules(session, target.kind, target.id))


def read_people(session: Session) -> OrgPeople:
    """The caller's org with its members; without them when they cannot be read."""
    org = call(session, "GET", "/users/current").data.get("org") or {}
    people = OrgPeople(org.get("id"), str(org.get("email_domain") or "").casefold(), {})
    try:
        people.members = {row["id"]: row for row in org_members(session)}
    except OperatorError as error:
        if ends_audit(error):
            raise
        people.problem = f"its members: {error.message}"
    else:
        if session.user_id is not None and session.user_id not in people.members:
            people.problem = "its members: you are not among them, so the list is not complete"
    return people


def read_teams(session: Session, people: OrgPeople, resources: Iterable[AuditedResource]) -> list[Row]:
    """Add the members of every team that has access somewhere; returns the teams that could not be read."""
    unread = []
    team_ids = {rule.id for resource in resources for rule in resource.rules.values() if rule.type == "TEAM"}
    for team_id in sorted(team_ids):
        try:
            people.teams[team_id] = team_members(session, team_id)
        except OperatorError as error:
            if ends_audit(error):
                raise
            unread.append({"type": "teams", "id": team_id, "problem": f"its members: {error.message}"})
    return unread
