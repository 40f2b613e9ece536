"""How a resource's rules change: grant, revoke, replace, declare. Pure functions from rules to rules."""

from __future__ import annotations

from collections.abc import Callable

from helpers.access.rules import AccessRule, AccessRules, in_force, lasts_longer, rank, rules_for, same_expiry, text_of

RuleEdit = Callable[[AccessRules], AccessRules]


def _has(rules: AccessRules, wanted: AccessRule) -> bool:
    """Whether the accessor has a role that is at least as strong and lasts at least as long."""
    return any(
        not lasts_longer(wanted.expires_at, rule.expires_at)
        and (rule.role == wanted.role or rank(rule.role) > rank(wanted.role) > -1)
        for rule in rules_for(rules, wanted.accessor)
    )


def grant(wanted: AccessRule, now: str, report: Callable[[str], None]) -> RuleEdit:
    """Grant a role. The edit adds or extends access; it never revokes or shortens any, and leaves other roles alone.

    Args:
        wanted: The rule to grant.
        now: ISO 8601 in UTC; rules that have expired by then do not count.
        report: Called with a line when the accessor keeps a role that is stronger or lasts longer.
    """

    def edit(before: AccessRules) -> AccessRules:
        live = in_force(before, now)
        if not _has(live, wanted):
            return {**before, wanted.key: wanted}
        if not same_expiry(live.get(wanted.key), wanted):
            kept = text_of(rules_for(live, wanted.accessor))
            report(f"{wanted.title} keeps {kept}: a grant never reduces access; see revoke, replace")
        return before

    return edit


def revoke(matches: Callable[[AccessRule], bool], role: str | None) -> RuleEdit:
    """Revoke a role, or every role (None), from the accessors that match."""
    return lambda before: {
        key: rule for key, rule in before.items() if not (matches(rule) and role in (None, rule.role))
    }


def replace(wanted: AccessRules) -> RuleEdit:
    """Exactly these rules."""
    return lambda before: {
        key: before[key] if same_expiry(before.get(key), rule) else rule for key, rule in wanted.items()
    }


def declare(wanted: AccessRules, now: str, report: Callable[[str], None]) -> RuleEdit:
    """At least these rules. What is stronger or lasts longer stays, and is reported.

    Args:
        wanted: The declared rules.
        now: ISO 8601 in UTC.
        report: See ``grant``.
    """

    def edit(before: AccessRules) -> AccessRules:
        after = before
        for rule in wanted.values():
            after = grant(rule, now, report)(after)
        return after

    return edit
