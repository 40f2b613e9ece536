"""What an audit finds: broken rules, and differences from the declared access."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from helpers.access.access_paths import paths_to
from helpers.access.audit import AuditedResource, OrgPeople
from helpers.access.rules import Accessor, AccessRule, AccessRules, in_force, rank, rules_for, same_expiry, text_of
from helpers.core.kinds import Row

FINDINGS = {
    "public": "everybody may use it",
    "org-wide": "an entire org has access",
    "outside-domain": "the user's email is outside the org's domain",
    "ex-member": "the user is not an active member of the org",
    "expired": "the rule has expired",
    "no-owner-in-team": "teams have access, but the owner is in none of them",
    "child-without-parent": "access to this resource, but not to its parent",
}
Resources = dict[tuple[str, int], AuditedResource]


class Finding(NamedTuple):
    """A rule of FINDINGS that a resource breaks.

    Attributes:
        name: A key of FINDINGS.
        accessor: Title of the accessor; None if it concerns the resource itself.
        text: Overrides the text in FINDINGS.
    """

    name: str
    accessor: str | None = None
    text: str = ""


class Audited(NamedTuple):
    """The input of a check.

    Attributes:
        resource: The resource to check.
        others: All audited resources, by key.
        people: The org and its members.
        now: ISO 8601 in UTC.
    """

    resource: AuditedResource
    others: Resources
    people: OrgPeople
    now: str

    @property
    def rules(self) -> AccessRules:
        """Its rules; for a flow whose origin is not audited itself, also those of the origin."""
        parent_key = self.resource.target.parent_key
        return self.resource.rules if parent_key in self.others else self.resource.inherited | self.resource.rules

    @property
    def live(self) -> AccessRules:
        """The rules in force."""
        return in_force(self.rules, self.now)

    def accessors(self) -> list[AccessRule]:
        """The first rule of each accessor that has access now."""
        live = self.live
        return [rules_for(live, who)[0] for who in dict.fromkeys(rule.accessor for rule in live.values())]


def findings_of(resources: list[AuditedResource], people: OrgPeople, now: str) -> list[Row]:
    """The rules that the resources break, as rows in the order of ``FINDINGS``.

    Args:
        resources: The audited resources.
        people: The org and its members.
        now: ISO 8601 in UTC.
    """
    others = {resource.target.key: resource for resource in resources}
    rows = [row for resource in resources for row in _rows(Audited(resource, others, people, now))]
    return sorted(rows, key=lambda row: list(FINDINGS).index(row["finding"]))


def _rows(audited: Audited) -> Iterator[Row]:
    target = audited.resource.target
    for check in CHECKS:
        for finding in check(audited):
            row = {"finding": finding.name, "type": target.kind.name, "id": target.id, "name": target.name}
            yield row | {"accessor": finding.accessor, "text": finding.text or FINDINGS[finding.name]}


def _public(audited: Audited) -> Iterator[Finding]:
    if audited.resource.target.public:
        yield Finding("public")


def _expired(audited: Audited) -> Iterator[Finding]:
    for rule in audited.rules.values():
        if rule.has_expired(audited.now):
            yield Finding("expired", rule.title, f"the role {rule.role} expired at {rule.expires_at}")


def _org_wide(audited: Audited) -> Iterator[Finding]:
    for rule in audited.accessors():
        if rule.type == "ORG":
            yield Finding("org-wide", rule.title)


def _child_without_parent(audited: Audited) -> Iterator[Finding]:
    target, people = audited.resource.target, audited.people
    parent = audited.others.get(target.parent_key) if target.parent_key and target.kind.name != "flows" else None
    if parent is None:
        return
    reached = set(paths_to(parent, people, audited.now))
    reached |= {rule.accessor for rule in in_force(parent.rules, audited.now).values()}
    for rule in audited.accessors():
        by_org = rule.type == "USER" and ("ORG", people.org_id) in reached
        if rule.accessor not in reached and not by_org:
            yield Finding("child-without-parent", rule.title)


def _persons(audited: Audited) -> Iterator[Finding]:
    """Users and team members outside the domain, or no longer active in the org."""
    for rule in audited.accessors():
        for title, user_id, email in _users_behind(rule, audited.people):
            yield from (Finding(name, title) for name in _person_findings(user_id, email, audited.people))
    owner_id = audited.resource.target.owner_id
    if owner_id is not None and "ex-member" in _person_findings(owner_id, "", audited.people):
        yield Finding("ex-member", f"USER {owner_id}", "the owner is not an active member of the org")


def _no_owner_in_team(audited: Audited) -> Iterator[Finding]:
    teams, owner_id = audited.people.teams, audited.resource.target.owner_id
    team_ids = {rule.id for rule in audited.live.values() if rule.type == "TEAM"}
    member_ids = {member.get("id") for team_id in team_ids for member in teams.get(team_id, [])}
    if team_ids and team_ids <= teams.keys() and owner_id is not None and owner_id not in member_ids:
        yield Finding("no-owner-in-team")


CHECKS: tuple[Callable[[Audited], Iterator[Finding]], ...] = (
    _public, _expired, _org_wide, _child_without_parent, _persons, _no_owner_in_team,
)  # fmt: skip


def _users_behind(rule: AccessRule, people: OrgPeople) -> Iterator[tuple[str, int, str]]:
    """Title, id and email of the rule's user, or of each member of its team."""
    if rule.type == "USER":
        yield rule.title, rule.id, rule.label
    for member in people.teams.get(rule.id, []) if rule.type == "TEAM" else ():
        if isinstance(member.get("id"), int):
            yield f"{rule.title}: {member.get('email')}", member["id"], str(member.get("email") or "")


