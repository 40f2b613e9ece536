"""Access rules of a resource: reading and comparing them.

A rule grants one role to one accessor, forever or until it expires. Source: the public API description and public
server sources.
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
    """One role of one accessor.

    Attributes:
        type: USER, TEAM or ORG.
        id: The accessor's id.
        role: The role; empty while only the accessor is known.
        label: The accessor's email, name or domain; empty if the API does not show it.
        expires_at: ISO 8601 in UTC; None is forever.
    """

    type: str
    id: int
    role: str
    label: str = ""
    expires_at: str | None = None

    @property
    def accessor(self) -> Accessor:
        """Type and id."""
        return self.type, self.id

    @property
    def key(self) -> RuleKey:
        """Type, id and role."""
        return self.type, self.id, self.role

    @property
    def title(self) -> str:
        """The accessor, for people."""
        return f"{self.type} {self.id}" + (f" {self.label}" if self.label else "")

    def has_expired(self, now: str) -> bool:
        """Whether the rule is no longer in force at ``now`` (ISO 8601 in UTC)."""
        return self.expires_at is not None and self.expires_at <= now

    def as_text(self) -> str:
        """The role and its expiry, for people."""
        return f"{self.role} until {self.expires_at}" if self.expires_at else self.role


AccessRules = dict[RuleKey, AccessRule]


def rank(role: str) -> int:
    """The strength of a role, 0 for the weakest; -1 for sharer, which is unranked."""
    return ROLES.index(role) if role in ROLES else -1


def lasts_longer(a: str | None, b: str | None) -> bool:
    """Whether access that expires at ``a`` lasts longer than access that expires at ``b``. None never expires."""
    return b is not None and (a is None or a > b)


def in_force(rules: AccessRules, now: str) -> AccessRules:
    """The rules that have not expired at ``now`` (ISO 8601 in UTC)."""
    return {key: rule for key, rule in rules.items() if not rule.has_expired(now)}


def strongest(rules: Iterable[AccessRule]) -> str | None:
    """The strongest role of the rules; None without rules."""
    return max((rule.role for rule in rules), key=rank, default=None)


def rules_for(rules: AccessRules, accessor: Accessor) -> list[AccessRule]:
    """An accessor's rules, weakest role first."""
    return sorted((rule for rule in rules.values() if rule.accessor == accessor), key=lambda rule: rank(rule.role))


def text_of(rules: Iterable[AccessRule]) -> str | None:
    """The roles and their expiry, for people; None without rules."""
    return " + ".join(rule.as_text() for rule in rules) or None


def read_rules(session: Session, kind: Kind, resource_id: int) -> AccessRules:
    """Read the rules of a resource.

    Raises:
        ApiError: They could not be read.
        OperatorError: UPSTREAM, for a malformed entry: it must not be taken for no access.
    """
    return rules_from(call(session, "GET", item_path(kind, resource_id, "accessors"), expect=list).data)


def rules_from(rows: Iterable[Any]) -> AccessRules:
    """The rules in a response. If two rows have the same accessor and role, the one that lasts longer counts.

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
        raise OperatorError(Exit.UPSTREAM, "the list of accessors has an entry that cannot be read")
    label, expires_at = str(row.get(LABELS[row["type"]]) or ""), expiry_from(row.get("access_role_expires_at"))
    return [AccessRule(row["type"], row["id"], role, label, expires_at) for role in roles]


def expiry_from(value: Any) -> str | None:
    """An expiry time of a response as ISO 8601 in UTC; None is forever.

    Raises:
        OperatorError: UPSTREAM, for one that cannot be read: it must not be taken for no end.
    """
    if value is None:
        return None
    try:
        text = iso(to_ms(value))
    except ValueError:
        text = None
    if text is None:
        raise OperatorError(Exit.UPSTREAM, "the list of accessors has an expiry time that cannot be read")
    return text


def as_rows(rules: AccessRules) -> list[Row]:
    """The rules as rows for the journal."""
    return [rule._asdict() for rule in rules.values()]


def from_rows(rows: Iterable[Row]) -> AccessRules:
    """The rules in rows of the journal."""
    rules = [AccessRule(**row) for row in rows]
    return {rule.key: rule for rule in rules}


def same_expiry(a: AccessRule | None, b: AccessRule | None) -> bool:
    """Whether both rules exist and expire at the same time, or neither exists."""
    return (a and a.expires_at) == (b and b.expires_at) and (a is None) == (b is None)


def changed_keys(before: AccessRules, after: AccessRules) -> list[RuleKey]:
    """The keys of the rules that are added, removed or get a different expiry."""
    return [key for key in {**before, **after} if not same_expiry(before.get(key), after.get(key))]


def difference(before: AccessRules, after: AccessRules) -> dict[str, list[Any]]:
    """What changes for each accessor.

    Returns:
        The accessor's title to ``[roles before, roles after]``, with None for no role. Empty if nothing changes.
    """
    found: dict[str, list[Any]] = {}
    for kind, accessor_id, _ in changed_keys(before, after):
        accessor = (kind, accessor_id)
        title = (rules_for(after, accessor) or rules_for(before, accessor))[0].title
        title = f"{kind} {accessor_id}" if is_secret_key(title) else title  # otherwise its roles would be redacted
        found[title] = [text_of(rules_for(before, accessor)), text_of(rules_for(after, accessor))]
    return found
