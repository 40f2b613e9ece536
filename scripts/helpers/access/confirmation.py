"""Which access changes need confirmation: those that share widely or could lock somebody out."""

from __future__ import annotations

from collections.abc import Iterator

from helpers.access.roles import UNLISTED
from helpers.access.rules import (
    STRONG,
    AccessRule,
    AccessRules,
    RuleKey,
    changed_keys,
    in_force,
    lasts_longer,
    rank,
    rules_for,
    same_expiry,
    strongest,
)
from helpers.access.steps import AccessStep
from helpers.access.targets import AccessTarget
from helpers.api.caller import identify_caller
from helpers.api.failures import ApiError
from helpers.api.resources import get, get_or_none
from helpers.api.session import Session
from helpers.core.kinds import KINDS


class Caller:
    """The user who runs the command, and which rules apply to them. In doubt, a rule does."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._teams: dict[int, bool] = {}
        self._owned: dict[tuple[str, int], bool] = {}

    def is_covered_by(self, rule: AccessRule) -> bool:
        """Whether the caller is the rule's user, or a member of its team or org.

        Raises:
            ApiError: The caller or the team could not be read.
        """
        identify_caller(self.session)
        if rule.type == "TEAM":
            return self._is_in_team(rule.id)
        own_id = self.session.user_id if rule.type == "USER" else self.session.org_id
        return own_id is None or rule.id == own_id

    def owns(self, target: AccessTarget) -> bool:
        """Whether the caller owns the resource; False if the owner cannot be read.

        Raises:
            ApiError: The resource could not be read, other than a 403 or 404.
        """
        if target.key not in self._owned:
            owner_id = target.owner_id
            if owner_id is None and target.kind.name != "flows":
                owner_id = self._owner_of(target)
            self._owned[target.key] = owner_id is not None and owner_id == self.session.user_id
        return self._owned[target.key]

    def _owner_of(self, target: AccessTarget) -> int | None:
        if target.kind.name in UNLISTED:
            return None
        try:
            row = get_or_none(self.session, target.kind, target.id) or {}
        except ApiError as error:
            if error.http_status != 403:  # owners may read what they own
                raise
            return None
        owner_id: int | None = (row.get("owner") or {}).get("id")
        return owner_id

    def _is_in_team(self, team_id: int) -> bool:
        if team_id not in self._teams:
            try:
                self._teams[team_id] = get(self.session, KINDS["teams"], team_id).get("member") is not False
            except ApiError as error:
                if error.http_status not in (403, 404):
                    raise
                self._teams[team_id] = True
        return self._teams[team_id]


def confirmation_reasons(steps: list[AccessStep], caller: Caller, now: str, *, exact: bool) -> list[str]:
    """The reasons why a change needs ``--yes``.

    Args:
        steps: The steps of the change, with their rules already read.
        caller: The user who runs the command.
        now: ISO 8601 in UTC.
        exact: Whether the change removes every rule that is not declared.

    Returns:
        One line per reason, which names the resources concerned.
    """
    found: dict[str, list[str]] = {}
    for step in steps:
        before = step.rules or {}
        after = step.wanted(before)
        for reason in _reasons(before, after, caller, now, exact=exact):
            titles = found.setdefault(reason, [])
            if step.target.title not in titles:
                titles.append(step.target.title)
    return [f"{reason}: {_first_few(titles)}" for reason, titles in found.items()]


def _reasons(before: AccessRules, after: AccessRules, caller: Caller, now: str, *, exact: bool) -> Iterator[str]:
    changed = changed_keys(before, after)
    if not changed:
        return
    was, will = in_force(before, now), in_force(after, now)
    if exact and not after:
        yield "revokes all access"
    yield from _too_wide(changed, was, will)
    shortened = {
        key for key in changed if key in was and key in will and lasts_longer(was[key].expires_at, will[key].expires_at)
    }
    if _has_strong(was) and not _has_strong({key: rule for key, rule in will.items() if key not in shortened}):
        yield "revokes the last owner or admin role"
    yield from _own_loss(was, will, shortened, caller)


def _too_wide(changed: list[RuleKey], was: AccessRules, will: AccessRules) -> Iterator[str]:
    """Strong roles and org-wide access that are granted or extended."""
    for key in changed:
        new, old = will.get(key), was.get(key)
        if new is None or same_expiry(old, new) or (old and not lasts_longer(new.expires_at, old.expires_at)):
            continue
        if new.role in STRONG:
            yield f"grants {new.title} the role {new.as_text()}"
        if new.type == "ORG":
            yield f"grants access to everybody in {new.title}"


def _own_loss(was: AccessRules, will: AccessRules, shortened: set[RuleKey], caller: Caller) -> Iterator[str]:
    """Access of the caller that becomes weaker or expires earlier."""
    for accessor in dict.fromkeys(rule.accessor for rule in was.values()):
        own = rules_for(was, accessor)
        weaker = rank(strongest(rules_for(will, accessor)) or "") < rank(strongest(own) or "")
        if (weaker or any(key[:2] == accessor for key in shortened)) and caller.is_covered_by(own[0]):
            yield f"revokes or reduces your own access through {own[0].title}"


def _has_strong(rules: AccessRules) -> bool:
    return any(rule.role in STRONG for rule in rules.values())


def _first_few(titles: list[str]) -> str:
    return ", ".join(titles[:5]) + (f" and {len(titles) - 5} more" if len(titles) > 5 else "")
