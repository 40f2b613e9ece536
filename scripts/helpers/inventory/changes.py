"""Who changed a row, and what, according to the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from helpers.api.audit import audit_pages
from helpers.api.session import Session
from helpers.core.errors import OperatorError
from helpers.core.kinds import KINDS, Row, checked_id
from helpers.core.times import iso, to_ms

Resource = tuple[str, int]  # kind and id


class ChangeReader:
    """Reads the changes of resources, each once, and keeps count of what could not be read.

    Attributes:
        problems: one line for each log, or part of one, that could not be read.
    """

    def __init__(self, session: Session, since: int) -> None:
        self._session, self._since = session, since
        self._known: dict[Resource, list[Row] | None] = {}
        self.problems: list[str] = []

    def changes_of(self, resources: Iterable[Resource]) -> list[Row] | None:
        """The changes of some resources since the time, newest first; None when a log could not be read.

        Raises:
            OperatorError: the command has to end.
        """
        found = [self._of_one(resource) for resource in resources]
        if None in found:
            return None
        rows = [row for part in found for row in part or []]
        return sorted(rows, key=lambda row: str(row["time"]), reverse=True)

    def _of_one(self, resource: Resource) -> list[Row] | None:
        if resource not in self._known:
            try:
                self._known[resource] = self._read(*resource)
            except OperatorError as error:
                if error.ends_command:
                    raise
                self._known[resource] = None
                self._add_problem(resource, f"cannot be read: {error.message}")
        return self._known[resource]

    def _read(self, kind: str, resource_id: int) -> list[Row]:
        pages = audit_pages(self._session, KINDS[kind], checked_id(resource_id), self._since)
        rows, unreadable = [], 0
        for entry in pages:
            try:
                time = to_ms(entry.get("created_at"))
            except ValueError:
                unreadable += 1
                continue
            if time >= self._since:
                rows.append(_change(kind, resource_id, entry, time))
        unreadable += pages.malformed + pages.missing
        if unreadable:
            self._add_problem((kind, resource_id), f"has {unreadable} entries that cannot be read")
        return rows

    def _add_problem(self, resource: Resource, what: str) -> None:
        self.problems.append(f"the audit log of {KINDS[resource[0]].singular} {resource[1]} {what}")


def _change(kind: str, resource_id: int, entry: Row, time: int) -> Row:
    summary = entry.get("change_summary")
    return {
        "time": iso(time),
        "who": _person(entry.get("user")),
        "impersonator": _person(entry.get("impersonator")) or entry.get("impersonator_id"),
        "type": kind,
        "id": resource_id,
        "event": entry.get("event"),
        "what": summary if isinstance(summary, list) else [],
    }


def _person(user: Any) -> Any:
    return (user.get("email") or user.get("id")) if isinstance(user, dict) else None
