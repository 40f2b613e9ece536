"""Creating exactly once and deleting verifiably, with an API that has no idempotency keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from helpers.api.failures import ApiError
from helpers.api.resources import by_name, get_or_none
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row, item_path
from helpers.core.limits import Clock
from retry_helpers import RETRYABLE_STATUSES

GATEWAY_TIMEOUT = 504  # the server may still be at work on the request
RECONCILE_SECONDS = 15.0  # how long to look for a resource after a response that leaves its creation open
LATE_CREATE_SECONDS = 90.0  # after this time, a create without a response can no longer take effect
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0  # seconds between two looks
REPORT_SECONDS = 10.0  # how often a wait reports the time that remains


class Sighting(NamedTuple):
    """A resource that a create without a response may have created.

    Attributes:
        proven: whether it certainly did, because the resource carries the mark of the change.
        own: False when it is somebody else's, which appeared at the same time and is used instead.
    """

    row: Row
    proven: bool = True
    own: bool = True


class Search(NamedTuple):
    """How to find out what became of a create.

    Attributes:
        find: the resource that certainly is the created one; called again and again.
        find_likely: a resource that may be it; called once, after ``find`` found nothing.
        on_unanswered: called before the search, to record the time.
    """

    find: Callable[[], Sighting | None]
    find_likely: Callable[[], Sighting | None]
    on_unanswered: Callable[[], None] = lambda: None


def create(session: Session, path: str, body: Row, search: Search, report: Callable[[str], None]) -> Sighting:
    """Create a resource exactly once, although the API has no idempotency keys.

    When the response leaves open whether the resource was created, ``create`` looks for it and adopts it. After a 502
    or 503 it looks for 15 s and, with nothing found, sends the POST once more. After a 504, or without a response, the
    first POST may take effect late: it looks for 90 s and never sends another one.

    Args:
        path: path of the list endpoint.
        body: the resource to create.
        search: how to look for it.
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
                return Sighting(row)
            error: OperatorError = OperatorError(Exit.UNKNOWN_OUTCOME, f"POST {path} returned no id")
            status: int | None = 200
        except ApiError as failure:
            if failure.known_not_applied and failure.http_status != 409:
                if attempt == 2:
                    raise _unknown(path, body, f"after an unclear response, {failure.message}", None) from failure
                raise
            error, status = failure, failure.http_status
        search.on_unanswered()
        late = status is None or status == GATEWAY_TIMEOUT
        found = _reconcile(session, search, path, body, LATE_CREATE_SECONDS if late else RECONCILE_SECONDS, report)
        if found is not None:
            return found
        if status in (409, 500):
            error.message += "; nothing was created" if status == 500 else ""
            raise error
        if late or status not in RETRYABLE_STATUSES:
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


def _reconcile(
    session: Session, search: Search, path: str, body: Row, seconds: float, report: Callable[[str], None]
) -> Sighting | None:
    """Look for a resource that may have been created. If that fails, the outcome remains unknown."""
    title = f"POST {path} for {body.get('name')!r}"
    try:
        return poll_for_row(session, search.find, seconds, title, report) or search.find_likely()
    except ApiError as error:
        raise _unknown(path, body, f"cannot look for it: {error.message}", error.http_status) from error
    except OperatorError as error:
        if error.code is not Exit.TIMEOUT:
            raise
        raise _unknown(path, body, f"the search for it was cut short: {error.message}", None) from error


def poll_for_row(
    session: Session,
    find: Callable[[], Sighting | None],
    seconds: float,
    title: str,
    report: Callable[[str], None],
) -> Sighting | None:
    """Call ``find`` until it finds a row, at most for some seconds.

    Args:
        title: the request that is in question, for the progress lines.

    Returns:
        What was found, or None.

    Raises:
        ApiError: a failure that is not retryable, or the failure of the last call.
        OperatorError: TIMEOUT or INTERRUPTED, as ``Deadline.sleep``.
    """
    end, pause, reported = Clock.now() + seconds, FIRST_PAUSE, float("inf")
    while True:
        failure, found = None, None
        try:
            found = find()
        except ApiError as error:
            if not error.retryable:
                raise
            failure = error
        left = end - Clock.now()
        if found is not None:
            return found
        if left <= 0:
            if failure is not None:
                raise failure
            return None
        if reported - left >= REPORT_SECONDS:
            report(f"{title}: outcome unknown; looking for it for up to {left:.0f} s")
            reported = left
        session.deadline.sleep(min(pause, left))
        pause = min(pause * 2, LONGEST_PAUSE)


def delete(
    session: Session, kind: Kind, resource_id: int, name: str, report: Callable[[str], None], **list_params: Any
) -> None:
    """Delete a resource, and verify that it is gone: the API has no such resource, and the list no longer has it.

    A 404 in response to the DELETE, or no response, counts as deleted if the verification confirms it.

    Args:
        name: its name, by which the list is searched.
        list_params: query parameters without which the list leaves it out.

    Raises:
        ApiError: the server rejected the request, such as with 405 while something uses the resource.
        OperatorError: UNKNOWN_OUTCOME, when the resource still exists after a successful response, or there was no
            response and it cannot be read either.
    """
    unanswered: ApiError | None = None
    try:
        call(session, "DELETE", item_path(kind, resource_id), expect=(type(None), dict), report=report)
    except ApiError as error:
        if error.known_not_applied and error.http_status != 404:
            raise
        unanswered = None if error.http_status == 404 else error
    try:
        row = get_or_none(session, kind, resource_id)
    except ApiError as error:
        if unanswered is None:
            raise
        text = f"{kind.singular} {resource_id} may have been deleted, but cannot be read: {error.message}"
        raise OperatorError(Exit.UNKNOWN_OUTCOME, text, retryable=True) from error
    if row is not None:
        text = f"{kind.singular} {resource_id} still exists after DELETE"
        raise unanswered or OperatorError(Exit.UNKNOWN_OUTCOME, text)

    def unlisted() -> Sighting | None:  # lists may lag, and a gateway may answer 404 itself
        ids = [row.get("id") for row in by_name(session, kind, name, **list_params)]
        return None if resource_id in ids else Sighting({})

    title = f"DELETE {item_path(kind, resource_id)}"
    if poll_for_row(session, unlisted, RECONCILE_SECONDS, title, report) is None:
        text = f"{kind.singular} {resource_id} is still in the list after DELETE, although it was reported as deleted"
        raise OperatorError(Exit.UNKNOWN_OUTCOME, text)
