"""Whose change it is: the API, the organisation, the user, the command and the subject."""

from __future__ import annotations

from helpers.api.caller import identify_caller
from helpers.api.session import Session
from helpers.change.journal import Identity


def identity_of(session: Session, command: str, subject: str) -> Identity:
    """The identity of a change by the session's user.

    Args:
        command: the name of the command.
        subject: what the change is about.

    Raises:
        ApiError: the login failed, or the caller could not be read.
    """
    identify_caller(session)
    return Identity(command, session.settings.api_url, session.org_id, session.user_id, subject)
