"""Who has access: accessors of many resources, persons behind them, findings, and the difference to what is declared.

The owner, access rules, teams and the admins of an org give roles. That an org's admins may do everything in it, and
that a flow's own rules count besides its source's, is how public server sources read [?].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from helpers.access.accessors import org_members, team_members
from helpers.access.flags import TYPES
from helpers.access.rules import Rule, Rules, Who, in_force, of, rank, read_rules, same, strongest, text_of
from helpers.access.targets import Target, of_row, origin_of
from helpers.api.resources import get
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row

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
    """One resource with what could be read of it; ``problem`` says why its rules could not. ``inherited`` are the rules
    of a flow's source."""

    target: Target
    rules: Rules = field(default_factory=dict)
    inherited: Rules = field(default_factory=dict)
    problem: str = ""


@dataclass
class People:
    """The caller's org: its members by user id, its domain, and the members of teams as far as asked for. ``problem``
    says why it is not known who is a member."""

    org: int | None
    domain: str
    members: dict[int, Row]
    problem: str = ""
    teams: dict[int, list[Row]] = field(default_factory=dict)

    def email(self, number: int) -> str:
        return str(self.members.get(number, {}).get("email") or "")


def look(session: Session, targets: list[Target], workers: int, *, whole: bool) -> list[Seen]:
    """Rules and owner of each resource; one that cannot be read stops none of the others.

    Args:
        whole: read each nexset itself as well: only there stands whether it is public.
    """

    def one(target: Target) -> Seen:
        try:
            if target.kind.name != "flows" and (target.owner is None or (whole and target.kind.name == "nexsets")):
                row = get(session, target.kind, target.id)
                if row.get("id") != target.id:
                    raise OperatorError(Exit.UPSTREAM, "the answer is not this resource")
                target = of_row(target.kind, row)._replace(above=target.above, name=target.name or row.get("name"))
            if target.kind.name != "flows":
                return Seen(target, read_rules(session, target.kind, target.id))
            if target.above is None:
                target = origin_of(session, target)
            source = read_rules(session, KINDS["sources"], target.above[1]) if target.above else {}
            return Seen(target, read_rules(session, target.kind, target.id), source)
        except OperatorError as error:
            if error.code in FATAL or error.http_status == 401:
                raise
            return Seen(target, problem=error.message)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, targets))


def read_people(session: Session) -> People:
    org = call(session, "GET", "/users/current").data.get("org") or {}
    people = People(org.get("id"), str(org.get("email_domain") or "").casefold(), {})
    try:
        people.members = {row["id"]: row for row in org_members(session)}
    except OperatorError as error:
        if error.code in FATAL or error.http_status == 401:
            raise
        people.problem = f"its members: {error.message}"
    else:
        if session.user_id is not None and session.user_id not in people.members:
            people.problem = "its members: you are not among them, so the list is not whole"
    return people


def read_teams(session: Session, people: People, found: Iterable[Seen]) -> list[Row]:
    """Members of every team that has access somewhere; returns the teams that could not be read."""
    unread = []
    for number in sorted({rule.id for seen in found for rule in seen.rules.values() if rule.type == "TEAM"}):
        try:
            people.teams[number] = team_members(session, number)
        except OperatorError as error:
            if error.code in FATAL or error.http_status == 401:
                raise
            unread.append({"type": "teams", "id": number, "problem": f"its members: {error.message}"})
    return unread


def rows_of(seen: Seen, people: People, now: str) -> Iterator[Row]:
    """One row for the owner, and one for each accessor; ``role`` is None when all it had has ended."""
    if seen.target.owner is not None:
        yield _row(seen, ("USER", seen.target.owner), people.email(seen.target.owner), "owner", "owner")
    source = f"{seen.target.above[0].removesuffix('s')} {seen.target.above[1]}" if seen.target.above else ""
    for all_rules, word in ((seen.rules, "rule"), (seen.inherited, f"rule on {source}")):
        yield from _accessors_of(seen, all_rules, word, now)


def _accessors_of(seen: Seen, all_rules: Rules, word: str, now: str) -> Iterator[Row]:
    live = in_force(all_rules, now)
    for who in sorted({rule.who for rule in all_rules.values()}, key=lambda who: (TYPES.index(who[0]), who[1])):
        rules = of(all_rules, who)
        row = _row(seen, who, rules[0].label, strongest(of(live, who)), f"{word}: {text_of(rules)}")
        yield row | {"expires_at": max((rule.until for rule in rules), key=lambda end: (end is None, end or ""))}


def _row(seen: Seen, who: Who, label: str, role: str | None, via: str) -> Row:
    target = seen.target
    row: Row = {"type": target.kind.name, "id": target.id, "name": target.name, "accessor_type": who[0]}
    return row | {"accessor_id": who[1], "accessor": label, "role": role, "via": via, "expires_at": None}


def _ways(seen: Seen, people: People, now: str) -> dict[Who, list[tuple[str, str, str]]]:
    """Each person's (and org's) ways to a resource: role, by what, label."""
    ways: dict[Who, list[tuple[str, str, str]]] = {}
    if seen.target.owner is not None:
        ways["USER", seen.target.owner] = [("owner", "owner", people.email(seen.target.owner))]
    mine = [(rule, "") for rule in in_force(seen.rules, now).values()]
    for rule, by in [*mine, *((rule, " on its source") for rule in in_force(seen.inherited, now).values())]:
        if rule.type != "TEAM":
            ways.setdefault(rule.who, []).append((rule.role, f"rule{by}", rule.label))
        for member in people.teams.get(rule.id, []) if rule.type == "TEAM" else ():
            if isinstance(member.get("id"), int):
                way = (rule.role, f"team {rule.label or rule.id}{by}", str(member.get("email")))
                ways.setdefault(("USER", member["id"]), []).append(way)
    for number, member in people.members.items():
        if member.get("is_admin?"):
            ways.setdefault(("USER", number), []).append(("admin", "org admin", people.email(number)))
    return ways


