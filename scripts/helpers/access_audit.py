"""Who has access: accessors of many resources, persons behind them, findings, and the difference to what is declared.

The owner, access rules, teams and the admins of an org give roles. That an org's admins may do everything in it, and
that a flow's own rules count besides its source's, is how public server sources read [?].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .access_flags import TYPES
from .access_rules import Key, Rule, Rules, rank, read_rules
from .access_targets import Target, of_row
from .accessors import org_members, team_members
from .errors import Exit, OperatorError
from .kinds import Row
from .resources import get
from .session import Session
from .transport import call

FINDINGS = {
    "public": "everybody may use it",
    "org-wide": "a whole org has access",
    "outside-domain": "the user's address is not of the org's domain",
    "ex-member": "the user is no active member of the org",
    "expired": "the rule is past its end",
    "no-owner-in-team": "teams have access, and the owner is in none of them",
    "child-without-parent": "access here, and none to what it is made of",
}
FATAL = (Exit.CONFIG, Exit.THROTTLED, Exit.TIMEOUT, Exit.INTERRUPTED)


@dataclass
class Seen:
    """One resource with what could be read of it; ``problem`` says why its rules could not."""

    target: Target
    rules: Rules = field(default_factory=dict)
    problem: str = ""


@dataclass
class People:
    """The caller's org: its members by user id, its domain, and the members of teams as far as asked for."""

    org: int | None
    domain: str
    members: dict[int, Row]
    teams: dict[int, list[Row]] = field(default_factory=dict)

    def email(self, number: int) -> str:
        return str(self.members.get(number, {}).get("email") or "")


def look(session: Session, targets: list[Target], workers: int) -> list[Seen]:
    """Rules and owner of each resource; one that cannot be read stops none of the others."""

    def one(target: Target) -> Seen:
        try:
            if target.owner is None and target.kind.name != "flows":
                row = get(session, target.kind, target.id)
                if row.get("id") != target.id:
                    raise OperatorError(Exit.UPSTREAM, "the answer is not this resource")
                target = of_row(target.kind, row)._replace(above=target.above, name=target.name or row.get("name"))
            return Seen(target, read_rules(session, target.kind, target.id))
        except OperatorError as error:
            if error.code in FATAL or error.http_status == 401:
                raise
            return Seen(target, problem=error.message)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, targets))


def read_people(session: Session) -> People:
    org = call(session, "GET", "/users/current").data.get("org") or {}
    members = {row["id"]: row for row in org_members(session) if isinstance(row.get("id"), int)}
    return People(org.get("id"), str(org.get("email_domain") or "").casefold(), members)


def read_teams(session: Session, people: People, found: Iterable[Seen]) -> None:
    """Members of every team that has access somewhere."""
    for seen in found:
        for rule in seen.rules.values():
            if rule.type == "TEAM" and rule.id not in people.teams:
                people.teams[rule.id] = team_members(session, rule.id)


def rows_of(seen: Seen, people: People, now: str) -> Iterator[Row]:
    """One row for the owner, and one for each accessor; ``role`` is None when the rule is past its end."""
    if seen.target.owner is not None:
        yield _row(seen, "USER", seen.target.owner, people.email(seen.target.owner), "owner", "owner")
    for rule in sorted(seen.rules.values(), key=lambda rule: (TYPES.index(rule.type), rule.id)):
        role = None if rule.is_over(now) else rule.role
        yield _row(seen, rule.type, rule.id, rule.label, role, "rule") | {"expires_at": rule.expires}


def _row(seen: Seen, kind: str, number: int, label: str, role: str | None, via: str) -> Row:
    target = seen.target
    row: Row = {"type": target.kind.name, "id": target.id, "name": target.name, "accessor_type": kind}
    return row | {"accessor_id": number, "accessor": label, "role": role, "via": via, "expires_at": None}


def persons_of(seen: Seen, people: People, now: str) -> Iterator[Row]:
    """One row for each person with the strongest role and every way to it; teams are expanded, orgs are not."""
    ways: dict[tuple[str, int], list[tuple[str, str, str]]] = {}
    if seen.target.owner is not None:
        ways[("USER", seen.target.owner)] = [("owner", "owner", people.email(seen.target.owner))]
    for rule in seen.rules.values():
        if rule.is_over(now):
            continue
        if rule.type != "TEAM":
            ways.setdefault(rule.key, []).append((rule.role, "rule", rule.label))
        for member in people.teams.get(rule.id, []) if rule.type == "TEAM" else ():
            key = ("USER", int(member["id"]))
            ways.setdefault(key, []).append((rule.role, f"team {rule.label or rule.id}", str(member.get("email"))))
    for (kind, number), found in sorted(ways.items()):
        role = max((role for role, _, _ in found), key=rank)
        yield _row(seen, kind, number, found[0][2], role, "; ".join(f"{via}: {role}" for role, via, _ in found))


