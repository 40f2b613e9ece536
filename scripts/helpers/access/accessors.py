"""Looking up accessors: a user, team or org must exist before it is granted anything."""

from __future__ import annotations

from typing import Any

from helpers.access.request import AccessorName
from helpers.access.rules import LABELS, AccessRule
from helpers.api.failures import ApiError
from helpers.api.paging import Pages, read_all_or_fail
from helpers.api.resources import get_or_none
from helpers.api.session import Session
from helpers.api.similar_names import among_names
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, checked_id

ORGS = Kind("orgs", "/orgs", "orgs", "org", ("org",))
BY_TYPE = {"USER": KINDS["users"], "TEAM": KINDS["teams"], "ORG": ORGS}
FIELDS = {"email": "email", "name": "name", "domain": "email_domain"}


def find_accessor(session: Session, named: AccessorName) -> AccessRule:
    """Look up an accessor. It must exist: a typo must not grant access to a stranger.

    Returns:
        A rule for the accessor, with an empty role.

    Raises:
        OperatorError: NOT_FOUND when nobody matches or several do; AUTH when the lookup is not allowed; UPSTREAM when
            the response is for another accessor.
    """
    kind, identifier, value = named
    guess = ""
    what = BY_TYPE[kind]
    if identifier == "id":
        row = get_or_none(session, what, value)
        if row and row.get("id") != value:
            raise OperatorError(Exit.UPSTREAM, f"the response is not for {what.singular} {value}")
        rows = [row] if row else []
    else:
        listed = _listed(session, what)
        rows = [row for row in listed if _is_named(row.get(FIELDS[identifier]), value)]
        guess = "" if rows else among_names(str(value), (row.get(FIELDS[identifier]) for row in listed))
    if len(rows) != 1:
        ids = [row.get("id") for row in rows]
        text = f"{'more than one' if rows else 'no'} {what.singular} has the {identifier} {value!r}"
        hint = (
            f"nothing was changed; use an id instead: {', '.join(map(str, ids))}"
            if rows
            else f"{guess}nothing was changed"
        )
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
        return org_members(session)  # the list of all users may require admin rights


def org_members(session: Session) -> list[Row]:
    """The members of the caller's org, as the API returns them.

    Raises:
        ApiError: The list could not be read.
        OperatorError: UPSTREAM, for an entry that cannot be read.
    """
    org = call(session, "GET", "/users/current").data.get("org") or {}
    rows: list[Row] = call(session, "GET", f"/orgs/{checked_id(org.get('id'), 'org id')}/members", expect=list).data
    return _checked_members(rows, "your org")


def team_members(session: Session, team_id: int) -> list[Row]:
    """The members of a team: rows with ``id``, ``email`` and ``admin``.

    Raises:
        ApiError: The list could not be read.
        OperatorError: UPSTREAM, for an entry that cannot be read.
    """
    rows: list[Row] = call(session, "GET", f"/teams/{checked_id(team_id)}/members", expect=list).data
    return _checked_members(rows, f"team {team_id}")


def _checked_members(rows: list[Any], group: str) -> list[Row]:
    """The rows, if each one is a person: an unreadable member must not be taken for no member."""
    if not all(isinstance(row, dict) and isinstance(row.get("id"), int) for row in rows):
        raise OperatorError(Exit.UPSTREAM, f"the member list of {group} has an entry that cannot be read")
    return rows
