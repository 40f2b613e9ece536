"""Access rules of a resource: reading them, and getting from one set of rules to another.

PUT merges, DELETE removes what it lists, and a DELETE that lists nothing removes everybody: an empty list is never
sent. Each write is answered with the whole list, which is held against what was wanted. Source: the public API
description and server sources; whether DELETE looks at roles is not known, so a role that goes too far is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .access_flags import ROLES, TYPES
from .errors import Exit, OperatorError
from .kinds import Kind, Row, item_path
from .session import Session
from .times import iso, to_ms
from .transport import call

STRONG = ("admin", "owner")
LABELS = {"USER": "email", "TEAM": "name", "ORG": "email_domain"}
Key = tuple[str, int]


class Rule(NamedTuple):
    """What one accessor may do. ``expires`` is ISO 8601 in UTC; None is for ever."""

    type: str
    id: int
    roles: frozenset[str]
    label: str = ""
    expires: str | None = None

    @property
    def key(self) -> Key:
        return self.type, self.id

    @property
    def role(self) -> str:
        """The strongest role."""
        return max(self.roles, key=rank)

    @property
    def title(self) -> str:
        return f"{self.type} {self.id}" + (f" {self.label}" if self.label else "")

    def is_over(self, now: str) -> bool:
        return self.expires is not None and self.expires <= now

    def as_text(self) -> str:
        roles = "+".join(sorted(self.roles, key=rank))
        return f"{roles} until {self.expires}" if self.expires else roles


Rules = dict[Key, Rule]


def rank(role: str) -> int:
    return ROLES.index(role) if role in ROLES else -1


def read_rules(session: Session, kind: Kind, number: int) -> Rules:
    """The rules of a resource.

    Raises:
        ApiError: they could not be read.
        OperatorError: UPSTREAM, for an entry that makes no sense: it must not pass for no access.
    """
    return rules_from(call(session, "GET", item_path(kind, number, "accessors"), expect=list).data)


def rules_from(rows: Iterable[Any]) -> Rules:
    """Rules of an answer. Rows of one accessor are one rule."""
    found: Rules = {}
    for row in rows:
        rule = _rule_from(row)
        if rule is None:
            raise OperatorError(Exit.UPSTREAM, "the list of accessors holds an entry that cannot be read")
        old = found.get(rule.key)
        found[rule.key] = rule._replace(roles=rule.roles | old.roles) if old else rule
    return found


def _rule_from(row: Any) -> Rule | None:
    if not isinstance(row, dict) or row.get("type") not in TYPES or not isinstance(row.get("id"), int):
        return None
    roles = frozenset(role for role in row.get("access_roles") or [] if isinstance(role, str))
    if not roles:
        return None
    until = row.get("access_role_expires_at")
    expires = iso(to_ms(until, 0)) if until else None
    return Rule(row["type"], row["id"], roles, str(row.get(LABELS[row["type"]]) or ""), expires)


def as_rows(rules: Rules) -> list[Row]:
    """As the journal keeps them."""
    return [{**rule._asdict(), "roles": sorted(rule.roles)} for rule in rules.values()]


def from_rows(rows: Iterable[Row]) -> Rules:
    rules = [Rule(**{**row, "roles": frozenset(row["roles"])}) for row in rows]
    return {rule.key: rule for rule in rules}


def difference(before: Rules, after: Rules) -> dict[str, list[Any]]:
    """Accessor: [what it may do before, after]; None is nothing. Empty when nothing changes."""
    found = {}
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if not same(old, new):
            title = (new or old or before[key]).title
            found[title] = [old.as_text() if old else None, new.as_text() if new else None]
    return found


def same(a: Rule | None, b: Rule | None) -> bool:
    return (a and (a.roles, a.expires)) == (b and (b.roles, b.expires))


def change(session: Session, kind: Kind, number: int, before: Rules, after: Rules, say: Callable[[str], None]) -> Rules:
    """Write the difference, and return the rules that the server then answers with.

    Raises:
        ApiError: refused, or the outcome is not known.
    """
    now = before
    for method, entries in _writes(before, after):
        now = _send(session, kind, number, method, entries, say)
    lost = [rule for key, rule in after.items() if key in before and not same(before[key], rule)
            and not rule.roles <= now.get(key, rule._replace(roles=frozenset())).roles]  # fmt: skip
    if lost:  # the server takes no notice of roles in a DELETE: give back those that were to stay
        now = _send(session, kind, number, "PUT", [_entry(rule) for rule in lost], say)
    return now


def _writes(before: Rules, after: Rules) -> Iterator[tuple[str, list[Row]]]:
    """First what is taken away, then what is given: an expiry is only changed by giving a rule anew."""
    gone = [{"type": rule.type, "id": rule.id} for key, rule in before.items()
            if key not in after or (rule.expires and rule.expires != after[key].expires)]  # fmt: skip
    if gone:
        yield "DELETE", gone
    anew = {(entry["type"], entry["id"]) for entry in gone}
    fewer = [
        {"type": rule.type, "id": rule.id, "access_roles": sorted(rule.roles - after[key].roles)}
        for key, rule in before.items()
        if key in after and key not in anew and rule.roles - after[key].roles
    ]
    if fewer:
        yield "DELETE", fewer
    more = [_entry(rule) for key, rule in after.items()
            if key not in before or key in anew or rule.roles - before[key].roles
            or rule.expires != before[key].expires]  # fmt: skip
    if more:
        yield "PUT", more


def _entry(rule: Rule) -> Row:
    entry: Row = {"type": rule.type, "id": rule.id, "access_roles": sorted(rule.roles)}
    return entry | ({"access_role_expires_at": rule.expires} if rule.expires else {})


def _send(
    session: Session, kind: Kind, number: int, method: str, entries: list[Row], say: Callable[[str], None]
) -> Rules:
    if not entries:
        raise OperatorError(Exit.ERROR, "an empty list of accessors would remove everybody: it was not sent")
    path = item_path(kind, number, "accessors")
    return rules_from(call(session, method, path, body={"accessors": entries}, expect=list, say=say).data)
