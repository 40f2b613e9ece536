"""Writing access rules: from the rules that were read to the rules that are wanted.

PUT merges, DELETE removes what it lists, and a DELETE with an empty list removes everybody: an empty list is never
sent. The response to a write contains the complete list. Two facts about the server are unknown, so the writer handles
both cases: whether DELETE respects roles (roles that it removes in excess are granted again), and whether PUT changes
the expiry of an existing rule (if not, the rule is revoked and granted again). Source: the public API description and
public server sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from helpers.access.meanwhile import MeanwhileLog, with_changes
from helpers.access.rules import (
    STRONG,
    Accessor,
    AccessRule,
    AccessRules,
    changed_keys,
    read_rules,
    rules_for,
    rules_from,
    same_expiry,
)
from helpers.access.targets import AccessTarget
from helpers.api.failures import ApiError
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Row, item_path


class Goal(NamedTuple):
    """What a write is to reach.

    Attributes:
        wanted: The rules to reach from any rules: what others add and the change does not concern stays in them.
        takes_all: Whether an accessor is to lose every role, including one that it was given in the meantime.
        log: The audit log since the rules were last read; None if the write cannot take anything of others along.
    """

    wanted: Callable[[AccessRules], AccessRules]
    takes_all: Callable[[Accessor], bool]
    log: MeanwhileLog | None = None


class RuleWriter:
    """Writes the rules of one resource.

    Args:
        session: The API session.
        target: The resource.
        applies_to_caller: Tells whether the caller, who does not own the resource, has access through a rule.
        report: Called with progress lines.
        granted: Everything that this process has sent with PUT for the resource; the writer adds to it.
    """

    def __init__(
        self,
        session: Session,
        target: AccessTarget,
        applies_to_caller: Callable[[AccessRule], bool],
        report: Callable[[str], None],
        granted: list[AccessRule],
    ) -> None:
        self.session, self.target = session, target
        self.applies_to_caller, self.report = applies_to_caller, report
        self.notes: list[str] = []  # what others changed in the same moment, and was restored
        self.granted = granted

    def change(self, before: AccessRules, goal: Goal) -> AccessRules:
        """Write the difference: grants first, and the caller's own loss last.

        Returns:
            The server's list after the last write; without the caller's access, what it must be.

        Raises:
            ApiError: The write was refused, or its outcome is unknown.
            OperatorError: ERROR, if it would interrupt the caller's own access.
        """
        after = goal.wanted(before)
        revoked = [before[key] for key in changed_keys(before, after) if key not in after]
        staying = [rule for rule in revoked if rules_for(after, rule.accessor)]
        self._refuse_lockout(before, staying)
        now = before
        granted = [after[key] for key in changed_keys(before, after) if key in after]
        if granted:
            now = self._grant(before, granted, goal)
        now = self._revoke(now, staying, goal)
        leaving = [rule for rule in revoked if rule not in staying]
        own = [rule for rule in leaving if self.applies_to_caller(rule)]
        now = self._revoke(now, [rule for rule in leaving if rule not in own], goal)
        try:
            return self._revoke(now, own, goal)
        except ApiError as error:
            if error.http_status != 403 or not own:
                raise
            seen = self._after_own_loss(goal.wanted(now))
            if any(rule.key in seen for rule in own):
                raise
            return seen  # an earlier attempt took effect: its response was lost

    def _after_own_loss(self, expected: AccessRules) -> AccessRules:
        """The rules as the caller may still read them; the expected ones once the caller has no access at all."""
        try:
            return read_rules(self.session, self.target.kind, self.target.id)
        except ApiError as error:
            if error.http_status != 403:
                raise
            return expected

    def _grant(self, before: AccessRules, granted: list[AccessRule], goal: Goal) -> AccessRules:
        """Grant rules; those whose expiry PUT did not change are revoked and granted again."""
        now = self._put(granted)
        stale = [rule for rule in granted if rule.key in before and not same_expiry(now.get(rule.key), rule)]
        if stale:
            self._refuse_lockout(before, stale)
            return self._revoke(now, stale, goal)
        if any(rule.expires_at for rule in granted):
            return self._restore_taken(before, now, _accessors(granted), goal)
        return now

    def _refuse_lockout(self, before: AccessRules, revoked: list[AccessRule]) -> None:
        """Refuse to revoke single roles of an accessor through which the caller may write."""
        for rule in revoked:
            if any(own.role in STRONG for own in rules_for(before, rule.accessor)) and self.applies_to_caller(rule):
                raise OperatorError(
                    Exit.ERROR,
                    f"you have access through {rule.title}: changing only some of its rules could lock you out halfway",
                    hint="ask the owner or another admin to make this change",
                    resource={"type": self.target.kind.name, "id": self.target.id},
                )

    def _revoke(self, now: AccessRules, revoked: list[AccessRule], goal: Goal) -> AccessRules:
        """Revoke rules, and grant again what the server removed in excess."""
        if not revoked:
            return now
        entries: list[Row] = []
        for kind, accessor_id in _accessors(revoked):
            roles = [rule.role for rule in revoked if rule.accessor == (kind, accessor_id)]
            everything = {"type": kind, "id": accessor_id}
            entries.append(everything if goal.takes_all((kind, accessor_id)) else everything | {"access_roles": roles})
        after = self._send("DELETE", entries)
        partly = [accessor for accessor in _accessors(revoked) if not goal.takes_all(accessor)]
        return self._restore_taken(now, after, partly, goal) if partly else after

    def _restore_taken(
        self, previous: AccessRules, now: AccessRules, accessors: list[Accessor], goal: Goal
    ) -> AccessRules:
        """Grant what the last write took along from these accessors, be it ours or given by others meanwhile."""
        theirs = goal.log.changes(self.granted) if goal.log else {}
        wanted = goal.wanted(with_changes(previous, theirs))
        lost = [rule for rule in wanted.values() if rule.accessor in accessors]
        lost = [rule for rule in lost if not same_expiry(now.get(rule.key), rule)]
        if not lost:
            return now
        now = self._put(lost)
        for rule in lost:
            if same_expiry(theirs.get(rule.key), rule):
                self.notes.append(
                    f"somebody else gave {rule.title} the role {rule.as_text()} on {self.target.title} in the same "
                    "moment: this change took it along, and has restored it"
                )
        return now

    def _put(self, rules: list[AccessRule]) -> AccessRules:
        self.granted += rules
        return self._send("PUT", [_entry(rule) for rule in rules])

    def _send(self, method: str, entries: list[Row]) -> AccessRules:
        if not entries:
            raise OperatorError(Exit.ERROR, "refusing to send an empty list of accessors: it would remove everybody")
        path, body = item_path(self.target.kind, self.target.id, "accessors"), {"accessors": entries}
        return rules_from(call(self.session, method, path, body=body, expect=list, report=self.report).data)


def _accessors(rules: Iterable[AccessRule]) -> list[Accessor]:
    return list(dict.fromkeys(rule.accessor for rule in rules))


def _entry(rule: AccessRule) -> Row:
    entry: Row = {"type": rule.type, "id": rule.id, "access_roles": [rule.role]}
    return entry | ({"access_role_expires_at": rule.expires_at} if rule.expires_at else {})
