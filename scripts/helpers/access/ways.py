"""Who may do what with a resource, and by what: as rules, by person, or for one person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from helpers.access.audit import AuditedResource, OrgPeople
from helpers.access.roles import ACCESSOR_TYPES
from helpers.access.rules import Accessor, AccessRule, AccessRules, in_force, rank, rules_for, strongest, text_of
from helpers.core.kinds import Row


class Way(NamedTuple):
    """One way to a resource: the role that it gives, by what, and the accessor's label."""

    role: str
    by: str
    label: str


Ways = dict[Accessor, list[Way]]


def rows_of(resource: AuditedResource, people: OrgPeople, now: str) -> Iterator[Row]:
    """One row for the owner, and one for each accessor; ``role`` is None when all it had has expired."""
    owner_id, above = resource.target.owner_id, resource.target.above
    if owner_id is not None:
        yield _row(resource, ("USER", owner_id), people.email(owner_id), "owner", "owner")
    yield from _rows_of_rules(resource, resource.rules, "rule", now)
    if above:
        by = f"rule on {above[0].removesuffix('s')} {above[1]}"
        yield from _rows_of_rules(resource, resource.inherited, by, now)


def _rows_of_rules(resource: AuditedResource, all_rules: AccessRules, by: str, now: str) -> Iterator[Row]:
    live = in_force(all_rules, now)
    accessors = {rule.accessor for rule in all_rules.values()}
    for accessor in sorted(accessors, key=lambda found: (ACCESSOR_TYPES.index(found[0]), found[1])):
        rules = rules_for(all_rules, accessor)
        role = strongest(rules_for(live, accessor))
        latest = max((rule.expires_at for rule in rules), key=lambda end: (end is None, end or ""))
        yield _row(resource, accessor, rules[0].label, role, f"{by}: {text_of(rules)}") | {"expires_at": latest}


def _row(resource: AuditedResource, accessor: Accessor, label: str, role: str | None, via: str) -> Row:
    target = resource.target
    row: Row = {"type": target.kind.name, "id": target.id, "name": target.name, "accessor_type": accessor[0]}
    return row | {"accessor_id": accessor[1], "accessor": label, "role": role, "via": via, "expires_at": None}


def ways_to(resource: AuditedResource, people: OrgPeople, now: str) -> Ways:
    """Each person's (and org's) ways to a resource; teams count for their members."""
    ways: Ways = {}
    owner_id = resource.target.owner_id
    if owner_id is not None:
        ways["USER", owner_id] = [Way("owner", "owner", people.email(owner_id))]
    for rules, where in ((resource.rules, ""), (resource.inherited, " on its source")):
        for rule in in_force(rules, now).values():
            for accessor, way in _ways_by(rule, where, people):
                ways.setdefault(accessor, []).append(way)
    for user_id, member in people.members.items():
        if member.get("is_admin?"):
            ways.setdefault(("USER", user_id), []).append(Way("admin", "org admin", people.email(user_id)))
    return ways


def _ways_by(rule: AccessRule, where: str, people: OrgPeople) -> Iterator[tuple[Accessor, Way]]:
    """What one rule gives, and to whom; a team's rule to each of its members."""
    if rule.type != "TEAM":
        yield rule.accessor, Way(rule.role, f"rule{where}", rule.label)
        return
    for member in people.teams.get(rule.id, []):
        if isinstance(member.get("id"), int):
            by = f"team {rule.label or rule.id}{where}"
            yield ("USER", member["id"]), Way(rule.role, by, str(member.get("email")))


def persons_of(resource: AuditedResource, people: OrgPeople, now: str) -> Iterator[Row]:
    """One row for each person with the strongest role and every way to it; teams are expanded, orgs are not."""
    for accessor, ways in sorted(ways_to(resource, people, now).items()):
        yield _row(resource, accessor, ways[0].label, *_strongest_way(ways))


def access_of_person(resource: AuditedResource, people: OrgPeople, user: AccessRule, now: str) -> Row | None:
    """What one person may do with a resource, and by what; None when nothing."""
    ways = ways_to(resource, people, now)
    found = ways.get(user.accessor, [])
    if user.id in people.members:
        of_org = ways.get(("ORG", people.org_id or 0), [])
        found = [*found, *(way._replace(by=f"org {way.label}") for way in of_org)]
    return _row(resource, user.accessor, user.label, *_strongest_way(found)) if found else None


def _strongest_way(ways: list[Way]) -> tuple[str, str]:
    """The strongest role, and every way with the role that it gives."""
    return max((way.role for way in ways), key=rank), "; ".join(f"{way.by}: {way.role}" for way in ways)
