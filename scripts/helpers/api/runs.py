"""The runs of a resource, from its run summary.

A row has ``runId`` (epoch ms of the run's start), ``records``, ``size`` (bytes) and ``errors``, but no status and no
duration. There is one row per run and nexset, so a run id can repeat. A run that read nothing may have no row at all,
but the source's ``last_run_id`` still names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from helpers.api.flows import Flow, Member, MemberKey, run_rows
from helpers.api.session import Session
from helpers.core.errors import OperatorError
from helpers.core.kinds import KINDS, Kind, Row
from helpers.core.times import iso

PAGE = 100
FIRST_RUN, LAST_RUN = 10**12, 4 * 10**12  # run ids are epoch milliseconds: 2001 to 2096


@dataclass(frozen=True)
class ResourceRun:
    """One run at one resource: the records and bytes (``size``) that it processed, and the records that failed."""

    id: int
    records: int
    size: int
    errors: int

    @property
    def error_share(self) -> float:
        """Failed records as a share of all records, 0 to 1; 0 for a run without records."""
        total = self.records + self.errors
        return self.errors / total if total else 0.0

    def as_row(self) -> Row:
        """The run as a row of a report, with its start in ISO 8601."""
        return {
            "run_id": self.id,
            "started": iso(self.id),
            "records": self.records,
            "size": self.size,
            "errors": self.errors,
        }


def merge_runs(rows: Iterable[Any]) -> tuple[list[ResourceRun], int]:
    """Merge run rows into runs, adding up rows with the same run id.

    Returns:
        The runs, newest first, and the number of malformed rows (no run id, or no numbers).
    """
    sums: dict[int, list[int]] = {}
    unreadable = 0
    for row in rows:
        counts = _counts(row)
        if counts is None:
            unreadable += 1
            continue
        total = sums.setdefault(counts[0], [0, 0, 0])
        for index, value in enumerate(counts[1:]):
            total[index] += value
    return [ResourceRun(run_id, *sums[run_id]) for run_id in sorted(sums, reverse=True)], unreadable


def _counts(row: Any) -> list[int] | None:
    """runId, records, size and errors of a row; None for a malformed row. The size may be null, and counts as 0."""
    if not isinstance(row, dict):
        return None
    values: list[Any] = [row.get("runId"), row.get("records"), row.get("size") or 0, row.get("errors")]
    good = all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)
    return values if good and FIRST_RUN <= values[0] < LAST_RUN else None


def read_runs(session: Session, kind: Kind, resource_id: int, size: int = PAGE) -> tuple[list[ResourceRun], int]:
    """The latest runs of a source, nexset or destination, from up to ``size`` rows.

    Returns:
        The runs, newest first, and the number of malformed rows.

    Raises:
        ApiError: the rows could not be read.
        OperatorError: UPSTREAM, when the response has an unexpected format.
    """
    return merge_runs(run_rows(session, kind, resource_id, size))


def member_runs(
    session: Session, flow: Flow, size: int = PAGE, workers: int = 4, unread: list[str] | None = None
) -> dict[MemberKey, list[ResourceRun]]:
    """The runs of every member of a flow, newest first.

    Args:
        unread: receives one line for everything that could not be read; if None, the first failure is raised.

    Raises:
        OperatorError: runs could not be read, and ``unread`` is None or the failure ends the command.
    """
    members = list(flow.origin.walk())

    def read(member: Member) -> list[ResourceRun]:
        try:
            runs, malformed = read_runs(session, KINDS[member.kind], member.id, size)
        except OperatorError as error:
            if unread is None or error.ends_command:
                raise
            unread.append(f"the runs of {member.label}: {error.message}")
            return []
        if malformed and unread is not None:
            unread.append(f"{malformed} malformed run rows of {member.label}")
        return runs

    with ThreadPoolExecutor(workers) as pool:
        return {member.key: runs for member, runs in zip(members, pool.map(read, members), strict=True)}


def known_run_ids(flow: Flow, runs: dict[MemberKey, list[ResourceRun]]) -> list[int]:
    """The ids of all known runs, newest first: every run in the rows of any member, and the source's last run."""
    known = {run.id for rows in runs.values() for run in rows}
    last_run_id = flow.origin.row.get("last_run_id")
    if isinstance(last_run_id, int) and last_run_id > 0:
        known.add(last_run_id)
    return sorted(known, reverse=True)


def newest_run_id(flow: Flow, runs: dict[MemberKey, list[ResourceRun]]) -> int:
    """The id of the newest known run of a flow; 0 when there is none."""
    return next(iter(known_run_ids(flow, runs)), 0)
