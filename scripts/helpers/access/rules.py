"""Access rules of a resource: reading them, and getting from one set of rules to another.

A rule is one accessor in one role, for ever or until its end. PUT merges, DELETE removes what it lists, and a DELETE
that lists nothing removes everybody: an empty list is never sent. Each write is answered with the whole list. Not known
of the server, and so allowed for: whether DELETE looks at roles (what goes too far is given back), and whether PUT
changes the end of a rule that is there (else it is taken and given anew). Source: the public API description and server
sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from helpers.access.flags import ROLES, TYPES
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path
from helpers.core.redact import is_secret_key
from helpers.core.times import iso, to_ms

STRONG = ("admin", "owner")
LABELS = {"USER": "email", "TEAM": "name", "ORG": "email_domain"}
Who = tuple[str, int]
Key = tuple[str, int, str]


class Rule(NamedTuple):
    """One accessor in one role. ``until`` is ISO 8601 in UTC; None is for ever."""

    type: str
    id: int
    role: str
    label: str = ""
    until: str | None = None

    @property
    def who(self) -> Who:
        return self.type, self.id

    @property
    def key(self) -> Key:
        return self.type, self.id, self.role

    @property
    def title(self) -> str:
        return f"{self.type} {self.id}" + (f" {self.label}" if self.label else "")

    def is_over(self, now: str) -> bool:
        return self.until is not None and self.until <= now

    def as_text(self) -> str:
        return f"{self.role} until {self.until}" if self.until else self.role


Rules = dict[Key, Rule]


def rank(role: str) -> int:
    """The order of the roles; -1 for sharer, which stands outside it."""
    return ROLES.index(role) if role in ROLES else -1


def lasts_longer(a: str | None, b: str | None) -> bool:
    """Whether the end ``a`` is later than ``b``; None is never."""
    return b is not None and (a is None or a > b)


def in_force(rules: Rules, now: str) -> Rules:
    return {key: rule for key, rule in rules.items() if not rule.is_over(now)}


def strongest(rules: Iterable[Rule]) -> str | None:
    return max((rule.role for rule in rules), key=rank, default=None)


def of(rules: Rules, who: Who) -> list[Rule]:
    """An accessor's rules, the weakest role first."""
    return sorted((rule for rule in rules.values() if rule.who == who), key=lambda rule: rank(rule.role))


def text_of(rules: Iterable[Rule]) -> str | None:
    return " + ".join(rule.as_text() for rule in rules) or None


def read_rules(session: Session, kind: Kind, number: int) -> Rules:
    """The rules of a resource.

    Raises:
        ApiError: they could not be read.
        OperatorError: UPSTREAM, for an entry that makes no sense: it must not pass for no access.
    """
    return rules_from(call(session, "GET", item_path(kind, number, "accessors"), expect=list).data)


def rules_from(rows: Iterable[Any]) -> Rules:
    """Rules of an answer. Of two rows of one accessor and role the longer one counts."""
    found: Rules = {}
    for row in rows:
        for rule in _rules_of(row):
            old = found.get(rule.key)
            if old is None or lasts_longer(rule.until, old.until):
                found[rule.key] = rule
    return found


def _rules_of(row: Any) -> list[Rule]:
    roles: Any = row.get("access_roles") if isinstance(row, dict) else None
    good = isinstance(roles, list) and roles and all(isinstance(role, str) for role in roles)
    if not good or row.get("type") not in TYPES or type(row.get("id")) is not int:
        raise OperatorError(Exit.UPSTREAM, "the list of accessors holds an entry that cannot be read")
    label, until = str(row.get(LABELS[row["type"]]) or ""), _end(row.get("access_role_expires_at"))
    return [Rule(row["type"], row["id"], role, label, until) for role in roles]


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


def as_rows(rules: Rules) -> list[Row]:
    """As the journal keeps them."""
    return [rule._asdict() for rule in rules.values()]


def from_rows(rows: Iterable[Row]) -> Rules:
    rules = [Rule(**row) for row in rows]
    return {rule.key: rule for rule in rules}


