"""Changing access as steps of a change, one for each resource; and what needs a --yes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from .access_rules import (
    STRONG,
    Key,
    Rule,
    Rules,
    as_rows,
    change,
    difference,
    from_rows,
    rank,
    read_rules,
    same,
)
from .access_targets import Target
from .changes import UNCHANGED, Found, Run, Step
from .errors import Exit, OperatorError, usage
from .journal import Entry
from .kinds import KINDS
from .resources import get
from .session import Session

Wish = Callable[[Rules], Rules]


class AccessStep(Step):
    """Give one resource the rules that ``wish`` makes of those it has."""

    def __init__(self, target: Target, wish: Wish) -> None:
        super().__init__(f"access:{target.kind.name}:{target.id}", f"access to {target.title}")
        self.target, self.wish = target, wish
        self.kind, self.name = target.kind.name, target.name or ""
        self.seen: Rules | None = None  # as read for the plan, so that it is not read again
        self.answered: Rules | None = None

    def look(self, session: Session) -> Rules:
        if self.seen is None:
            self.seen = read_rules(session, self.target.kind, self.target.id)
        return self.seen

    def find(self, run: Run) -> Found:
        before = self.look(run.session)
        after = self.wish(before)
        changes = difference(before, after)
        if not changes:
            return Found(UNCHANGED, self.target.id)
        touched = [list(key) for key in {**before, **after} if not same(before.get(key), after.get(key))]
        memo = {"touched": touched}
        return Found("change", self.target.id, changes, {"rules": as_rows(before)}, memo)

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        before = self.look(run.session)
        self.seen = None
        self.answered = change(run.session, self.target.kind, self.target.id, before, self.wish(before), run.say)
        self._expect(self.answered, {key: self.wish(before).get(key) for key in _keys(found.memo["touched"])})
        return self.target.id, False

    def _expect(self, now: Rules, wanted: dict[Key, Rule | None]) -> None:
        """The server's own list, which every write is answered with, shows what was wanted."""
        wrong = [key for key, rule in wanted.items() if not same(now.get(key), rule)]
        if wrong:
            listed = ", ".join(f"{kind} {number}" for kind, number in wrong)
            text = f"{self.title}: the server does not show what was written for {listed}"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": self.target.id})

    def undo(self, run: Run, entry: Entry) -> None:
        now = read_rules(run.session, self.target.kind, self.target.id)
        before = from_rows(entry.before["rules"])
        touched = _keys(entry.memo["touched"])
        after = {key: rule for key, rule in now.items() if key not in touched}
        after |= {key: before[key] for key in touched if key in before}
        if difference(now, after):
            now = change(run.session, self.target.kind, self.target.id, now, after, run.say)
        self._expect(now, {key: before.get(key) for key in touched})


def _keys(rows: Iterable[list[str | int]]) -> list[Key]:
    return [(str(kind), int(number)) for kind, number in rows]


def look_at_all(session: Session, steps: list[AccessStep], workers: int) -> None:
    """Read the rules of every resource, some at a time."""
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda step: step.look(session), steps))


def grant(wanted: Rule, now: str, say: Callable[[str], None]) -> Wish:
    """Give a role; one who has it or a stronger one keeps what is there."""

    def wish(before: Rules) -> Rules:
        old = before.get(wanted.key)
        if old is None or old.is_over(now):
            return {**before, wanted.key: wanted._replace(label=wanted.label or (old.label if old else ""))}
        if wanted.expires and not old.expires and not old.roles >= wanted.roles and rank(wanted.role) > rank(old.role):
            raise usage(f"{old.title} has {old.as_text()} without an end; with --expires-at both roles would end",
                        "revoke it first, or grant without --expires-at")  # fmt: skip
        if wanted.role in old.roles or rank(old.role) >= rank(wanted.role) > -1:
            if old.expires == wanted.expires or old.expires is None:
                _say_kept(old, wanted, say)
                return before
            return {**before, wanted.key: old._replace(expires=_later(old.expires, wanted.expires))}
        return {**before, wanted.key: old._replace(roles=old.roles | wanted.roles, expires=wanted.expires)}

    return wish


