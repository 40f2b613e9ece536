"""What others changed between the last read of a resource's rules and a write that could take one of theirs along.

No request of the API deletes a rule only if the list is still the one that was read, and the list after a DELETE does
not show what the DELETE removed. The audit log does: it is read up to the entry that was its newest before the write.
Source: the public API description; the form of an entry is that of public server sources [?].
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from helpers.access.audit_log import ACCESSORS, WITHOUT_LOG
from helpers.access.roles import ACCESSOR_TYPES
from helpers.access.rules import Accessor, AccessRule, AccessRules, RuleKey, expiry_from
from helpers.access.targets import AccessTarget
from helpers.api.audit import audit_pages
from helpers.api.paging import PER_PAGE
from helpers.api.session import Session
from helpers.core.errors import OperatorError
from helpers.core.kinds import Row

TYPES = dict(zip(ACCESSORS, ACCESSOR_TYPES, strict=True))
Theirs = dict[RuleKey, AccessRule | None]  # what others made of each rule; None where they revoked it


class Event(NamedTuple):
    """One change of one rule.

    Attributes:
        key: The rule's key.
        rule: The rule after it; None if it was revoked.
        ours: Whether this process made it, as far as the log tells.
    """

    key: RuleKey
    rule: AccessRule | None
    ours: bool


class Others(NamedTuple):
    """What others did while this process wrote.

    Attributes:
        changes: Their last change of each rule.
        seen: The keys of the rules that each accessor had right after they last changed its rules: what they left.
    """

    changes: Theirs
    seen: dict[Accessor, set[RuleKey]]


NOBODY = Others({}, {})


class MeanwhileLog:
    """The audit log of one resource, from a mark on.

    Args:
        session: The API session.
        target: The resource.

    Attributes:
        problem: Why the log cannot be read; empty if it can.
    """

    def __init__(self, session: Session, target: AccessTarget) -> None:
        self.session, self.target = session, target
        self.problem = "the API keeps no audit log for flows" if target.kind.name in WITHOUT_LOG else ""
        self._mark: Any = None
        self._since = 0

    def set_mark(self) -> None:
        """Remember the newest entry; call it right before the rules are read.

        Raises:
            OperatorError: No further request can succeed.
        """
        self._since = int(self.session.server_time() * 1000)
        self._mark = next((entry.get("id") for entry in self._entries(per_page=1)), None)

    def changes(self, sent: Collection[AccessRule]) -> Theirs:
        """What others changed since the mark; the last change of each rule counts.

        An entry of the caller is somebody else's if it grants what this process did not grant: several processes may
        use one account. A revocation by the caller's account counts as this process's own.

        Args:
            sent: The rules that this process has granted since the mark.

        Raises:
            OperatorError: No further request can succeed.
        """
        return {event.key: event.rule for event in self._events(sent) if not event.ours}

    def others(self, start: AccessRules, sent: Collection[AccessRule]) -> Others:
        """What others changed since the mark, and what they left.

        Args:
            start: The rules as read right after the mark.
            sent: See ``changes``.

        Raises:
            OperatorError: No further request can succeed.
        """
        found, present = Others({}, {}), set(start)
        for event in self._events(sent):
            present = present - {event.key} if event.rule is None else present | {event.key}
            if not event.ours:
                accessor = event.key[:2]
                found.changes[event.key] = event.rule
                found.seen[accessor] = {key for key in present if key[:2] == accessor}
        return found

    def _events(self, sent: Collection[AccessRule]) -> Iterator[Event]:
        """The changes since the mark, oldest first."""
        granted = {(rule.key, rule.expires_at) for rule in sent}
        for entry in reversed(list(self._since_mark())):
            user = entry.get("user")
            by_caller = not isinstance(user, dict) or user.get("id") in (None, self.session.user_id)
            try:
                was, now = _rules_in(entry)
            except OperatorError as error:
                self.problem = error.message
                continue
            for key in {**was, **now}:
                ours = by_caller and (key not in now or (key, now[key].expires_at) in granted)
                yield Event(key, now.get(key), ours)

    def _since_mark(self) -> Iterator[Row]:
        for entry in self._entries():
            if entry.get("id") == self._mark:
                return
            yield entry

    def _entries(self, per_page: int = PER_PAGE) -> Iterator[Row]:
        """The entries, newest first; none once the log could not be read."""
        if self.problem:
            return
        try:
            yield from audit_pages(self.session, self.target.kind, self.target.id, self._since, per_page=per_page)
        except OperatorError as error:
            if error.ends_command:
                raise
            self.problem = error.message


def with_changes(rules: AccessRules, theirs: Theirs) -> AccessRules:
    """The rules, with what others changed. The log has no labels; they are those of the accessor's other rules."""
    labels = {rule.accessor: rule.label for rule in rules.values()}
    changed = {
        key: rule._replace(label=labels.get(rule.accessor, "")) for key, rule in theirs.items() if rule is not None
    }
    return {key: rule for key, rule in rules.items() if key not in theirs} | changed


def _rules_in(entry: Row) -> tuple[AccessRules, AccessRules]:
    """The rules that an entry shows, before and after it; none if the entry is about something else.

    Raises:
        OperatorError: UPSTREAM, for an expiry time that cannot be read.
    """
    about, changes = entry.get("association_resource"), entry.get("object_changes")
    if not isinstance(about, dict) or not isinstance(changes, dict) or type(about.get("id")) is not int:
        return {}, {}
    if str(about.get("type")) not in TYPES or "AccessControl" not in str(entry.get("item_type")):
        return {}, {}
    roles, ends = _pair(changes.get("access_roles")), _pair(changes.get("access_role_expires_at"))
    sides = []
    for held, end in zip(roles, ends, strict=True):
        names = [held] if isinstance(held, str) else held
        rules = [
            AccessRule(TYPES[about["type"]], about["id"], name, "", expiry_from(end))
            for name in (names if isinstance(names, list) else [])
            if isinstance(name, str)
        ]
        sides.append({rule.key: rule for rule in rules})
    return sides[0], sides[1]


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else (None, None)
