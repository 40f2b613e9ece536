"""Changing access as steps of a change, one for each resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .access_rules import Key, Rule, Rules, Writer, as_rows, difference, from_rows, read_rules, same, text_of, touched
from .access_targets import Target
from .access_wishes import Wish
from .changes import UNCHANGED, Found, Run, Step
from .errors import Exit, OperatorError
from .journal import Entry
from .session import Session


class AccessStep(Step):
    """Give one resource the rules that ``wish`` makes of those it has.

    Args:
        exact: nothing else may be there afterwards; the rules are then read anew directly before the write.
        acts_by: see Writer.
        reread: whether to read the list again after the write, besides the list that the write is answered with.
    """

    def __init__(
        self, target: Target, wish: Wish, acts_by: Callable[[Rule], bool], *, exact: bool = False, reread: bool = True
    ) -> None:
        super().__init__(f"access:{target.kind.name}:{target.id}", f"access to {target.title}")
        self.target, self.wish, self.acts_by, self.exact, self.reread = target, wish, acts_by, exact, reread
        self.kind, self.name = target.kind.name, target.name or ""
        self.seen: Rules | None = None  # as read for the plan, so that it is not read again

    def look(self, session: Session) -> Rules:
        if self.seen is None:
            self.seen = read_rules(session, self.target.kind, self.target.id)
        return self.seen

    def find(self, run: Run) -> Found:
        if self.exact and not run.dry:
            self.seen = None
        before = self.look(run.session)
        entry = run.entry(self.key)
        after = self._after(before, entry)
        changes = difference(before, after)
        if not changes:
            return Found(UNCHANGED, self.target.id)
        people = {key[:2] for key in touched(before, after)}  # with all of their roles: a DELETE may take more than one
        keys = [list(key) for key in {**before, **after} if key[:2] in people]
        memo = entry.memo if entry and not entry.done else {"after": as_rows(after), "touched": keys}
        return Found("change", self.target.id, changes, {"rules": as_rows(before)}, memo)

    def _after(self, before: Rules, entry: Entry | None) -> Rules:
        """What is wanted; a run that was cut off half-way is brought to what it was on the way to."""
        if entry is None or entry.done:
            return self.wish(before)
        keys, meant = _keys(entry.memo["touched"]), from_rows(entry.memo["after"])
        after = {key: rule for key, rule in before.items() if key not in keys}
        return after | {key: meant[key] for key in keys if key in meant}

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
        looked_at = {*keys, *(now if self.exact else ())}
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
            if touched(now, after):
                now = self._writer(run).change(now, after)
            self.exact = False
            self._expect(now, after, keys)
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
