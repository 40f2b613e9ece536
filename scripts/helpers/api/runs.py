"""Runs of a resource, from its run summary: what the rows hold, and no more.

A row has ``runId`` (epoch ms of the run's start), ``records``, ``size`` and ``errors``: no status and no duration.
There is one row for each run and nexset, so that a run id can repeat. A run that read nothing may have no row at all;
the source's ``last_run_id`` still names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from helpers.api.flows import Flow, Member, run_rows
from helpers.api.session import Session
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row
from helpers.core.times import iso

PAGE = 100
FIRST_RUN, LAST_RUN = 10**12, 4 * 10**12  # a run id is epoch milliseconds: 2001 to 2096


@dataclass(frozen=True)
class Run:
    """One run at one resource: records and bytes that got through, and records that did not."""

    id: int
    records: int
    size: int
    errors: int

    @property
    def error_share(self) -> float:
        """Failed records as a share of all, 0 to 1; 0 for a run that saw none."""
        seen = self.records + self.errors
        return self.errors / seen if seen else 0.0

    def as_row(self) -> Row:
        return {
            "run_id": self.id,
            "started": iso(self.id),
            "records": self.records,
            "size": self.size,
            "errors": self.errors,
        }


def merged(rows: Iterable[Any]) -> tuple[list[Run], int]:
    """Runs, newest first, from run rows; and how many rows could not be read (no run id, or no numbers)."""
    sums: dict[int, list[int]] = {}
    unreadable = 0
    for row in rows:
        numbers = _numbers(row)
        if numbers is None:
            unreadable += 1
            continue
        total = sums.setdefault(numbers[0], [0, 0, 0])
        for index, value in enumerate(numbers[1:]):
            total[index] += value
    return [Run(number, *sums[number]) for number in sorted(sums, reverse=True)], unreadable


def _numbers(row: Any) -> list[int] | None:
    """runId, records, size and errors of a row; None when one is missing. The size decides nothing and may be null."""
    if not isinstance(row, dict):
        return None
    values: list[Any] = [row.get("runId"), row.get("records"), row.get("size") or 0, row.get("errors")]
    good = all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)
    return values if good and FIRST_RUN <= values[0] < LAST_RUN else None


def read_runs(session: Session, kind: Kind, number: int, size: int = PAGE) -> tuple[list[Run], int]:
    """The newest runs of a source, nexset or destination, newest first, from up to ``size`` rows.

    Returns:
        The runs, and the number of rows that could not be read.

    Raises:
        ApiError: they could not be read.
    """
    return merged(run_rows(session, kind, number, size))


def member_runs(
    session: Session, flow: Flow, size: int = PAGE, workers: int = 4, unread: list[str] | None = None
) -> dict[tuple[str, int], list[Run]]:
    """The runs of every member of a flow, by (kind, id).

    Args:
        unread: takes what could not be read; without it the first failure is raised.
    """
    from concurrent.futures import ThreadPoolExecutor

    members = list(flow.origin.walk())

    def read(member: Member) -> list[Run]:
        try:
            runs, odd = read_runs(session, KINDS[member.kind], member.id, size)
        except OperatorError as error:
            if unread is None or error.code in (Exit.INTERRUPTED, Exit.TIMEOUT) or error.http_status == 401:
                raise
            unread.append(f"the runs of {member.label}: {error.message}")
            return []
        if odd and unread is not None:
            unread.append(f"{odd} run rows of {member.label} make no sense")
        return runs

    with ThreadPoolExecutor(workers) as pool:
        return {(m.kind, m.id): runs for m, runs in zip(members, pool.map(read, members), strict=True)}


def known_run_ids(flow: Flow, runs: dict[tuple[str, int], list[Run]]) -> list[int]:
    """Every run that is known of, newest first: by a row of any member, or by the source's own mark."""
    marks = {run.id for rows in runs.values() for run in rows}
    mark = flow.origin.row.get("last_run_id")
    if isinstance(mark, int) and mark > 0:
        marks.add(mark)
    return sorted(marks, reverse=True)
