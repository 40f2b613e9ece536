"""Testing credentials. A probe stores its result (``verified_status``) on the server."""

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
    """The result of a probe: ``ok``, ``failed`` or ``unknown``, and the reason."""

    verdict: str
    reason: str = ""


def probe(session: Session, credential_id: int) -> ProbeResult:
    """Test a credential.

    The API reports success with an empty 200, and failure with the external system's status and a message.

    Returns:
        The verdict; it is ``ok`` only after a clear success.

    Raises:
        OperatorError: NOT_FOUND, when the credential does not exist; AUTH, when the session is rejected; CONFIG while
            NEXLA_READ_ONLY is set, because a probe stores its result.
    """
    refuse_if_read_only(session, f"the probe of credential {credential_id}")
    try:
        response = call(
            session,
            "GET",
            item_path(KINDS["credentials"], credential_id, "probe"),
            expect=(type(None), dict, list, str, int),
            effect="repeat",
        )
    except ApiError as error:
        if error.http_status == 404:
            raise OperatorError(
                Exit.NOT_FOUND,
                f"credential {credential_id} does not exist",
                hint=f"see {command_line('list_resources', '--type', 'credentials', '--all')}",
                http_status=404,
                resource={"type": "credentials", "id": credential_id},
            ) from error
        if error.http_status == 401:
            raise
        if error.http_status == 403 and error.message.endswith("no message"):
            # a 403 from the external system has a body
            return ProbeResult("unknown", "403 without a message: you are not allowed to probe it")
        clear = error.http_status is not None and 400 <= error.http_status < 500 and error.http_status != 429
        return ProbeResult("failed" if clear else "unknown", error.message)
    if response.data is None:
        return ProbeResult("ok")
    status = response.data.get("status") if isinstance(response.data, dict) else response.data
    good = str(status).lower() in GOOD_PROBE
    return ProbeResult("ok") if good else ProbeResult("unknown", f"the probe returned {status!r}")


def try_probe(session: Session, credential_id: int) -> ProbeResult:
    """As ``probe``, but a missing credential is ``unknown``, so that it does not end a check of many credentials.

    Raises:
        OperatorError: CONFIG and AUTH, as ``probe``.
    """
    try:
        return probe(session, credential_id)
    except OperatorError as error:
        if error.code is not Exit.NOT_FOUND:
            raise
        return ProbeResult("unknown", error.message)