def persons_of(seen: Seen, people: People, now: str) -> Iterator[Row]:
    """One row for each person with the strongest role and every way to it; teams are expanded, orgs are not."""
    for who, found in sorted(_ways(seen, people, now).items()):
        role = max((role for role, _, _ in found), key=rank)
        yield _row(seen, who, found[0][2], role, "; ".join(f"{via}: {role}" for role, via, _ in found))


def of_person(seen: Seen, people: People, user: Rule, now: str) -> Row | None:
    """What one person may do with a resource, and by what; None when nothing."""
    ways = _ways(seen, people, now)
    found = ways.get(user.who, [])
    if user.id in people.members:
        found += [(role, f"org {label}", label) for role, _, label in ways.get(("ORG", people.org or 0), [])]
    if not found:
        return None
    role = max((role for role, _, _ in found), key=rank)
    return _row(seen, user.who, user.label, role, "; ".join(f"{via}: {role}" for role, via, _ in found))


def findings(found: list[Seen], people: People, now: str) -> list[Row]:
    """What the named rules see, in the order of ``FINDINGS``."""
    by_key = {seen.target.key: seen for seen in found}
    hits = [hit for seen in found for hit in _hits(seen, by_key, people, now)]
    return sorted(hits, key=lambda row: list(FINDINGS).index(row["finding"]))


def _hits(seen: Seen, by_key: dict[tuple[str, int], Seen], people: People, now: str) -> Iterator[Row]:
    target, mine = seen.target, in_force(seen.rules, now)

    def hit(name: str, title: str | None, text: str = "") -> Row:
        row = {"finding": name, "type": target.kind.name, "id": target.id, "name": target.name}
        return row | {"accessor": title, "text": text or FINDINGS[name]}

    if target.public:
        yield hit("public", None)
    for rule in seen.rules.values():
        if rule.is_over(now):
            yield hit("expired", rule.title, f"its {rule.role} ended at {rule.until}")
    above = by_key.get(target.above) if target.above and target.kind.name != "flows" else None
    reached = (
        _ways(above, people, now).keys() | {rule.who for rule in in_force(above.rules, now).values()} if above else ()
    )
    for who in dict.fromkeys(rule.who for rule in mine.values()):
        rule = of(mine, who)[0]
        if rule.type == "ORG":
            yield hit("org-wide", rule.title)
        if above is not None and who not in reached and not (who[0] == "USER" and ("ORG", people.org) in reached):
            yield hit("child-without-parent", rule.title)
        for title, number, email in _persons(rule, people):
            yield from (hit(name, title) for name in _person_hits(number, email, people))
    if target.owner is not None and "ex-member" in _person_hits(target.owner, "", people):
        yield hit("ex-member", f"USER {target.owner}", "the owner is no active member of the org")
    teams = {rule.id for rule in mine.values() if rule.type == "TEAM"}
    owners = {member.get("id") for number in teams for member in people.teams.get(number, [])}
    if teams and teams <= people.teams.keys() and target.owner is not None and target.owner not in owners:
        yield hit("no-owner-in-team", None)


def _persons(rule: Rule, people: People) -> Iterator[tuple[str, int, str]]:
    if rule.type == "USER":
        yield rule.title, rule.id, rule.label
    for member in people.teams.get(rule.id, []) if rule.type == "TEAM" else ():
        if isinstance(member.get("id"), int):
            yield f"{rule.title}: {member.get('email')}", member["id"], str(member.get("email") or "")


def _person_hits(number: int, email: str, people: People) -> list[str]:
    domain = email.casefold().rpartition("@")[2]
    found = ["outside-domain"] if people.domain and domain and domain != people.domain else []
    member = people.members.get(number)
    if people.problem:
        return found
    if member is None or member.get("org_membership_status") == "DEACTIVATED":
        found.append("ex-member")
    return found


def against(seen: Seen, wanted: Rules, people: People, now: str) -> Iterator[Row]:
    """The difference to what is declared: missing, extra, wrong role, expired, ex-member."""
    target, live, due = seen.target, in_force(seen.rules, now), in_force(wanted, now)

    def row(what: str, who: Who) -> Row:
        rules = of(seen.rules, who) or of(wanted, who)
        found = {"difference": what, "type": target.kind.name, "id": target.id, "name": target.name}
        texts = {"expected": text_of(of(due, who)), "actual": text_of(of(seen.rules, who))}
        return found | {"accessor": rules[0].title, **texts}

    for who in dict.fromkeys(rule.who for rule in (*due.values(), *seen.rules.values())):
        expected, actual = of(due, who), of(live, who)
        if expected and not actual:
            yield row("expired" if of(seen.rules, who) else "missing", who)
        elif actual and not expected:
            yield row("extra", who)
        elif not _equal(expected, actual):
            yield row("wrong role", who)
        if who[0] == "USER" and actual and "ex-member" in _person_hits(who[1], "", people):
            yield row("ex-member", who)


def _equal(expected: list[Rule], actual: list[Rule]) -> bool:
    """The same strongest role with the same end, and sharer alike; a weaker role besides does not matter."""

    def counts(rules: list[Rule]) -> list[Rule | None]:
        ordered = [rule for rule in rules if rank(rule.role) > -1]
        return [max(ordered, key=lambda rule: rank(rule.role), default=None),
                next((rule for rule in rules if rank(rule.role) == -1), None)]  # fmt: skip

    return all(
        same(a, b) and (a and a.role) == (b and b.role) for a, b in zip(counts(expected), counts(actual), strict=True)
    )
