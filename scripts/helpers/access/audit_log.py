"""Who changed access: the audit log entries of a resource, from all pages.

The API's default window is the current and the previous quarter, so the window is always requested explicitly. An entry
is an access change if its ``item_type`` contains ``AccessControl``, if it changed the ACL, the owner or public access,
or if it is an association with a user, team or org.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from helpers.access.targets import AccessTarget
from helpers.api.resources import Pages
from helpers.api.session import Session
from helpers.core.errors import OperatorError
from helpers.core.kinds import Kind, Row
from helpers.core.times import iso, to_ms

WITHOUT_LOG = ("flows",)
ACCESSORS = ("User", "Team", "Org")
ROLE_KEYS = ("access_roles", "access_role", "role", "roles", "owner_id", "public", "access_role_expires_at")
ACCESS_WORDS = ("acl", "owner", "owner_id", "public")


class Log(NamedTuple):
    """Access changes, and the number of entries that could not be read."""

    rows: list[Row]
    unknown: int


def read_log(session: Session, target: AccessTarget, since: int, until: int) -> Log:
    """Read the access changes of one resource.

    Args:
        session: The API session.
        target: The resource.
        since: Start of the window, in epoch milliseconds.
        until: End of the window, in epoch milliseconds.

    Raises:
        ApiError: The log could not be read.
    """
    pages = log_pages(session, target, since)
    rows, unknown = [], 0
    for entry in pages:
        moment = _moment(entry)
        if moment is None or not _is_readable(entry):
            unknown += 1
        elif since <= moment <= until and is_access_change(entry):
            rows.append(_row(target, entry, moment))
    unknown += pages.malformed + max(0, (pages.total or 0) - pages.received)
    return Log(rows, unknown)


def log_pages(session: Session, target: AccessTarget, since: int, **paging: int) -> Pages:
    """The log of one resource, newest entry first, from the day of ``since`` (epoch milliseconds) on.

    Args:
        session: The API session.
        target: The resource.
        since: Start of the window; entries from earlier on that day are included.
        paging: See Pages.
    """
    log_kind = Kind(target.kind.name, f"{target.kind.path}/{target.id}/audit_log", "", "audit log", ())
    params = {"from": str(iso(since))[:10], "expand": 1}  # no "to": it may mean the start of that day
    return Pages(session, log_kind, params, **paging)


def _is_readable(entry: Row) -> bool:
    shapes = {"change_summary": list, "association_resource": dict, "object_changes": dict}
    texts = all(isinstance(entry.get(key), str) for key in ("item_type", "event"))
    return texts and all(isinstance(entry.get(key), shape | None) for key, shape in shapes.items())


def _moment(entry: Row) -> int | None:
    try:
        return to_ms(entry.get("created_at"), 0)
    except OperatorError:
        return None


def is_access_change(entry: Row) -> bool:
    """Whether an audit log entry is a change of access."""
    about = (entry.get("association_resource") or {}).get("type")
    summary = [*(entry.get("change_summary") or []), *(entry.get("object_changes") or {})]
    by_event = str(entry["event"]).startswith(("association_", "membership_")) and about in ACCESSORS
    return "AccessControl" in entry["item_type"] or by_event or any(word in ACCESS_WORDS for word in summary)


def _row(target: AccessTarget, entry: Row, moment: int) -> Row:
    association = entry.get("association_resource") or {}
    before, after = _roles(entry.get("object_changes"))
    return {
        "time": iso(moment),
        "who": _who(entry.get("user")),
        "impersonator": _who(entry.get("impersonator")) or entry.get("impersonator_id"),
        "type": target.kind.name,
        "id": target.id,
        "name": target.name,
        "event": entry["event"],
        "accessor": " ".join(str(association.get(key)) for key in ("type", "id") if association.get(key)) or None,
        "before": before,
        "after": after,
    }


def _who(user: Any) -> Any:
    return (user.get("email") or user.get("id")) if isinstance(user, dict) else None


def _roles(changes: Any) -> tuple[Any, Any]:
    """The role before and after, as far as the log shows it; None where it does not."""
    held = [changes.get(key) for key in ROLE_KEYS] if isinstance(changes, dict) else []
    pairs = [(_text(pair[0]), _text(pair[1])) for pair in held if isinstance(pair, list) and len(pair) == 2]
    different = [pair for pair in pairs if pair[0] != pair[1]]
    return next(iter(different or pairs), (None, None))


def _text(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def newest_first(logs: list[Log]) -> Iterator[Row]:
    """The rows of all logs, newest first."""
    yield from sorted((row for log in logs for row in log.rows), key=lambda row: str(row["time"]), reverse=True)
