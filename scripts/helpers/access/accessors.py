"""Who an accessor is: a user, team or org that is looked up before anything is given to it."""

from __future__ import annotations

from typing import Any

from helpers.access.request import AccessorName
from helpers.access.rules import LABELS, AccessRule
from helpers.api.failures import ApiError
from helpers.api.resources import Pages, get_or_none, read_all_or_fail
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, checked_id

ORGS = Kind("orgs", "/orgs", "orgs", "org", ("org",))
BY_TYPE = {"USER": KINDS["users"], "TEAM": KINDS["teams"], "ORG": ORGS}
FIELDS = {"email": "email", "name": "name", "domain": "email_domain"}


def find_accessor(session: Session, named: AccessorName) -> AccessRule:
    """The accessor, as a rule without a role. It must exist: a typo must not give a stranger access.

    Raises:
        OperatorError: NOT_FOUND, also when several have the name; AUTH when it cannot be looked up.
    """
    kind, way, value = named
    what = BY_TYPE[kind]
    if way == "id":
        row = get_or_none(session, what, value)
        if row and row.get("id") != value:
            raise OperatorError(Exit.UPSTREAM, f"the answer is not {what.singular} {value}")
        rows = [row] if row else []
    else:
        rows = [row for row in _listed(session, what) if _is_named(row.get(FIELDS[way]), value)]
    if len(rows) != 1:
        ids = [row.get("id") for row in rows]
        text = f"{'more than one' if rows else 'no'} {what.singular} has the {way} {value!r}"
        hint = f"nothing was changed; give an id: {', '.join(map(str, ids))}" if rows else "nothing was changed"
        raise OperatorError(Exit.NOT_FOUND, text, hint=hint, resource={"type": kind, "candidates": ids})
    label = rows[0].get(LABELS[kind]) or ""
    return AccessRule(kind, int(rows[0]["id"]), "", str(label))


def _is_named(name: Any, wanted: str) -> bool:
    return isinstance(name, str) and name.casefold() == wanted.casefold()


def _listed(session: Session, what: Kind) -> list[Row]:
    try:
        return read_all_or_fail(Pages(session, what), what.name)
    except ApiError as error:
        if what.name != "users" or error.http_status != 403:
            raise
        return org_members(session)  # the list of all users may be for admins only


def org_members(session: Session) -> list[Row]:
    """The members of the caller's org."""
    org = call(session, "GET", "/users/current").data.get("org") or {}
    rows: list[Row] = call(session, "GET", f"/orgs/{checked_id(org.get('id'), 'org id')}/members", expect=list).data
    return _persons(rows, "your org")


def team_members(session: Session, team_id: int) -> list[Row]:
    """``id``, ``email`` and ``admin`` of a team's members."""
    rows: list[Row] = call(session, "GET", f"/teams/{checked_id(team_id)}/members", expect=list).data
    return _persons(rows, f"team {team_id}")


def _persons(rows: list[Any], group: str) -> list[Row]:
    """The rows, of which each must be a person: one that cannot be read must not pass for nobody."""
    if not all(isinstance(row, dict) and isinstance(row.get("id"), int) for row in rows):
        raise OperatorError(Exit.UPSTREAM, f"the members of {group} hold an entry that cannot be read")
    return rows
