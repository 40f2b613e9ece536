"""For a name that matches nothing: the existing names that are nearest to it, safe to print."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from helpers.api.paging import Pages
from helpers.api.session import Session
from helpers.core.errors import OperatorError
from helpers.core.kinds import Kind
from helpers.core.nearest import nearest
from helpers.core.redact import excerpt

NAMES_READ = 300  # the newest ones, in three requests: a hint may not cost more than the command
NAME_LENGTH = 60


def similar_names(session: Session, kind: Kind, name: str, **params: Any) -> str:
    """The beginning of a hint: ``did you mean 'orders' or 'orders-2'? ``; empty when no name is near.

    Args:
        params: the query of the list in which the name was looked for, without its filter by name.
    """
    try:
        rows = list(islice(Pages(session, kind, params), NAMES_READ))
    except OperatorError as error:
        if error.ends_command:
            raise
        return ""
    return among_names(name, (row.get("name") for row in rows))


def among_names(name: str, names: Iterable[Any]) -> str:
    """Like ``similar_names``, for names that were read already.

    They come from the server: only texts count, on one line, without control characters and secrets, and cut.
    """
    near = nearest(name, (text for text in names if isinstance(text, str)))
    shown = [f"'{excerpt(text, NAME_LENGTH)}'" for text in near]
    return f"did you mean {' or '.join(shown)}? " if shown else ""
