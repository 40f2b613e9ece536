"""Access changes as steps of a change, one per resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.access.edits import RuleEdit
from helpers.access.meanwhile import MeanwhileLog
from helpers.access.restore import Restoration, compare, describe
from helpers.access.roles import ROLE_NAMES
from helpers.access.rules import (
    Accessor,
    AccessRule,
    AccessRules,
    RuleKey,
    as_rows,
    changed_keys,
    difference,
    from_rows,
    read_rules,
    same_expiry,
    text_of,
)
from helpers.access.targets import AccessTarget
from helpers.access.writer import Goal, RuleWriter
from helpers.api.failures import ApiError
from helpers.api.session import Session
from helpers.change.journal import Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.core.errors import Exit, OperatorError


class AccessStep(Step):
    """Apply an edit to the rules of one resource.

    Args:
        target: The resource.
        edit: Turns the current rules into the wanted ones.
        applies_to_caller: See RuleWriter.
        declared: The rules that a file declares for the resource; empty without one.
        exact: The edit removes every rule that is not declared; the rules are read again directly before the write.
        reread: Whether to read the list again directly before and after the write, even if the write cannot take
            anything of others along.

    Attributes:
        rules: The rules as last read; None if they must be read again.
        objections: Returns why the step needs a ``--yes`` that was not passed; called directly before the write.
        ended: Whether an earlier run revoked the caller's own access here, so that the rules cannot be read any more.
        log_problem: Why it is unknown whether the change took along what others gave in the same moment; or empty.
        unverified: The accessors whose change by that run was never confirmed; the caller's own is, by the 403.
    """

    def __init__(
        self,
        target: AccessTarget,
        edit: RuleEdit,
        applies_to_caller: Callable[[AccessRule], bool],
        *,
        declared: AccessRules,
        exact: bool = False,
        reread: bool = True,
    ) -> None:
        super().__init__(f"access:{target.kind.name}:{target.id}", f"access to {target.title}")
        self.target, self.edit, self.applies_to_caller = target, edit, applies_to_caller
        self.declared, self.exact, self.reread = declared, exact, reread
        self.kind, self.name = target.kind.name, target.name or ""
        self.rules: AccessRules | None = None
        self.objections: Callable[[AccessStep], list[str]] = lambda _: []
        self.ended, self.unverified, self.log_problem = False, list[str](), ""
        self._unfinished: Entry | None = None
        self._log: MeanwhileLog | None = None
        self._start: AccessRules = {}  # the rules as read right after the log's mark
        self._granted: list[AccessRule] = []

    def load(self, run: ChangeRun) -> None:
        """Read the rules, and what an earlier run left unfinished.

        Raises:
            OperatorError: The rules could not be read.
        """
        entry = run.entry(self.key)
        self._unfinished = entry if entry and not entry.done else None
        try:
            self.read(run.session)
        except ApiError as error:
            if error.http_status != 403 or entry is None or not self._took_own_access(entry):
                raise
            self.ended, self.rules = True, {}

    def _took_own_access(self, entry: Entry) -> bool:
        before, after = from_rows(entry.before["rules"]), from_rows(entry.resume_data["after"])
        changed = {key: before.get(key) or after[key] for key in changed_keys(before, after)}
        own = {rule.accessor for key, rule in changed.items() if key not in after and self.applies_to_caller(rule)}
        if not entry.done:
            self.unverified = list(dict.fromkeys(r.title for r in changed.values() if r.accessor not in own))
        return bool(own)

    def read(self, session: Session) -> AccessRules:
        """The rules of the resource, read at most once.

        Raises:
            OperatorError: They could not be read.
        """
        if self.rules is None:
            self.rules = self._read_now(session)
        return self.rules

    def _read_now(self, session: Session) -> AccessRules:
        return read_rules(session, self.target.kind, self.target.id)

    def find(self, run: ChangeRun) -> Found:
        if self.ended:
            return Found(UNCHANGED, self.target.id)
        before = self.read(run.session)
        after = self.wanted(before)
        pending = self.exact or changed_keys(before, after)
        guarded = self._can_take_along(before, after)
        if not run.dry and pending and (self.reread or self.exact or guarded):
            self._log = self._mark(run.session)
            self.rules = None
            before = self._start = self.read(run.session)
            after = self.wanted(before)
            self._refuse_objections(before)
        changes = difference(before, after)
        if not changes:
            return Found(UNCHANGED, self.target.id)
        accessors = {
            key[:2] for key in changed_keys(before, after)
        }  # with all their roles: a DELETE may remove more than one
        keys = [list(key) for key in {**before, **after} if key[:2] in accessors]
        fresh = {"after": as_rows(after), "touched": keys}
        resume_data = self._unfinished.resume_data if self._unfinished else fresh
        return Found("change", self.target.id, changes, {"rules": as_rows(before)}, resume_data)

    def _mark(self, session: Session) -> MeanwhileLog:
        log = MeanwhileLog(session, self.target)
        log.set_mark()
        return log

    def _refuse_objections(self, before: AccessRules) -> None:
        reasons = [*self._granted_meanwhile(before), *self.objections(self)]
        if reasons:
            raise OperatorError(
                Exit.ERROR,
                f"somebody else changed {self.title} in the meantime: {'; '.join(reasons)}",
                hint="review the change with --dry-run, then add --yes",
                resource={"type": self.kind, "id": self.target.id},
            )

    def _can_take_along(self, before: AccessRules, after: AccessRules) -> bool:
        """Whether the write could undo a concurrent grant: by deleting a single role, or by shortening access."""
        for key in changed_keys(before, after):
            if key in after:
                if after[key].expires_at:
                    return True
            elif not self._takes_all(before, key[:2]):
                return True
        return False

    def _takes_all(self, rules: AccessRules, accessor: Accessor) -> bool:
        """Whether the edit would revoke any role from this accessor, also one that it does not have now."""
        label = next((rule.label for rule in rules.values() if rule.accessor == accessor), "")
        others = [AccessRule(*accessor, role, label) for role in ROLE_NAMES if (*accessor, role) not in rules]
        with_others = {**rules, **{rule.key: rule for rule in others}}
        return not any(key[:2] == accessor for key in self.wanted(with_others))

    def wanted(self, before: AccessRules) -> AccessRules:
        """The rules to reach. An interrupted run is completed: it reaches the rules that it was working towards."""
        if self._unfinished is None or self.exact:
            return self.edit(before)
        planned = from_rows(self._unfinished.resume_data["after"])
        return self.edit(_merged(before, _keys(self._unfinished.resume_data["touched"]), planned))

    def _granted_meanwhile(self, before: AccessRules) -> list[str]:
        """Who was granted access after an exact run was interrupted: nobody has reviewed their removal."""
        if self._unfinished is None or not self.exact:
            return []
        resume_data = self._unfinished.resume_data
        known = {*_keys(resume_data["touched"]), *from_rows(resume_data["after"])}
        return [f"{rule.title} got the role {rule.as_text()}" for key, rule in before.items() if key not in known]

    def lost_by_caller(self) -> list[AccessRule]:
        """The rules through which the caller has access here and that the step revokes, by the rules as last read."""
        before = self.rules or {}
        after = self.wanted(before)
        return [rule for key, rule in before.items() if key not in after and self.applies_to_caller(rule)]

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        before = self.read(run.session)
        unreadable = bool(self.lost_by_caller())
        self.rules = None
        keys = _keys(found.resume_data["touched"])
        log = self._log if self._can_take_along(before, self.wanted(before)) else None
        goal = Goal(self.wanted, lambda accessor: self._takes_all(before, accessor), log)
        self._write(run, before, goal, keys, verify=(self.reread or log is not None) and not unreadable)
        return Applied(self.target.id)

    def _write(self, run: ChangeRun, before: AccessRules, goal: Goal, keys: list[RuleKey], *, verify: bool) -> None:
        """Write, and check the result: by the response, and (``verify``) by reading the list again."""
        now = self._change(run, before, goal)
        self._expect(now, goal.wanted, keys)
        if verify:
            self._expect(self._read_now(run.session), goal.wanted, keys)
        self.log_problem = goal.log.problem if goal.log else ""

    def _change(self, run: ChangeRun, before: AccessRules, goal: Goal) -> AccessRules:
        writer = RuleWriter(run.session, self.target, self.applies_to_caller, run.report, self._granted)
        try:
            return writer.change(before, goal)
        finally:
            run.warnings += writer.notes

    def _expect(self, now: AccessRules, wanted: RuleEdit, keys: Iterable[RuleKey]) -> None:
        """Check that nothing is left to do for these accessors, or for all if the edit is exact."""
        accessors = {key[:2] for key in keys}
        rules = wanted(now)
        checked = {key for key in (*now, *rules) if self.exact or key[:2] in accessors}
        wrong = [key for key in sorted(checked) if not same_expiry(now.get(key), rules.get(key))]
        if wrong:
            listed = ", ".join(dict.fromkeys(f"{kind} {accessor_id}" for kind, accessor_id, _ in wrong))
            text = f"{self.title}: the server does not show what was written for {listed}"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": self.target.id})

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        keys = _keys(entry.resume_data["touched"])
        before = from_rows(entry.before["rules"])
        self.exact = False
        try:
            found = self._restore(run, entry, keys)
        except OperatorError as error:
            had = text_of(rule for key in keys if (rule := before.get(key))) or "nothing"
            accessors = ", ".join(f"{kind} {accessor_id}" for kind, accessor_id, _ in keys)
            error.message += f"; before the change, {accessors} had {had}"
            raise
        if found.conflicts:
            raise OperatorError(Exit.LEFT_BEHIND, describe(self.target, found.conflicts))

    def _restore(self, run: ChangeRun, entry: Entry, keys: list[RuleKey]) -> Restoration:
        """Restore, and once more where somebody else changed the same rules in that moment."""
        found, now = self._compare(run, entry, keys)
        revoked = [rule for key, rule in now.items() if key in found.rules and found.rules[key] is None]
        if any(map(self.applies_to_caller, revoked)):  # it cannot be read afterwards
            self._write(run, now, self._undo_goal(found), list(found.rules), verify=False)
        elif changed_keys(now, found.applied_to(now)):
            self._change(run, now, self._undo_goal(found))
            found, now = self._compare(run, entry, keys)
            if changed_keys(now, found.applied_to(now)):
                self._write(run, now, self._undo_goal(found), list(found.rules), verify=True)
        return found

    def _undo_goal(self, found: Restoration) -> Goal:
        return Goal(found.applied_to, lambda _: False, self._log)

    def _compare(self, run: ChangeRun, entry: Entry, keys: list[RuleKey]) -> tuple[Restoration, AccessRules]:
        """What is to be restored, and the rules now: they are read before the log, so that it explains all of them."""
        if self._log is None:
            self._log = self._mark(run.session)
            self._start = self._read_now(run.session)
        now = self._read_now(run.session)
        others = self._log.others(self._start, self._granted)
        before, written = from_rows(entry.before["rules"]), from_rows(entry.resume_data["after"])
        return compare(before, written, now, keys, done=entry.done, others=others), now


def _merged(rules: AccessRules, keys: list[RuleKey], wanted: AccessRules) -> AccessRules:
    """The rules, with those of the given keys replaced by the wanted ones."""
    others = {key: rule for key, rule in rules.items() if key not in keys}
    return others | {key: wanted[key] for key in keys if key in wanted}


def _keys(rows: Iterable[Any]) -> list[RuleKey]:
    return [(str(kind), int(accessor_id), str(role)) for kind, accessor_id, role in rows]


def load_all(run: ChangeRun, steps: list[AccessStep], workers: int) -> None:
    """Read the rules of every step's resource, ``workers`` at a time.

    Raises:
        OperatorError: The rules of one could not be read.
    """
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda step: step.load(run), steps))
