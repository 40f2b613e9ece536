"""Reading resources tolerantly: one by one, by name, and how many there are.

List rows are brief (no config, no credential); pass ``expand=1`` to get them. By default, a list contains only what
the caller owns.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from helpers.api.failures import ApiError
from helpers.api.paging import SMALL_PER_PAGE, Pages, read_stable, rows_of
from helpers.api.session import Session
from helpers.api.similar_names import similar_names
from helpers.api.transport import call
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path
from helpers.core.names import nfc, same_name


def get(session: Session, kind: Kind, resource_id: Any, **params: Any) -> Row:
    """One resource, as the API returns it.

    Raises:
        ApiError: NOT_FOUND, AUTH and so on; its ``resource`` is set.
    """
    try:
        data: Row = call(session, "GET", item_path(kind, resource_id), params=params).data
    except ApiError as error:
        error.resource = {"type": kind.name, "id": int(resource_id)}
        raise
    return data


def get_or_none(session: Session, kind: Kind, resource_id: int, **params: Any) -> Row | None:
    """One resource, or None after a 404.

    Raises:
        ApiError: any other failure.
    """
    try:
        return get(session, kind, resource_id, **params)
    except ApiError as error:
        if error.http_status == 404:
            return None
        raise


def count(session: Session, kind: Kind, **params: Any) -> tuple[int, list[Row]]:
    """The number of resources of a kind, and the first rows; one request when the server reports the total."""
    first = Pages(session, kind, params, per_page=5)
    rows = []
    for row in first:
        rows.append(row)
        if first.total is not None and first.total > first.seen and first.seen >= 5:
            return first.total, rows
    return max(first.total or 0, first.seen), rows


def by_name(session: Session, kind: Kind, name: str, **params: Any) -> list[Row]:
    """All resources with this name, from all pages (the API's own filter matches substrings).

    Names are compared in Unicode's NFC form. A name that has several forms is asked for in each of them, because it is
    unknown in which one a server stores it and looks for it.
    """
    rows: dict[Any, Row] = {}
    for form in _forms(name) if "name" in kind.filters else [None]:
        query = {**params, "name": form} if form is not None else params
        listed = read_stable(Pages(session, kind, query), kind.name)
        rows |= {row.get("id"): row for row in listed if same_name(row.get("name"), name)}
    return list(rows.values())


def _forms(name: str) -> list[str]:
    """The Unicode forms of a name: one for most names, such as those in ASCII."""
    return list(dict.fromkeys([nfc(name), unicodedata.normalize("NFD", name)]))


def newest(session: Session, kind: Kind, **params: Any) -> list[Row]:
    """The first page of a list: the newest rows, because lists are sorted by the time of creation, newest first."""
    query = {**params, "page": 1, "per_page": SMALL_PER_PAGE}
    return rows_of(call(session, "GET", kind.path, params=query, expect=(list, dict)))


def shared_by_name(session: Session, kind: Kind, name: str, **params: Any) -> list[Row]:
    """All resources with this name that the caller may see, whoever owns them."""
    if "access_role" not in kind.filters:
        return []
    return by_name(session, kind, name, access_role="collaborator", **params)


def everyones_by_name(session: Session, kind: Kind, name: str, **params: Any) -> list[Row]:
    """All resources with this name: the caller's own, and those of others that the caller may see."""
    rows = [*by_name(session, kind, name, **params), *shared_by_name(session, kind, name, **params)]
    return list({row["id"]: row for row in rows}.values())


def owner_of(session: Session, row: Row) -> str | None:
    """Who else owns a resource, by name or id; None when the caller does, or the owner is unknown."""
    owner = row.get("owner")
    owner_id = owner.get("id") if isinstance(owner, dict) else row.get("owner_id")
    if not isinstance(owner_id, int) or session.user_id is None or owner_id == session.user_id:
        return None
    named = owner if isinstance(owner, dict) else {}
    return str(named.get("full_name") or named.get("email") or f"user {owner_id}")


def require_unique(kind: Kind, name: str, rows: list[Row]) -> Row | None:
    """The only row, or None when there are no rows.

    Raises:
        OperatorError: NOT_FOUND with the candidates, when there are several rows.
    """
    if len(rows) > 1:
        listed = ", ".join(f"{row['id']} ({row.get('status', '-')})" for row in rows)
        raise OperatorError(
            Exit.NOT_FOUND,
            f"{len(rows)} {kind.name} are named {name!r}: ids {listed}",
            hint="rename or delete all but one, or use the id",
            resource={"type": kind.name, "name": name, "candidates": [row["id"] for row in rows]},
        )
    return rows[0] if rows else None


def require_by_name(session: Session, kind: Kind, name: str, **params: Any) -> Row:
    """The only resource with exactly this name.

    Raises:
        OperatorError: NOT_FOUND, when none or (with the candidates) several have the name.
    """
    row = require_unique(kind, name, by_name(session, kind, name, **params))
    if row is None:
        guess = similar_names(session, kind, name, **params)
        hint = f"{guess}see {command_line('list_resources', '--type', kind.name, '--all')}"
        raise OperatorError(Exit.NOT_FOUND, f"no {kind.singular} is named {name!r}", hint=hint)
    return row
