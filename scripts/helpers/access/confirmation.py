"""What of an access change should be confirmed: what shares too widely, and what could lock somebody out."""

from __future__ import annotations

from helpers.access.rules import STRONG, Rule, Rules, in_force, lasts_longer, of, rank, same, strongest, touched
from helpers.access.steps import AccessStep
from helpers.access.targets import Target
from helpers.api.resources import exists, get
from helpers.api.session import Session
from helpers.api.transport import ApiError, call
from helpers.change.changes import Run
from helpers.core.kinds import KINDS


class Caller:
    """Who runs the command, and whether a rule is about them. What cannot be told counts as theirs."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._teams: dict[int, bool] = {}
        self._owned: dict[tuple[str, int], bool] = {}

    def is_meant_by(self, rule: Rule) -> bool:
        if self.session.user_id is None or self.session.org_id is None:
            answer = call(self.session, "GET", "/users/current").data
            self.session.user_id = (answer.get("user") or {}).get("id")
            self.session.org_id = (answer.get("org") or {}).get("id")
        if rule.type == "TEAM":
            return self._in_team(rule.id)
        mine = self.session.user_id if rule.type == "USER" else self.session.org_id
        return mine is None or rule.id == mine

    def owns(self, target: Target) -> bool:
        """Whether the resource is the caller's own, as far as it can be read."""
        if target.key not in self._owned:
            owner = target.owner
            if owner is None and target.kind.name != "flows":
                owner = ((exists(self.session, target.kind, target.id) or {}).get("owner") or {}).get("id")
            self._owned[target.key] = owner is not None and owner == self.session.user_id
        return self._owned[target.key]

    def _in_team(self, number: int) -> bool:
        if number not in self._teams:
            try:
                self._teams[number] = get(self.session, KINDS["teams"], number).get("member") is not False
            except ApiError as error:
                if error.http_status not in (403, 404):
                    raise
                self._teams[number] = True
        return self._teams[number]


def reasons_for_yes(run: Run, steps: list[AccessStep], caller: Caller, now: str, *, exact: bool) -> list[str]:
    """One line for each reason, with the resources that it is about. The steps' rules have been read."""
    found: dict[str, list[str]] = {}
    for step in steps:
        before = step.seen or {}
        after = step.wanted(run, before)
        for reason in _reasons(before, after, caller, now, exact=exact):
            titles = found.setdefault(reason, [])
            if step.target.title not in titles:
                titles.append(step.target.title)
    return [f"{reason}: {_some(titles)}" for reason, titles in found.items()]


def _reasons(before: Rules, after: Rules, caller: Caller, now: str, *, exact: bool) -> list[str]:
    changed = touched(before, after)
    if not changed:
        return []
    was, will = in_force(before, now), in_force(after, now)
    reasons = []
    if exact and not after:
        reasons.append("takes away everything that is there")
    for key in changed:
        new = will.get(key)
        if new and not same(was.get(key), new) and (key not in was or lasts_longer(new.until, was[key].until)):
            if new.role in STRONG:
                reasons.append(f"gives {new.title} the role {new.as_text()}")
            if new.type == "ORG":
                reasons.append(f"gives everybody of {new.title} access")
    ends_sooner = [
        key for key in changed if key in was and key in will and lasts_longer(was[key].until, will[key].until)
    ]
    if _strong(was) and not _strong({key: rule for key, rule in will.items() if key not in ends_sooner}):
        reasons.append("takes away the last accessor who is owner or admin")
    for who in dict.fromkeys(rule.who for rule in was.values()):
        weaker = rank(strongest(of(will, who)) or "") < rank(strongest(of(was, who)) or "")
        own = of(was, who)[0]
        if (weaker or any(key[:2] == who for key in ends_sooner)) and caller.is_meant_by(own):
            reasons.append(f"takes away your own access, by {own.title}")
    return reasons


def _strong(rules: Rules) -> bool:
    return any(rule.role in STRONG for rule in rules.values())


def _some(titles: list[str]) -> str:
    return ", ".join(titles[:5]) + (f" and {len(titles) - 5} more" if len(titles) > 5 else "")
