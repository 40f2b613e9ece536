"""Creating exactly once and deleting for sure, on an API that has no idempotency keys."""

from __future__ import annotations

from collections.abc import Callable

from helpers.api.resources import exists
from helpers.api.session import Session
from helpers.api.transport import ApiError, call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path
from helpers.core.limits import Clock
from retry_helpers import RETRYABLE_STATUSES

RECONCILE_SECONDS = 15.0  # how long a lost create is looked for


def create(
    session: Session, path: str, body: Row, find: Callable[[], Row | None], say: Callable[[str], None]
) -> tuple[Row, bool]:
    """Create a resource exactly once, although the API has no idempotency keys.

    After an answer that leaves open whether the resource was made, it is looked for (up to 15 s) and adopted. Only
    after a 502, 503 or 504 *answer* with nothing found is the POST sent once more.

    Args:
        find: looks for the resource by its identity; None when it is not there.

    Returns:
        The row, and whether it was adopted instead of answered.

    Raises:
        ApiError: the server refused it, nothing was made.
        OperatorError: UNKNOWN_OUTCOME, when it could not be settled.
    """
    for attempt in (1, 2):
        try:
            row: Row = call(session, "POST", path, body=body, say=say).data
            if isinstance(row.get("id"), int) and row["id"] > 0:
                return row, False
            error: OperatorError = OperatorError(Exit.UNKNOWN_OUTCOME, f"POST {path} answered without an id")
            status: int | None = 200
        except ApiError as failure:
            if failure.settled and failure.http_status != 409:
                raise
            error, status = failure, failure.http_status
        say(f"POST {path}: outcome unknown, looking for {body.get('name')!r}")
        found = _settle(session, find, path, body)
        if found is not None:
            return found, True
        if status == 409:
            raise error
        if status == 500:
            error.message += "; it was looked for and not made"
            raise error
        if status not in RETRYABLE_STATUSES or attempt == 2:
            break
    raise _unknown(path, body, error.message, status)


def _unknown(path: str, body: Row, why: str, status: int | None) -> OperatorError:
    return OperatorError(
        Exit.UNKNOWN_OUTCOME,
        f"POST {path} for {body.get('name')!r} may have happened: {why}",
        hint="look for it in a minute with python scripts/list_resources.py, then run the same command with --resume",
        retryable=True,
        http_status=status,
        resource={"path": path, "name": body.get("name")},
    )


def _settle(session: Session, find: Callable[[], Row | None], path: str, body: Row) -> Row | None:
    """Look for what may have been made; a look that fails for good leaves the outcome unknown."""
    try:
        return look_for(session, find, strict=True)
    except ApiError as error:
        raise _unknown(path, body, f"it cannot be looked for: {error.message}", error.http_status) from error


def look_for(session: Session, find: Callable[[], Row | None], *, strict: bool = False) -> Row | None:
    """Call ``find`` for up to 15 s until it finds something. With ``strict`` the last look must have worked."""
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


def delete(session: Session, kind: Kind, number: int, say: Callable[[str], None]) -> None:
    """Delete, and confirm that it is gone. A 404 on the way means that it is.

    Raises:
        ApiError: refused, e.g. 405 while something uses it.
        OperatorError: UNKNOWN_OUTCOME when it is still there after a good answer.
    """
    try:
        call(session, "DELETE", item_path(kind, number), expect=(type(None), dict), say=say)
    except ApiError as error:
        if error.http_status != 404:
            raise
        return
    if exists(session, kind, number) is not None:
        raise OperatorError(Exit.UNKNOWN_OUTCOME, f"{kind.singular} {number} is still there after DELETE")
