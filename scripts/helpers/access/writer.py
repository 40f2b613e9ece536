"""Writing access rules: from one set of rules to another.

PUT merges, DELETE removes what it lists, and a DELETE with an empty list removes everybody: an empty list is never
sent. The response to a write contains the complete list. Two facts about the server are unknown, so the writer handles
both cases: whether DELETE respects roles (roles that it removes in excess are granted again), and whether PUT changes
the expiry of an existing rule (if not, the rule is revoked and granted again). Source: the public API description and
public server sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from helpers.access.rules import (
    STRONG,
    Accessor,
    AccessRule,
    AccessRules,
    changed_keys,
    rules_for,
    rules_from,
    same_expiry,
)
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path


class RuleWriter:
    """Writes the rules of one resource.

    Args:
        session: The API session.
        kind: The kind of the resource.
        resource_id: Its id.
        applies_to_caller: Tells whether the caller, who does not own the resource, has access through a rule.
        report: Called with progress lines.
    """

    def __init__(
        self,
        session: Session,
        kind: Kind,
        resource_id: int,
        applies_to_caller: Callable[[AccessRule], bool],
        report: Callable[[str], None],
    ) -> None:
        self.session, self.kind, self.resource_id = session, kind, resource_id
        self.applies_to_caller, self.report = applies_to_caller, report

    def change(self, before: AccessRules, after: AccessRules) -> AccessRules:
        """Write the difference: grants first, and the caller's own loss last.

        Returns:
            The server's list after the last write.

        Raises:
            ApiError: The write was refused, or its outcome is unknown.
            OperatorError: ERROR, if it would interrupt the caller's own access.
        """
        now = before
        granted = [after[key] for key in changed_keys(before, after) if key in after]
        if granted:
            now = self._send("PUT", [_entry(rule) for rule in granted])
            now = self._regrant(now, before, after, [rule for rule in granted if rule.key in before])
        revoked = [before[key] for key in changed_keys(before, after) if key not in after]
        leaving = [rule for rule in revoked if not rules_for(after, rule.accessor)]
        for own in (False, True):
            part = [rule for rule in leaving if self.applies_to_caller(rule) is own]
            if part:
                now = self._send(
                    "DELETE", [{"type": kind, "id": accessor_id} for kind, accessor_id in _accessors(part)]
                )
        staying = [rule for rule in revoked if rules_for(after, rule.accessor)]
        return self._revoke_roles(staying, before, after) if staying else now

    def _regrant(
        self, now: AccessRules, before: AccessRules, after: AccessRules, changed: list[AccessRule]
    ) -> AccessRules:
        """Revoke and grant again the rules whose expiry PUT did not change."""
        unchanged = [rule for rule in changed if not same_expiry(now.get(rule.key), rule)]
        return self._revoke_roles(unchanged, before, after) if unchanged else now

    def _revoke_roles(self, revoked: list[AccessRule], before: AccessRules, after: AccessRules) -> AccessRules:
        """Revoke single roles of accessors who keep others, and grant again what was removed in excess."""
        for rule in revoked:
            if any(own.role in STRONG for own in rules_for(before, rule.accessor)) and self.applies_to_caller(rule):
                raise OperatorError(
                    Exit.ERROR,
                    f"you have access through {rule.title}: changing only some of its rules could lock you out halfway",
                    hint="ask the owner or another admin to make this change",
                    resource={"type": self.kind.name, "id": self.resource_id},
                )
        self._send("DELETE", [{"type": r.type, "id": r.id, "access_roles": [r.role]} for r in revoked])
        return self._send(
            "PUT", [_entry(rule) for accessor in _accessors(revoked) for rule in rules_for(after, accessor)]
        )

    def _send(self, method: str, entries: list[Row]) -> AccessRules:
        if not entries:
            raise OperatorError(Exit.ERROR, "refusing to send an empty list of accessors: it would remove everybody")
        path, body = item_path(self.kind, self.resource_id, "accessors"), {"accessors": entries}
        return rules_from(call(self.session, method, path, body=body, expect=list, report=self.report).data)


def _accessors(rules: Iterable[AccessRule]) -> list[Accessor]:
    return list(dict.fromkeys(rule.accessor for rule in rules))


def _entry(rule: AccessRule) -> Row:
    entry: Row = {"type": rule.type, "id": rule.id, "access_roles": [rule.role]}
    return entry | ({"access_role_expires_at": rule.expires_at} if rule.expires_at else {})
