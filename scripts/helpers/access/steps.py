"""Access changes as steps of a change, one per resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.access.edits import RuleEdit
from helpers.access.rules import (
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
from helpers.access.writer import RuleWriter
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
        exact: The edit removes every rule that is not declared; the rules are read again directly before the write.
        reread: Whether to read the list again directly before and after the write, in addition to the list in the
            response to the write.

    Attributes:
        rules: The rules as last read; None if they must be read again.
        objections: Returns why the step needs a ``--yes`` that was not passed; called directly before the write.
    """

    def __init__(
        self,
        target: AccessTarget,
        edit: RuleEdit,
        applies_to_caller: Callable[[AccessRule], bool],
        *,
        exact: bool = False,
        reread: bool = True,
    ) -> None:
        super().__init__(f"access:{target.kind.name}:{target.id}", f"access to {target.title}")
        self.target, self.edit, self.applies_to_caller = target, edit, applies_to_caller
        self.exact, self.reread = exact, reread
        self.kind, self.name = target.kind.name, target.name or ""
        self.rules: AccessRules | None = None
        self.objections: Callable[[AccessStep], list[str]] = lambda _: []

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
        before = self.read(run.session)
        after = self.wanted(run, before)
        pending = self.exact or changed_keys(before, after)
        if not run.dry and pending and (self.reread or self._needs_reread(before, after)):
            self.rules = None
            before = self.read(run.session)
            after = self.wanted(run, before)
            self._refuse_objections(run, before)
        entry = run.entry(self.key)
        changes = difference(before, after)
        if not changes:
            return Found(UNCHANGED, self.target.id)
        accessors = {
            key[:2] for key in changed_keys(before, after)
        }  # with all their roles: a DELETE may remove more than one
        keys = [list(key) for key in {**before, **after} if key[:2] in accessors]
        fresh = {"after": as_rows(after), "touched": keys}
        resume_data = entry.resume_data if entry and not entry.done else fresh
        return Found("change", self.target.id, changes, {"rules": as_rows(before)}, resume_data)

    def _refuse_objections(self, run: ChangeRun, before: AccessRules) -> None:
        reasons = [*self._granted_meanwhile(run, before), *self.objections(self)]
        if reasons:
            raise OperatorError(
                Exit.ERROR,
                f"somebody else changed {self.title} in the meantime: {'; '.join(reasons)}",
                hint="review the change with --dry-run, then add --yes",
                resource={"type": self.kind, "id": self.target.id},
            )

    def _needs_reread(self, before: AccessRules, after: AccessRules) -> bool:
        """Whether the write could undo a concurrent grant: by deleting a single role, or by shortening access."""
        changed = changed_keys(before, after)
        kept = {key[:2] for key in after}
        return self.exact or any(key[:2] in kept if key not in after else after[key].expires_at for key in changed)

    def wanted(self, run: ChangeRun, before: AccessRules) -> AccessRules:
        """The rules to reach. An interrupted run is completed: it reaches the rules that it was working towards."""
        entry = run.entry(self.key)
        if entry is None or entry.done or self.exact:
            return self.edit(before)
        return _merged(before, _keys(entry.resume_data["touched"]), from_rows(entry.resume_data["after"]))

    def _granted_meanwhile(self, run: ChangeRun, before: AccessRules) -> list[str]:
        """Who was granted access after an exact run was interrupted: nobody has reviewed their removal."""
        entry = run.entry(self.key)
        if entry is None or entry.done or not self.exact:
            return []
        known = {*_keys(entry.resume_data["touched"]), *from_rows(entry.resume_data["after"])}
        return [f"{rule.title} got the role {rule.as_text()}" for key, rule in before.items() if key not in known]

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        before = self.read(run.session)
        keys = _keys(found.resume_data["touched"])
        after = _merged(before, keys, from_rows(found.resume_data["after"]))
        self.rules = None
        self._expect(self._writer(run).change(before, after), after, keys)
        lost = [rule for key, rule in before.items() if key in keys and key not in after]
        if self.reread and not any(map(self.applies_to_caller, lost)):  # otherwise it may no longer be readable
            self._expect(self._read_now(run.session), after, keys)
        return Applied(self.target.id)

    def _writer(self, run: ChangeRun) -> RuleWriter:
        return RuleWriter(run.session, self.target.kind, self.target.id, self.applies_to_caller, run.report)

    def _expect(self, now: AccessRules, wanted: AccessRules, keys: Iterable[RuleKey]) -> None:
        """Check that the server's list shows the wanted rules of these accessors, or of all if the edit is exact."""
        accessors = {key[:2] for key in keys}
        checked = {*keys, *(key for key in (*now, *wanted) if self.exact or key[:2] in accessors)}
        wrong = [key for key in sorted(checked) if not same_expiry(now.get(key), wanted.get(key))]
        if wrong:
            listed = ", ".join(f"{kind} {accessor_id}" for kind, accessor_id, _ in wrong)
            text = f"{self.title}: the server does not show what was written for {listed}"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": self.target.id})

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        now = self._read_now(run.session)
        before, keys = from_rows(entry.before["rules"]), _keys(entry.resume_data["touched"])
        after = _merged(now, keys, before)
        try:
            self.exact = False
            revoked = [rule for key, rule in now.items() if key in keys and key not in after]
            if changed_keys(now, after):
                now = self._writer(run).change(now, after)
            self._expect(now, after, keys)
            if not any(map(self.applies_to_caller, revoked)):
                self._expect(self._read_now(run.session), after, keys)
        except OperatorError as error:
            had = text_of(rule for key in keys if (rule := before.get(key))) or "nothing"
            accessors = ", ".join(f"{kind} {accessor_id}" for kind, accessor_id, _ in keys)
            error.message += f"; before the change, {accessors} had {had}"
            raise


def _merged(rules: AccessRules, keys: list[RuleKey], wanted: AccessRules) -> AccessRules:
    """The rules, with those of the given keys replaced by the wanted ones."""
    others = {key: rule for key, rule in rules.items() if key not in keys}
    return others | {key: wanted[key] for key in keys if key in wanted}


def _keys(rows: Iterable[Any]) -> list[RuleKey]:
    return [(str(kind), int(accessor_id), str(role)) for kind, accessor_id, role in rows]


def read_all(session: Session, steps: list[AccessStep], workers: int) -> None:
    """Read the rules of every step's resource, ``workers`` at a time.

    Raises:
        OperatorError: The rules of one could not be read.
    """
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda step: step.read(session), steps))
