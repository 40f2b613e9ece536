"""Testing a credential. A probe writes its result (``verified_status``) on the server."""

from __future__ import annotations

from typing import NamedTuple

from helpers.api.failures import ApiError
from helpers.api.session import Session
from helpers.api.transport import call, refuse_if_read_only
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, item_path

GOOD_PROBE = ("200", "ok", "success")


class ProbeResult(NamedTuple):
    """What a probe showed: ``ok``, ``failed`` or ``unknown``, and why."""

    verdict: str
    reason: str = ""


def probe(session: Session, credential_id: int) -> ProbeResult:
    """Test a credential. Success is an empty 200; a failure carries the outside system's status and a message.

    Returns:
        The verdict; what is no clear success is never ``ok``.

    Raises:
        OperatorError: NOT_FOUND, when there is no such credential; AUTH, when the session is refused.
    """
    try:
        answer = call(
            session,
            "GET",
            item_path(KINDS["credentials"], credential_id, "probe"),
            expect=(type(None), dict, list, str, int),
        )
    except ApiError as error:
        if error.http_status == 404:
            raise OperatorError(
                Exit.NOT_FOUND,
                f"there is no credential {credential_id}",
                hint=f"see {command_line('list_resources', '--type', 'credentials', '--all')}",
                http_status=404,
                resource={"type": "credentials", "id": credential_id},
            ) from error
        if error.http_status == 401:
            raise
        if error.http_status == 403 and error.message.endswith("no message"):
            return ProbeResult(
                "unknown", "403 without a message: you may not probe it"
            )  # the credential's own 403 has a body
        clear = error.http_status is not None and 400 <= error.http_status < 500 and error.http_status != 429
        return ProbeResult("failed" if clear else "unknown", error.message)
    if answer.data is None:
        return ProbeResult("ok")
    status = answer.data.get("status") if isinstance(answer.data, dict) else answer.data
    good = str(status).lower() in GOOD_PROBE
    return ProbeResult("ok") if good else ProbeResult("unknown", f"the probe answered {status!r}")


def try_probe(session: Session, credential_id: int) -> ProbeResult:
    """As ``probe``; a credential that is not there is ``unknown``, so that one cannot end a check of many.

    Raises:
        OperatorError: CONFIG while NEXLA_READ_ONLY is set: a probe writes its result.
    """
    refuse_if_read_only(session, f"the probe of credential {credential_id}")
    try:
        return probe(session, credential_id)
    except OperatorError as error:
        if error.code is not Exit.NOT_FOUND:
            raise
        return ProbeResult("unknown", error.message)
