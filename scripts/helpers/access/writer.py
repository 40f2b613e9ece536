"""Writing access rules: from one set of rules to another.

PUT merges, DELETE removes what it lists, and a DELETE that lists nothing removes everybody: an empty list is never
sent. Each write is answered with the complete list. Not known of the server, and so allowed for: whether DELETE minds
roles (what it takes too much is given back), and whether PUT changes the end of an existing rule (else the rule is
taken and given again). Source: the public API description and server sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from helpers.access.rules import STRONG, Accessor, AccessRule, AccessRules, rules_for, rules_from, same_end, touched
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path


class RuleWriter:
    """Writes to the rules of one resource.

    Args:
        applies_to_caller: whether a rule is one that the caller, who does not own the resource, acts by.
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
        """Write the difference: first what is given, last what the caller loses.

        Returns:
            The server's list after the last write.

        Raises:
            ApiError: refused, or the outcome is not known.
            OperatorError: ERROR, when it would take the caller's own access for a moment.
        """
        now = before
        given = [after[key] for key in touched(before, after) if key in after]
        if given:
            now = self._send("PUT", [_entry(rule) for rule in given])
            now = self._give_again(now, before, after, [rule for rule in given if rule.key in before])
        taken = [before[key] for key in touched(before, after) if key not in after]
        leaving = [rule for rule in taken if not rules_for(after, rule.accessor)]
        for own in (False, True):
            part = [rule for rule in leaving if self.applies_to_caller(rule) is own]
            if part:
                now = self._send(
                    "DELETE", [{"type": kind, "id": accessor_id} for kind, accessor_id in _accessors(part)]
                )
        staying = [rule for rule in taken if rules_for(after, rule.accessor)]
        return self._take_roles(staying, before, after) if staying else now

    def _give_again(
        self, now: AccessRules, before: AccessRules, after: AccessRules, changed: list[AccessRule]
    ) -> AccessRules:
        """Take and give those whose end PUT did not change."""
        unchanged = [rule for rule in changed if not same_end(now.get(rule.key), rule)]
        return self._take_roles(unchanged, before, after) if unchanged else now

    def _take_roles(self, taken: list[AccessRule], before: AccessRules, after: AccessRules) -> AccessRules:
        """Take single roles of accessors who keep others, and give back what went with them."""
        for rule in taken:
            if any(own.role in STRONG for own in rules_for(before, rule.accessor)) and self.applies_to_caller(rule):
                raise OperatorError(
                    Exit.ERROR,
                    f"you act by {rule.title}; changing a part of its rules could shut you out half-way",
                    hint="let the owner or another admin do it",
                    resource={"type": self.kind.name, "id": self.resource_id},
                )
        self._send("DELETE", [{"type": r.type, "id": r.id, "access_roles": [r.role]} for r in taken])
        return self._send(
            "PUT", [_entry(rule) for accessor in _accessors(taken) for rule in rules_for(after, accessor)]
        )

    def _send(self, method: str, entries: list[Row]) -> AccessRules:
        if not entries:
            raise OperatorError(Exit.ERROR, "an empty list of accessors would remove everybody: it was not sent")
        path, body = item_path(self.kind, self.resource_id, "accessors"), {"accessors": entries}
        return rules_from(call(self.session, method, path, body=body, expect=list, report=self.report).data)


def _accessors(rules: Iterable[AccessRule]) -> list[Accessor]:
    return list(dict.fromkeys(rule.accessor for rule in rules))


def _entry(rule: AccessRule) -> Row:
    entry: Row = {"type": rule.type, "id": rule.id, "access_roles": [rule.role]}
    return entry | ({"access_role_expires_at": rule.expires_at} if rule.expires_at else {})
