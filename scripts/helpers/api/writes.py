"""Creating exactly once and deleting verifiably, with an API that has no idempotency keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from helpers.api.failures import ApiError
from helpers.api.resources import get_or_none
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path
from helpers.core.limits import Clock
from retry_helpers import RETRYABLE_STATUSES

GATEWAY_TIMEOUT = 504  # the server may still be at work on the request
RECONCILE_SECONDS = 15.0  # how long to look for a resource whose creation was not confirmed


class CreatedRow(NamedTuple):
    """A resource after its creation. ``adopted``: it was found after an unclear response."""

    row: Row
    adopted: bool = False


def create(
    session: Session, path: str, body: Row, find: Callable[[], Row | None], report: Callable[[str], None]
) -> CreatedRow:
    """Create a resource exactly once, although the API has no idempotency keys.

    When the response leaves open whether the resource was created, ``create`` looks for it for up to 15 s and adopts
    it. The POST is sent once more only after a 502 or 503 *response*, if nothing was found; after
    a 504 the first one may still take effect.

    Args:
        path: path of the list endpoint.
        body: the resource to create.
        find: finds the resource by its identity; returns None when it does not exist.
        report: called with one line before every wait.

    Returns:
        The row of the response, or the row that was found.

    Raises:
        ApiError: the server rejected the request; nothing was created.
        OperatorError: UNKNOWN_OUTCOME, when it could not be determined whether the resource was created.
    """
    for attempt in (1, 2):
        try:
            row: Row = call(session, "POST", path, body=body, report=report).data
            if isinstance(row.get("id"), int) and row["id"] > 0:
                return CreatedRow(row)
            error: OperatorError = OperatorError(Exit.UNKNOWN_OUTCOME, f"POST {path} returned no id")
            status: int | None = 200
        except ApiError as failure:
            if failure.known_not_applied and failure.http_status != 409:
                raise
            error, status = failure, failure.http_status
        report(f"POST {path}: outcome unknown, looking for {body.get('name')!r}")
        found = _reconcile(session, find, path, body)
        if found is not None:
            return CreatedRow(found, adopted=True)
        if status == 409:
            raise error
        if status == 500:
            error.message += "; nothing was created"
            raise error
        if status not in RETRYABLE_STATUSES or status == GATEWAY_TIMEOUT or attempt == 2:
            break
    raise _unknown(path, body, error.message, status)


def _unknown(path: str, body: Row, why: str, status: int | None) -> OperatorError:
    return OperatorError(
        Exit.UNKNOWN_OUTCOME,
        f"POST {path} for {body.get('name')!r} may have happened: {why}",
        hint=f"wait a minute, look for it with {command_line('list_resources')}, then run again with --resume",
        retryable=True,
        http_status=status,
        resource={"path": path, "name": body.get("name")},
    )


def _reconcile(session: Session, find: Callable[[], Row | None], path: str, body: Row) -> Row | None:
    """Look for a resource that may have been created. If that fails, the outcome remains unknown."""
    try:
        return poll_for_row(session, find, strict=True)
    except ApiError as error:
        raise _unknown(path, body, f"cannot look for it: {error.message}", error.http_status) from error


def poll_for_row(session: Session, find: Callable[[], Row | None], *, strict: bool = False) -> Row | None:
    """Call ``find`` for up to 15 s until it finds a row.

    Args:
        strict: raise the failure of the last call; otherwise it counts as nothing found.

    Returns:
        The row, or None when nothing was found.

    Raises:
        ApiError: a failure that is not retryable, or with ``strict`` that of the last call.
    """
    end, pause = Clock.now() + RECONCILE_SECONDS, 0.5
    while True:
        failure = None
        try:
            row = find()
        except ApiError as error:
            if not error.retryable:
                raise
            row, failure = None, error
        if failure is not None and strict and Clock.now() + pause > end:
            raise failure
        if row is not None or Clock.now() + pause > end:
            return row
        session.deadline.sleep(pause)
        pause = min(pause * 2, 4.0)


def delete(session: Session, kind: Kind, resource_id: int, report: Callable[[str], None]) -> None:
    """Delete a resource and verify that it no longer exists. A 404 counts as deleted.

    Raises:
        ApiError: the server rejected the request, such as with 405 while something uses the resource.
        OperatorError: UNKNOWN_OUTCOME, when the resource still exists after a successful response.
    """
    try:
        call(session, "DELETE", item_path(kind, resource_id), expect=(type(None), dict), report=report)
    except ApiError as error:
        if error.http_status != 404:
            raise
        return
    if get_or_none(session, kind, resource_id) is not None:
        raise OperatorError(Exit.UNKNOWN_OUTCOME, f"{kind.singular} {resource_id} still exists after DELETE")
