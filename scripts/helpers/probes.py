"""Testing a credential. A probe writes its result (``verified_status``) on the server."""

from __future__ import annotations

from .errors import Exit, OperatorError
from .kinds import KINDS, item_path
from .session import Session
from .transport import ApiError, call

GOOD_PROBE = ("200", "ok", "success")


def probe(session: Session, number: int) -> tuple[str, str]:
    """Test a credential. Success is an empty 200; a failure carries the outside system's status and a message.

    Returns:
        ``ok``, ``failed`` or ``unknown``, and why. Anything that is no clear success is never ``ok``.
    """
    try:
        answer = call(
            session,
            "GET",
            item_path(KINDS["credentials"], number, "probe"),
            expect=(type(None), dict, list, str, int),
        )
    except ApiError as error:
        if error.http_status == 404:
            raise OperatorError(
                Exit.NOT_FOUND,
                f"there is no credential {number}",
                hint="see python scripts/list_resources.py --type credentials --all",
                http_status=404,
                resource={"type": "credentials", "id": number},
            ) from error
        if error.http_status == 401:
            raise
        clear = error.http_status is not None and 400 <= error.http_status < 500 and error.http_status != 429
        return ("failed" if clear else "unknown"), error.message
    if answer.data is None:
        return "ok", ""
    status = answer.data.get("status") if isinstance(answer.data, dict) else answer.data
    good = str(status).lower() in GOOD_PROBE
    return ("ok", "") if good else ("unknown", f"the probe answered {status!r}")
