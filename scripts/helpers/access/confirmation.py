"""What of an access change needs a confirmation: what shares too widely, and what could lock somebody out."""

from __future__ import annotations

from collections.abc import Iterator

from helpers.access.rules import (
    STRONG,
    AccessRule,
    AccessRules,
    RuleKey,
    in_force,
    lasts_longer,
    rank,
    rules_for,
    same_end,
    strongest,
    touched,
)
from helpers.access.steps import AccessStep
from helpers.access.targets import AccessTarget
from helpers.api.failures import ApiError
from helpers.api.resources import get, get_or_none
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.change.model import ChangeRun
from helpers.core.kinds import KINDS


class Caller:
    """Who runs the command, and whether a rule applies to them. What cannot be told counts as theirs."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._teams: dict[int, bool] = {}
        self._owned: dict[tuple[str, int], bool] = {}

    def is_covered_by(self, rule: AccessRule) -> bool:
        """Whether the caller is the rule's user, in its team, or in its org."""
        if self.session.user_id is None or self.session.org_id is None:
            person = call(self.session, "GET", "/users/current").data
            self.session.user_id = (person.get("user") or {}).get("id")
            self.session.org_id = (person.get("org") or {}).get("id")
        if rule.type == "TEAM":
            return self._is_in_team(rule.id)
        own_id = self.session.user_id if rule.type == "USER" else self.session.org_id
        return own_id is None or rule.id == own_id

    def owns(self, target: AccessTarget) -> bool:
        """Whether the resource is the caller's own, as far as it can be read."""
        if target.key not in self._owned:
            owner_id = target.owner_id
            if owner_id is None and target.kind.name != "flows":
                row = get_or_none(self.session, target.kind, target.id) or {}
                owner_id = (row.get("owner") or {}).get("id")
            self._owned[target.key] = owner_id is not None and owner_id == self.session.user_id
        return self._owned[target.key]

    def _is_in_team(self, team_id: int) -> bool:
        if team_id not in self._teams:
            try:
                self._teams[team_id] = get(self.session, KINDS["teams"], team_id).get("member") is not False
            except ApiError as error:
                if error.http_status not in (403, 404):
                    raise
                self._teams[team_id] = True
        return self._teams[team_id]


def confirmation_reasons(
    run: ChangeRun, steps: list[AccessStep], caller: Caller, now: str, *, exact: bool
) -> list[str]:
    """One line for each reason, with the resources that it is about. The steps' rules have been read.

    Args:
        now: ISO 8601 in UTC.
        exact: nothing else may be there afterwards.
    """
    found: dict[str, list[str]] = {}
    for step in steps:
        before = step.rules or {}
        after = step.wanted(run, before)
        for reason in _reasons(before, after, caller, now, exact=exact):
            titles = found.setdefault(reason, [])
            if step.target.title not in titles:
                titles.append(step.target.title)
    return [f"{reason}: {_some(titles)}" for reason, titles in found.items()]


def _reasons(before: AccessRules, after: AccessRules, caller: Caller, now: str, *, exact: bool) -> Iterator[str]:
    changed = touched(before, after)
    if not changed:
        return
    was, will = in_force(before, now), in_force(after, now)
    if exact and not after:
        yield "takes away everything that is there"
    yield from _too_wide(changed, was, will)
    shortened = {
        key for key in changed if key in was and key in will and lasts_longer(was[key].expires_at, will[key].expires_at)
    }
    if _has_strong(was) and not _has_strong({key: rule for key, rule in will.items() if key not in shortened}):
        yield "takes away the last accessor who is owner or admin"
    yield from _own_loss(was, will, shortened, caller)


def _too_wide(changed: list[RuleKey], was: AccessRules, will: AccessRules) -> Iterator[str]:
    """Strong roles, and access for a whole org, that are given or last longer."""
    for key in changed:
        new, old = will.get(key), was.get(key)
        if new is None or same_end(old, new) or (old and not lasts_longer(new.expires_at, old.expires_at)):
            continue
        if new.role in STRONG:
            yield f"gives {new.title} the role {new.as_text()}"
        if new.type == "ORG":
            yield f"gives everybody of {new.title} access"


def _own_loss(was: AccessRules, will: AccessRules, shortened: set[RuleKey], caller: Caller) -> Iterator[str]:
    """What the caller has now, and would have less of, or for a shorter time."""
    for accessor in dict.fromkeys(rule.accessor for rule in was.values()):
        own = rules_for(was, accessor)
        weaker = rank(strongest(rules_for(will, accessor)) or "") < rank(strongest(own) or "")
        if (weaker or any(key[:2] == accessor for key in shortened)) and caller.is_covered_by(own[0]):
            yield f"takes away your own access, by {own[0].title}"


def _has_strong(rules: AccessRules) -> bool:
    return any(rule.role in STRONG for rule in rules.values())


def _some(titles: list[str]) -> str:
    return ", ".join(titles[:5]) + (f" and {len(titles) - 5} more" if len(titles) > 5 else "")
