"""Comparing before restoring: what an undo may put back, and what somebody else has changed since and therefore stays.

Pure functions over rules, without requests.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from helpers.access.meanwhile import NOBODY, Others, with_changes
from helpers.access.rules import Accessor, AccessRule, AccessRules, RuleKey, same_expiry
from helpers.access.targets import AccessTarget
from helpers.core.commands import command_line


class Conflict(NamedTuple):
    """A rule that differs from what it was before the change, and that the undo leaves: somebody else has changed it.

    Attributes:
        key: The rule's key.
        before: The rule before the change; None if there was none.
        written: The rule that the change left; None if it left none.
        now: The rule now; None if there is none.
    """

    key: RuleKey
    before: AccessRule | None
    written: AccessRule | None
    now: AccessRule | None


class Restoration(NamedTuple):
    """What an undo does.

    Attributes:
        rules: The rule to restore for each key; None for one to revoke.
        conflicts: What somebody else has changed since, and the undo leaves alone.
    """

    rules: dict[RuleKey, AccessRule | None]
    conflicts: list[Conflict]

    def applied_to(self, rules: AccessRules) -> AccessRules:
        """These rules, with what the undo restores."""
        restored = {key: rule for key, rule in self.rules.items() if rule is not None}
        return {key: rule for key, rule in rules.items() if key not in self.rules} | restored


def compare(
    before: AccessRules,
    written: AccessRules,
    now: AccessRules,
    keys: Collection[RuleKey],
    *,
    done: bool,
    others: Others = NOBODY,
) -> Restoration:
    """Compare the rules that a change touched: before it, as it left them, and now.

    The roles of an accessor belong together: whoever has changed one since has seen what the change left, so that none
    that they did not see is given back. What others made of a rule is restored where the change took it along.

    Args:
        before: The rules before the change.
        written: The rules that the change was to leave.
        now: The rules as just read.
        keys: The keys that the change concerns.
        done: Whether its last request was answered and verified. Otherwise a rule that is missing now may be one that
            the change took along and was about to grant again.
        others: What others have changed since, as far as the audit log tells.
    """
    found = Restoration({}, [])
    for accessor in dict.fromkeys(key[:2] for key in keys):
        if accessor in others.seen:
            _add_shared(found, before, written, now, others, accessor)
            continue
        own = [key for key in keys if key[:2] == accessor]
        as_left = all(same_expiry(now.get(key), written.get(key)) for key in own)
        theirs = done and not as_left
        took = any(key in before and not same_expiry(before[key], written.get(key)) for key in own)
        for key in own:
            old, ours, current = before.get(key), written.get(key), now.get(key)
            if same_expiry(current, old):
                continue
            if not theirs and (
                (took and current is None) or (same_expiry(current, ours) and not same_expiry(ours, old))
            ):
                found.rules[key] = old
            elif not same_expiry(ours, old):
                found.conflicts.append(Conflict(key, old, ours, current))
    return found


def _add_shared(
    found: Restoration,
    before: AccessRules,
    written: AccessRules,
    now: AccessRules,
    others: Others,
    accessor: Accessor,
) -> None:
    """Add what an undo does to the rules of an accessor that somebody else has changed, too."""
    own = [key for key in {**before, **written, **now, **others.changes} if key[:2] == accessor]
    labelled = with_changes({**before, **written, **now}, others.changes)
    chosen = any(key in others.changes and others.changes[key] is None for key in own)
    for key in own:
        old, ours, current = before.get(key), written.get(key), now.get(key)
        if key in others.changes:
            target = labelled.get(key)
        elif old and not ours and key not in others.seen[accessor]:
            target = None  # who changed the others did not see it
        elif ours and not old and chosen and key in others.seen[accessor]:
            target = ours  # who revoked others has kept this one
        else:
            target = old
        if not same_expiry(current, target):
            found.rules[key] = target
        if not same_expiry(target, old) and not same_expiry(ours, old):
            found.conflicts.append(Conflict(key, old, ours, target))


def describe(target: AccessTarget, conflicts: list[Conflict]) -> str:
    """What somebody else changed, and the commands that restore what was there before the change."""
    parts = []
    for conflict in conflicts:
        rule = conflict.now or conflict.written or conflict.before
        assert rule is not None, "a conflict concerns a rule"
        has, wrote = _text(conflict.now), _text(conflict.written)
        parts.append(f"somebody else has changed {rule.title} since: it has {has}, while this run left {wrote}")
    commands = "; ".join(command for conflict in conflicts for command in _commands(target, conflict))
    return f"{'; '.join(parts)}; left as it is. To restore what was there before: {commands}"


def _text(rule: AccessRule | None) -> str:
    return rule.as_text() if rule else "nothing"


def _commands(target: AccessTarget, conflict: Conflict) -> list[str]:
    """The commands from what is there now to what was there before: a grant alone would never shorten access."""
    words = [] if conflict.now is None else [_command("revoke", target, conflict.now)]
    return words if conflict.before is None else [*words, _command("grant", target, conflict.before)]


def _command(operation: str, target: AccessTarget, rule: AccessRule) -> str:
    words = ["--operation", operation, "--resource-type", target.kind.name, "--resource-id", target.id]
    words += ["--accessor-type", rule.type, "--accessor-id", rule.id, "--role", rule.role]
    ends = ["--expires-at", rule.expires_at] if operation == "grant" and rule.expires_at else []
    return command_line("manage_access", *words, *ends)
