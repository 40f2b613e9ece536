"""Access rules of a resource: reading them, comparing them.

A rule is one accessor in one role, forever or until it expires. Source: the public API description and server sources.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from helpers.access.roles import ACCESSOR_TYPES, ROLES
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path
from helpers.core.redact import is_secret_key
from helpers.core.times import iso, to_ms

STRONG = ("admin", "owner")
LABELS = {"USER": "email", "TEAM": "name", "ORG": "email_domain"}
Accessor = tuple[str, int]
RuleKey = tuple[str, int, str]


class AccessRule(NamedTuple):
    """One accessor in one role. ``expires_at`` is ISO 8601 in UTC; None is forever."""

    type: str
    id: int
    role: str
    label: str = ""
    expires_at: str | None = None

    @property
    def accessor(self) -> Accessor:
        return self.type, self.id

    @property
    def key(self) -> RuleKey:
        return self.type, self.id, self.role

    @property
    def title(self) -> str:
        return f"{self.type} {self.id}" + (f" {self.label}" if self.label else "")

    def has_expired(self, now: str) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def as_text(self) -> str:
        return f"{self.role} until {self.expires_at}" if self.expires_at else self.role


AccessRules = dict[RuleKey, AccessRule]


def rank(role: str) -> int:
    """The order of the roles; -1 for sharer, which stands outside it."""
    return ROLES.index(role) if role in ROLES else -1


def lasts_longer(a: str | None, b: str | None) -> bool:
    """Whether the end ``a`` is later than ``b``; None is never."""
    return b is not None and (a is None or a > b)


def in_force(rules: AccessRules, now: str) -> AccessRules:
    """Those that have not expired; ``now`` is ISO 8601 in UTC."""
    return {key: rule for key, rule in rules.items() if not rule.has_expired(now)}


def strongest(rules: Iterable[AccessRule]) -> str | None:
    """The strongest role of some rules; None when there are none."""
    return max((rule.role for rule in rules), key=rank, default=None)


def rules_for(rules: AccessRules, accessor: Accessor) -> list[AccessRule]:
    """An accessor's rules, the weakest role first."""
    return sorted((rule for rule in rules.values() if rule.accessor == accessor), key=lambda rule: rank(rule.role))


def text_of(rules: Iterable[AccessRule]) -> str | None:
    """Roles with their ends, for people; None when there are none."""
    return " + ".join(rule.as_text() for rule in rules) or None


def read_rules(session: Session, kind: Kind, resource_id: int) -> AccessRules:
    """The rules of a resource.

    Raises:
        ApiError: they could not be read.
        OperatorError: UPSTREAM, for an entry that makes no sense: it must not pass for no access.
    """
    return rules_from(call(session, "GET", item_path(kind, resource_id, "accessors"), expect=list).data)


def rules_from(rows: Iterable[Any]) -> AccessRules:
    """Rules of an answer. Of two rows of one accessor and role the longer one counts.

    Raises:
        OperatorError: UPSTREAM, for an entry that cannot be read.
    """
    found: AccessRules = {}
    for row in rows:
        for rule in _rules_of(row):
            old = found.get(rule.key)
            if old is None or lasts_longer(rule.expires_at, old.expires_at):
                found[rule.key] = rule
    return found


def _rules_of(row: Any) -> list[AccessRule]:
    roles: Any = row.get("access_roles") if isinstance(row, dict) else None
    good = isinstance(roles, list) and roles and all(isinstance(role, str) for role in roles)
    if not good or row.get("type") not in ACCESSOR_TYPES or type(row.get("id")) is not int:
        raise OperatorError(Exit.UPSTREAM, "the list of accessors holds an entry that cannot be read")
    label, expires_at = str(row.get(LABELS[row["type"]]) or ""), _end(row.get("access_role_expires_at"))
    return [AccessRule(row["type"], row["id"], role, label, expires_at) for role in roles]


def _end(value: Any) -> str | None:
    if value is None:
        return None
    try:
        text = iso(to_ms(value, 0))
    except OperatorError:
        text = None
    if text is None:
        raise OperatorError(Exit.UPSTREAM, "the list of accessors holds an end that cannot be read")
    return text


def as_rows(rules: AccessRules) -> list[Row]:
    """As the journal keeps them."""
    return [rule._asdict() for rule in rules.values()]


def from_rows(rows: Iterable[Row]) -> AccessRules:
    rules = [AccessRule(**row) for row in rows]
    return {rule.key: rule for rule in rules}


def same_end(a: AccessRule | None, b: AccessRule | None) -> bool:
    """Whether both are there with the same end, or neither is."""
    return (a and a.expires_at) == (b and b.expires_at) and (a is None) == (b is None)


def touched(before: AccessRules, after: AccessRules) -> list[RuleKey]:
    """The keys of rules that come, go or get another end."""
    return [key for key in {**before, **after} if not same_end(before.get(key), after.get(key))]


def difference(before: AccessRules, after: AccessRules) -> dict[str, list[Any]]:
    """Accessor: [what it may do before, after]; None is nothing. Empty when nothing changes."""
    found: dict[str, list[Any]] = {}
    for kind, accessor_id, _ in touched(before, after):
        accessor = (kind, accessor_id)
        title = (rules_for(after, accessor) or rules_for(before, accessor))[0].title
        title = f"{kind} {accessor_id}" if is_secret_key(title) else title  # else what it may do would be redacted
        found[title] = [text_of(rules_for(before, accessor)), text_of(rules_for(after, accessor))]
    return found