def of_person(seen: Seen, people: People, user: Rule, org: int | None, now: str) -> Row | None:
    """What one person may do with a resource, and by what; None when nothing."""
    found = [row for row in persons_of(seen, people, now) if (row["accessor_type"], row["accessor_id"]) == user.key]
    ways = [(row["role"], row["via"]) for row in found]
    for row in persons_of(seen, people, now):
        if (row["accessor_type"], row["accessor_id"]) == ("ORG", org):
            ways.append((row["role"], f"org {row['accessor'] or org}: {row['role']}"))
    if people.members.get(user.id, {}).get("is_admin?"):
        ways.append(("admin", "org admin: admin"))
    if not ways:
        return None
    role = max((role for role, _ in ways), key=rank)
    return _row(seen, "USER", user.id, user.label, role, "; ".join(via for _, via in ways))


def findings(found: list[Seen], people: People, now: str) -> list[Row]:
    """What the named rules see, in the order of ``FINDINGS``."""
    rules = {seen.target.key: seen.rules for seen in found}
    hits = [hit for seen in found for hit in _hits(seen, rules, people, now)]
    return sorted(hits, key=lambda row: list(FINDINGS).index(row["finding"]))


def _hits(seen: Seen, all_rules: dict[Key, Rules], people: People, now: str) -> Iterator[Row]:
    target = seen.target

    def hit(name: str, rule: Rule | None, text: str = "") -> Row:
        row = {"finding": name, "type": target.kind.name, "id": target.id, "name": target.name}
        return row | {"accessor": rule.title if rule else None, "text": text or FINDINGS[name]}

    if target.public:
        yield hit("public", None)
    for rule in seen.rules.values():
        if rule.is_over(now):
            yield hit("expired", rule, f"its {rule.role} ended at {rule.expires}")
        elif rule.type == "ORG":
            yield hit("org-wide", rule)
        if rule.type == "USER":
            yield from (hit(name, rule) for name in _person_hits(rule, people))
        above = all_rules.get(target.above) if target.above else None
        if above is not None and rule.key not in above and not rule.is_over(now):
            yield hit("child-without-parent", rule)
    teams = [people.teams.get(rule.id, []) for rule in seen.rules.values() if rule.type == "TEAM"]
    owner = target.owner
    if teams and owner is not None and all(owner != member.get("id") for team in teams for member in team):
        yield hit("no-owner-in-team", None)


def _person_hits(rule: Rule, people: People) -> Iterator[str]:
    domain = rule.label.casefold().rpartition("@")[2]
    if people.domain and domain and domain != people.domain:
        yield "outside-domain"
    member = people.members.get(rule.id)
    if member is None or member.get("org_membership_status") == "DEACTIVATED":
        yield "ex-member"


def against(seen: Seen, wanted: Rules, people: People, now: str) -> Iterator[Row]:
    """The difference to what is declared: missing, extra, wrong role, expired, ex-member."""
    target = seen.target

    def row(what: str, rule: Rule, expected: str | None, actual: str | None) -> Row:
        found = {"difference": what, "type": target.kind.name, "id": target.id, "name": target.name}
        return found | {"accessor": rule.title, "expected": expected, "actual": actual}

    for key, rule in wanted.items():
        old = seen.rules.get(key)
        if old is None:
            yield row("missing", rule, rule.as_text(), None)
        elif old.is_over(now):
            yield row("expired", rule, rule.as_text(), old.as_text())
        elif (old.role, old.expires) != (rule.role, rule.expires):
            yield row("wrong role", rule, rule.as_text(), old.as_text())
    for key, rule in seen.rules.items():
        if key not in wanted:
            yield row("extra", rule, None, rule.as_text())
        if rule.type == "USER" and "ex-member" in _person_hits(rule, people):
            yield row("ex-member", rule, wanted[key].as_text() if key in wanted else None, rule.as_text())
