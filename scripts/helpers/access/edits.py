"""How a resource's rules are to change: grant, revoke, replace, declare. Plain functions from rules to rules."""

from __future__ import annotations

from collections.abc import Callable

from helpers.access.rules import AccessRule, AccessRules, in_force, lasts_longer, rank, rules_for, same_end, text_of

RuleEdit = Callable[[AccessRules], AccessRules]


def _has(rules: AccessRules, wanted: AccessRule) -> bool:
    """Whether an accessor has a role at least as strong for at least as long."""
    return any(
        not lasts_longer(wanted.expires_at, rule.expires_at)
        and (rule.role == wanted.role or rank(rule.role) > rank(wanted.role) > -1)
        for rule in rules_for(rules, wanted.accessor)
    )


def grant(wanted: AccessRule, now: str, report: Callable[[str], None]) -> RuleEdit:
    """Give a role. It adds, or lasts longer; it never takes or shortens anything, nor touches another role.

    Args:
        now: ISO 8601 in UTC; what has expired by then does not count.
        report: called with what an accessor keeps that is stronger or longer.
    """

    def edit(before: AccessRules) -> AccessRules:
        live = in_force(before, now)
        if not _has(live, wanted):
            return {**before, wanted.key: wanted}
        if not same_end(live.get(wanted.key), wanted):
            kept = text_of(rules_for(live, wanted.accessor))
            report(f"{wanted.title} keeps {kept}; a grant never takes away: see revoke, replace")
        return before

    return edit


def revoke(matches: Callable[[AccessRule], bool], role: str | None) -> RuleEdit:
    """Take a role, or (None) every role, from the accessors that match."""
    return lambda before: {
        key: rule for key, rule in before.items() if not (matches(rule) and role in (None, rule.role))
    }


def replace(wanted: AccessRules) -> RuleEdit:
    """Exactly these rules."""
    return lambda before: {
        key: before[key] if same_end(before.get(key), rule) else rule for key, rule in wanted.items()
    }


def declare(wanted: AccessRules, now: str, report: Callable[[str], None]) -> RuleEdit:
    """At least these rules. What is stronger or longer stays, and is reported."""

    def edit(before: AccessRules) -> AccessRules:
        after = before
        for rule in wanted.values():
            after = grant(rule, now, report)(after)
        return after

    return edit
