"""Creating exactly once and deleting for sure, on an API that has no idempotency keys."""

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

RECONCILE_SECONDS = 15.0  # how long a lost create is looked for


class CreatedRow(NamedTuple):
    """A resource after its creation. ``adopted``: it was found after an unclear answer."""

    row: Row
    adopted: bool = False


def create(
    session: Session, path: str, body: Row, find: Callable[[], Row | None], report: Callable[[str], None]
) -> CreatedRow:
    """Create a resource exactly once, although the API has no idempotency keys.

    After an answer that leaves open whether the resource was created, it is looked for (up to 15 s) and adopted. Only
    after a 502, 503 or 504 *answer* with nothing found is the POST sent once more.

    Args:
        path: of the list; ``body`` is the resource to create.
        find: looks for the resource by its identity; None when it is not there.

    Returns:
        The row as answered or found.

    Raises:
        ApiError: the server refused it; nothing was created.
        OperatorError: UNKNOWN_OUTCOME, when it could not be determined whether it was created.
    """
    for attempt in (1, 2):
        try:
            row: Row = call(session, "POST", path, body=body, report=report).data
            if isinstance(row.get("id"), int) and row["id"] > 0:
                return CreatedRow(row)
            error: OperatorError = OperatorError(Exit.UNKNOWN_OUTCOME, f"POST {path} answered without an id")
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
            error.message += "; it was looked for, and was not created"
            raise error
        if status not in RETRYABLE_STATUSES or attempt == 2:
            break
    raise _unknown(path, body, error.message, status)


def _unknown(path: str, body: Row, why: str, status: int | None) -> OperatorError:
    return OperatorError(
        Exit.UNKNOWN_OUTCOME,
        f"POST {path} for {body.get('name')!r} may have happened: {why}",
        hint=f"look for it in a minute with {command_line('list_resources')}, then run the same command with --resume",
        retryable=True,
        http_status=status,
        resource={"path": path, "name": body.get("name")},
    )


def _reconcile(session: Session, find: Callable[[], Row | None], path: str, body: Row) -> Row | None:
    """Look for what may have been created; a failed search leaves the outcome unknown."""
    try:
        return poll_for_row(session, find, strict=True)
    except ApiError as error:
        raise _unknown(path, body, f"it cannot be looked for: {error.message}", error.http_status) from error


def poll_for_row(session: Session, find: Callable[[], Row | None], *, strict: bool = False) -> Row | None:
    """Call ``find`` for up to 15 s until it finds something.

    Args:
        strict: the last call must have worked; else its failure counts as nothing found.

    Raises:
        ApiError: a failure that no repetition mends, or (``strict``) that of the last call.
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
    """Delete, and confirm that it is gone. A 404 on the way means that it is.

    Raises:
        ApiError: refused, e.g. 405 while something uses it.
        OperatorError: UNKNOWN_OUTCOME when it is still there after a good answer.
    """
    try:
        call(session, "DELETE", item_path(kind, resource_id), expect=(type(None), dict), report=report)
    except ApiError as error:
        if error.http_status != 404:
            raise
        return
    if get_or_none(session, kind, resource_id) is not None:
        raise OperatorError(Exit.UNKNOWN_OUTCOME, f"{kind.singular} {resource_id} is still there after DELETE")