def _say_kept(old: Rule, wanted: Rule, say: Callable[[str], None]) -> None:
    if (old.role, old.expires) != (wanted.role, wanted.expires):
        say(f"{old.title} keeps {old.as_text()}; a grant never takes away: see revoke and replace")


def _later(a: str, b: str | None) -> str | None:
    return None if b is None else max(a, b)


def revoke(matches: Callable[[Rule], bool], role: str | None) -> Wish:
    """Take a role, or everything, from whom it concerns."""

    def wish(before: Rules) -> Rules:
        after = {}
        for key, rule in before.items():
            rest = rule.roles - {role} if role else frozenset[str]()
            if not matches(rule):
                after[key] = rule
            elif rest:
                after[key] = rule._replace(roles=rest)
        return after

    return wish


def replace(wanted: Rules) -> Wish:
    """Exactly these rules."""
    return lambda before: {key: before[key] if same(before.get(key), rule) else rule for key, rule in wanted.items()}


def declare(wanted: Rules, *, prune: bool) -> Wish:
    """At least these; with ``prune`` nothing else and nothing more."""

    def wish(before: Rules) -> Rules:
        after = dict(wanted) if prune else {**before, **wanted}
        for key, rule in wanted.items():
            old = before.get(key)
            if old is not None and old.expires == rule.expires and not prune and rank(old.role) >= rank(rule.role):
                after[key] = old if rule.role in old.roles or rank(rule.role) > -1 else _both(old, rule)
            elif old is not None and not prune:
                after[key] = rule._replace(roles=old.roles | rule.roles)
        return {key: before[key] if same(before.get(key), rule) else rule for key, rule in after.items()}

    return wish


def _both(old: Rule, new: Rule) -> Rule:
    return new._replace(roles=old.roles | new.roles)


def reasons_for_yes(session: Session, steps: list[AccessStep], me: int | None, now: str) -> list[str]:
    """Why a change should be confirmed: strong or wide access, and what could lock somebody out."""
    found: dict[str, list[str]] = {}
    in_team: dict[int, bool] = {}

    def note(reason: str, step: AccessStep) -> None:
        found.setdefault(reason, []).append(step.target.title)

    for step in steps:
        before = {key: rule for key, rule in step.look(session).items() if not rule.is_over(now)}
        after = step.wish(step.look(session))
        for key, rule in after.items():
            if same(before.get(key), rule):
                continue
            new = rule.roles - (before[key].roles if key in before else frozenset())
            if strong := new & set(STRONG):
                note(f"gives {rule.title} the role {', '.join(sorted(strong))}", step)
            if rule.type == "ORG" and (new or key in before):
                note(f"gives everybody of {rule.title} access", step)
        if _strong(before) and not _strong(after):
            note("takes away the last accessor who is owner or admin", step)
        for key, rule in before.items():
            weaker = key not in after or rank(after[key].role) < rank(rule.role)
            if weaker and _is_mine(session, rule, me, in_team):
                note(f"takes away your own access, by {rule.title}", step)
    return [f"{reason}: {_some(titles)}" for reason, titles in found.items()]


def _strong(rules: Rules) -> bool:
    return any(rule.roles & set(STRONG) for rule in rules.values())


def _is_mine(session: Session, rule: Rule, me: int | None, in_team: dict[int, bool]) -> bool:
    if rule.type == "TEAM":
        if rule.id not in in_team:
            in_team[rule.id] = bool(get(session, KINDS["teams"], rule.id).get("member"))
        return in_team[rule.id]
    return rule.type == "USER" and rule.id == me


def _some(titles: list[str]) -> str:
    return ", ".join(titles[:5]) + (f" and {len(titles) - 5} more" if len(titles) > 5 else "")
