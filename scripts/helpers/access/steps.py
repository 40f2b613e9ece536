"""Changing access as steps of a change, one for each resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.access.edits import Wish
from helpers.access.rules import (
    Key,
    Rule,
    Rules,
    Writer,
    as_rows,
    difference,
    from_rows,
    read_rules,
    same,
    text_of,
    touched,
)
from helpers.access.targets import Target
from helpers.api.session import Session
from helpers.change.changes import UNCHANGED, Found, Run, Step
from helpers.change.journal import Entry
from helpers.core.errors import Exit, OperatorError


class AccessStep(Step):
    """Give one resource the rules that ``wish`` makes of those it has.

    Args:
        exact: nothing else may be there afterwards; the rules are then read anew directly before the write.
        acts_by: see Writer.
        reread: whether to read the list again directly before and after the write, besides the list that the write is
            answered with.

    Attributes:
        objections: what of the step nobody has confirmed with --yes, as it turns out directly before the write.
    """

    def __init__(
        self, target: Target, wish: Wish, acts_by: Callable[[Rule], bool], *, exact: bool = False, reread: bool = True
    ) -> None:
        super().__init__(f"access:{target.kind.name}:{target.id}", f"access to {target.title}")
        self.target, self.wish, self.acts_by, self.exact, self.reread = target, wish, acts_by, exact, reread
        self.kind, self.name = target.kind.name, target.name or ""
        self.seen: Rules | None = None  # as read for the plan, so that it is not read again
        self.objections: Callable[[AccessStep], list[str]] = lambda _: []

    def look(self, session: Session) -> Rules:
        if self.seen is None:
            self.seen = read_rules(session, self.target.kind, self.target.id)
        return self.seen

    def find(self, run: Run) -> Found:
        before = self.look(run.session)
        after = self.wanted(run, before)
        if not run.dry and (self.exact or touched(before, after)) and (self.reread or self._is_delicate(before, after)):
            self.seen = None
            before = self.look(run.session)
            after = self.wanted(run, before)
            if reasons := [*self._newcomers(run, before), *self.objections(self)]:
                raise OperatorError(
                    Exit.ERROR, f"somebody else has changed {self.title} meanwhile: {'; '.join(reasons)}",
                    hint="look with --dry-run, then add --yes", resource={"type": self.kind, "id": self.target.id},
                )  # fmt: skip
        entry = run.entry(self.key)
        changes = difference(before, after)
        if not changes:
            return Found(UNCHANGED, self.target.id)
        people = {key[:2] for key in touched(before, after)}  # with all of their roles: a DELETE may take more than one
        keys = [list(key) for key in {**before, **after} if key[:2] in people]
        memo = entry.memo if entry and not entry.done else {"after": as_rows(after), "touched": keys}
        return Found("change", self.target.id, changes, {"rules": as_rows(before)}, memo)

    def _is_delicate(self, before: Rules, after: Rules) -> bool:
        """Whether what somebody else gives meanwhile could go with it: by a DELETE of one role, or a shorter end."""
        changed = touched(before, after)
        kept = {key[:2] for key in after}
        return self.exact or any(key[:2] in kept if key not in after else after[key].until for key in changed)

    def wanted(self, run: Run, before: Rules) -> Rules:
        """What is wanted; a run that was cut off half-way is brought to what it was on the way to."""
        entry = run.entry(self.key)
        if entry is None or entry.done or self.exact:
            return self.wish(before)
        keys, meant = _keys(entry.memo["touched"]), from_rows(entry.memo["after"])
        after = {key: rule for key, rule in before.items() if key not in keys}
        return after | {key: meant[key] for key in keys if key in meant}

    def _newcomers(self, run: Run, before: Rules) -> list[str]:
        """Who got access since a run that was cut off on the way to exact rules: nobody has looked at their loss."""
        entry = run.entry(self.key)
        if entry is None or entry.done or not self.exact:
            return []
        known = {*_keys(entry.memo["touched"]), *from_rows(entry.memo["after"])}
        return [f"{rule.title} got the role {rule.as_text()}" for key, rule in before.items() if key not in known]

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        before = self.look(run.session)
        keys, meant = _keys(found.memo["touched"]), from_rows(found.memo["after"])
        after = {key: rule for key, rule in before.items() if key not in keys}
        after |= {key: meant[key] for key in keys if key in meant}
        self.seen = None
        self._expect(self._writer(run).change(before, after), after, keys)
        lost = [rule for key, rule in before.items() if key in keys and key not in after]
        if self.reread and not any(self.acts_by(rule) for rule in lost):  # else it may not be readable any more
            self._expect(read_rules(run.session, self.target.kind, self.target.id), after, keys)
        return self.target.id, False

    def _writer(self, run: Run) -> Writer:
        return Writer(run.session, self.target.kind, self.target.id, self.acts_by, run.say)

    def _expect(self, now: Rules, wanted: Rules, keys: Iterable[Key]) -> None:
        """The server's list shows what was wanted: of all accessors where nothing else may be there."""
        people = {key[:2] for key in keys}
        looked_at = {*keys, *(key for key in (*now, *wanted) if self.exact or key[:2] in people)}
        wrong = [key for key in sorted(looked_at) if not same(now.get(key), wanted.get(key))]
        if wrong:
            listed = ", ".join(f"{kind} {number}" for kind, number, _ in wrong)
            text = f"{self.title}: the server does not show what was written for {listed}"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": self.target.id})

    def undo(self, run: Run, entry: Entry) -> None:
        now = read_rules(run.session, self.target.kind, self.target.id)
        before, keys = from_rows(entry.before["rules"]), _keys(entry.memo["touched"])
        after = {key: rule for key, rule in now.items() if key not in keys}
        after |= {key: before[key] for key in keys if key in before}
        try:
            self.exact = False
            taken = [rule for key, rule in now.items() if key in keys and key not in after]
            if touched(now, after):
                now = self._writer(run).change(now, after)
            self._expect(now, after, keys)
            if not any(self.acts_by(rule) for rule in taken):
                self._expect(read_rules(run.session, self.target.kind, self.target.id), after, keys)
        except OperatorError as error:
            lost = text_of(f for key in keys if (f := before.get(key))) or "nothing"
            error.message += f"; before, {', '.join(f'{kind} {number}' for kind, number, _ in keys)} had {lost}"
            raise


def _keys(rows: Iterable[Any]) -> list[Key]:
    return [(str(kind), int(number), str(role)) for kind, number, role in rows]


def look_at_all(session: Session, steps: list[AccessStep], workers: int) -> None:
    """Read the rules of every resource, some at a time."""
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda step: step.look(session), steps))
