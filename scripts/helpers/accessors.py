"""Who an accessor is: a user, team or org that is looked up before anything is given to it."""

from __future__ import annotations

from typing import Any

from .access_rules import Rule
from .errors import Exit, OperatorError
from .kinds import KINDS, Kind, Row, checked_id
from .resources import Pages, exists
from .session import Session
from .transport import ApiError, call

ORGS = Kind("orgs", "/orgs", "orgs", "org", ("org",))
BY_TYPE = {"USER": KINDS["users"], "TEAM": KINDS["teams"], "ORG": ORGS}
FIELDS = {"email": "email", "name": "name", "domain": "email_domain"}


def find_accessor(session: Session, kind: str, way: str, value: Any) -> Rule:
    """The accessor, as a rule without a role. It must exist: a typo must not give a stranger access.

    Raises:
        OperatorError: NOT_FOUND, also when several have the name; AUTH when it cannot be looked up.
    """
    what = BY_TYPE[kind]
    if way == "id":
        row = exists(session, what, value)
        rows = [row] if row else []
    else:
        rows = [row for row in _listed(session, what) if str(row.get(FIELDS[way])).casefold() == value.casefold()]
    if len(rows) != 1:
        text = f"{'no' if not rows else 'more than one'} {what.singular} has the {way} {value!r}"
        raise OperatorError(Exit.NOT_FOUND, text, hint="nothing was changed; give its id", resource={"type": kind})
    label = rows[0].get({"USER": "email", "TEAM": "name", "ORG": "email_domain"}[kind]) or ""
    return Rule(kind, int(rows[0]["id"]), "", str(label))


def _listed(session: Session, what: Kind) -> list[Row]:
    try:
        return list(Pages(session, what))
    except ApiError as error:
        if what.name != "users" or error.http_status != 403:
            raise
        return org_members(session)  # the list of all users may be for admins only


def org_members(session: Session) -> list[Row]:
    """The members of the caller's org."""
    org = call(session, "GET", "/users/current").data.get("org") or {}
    rows: list[Row] = call(session, "GET", f"/orgs/{checked_id(org.get('id'), 'org id')}/members", expect=list).data
    return [row for row in rows if isinstance(row, dict)]


def team_members(session: Session, number: int) -> list[Row]:
    """``id``, ``email`` and ``admin`` of a team's members."""
    rows: list[Row] = call(session, "GET", f"/teams/{checked_id(number)}/members", expect=list).data
    return [row for row in rows if isinstance(row, dict)]