def same(a: Rule | None, b: Rule | None) -> bool:
    return (a and a.until) == (b and b.until) and (a is None) == (b is None)


def touched(before: Rules, after: Rules) -> list[Key]:
    return [key for key in {**before, **after} if not same(before.get(key), after.get(key))]


def difference(before: Rules, after: Rules) -> dict[str, list[Any]]:
    """Accessor: [what it may do before, after]; None is nothing. Empty when nothing changes."""
    found: dict[str, list[Any]] = {}
    for kind, number, _ in touched(before, after):
        who = (kind, number)
        title = (of(after, who) or of(before, who))[0].title
        title = f"{kind} {number}" if is_secret_key(title) else title  # else what it may do would be redacted
        found[title] = [text_of(of(before, who)), text_of(of(after, who))]
    return found


class Writer:
    """Writes to the rules of one resource.

    Args:
        acts_by: whether the caller, who does not own the resource, is meant by a rule.
    """

    def __init__(
        self, session: Session, kind: Kind, number: int, acts_by: Callable[[Rule], bool], say: Callable[[str], None]
    ) -> None:
        self.session, self.kind, self.number, self.acts_by, self.say = session, kind, number, acts_by, say

    def change(self, before: Rules, after: Rules) -> Rules:
        """Write the difference, what is given first, the caller's own loss last. Returns the server's list then.

        Raises:
            ApiError: refused, or the outcome is not known.
            OperatorError: it would take the caller's own way in for a moment.
        """
        now = before
        given = [after[key] for key in touched(before, after) if key in after]
        if given:
            now = self._send("PUT", [_entry(rule) for rule in given])
            now = self._anew(now, before, after, [rule for rule in given if rule.key in before])
        gone = [before[key] for key in touched(before, after) if key not in after]
        whole = [rule for rule in gone if not of(after, rule.who)]
        for mine in (False, True):
            part = [rule for rule in whole if self.acts_by(rule) is mine]
            if part:
                now = self._send("DELETE", [{"type": kind, "id": number} for kind, number in _people(part)])
        rest = [rule for rule in gone if of(after, rule.who)]
        return self._fewer(rest, before, after) if rest else now

    def _anew(self, now: Rules, before: Rules, after: Rules, changed: list[Rule]) -> Rules:
        """Give anew those whose end PUT did not change."""
        kept = [rule for rule in changed if not same(now.get(rule.key), rule)]
        return self._fewer(kept, before, after) if kept else now

    def _fewer(self, gone: list[Rule], before: Rules, after: Rules) -> Rules:
        """Take single roles of accessors who keep others, and give back what went with them."""
        for rule in gone:
            if any(own.role in STRONG for own in of(before, rule.who)) and self.acts_by(rule):
                raise OperatorError(
                    Exit.ERROR, f"you act by {rule.title}; changing a part of its rules could shut you out half-way",
                    hint="let the owner or another admin do it", resource={"type": self.kind.name, "id": self.number},
                )  # fmt: skip
        self._send("DELETE", [{"type": r.type, "id": r.id, "access_roles": [r.role]} for r in gone])
        back = [rule for who in _people(gone) for rule in of(after, who)]
        return self._send("PUT", [_entry(rule) for rule in back])

    def _send(self, method: str, entries: list[Row]) -> Rules:
        if not entries:
            raise OperatorError(Exit.ERROR, "an empty list of accessors would remove everybody: it was not sent")
        path = item_path(self.kind, self.number, "accessors")
        return rules_from(call(self.session, method, path, body={"accessors": entries}, expect=list, say=self.say).data)


def _people(rules: Iterable[Rule]) -> list[Who]:
    return list(dict.fromkeys(rule.who for rule in rules))


def _entry(rule: Rule) -> Row:
    entry: Row = {"type": rule.type, "id": rule.id, "access_roles": [rule.role]}
    return entry | ({"access_role_expires_at": rule.until} if rule.until else {})
