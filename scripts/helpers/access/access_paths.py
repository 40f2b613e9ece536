"""Who has which role on a resource, and how they got it: by rule, by person, or for one person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from helpers.access.audit import AuditedResource, OrgPeople
from helpers.access.roles import ACCESSOR_TYPES
from helpers.access.rules import Accessor, AccessRule, AccessRules, in_force, rank, rules_for, strongest, text_of
from helpers.core.kinds import KINDS, Row


class AccessPath(NamedTuple):
    """One way in which an accessor has access to a resource.

    Attributes:
        role: The role that it grants.
        by: What grants it: ownership, a rule, a team, an org.
        label: The accessor's email, name or domain.
        expires_at: When it ends, ISO 8601 in UTC; None is forever.
    """

    role: str
    by: str
    label: str
    expires_at: str | None = None

    def as_text(self) -> str:
        """The path, for people."""
        return f"{self.by}: {self.role}" + (f" until {self.expires_at}" if self.expires_at else "")


AccessPaths = dict[Accessor, list[AccessPath]]


def rows_of(resource: AuditedResource, people: OrgPeople, now: str) -> Iterator[Row]:
    """One row for the owner and one per accessor. ``role`` is None if all its rules have expired.

    Args:
        resource: The audited resource.
        people: The org and its members.
        now: ISO 8601 in UTC.
    """
    owner_id, parent_key = resource.target.owner_id, resource.target.parent_key
    if owner_id is not None:
        yield _row(resource, ("USER", owner_id), people.email(owner_id), "owner", "owner")
    yield from _rows_of_rules(resource, resource.rules, "rule", now)
    if parent_key:
        by = f"rule on {KINDS[parent_key[0]].singular} {parent_key[1]}"
        yield from _rows_of_rules(resource, resource.inherited, by, now)


def _rows_of_rules(resource: AuditedResource, all_rules: AccessRules, by: str, now: str) -> Iterator[Row]:
    live = in_force(all_rules, now)
    accessors = {rule.accessor for rule in all_rules.values()}
    for accessor in sorted(accessors, key=lambda found: (ACCESSOR_TYPES.index(found[0]), found[1])):
        rules = rules_for(all_rules, accessor)
        role = strongest(rules_for(live, accessor))
        end = _latest(rule.expires_at for rule in rules if role in (None, rule.role))
        yield _row(resource, accessor, rules[0].label, role, f"{by}: {text_of(rules)}", end)


def _latest(ends: Iterable[str | None]) -> str | None:
    """The latest of several ends; None, which is forever, is later than any."""
    return max(ends, key=lambda end: (end is None, end or ""))


def _row(
    resource: AuditedResource, accessor: Accessor, label: str, role: str | None, via: str, end: str | None = None
) -> Row:
    target = resource.target
    row: Row = {"type": target.kind.name, "id": target.id, "name": target.name, "accessor_type": accessor[0]}
    return row | {"accessor_id": accessor[1], "accessor": label, "role": role, "via": via, "expires_at": end}


def paths_to(resource: AuditedResource, people: OrgPeople, now: str) -> AccessPaths:
    """The access paths of each person and org. A team counts for its members. ``now`` is ISO 8601 in UTC."""
    paths: AccessPaths = {}
    owner_id = resource.target.owner_id
    if owner_id is not None:
        paths["USER", owner_id] = [AccessPath("owner", "owner", people.email(owner_id))]
    parent_key = resource.target.parent_key
    on_origin = f" on its {KINDS[parent_key[0]].singular}" if parent_key else ""
    for rules, where in ((resource.rules, ""), (resource.inherited, on_origin)):
        for rule in in_force(rules, now).values():
            for accessor, path in _paths_by(rule, where, people):
                paths.setdefault(accessor, []).append(path)
    for user_id, member in people.members.items():
        if member.get("is_admin?"):
            paths.setdefault(("USER", user_id), []).append(AccessPath("admin", "org admin", people.email(user_id)))
    return paths


def _paths_by(rule: AccessRule, where: str, people: OrgPeople) -> Iterator[tuple[Accessor, AccessPath]]:
    """The access that one rule grants, and to whom: a team's rule to each member of the team."""
    if rule.type != "TEAM":
        yield rule.accessor, AccessPath(rule.role, f"rule{where}", rule.label, rule.expires_at)
        return
    for member in people.teams.get(rule.id, []):
        if isinstance(member.get("id"), int):
            by = f"team {rule.label or rule.id}{where}"
            yield ("USER", member["id"]), AccessPath(rule.role, by, str(member.get("email")), rule.expires_at)


def persons_of(resource: AuditedResource, people: OrgPeople, now: str) -> Iterator[Row]:
    """One row per person, with the strongest role and every access path. Teams are expanded, orgs are not.

    ``now`` is ISO 8601 in UTC.
    """
    for accessor, paths in sorted(paths_to(resource, people, now).items()):
        yield _row(resource, accessor, paths[0].label, *_strongest_path(paths))


def access_of_person(resource: AuditedResource, people: OrgPeople, user: AccessRule, now: str) -> Row | None:
    """The strongest role of one person and every access path; None without access. ``now`` is ISO 8601 in UTC."""
    paths = paths_to(resource, people, now)
    found = paths.get(user.accessor, [])
    if user.id in people.members:
        of_org = paths.get(("ORG", people.org_id or 0), [])
        found = [*found, *(path._replace(by=f"org {path.label}") for path in of_org)]
    return _row(resource, user.accessor, user.label, *_strongest_path(found)) if found else None


def _strongest_path(paths: list[AccessPath]) -> tuple[str, str, str | None]:
    """The strongest role, every access path with the role that it grants, and when the strongest role ends."""
    role = max((path.role for path in paths), key=rank)
    end = _latest(path.expires_at for path in paths if path.role == role)
    return role, "; ".join(path.as_text() for path in paths), end
