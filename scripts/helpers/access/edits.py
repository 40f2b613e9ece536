"""What is to become of a resource's rules: grant, revoke, replace, declare. Plain functions from rules to rules."""

from __future__ import annotations

from collections.abc import Callable

from helpers.access.rules import Rule, Rules, in_force, lasts_longer, of, rank, text_of

Wish = Callable[[Rules], Rules]


def _has(rules: Rules, wanted: Rule) -> bool:
    """Whether an accessor has a role at least as strong for at least as long."""
    return any(
        not lasts_longer(wanted.until, rule.until)
        and (rule.role == wanted.role or rank(rule.role) > rank(wanted.role) > -1)
        for rule in of(rules, wanted.who)
    )


def grant(wanted: Rule, now: str, say: Callable[[str], None]) -> Wish:
    """Give a role. It adds, or makes longer; it never takes or shortens anything, nor touches another role."""

    def wish(before: Rules) -> Rules:
        live = in_force(before, now)
        if not _has(live, wanted):
            return {**before, wanted.key: wanted}
        if wanted.key not in live or live[wanted.key].until != wanted.until:
            say(f"{wanted.title} keeps {text_of(of(live, wanted.who))}; a grant never takes away: see revoke, replace")
        return before

    return wish


def revoke(matches: Callable[[Rule], bool], role: str | None) -> Wish:
    """Take a role, or everything, from whom it concerns."""
    return lambda before: {
        key: rule for key, rule in before.items() if not (matches(rule) and role in (None, rule.role))
    }


def replace(wanted: Rules) -> Wish:
    """Exactly these rules."""
    return lambda before: {key: before[key] if _alike(before.get(key), rule) else rule for key, rule in wanted.items()}


def _alike(a: Rule | None, b: Rule) -> bool:
    return a is not None and a.until == b.until


def declare(wanted: Rules, now: str, say: Callable[[str], None]) -> Wish:
    """At least these. What is stronger or longer stays, and is named."""

    def wish(before: Rules) -> Rules:
        after = before
        for rule in wanted.values():
            after = grant(rule, now, say)(after)
        return after

    return wish