def _person_findings(user_id: int, email: str, people: OrgPeople) -> list[str]:
    domain = email.casefold().rpartition("@")[2]
    found = ["outside-domain"] if people.domain and domain and domain != people.domain else []
    if people.problem:
        return found
    member = people.members.get(user_id)
    if member is None or member.get("org_membership_status") == "DEACTIVATED":
        found.append("ex-member")
    return found


def differences_to(resource: AuditedResource, wanted: AccessRules, people: OrgPeople, now: str) -> Iterator[Row]:
    """Differences from the declared access: missing, extra, wrong role, expired, ex-member.

    Args:
        resource: The audited resource.
        wanted: The declared rules.
        people: The org and its members.
        now: ISO 8601 in UTC.
    """
    target, live, due = resource.target, in_force(resource.rules, now), in_force(wanted, now)

    def row(what: str, accessor: Accessor) -> Row:
        rules = rules_for(resource.rules, accessor) or rules_for(wanted, accessor)
        found = {"difference": what, "type": target.kind.name, "id": target.id, "name": target.name}
        texts = {"expected": text_of(rules_for(due, accessor)), "actual": text_of(rules_for(resource.rules, accessor))}
        return found | {"accessor": rules[0].title, **texts}

    for accessor in dict.fromkeys(rule.accessor for rule in (*due.values(), *resource.rules.values())):
        expected, actual = rules_for(due, accessor), rules_for(live, accessor)
        if expected and not actual:
            yield row("expired" if rules_for(resource.rules, accessor) else "missing", accessor)
        elif actual and not expected:
            yield row("extra", accessor)
        elif not _is_equal(expected, actual):
            yield row("wrong role", accessor)
        if accessor[0] == "USER" and actual and "ex-member" in _person_findings(accessor[1], "", people):
            yield row("ex-member", accessor)


def _is_equal(expected: list[AccessRule], actual: list[AccessRule]) -> bool:
    """The same strongest role and sharer role, with the same expiry; additional weaker roles do not matter."""
    pairs = zip(_decisive(expected), _decisive(actual), strict=True)
    return all(same_expiry(a, b) and (a and a.role) == (b and b.role) for a, b in pairs)


def _decisive(rules: list[AccessRule]) -> tuple[AccessRule | None, AccessRule | None]:
    """The strongest ranked rule, and the unranked rule (sharer)."""
    ordered = [rule for rule in rules if rank(rule.role) > -1]
    outside = (rule for rule in rules if rank(rule.role) == -1)
    return max(ordered, key=lambda rule: rank(rule.role), default=None), next(outside, None)
