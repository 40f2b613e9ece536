"""Who the caller is."""

from __future__ import annotations

from typing import Any

from helpers.api.session import Session
from helpers.api.transport import call, log_in
from helpers.core.kinds import Row


def identify_caller(session: Session) -> None:
    """Learn the ids of the caller and of their organisation, unless they are known.

    The response to a login has them. With an access token there is no login, so that ``GET /users/current`` is asked.
    An id that the API does not tell stays None.

    Raises:
        ApiError: the login failed, or the caller could not be read.
    """
    if session.user_id is None and session.settings.service_key:
        log_in(session)
    if session.user_id is None or session.org_id is None:
        remember_caller(session, call(session, "GET", "/users/current").data)


def remember_caller(session: Session, person: Row) -> None:
    """Take the ids from a response to ``GET /users/current``; an id that it does not tell stays as it is."""
    session.user_id = _id_in(person.get("user")) or session.user_id
    session.org_id = _id_in(person.get("org")) or session.org_id


def _id_in(row: Any) -> int | None:
    value = row.get("id") if isinstance(row, dict) else None
    return value if isinstance(value, int) else None
