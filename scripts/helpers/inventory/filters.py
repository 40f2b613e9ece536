"""The filters of a list, as tests of its rows. They keep count of the rows and members that they could not judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from helpers.api.flows import Member
from helpers.command.render import pick
from helpers.core.errors import usage
from helpers.core.kinds import Row
from helpers.inventory.flow_rows import MEMBERS, brief_members, time_of
from helpers.inventory.request import ListRequest

Test = Callable[[Row], bool]
ORIGIN, ANY_MEMBER = "origin", "any member"


@dataclass
class Filters:
    """The tests that a row must pass.

    Attributes:
        now: the server's current time in epoch seconds, which is known when the first row is there.
        tests: the tests.
        unjudged: what they could not judge, and how many.
        matching: whether the rows show which members of a flow match.
    """

    request: ListRequest
    now: Callable[[], float]
    tests: list[Test] = field(default_factory=list)
    unjudged: dict[str, int] = field(default_factory=dict)
    _since: int | None = None

    def __post_init__(self) -> None:
        request = self.request
        if (name := request.name) is not None:
            self.tests.append(lambda row: name.matches(str(row.get("name") or "")))
        if request.status is not None:
            self.tests.append(self._has_status)
        if (tag := request.tag) is not None:
            self.tests.append(lambda row: tag in [_tag_name(tag) for tag in row.get("tags") or []])
        if (owner := request.owner) is not None:
            self.tests.append(lambda row: owner in (str(pick(row, "owner.id")), pick(row, "owner.email")))
        if request.ids:
            self.tests.append(lambda row: row.get("id") in request.ids)
        if request.updated_since is not None:
            self.tests.append(self._is_recent)

    def accept(self, row: Row) -> bool:
        """Whether a row passes all tests.

        Raises:
            OperatorError: USAGE, when ``--updated-since`` lies in the future.
        """
        return all(test(row) for test in self.tests)

    @property
    def since(self) -> int:
        """``--updated-since`` in epoch milliseconds by the server's clock; 0 without it.

        Raises:
            OperatorError: USAGE, when it lies in the future: nothing could match, which would look like an answer.
        """
        if self._since is None:
            given = self.request.updated_since
            self._since = given.at(self.now()) if given else 0
            if self._since > self.now() * 1000:
                raise usage(f"--updated-since {given.text if given else ''} lies in the future", "for example 7d")
        return self._since

    def looked_at(self) -> dict[str, str]:
        """For flows, which of their members each filter looks at."""
        if self.request.kind.name != "flows":
            return {}
        names = [name for name in ("status", "tag", "owner") if getattr(self.request, name) is not None]
        found = dict.fromkeys(names, ORIGIN)
        if self.request.any_member:
            found["status"] = ANY_MEMBER
        return found | ({"updated_since": ANY_MEMBER} if self.request.updated_since else {})

    def warnings(self) -> list[str]:
        """What the result does not show because it could not be judged, or was not looked at."""
        found = [f"{count} {what} could not be judged and were left out" for what, count in self.unjudged.items()]
        if self.looked_at().get("status") == ORIGIN:
            found.append(
                "--status looks only at the origin of each flow: its other members may have another status; "
                "add --any-member for the flows that have any member with this status"
            )
        return found

    def matching_members(self, row: Row) -> list[Row] | None:
        """The members of a flow that match ``--any-member`` or ``--updated-since``; None without either."""
        if MEMBERS not in row or not (self.request.any_member or self.request.updated_since):
            return None
        return brief_members(self.changed_members(row))

    def changed_members(self, row: Row) -> list[Member]:
        """The members of a flow with the status and the time that are asked for."""
        wanted = self.request.status if self.request.any_member else None
        return [
            member
            for member in row[MEMBERS]
            if (wanted is None or _same(member.status, wanted))
            and (self.request.updated_since is None or (time_of(member.row) or 0) >= self.since)
        ]

    def _has_status(self, row: Row) -> bool:
        wanted = str(self.request.status)
        if not self.request.any_member:
            return _same(row.get("status"), wanted)
        statuses = [member.status for member in row[MEMBERS]]
        self._count("members without a status", statuses.count(None))
        return any(_same(status, wanted) for status in statuses)

    def _is_recent(self, row: Row) -> bool:
        since = self.since
        if MEMBERS not in row:
            time = time_of(row)
            self._count("rows without a readable updated_at", time is None)
            return time is not None and time >= since
        times = [time_of(member.row) for member in row[MEMBERS]]
        self._count("members without a readable updated_at", times.count(None))
        return bool(self.changed_members(row)) if self.request.any_member else any((t or 0) >= since for t in times)

    def _count(self, what: str, number: int) -> None:
        if number:
            self.unjudged[what] = self.unjudged.get(what, 0) + number


def _same(status: Any, wanted: str) -> bool:
    return str(status or "").lower() == wanted.lower()


def _tag_name(tag: Any) -> Any:
    return tag.get("name") if isinstance(tag, dict) else tag
