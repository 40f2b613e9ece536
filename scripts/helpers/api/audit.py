"""The audit log of one resource. Flows have none of their own; their members have."""

from __future__ import annotations

from helpers.api.paging import PER_PAGE, Pages
from helpers.api.session import Session
from helpers.core.kinds import Kind
from helpers.core.times import iso


def audit_pages(session: Session, kind: Kind, resource_id: int, since: int, *, per_page: int = PER_PAGE) -> Pages:
    """The entries of a resource's audit log, newest first, from the whole UTC day of a time on.

    The API's default window is the current and the previous quarter, so the window is always requested explicitly.

    Args:
        since: epoch milliseconds.
        per_page: the size of a page.
    """
    log = Kind(kind.name, f"{kind.path}/{resource_id}/audit_log", "", "audit log", ())
    params = {"from": str(iso(since))[:10], "expand": 1}  # no "to": it may mean the start of that day
    return Pages(session, log, params, per_page=per_page)
