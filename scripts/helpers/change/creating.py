"""Steps that create a resource: exactly once, recognised by the change's mark, and undone only when it is theirs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from helpers.api.resources import get_or_none, newest, owner_of
from helpers.api.writes import RECONCILE_SECONDS, Search, Sighting, create, delete, poll_for_row
from helpers.change.journal import Entry
from helpers.change.model import Applied, ChangeRun, Step
from helpers.change.set_status import ACTIVE, PAUSED, set_status
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row
from helpers.core.marks import has_mark, with_mark
from helpers.core.names import same_name

RACE_SECONDS = 2.0
CLOCK_TOLERANCE = 5.0  # seconds between the server's clock and ours, when times of creation are compared


def remove_resource(run: ChangeRun, kind: Kind, resource_id: int, name: str, **list_params: Any) -> None:
    """Pause a resource if it is ACTIVE, delete it, and verify that it is gone. Do nothing when it is gone already.

    Args:
        name: its name, by which the list is searched.
        list_params: query parameters without which the list leaves it out.

    Raises:
        ApiError: the server rejected the request, such as with 405 for a credential that is used elsewhere.
        OperatorError: UNKNOWN_OUTCOME, when the resource still exists after DELETE.
    """
    row = get_or_none(run.session, kind, resource_id)
    if row is not None and row.get("status") == ACTIVE:
        set_status(run, kind, resource_id, PAUSED)
    delete(run.session, kind, resource_id, name, run.report, **list_params)


def journalled_row(run: ChangeRun, key: str, kind: Kind) -> Row | None:
    """The resource that the journal has the id of, read by that id: lists may not have it yet.

    Returns:
        The row; None when the journal has no id for the step, or the resource no longer exists.
    """
    entry = run.entry(key)
    if entry is None or entry.id is None:
        return None
    return get_or_none(run.session, kind, entry.id, expand=1)


def wait_until_unique(run: ChangeRun, read: Callable[[], list[Row]]) -> list[Row]:
    """Poll until at most one row is left: of two that concurrent runs created, the newer one is about to be deleted.

    Args:
        read: returns the rows of one name.

    Returns:
        The rows of the last poll; more than one if they remain for RACE_SECONDS.
    """
    rows: list[Row] = []
    for _ in run.session.deadline.poll(RACE_SECONDS):
        rows = read()
        if len(rows) < 2:
            break
    return rows


class CreateStep(Step):
    """A step that creates one resource unless it exists.

    Attributes:
        api: the kind of the resource.
        list_params: query parameters without which a list leaves out some resources of this kind.
    """

    api: Kind
    list_params: Row = {}  # noqa: RUF012 - never changed
    twin: int | None = None  # of ours, and still there

    def desired(self, run: ChangeRun) -> Row:
        """The desired fields, as in the body of a create.

        Raises:
            KeyError: an earlier step has not created its resource yet, as in a dry run.
        """
        raise NotImplementedError

    def namesakes(self, run: ChangeRun) -> list[Row]:
        """Read again every resource with this identity that the caller may see, whoever owns it, oldest first."""
        raise NotImplementedError

    def differing(self, run: ChangeRun, row: Row) -> list[str]:
        """The fields in which a resource differs from what this step creates."""
        raise NotImplementedError

    def forget(self) -> None:
        """Discard what was read before a write."""

    def recover(self, run: ChangeRun) -> None:
        """Find what an earlier run of this change created without learning it, or wait until it certainly did not."""
        entry = run.entry(self.key)
        if run.journal is None or entry is None or not entry.created or entry.id is not None:
            return
        sighting = self._await(run, entry, run.seconds_until_certain(entry)) or self.likely(run, entry)
        self.forget()
        if sighting is None:
            run.journal.undone(self.key)
        else:
            run.journal.done(self.key, int(sighting.row["id"]), created=sighting.own, proven=sighting.proven)

    def _await(self, run: ChangeRun, entry: Entry, seconds: float) -> Sighting | None:
        try:
            return poll_for_row(run.session, lambda: self._marked(run), seconds, self.title, run.report)
        except OperatorError as error:
            if error.code is not Exit.TIMEOUT:
                raise
            text = f"{self.title}: its create got no response, and it may still appear: {error.message}"
            raise OperatorError(
                Exit.UNKNOWN_OUTCOME, text, retryable=True, resource={"type": self.kind, "name": self.name}
            ) from error

    def _marked(self, run: ChangeRun) -> Sighting | None:
        """The resource with this step's mark. Of several, which are all ours, the oldest is kept."""
        mark = run.mark(self.key)
        rows = {row["id"]: row for row in self._candidates(run, mark) if mark and self._carries(run, row, mark)}
        if not rows:
            return None
        oldest, *others = sorted(rows)
        for resource_id in others:
            self._remove_twin(run, resource_id, oldest)
        return Sighting(rows[oldest])

    def _candidates(self, run: ChangeRun, mark: str | None) -> list[Row]:
        rows = self.namesakes(run)
        if rows or mark is None:
            return rows
        query = {"tags": mark} if "tags" in self.api.filters else {}
        latest = newest(run.session, self.api, **query, **self.list_params)
        return [row for row in latest if has_mark(row, mark)]  # under another name, such as one that the server changed

    def _carries(self, run: ChangeRun, row: Row, mark: str) -> bool:
        shown = has_mark(row, mark)
        if shown is None:  # rows of the list of credentials have no tags
            shown = has_mark(get_or_none(run.session, self.api, row["id"]) or {}, mark)
        return bool(shown)

    def _remove_twin(self, run: ChangeRun, resource_id: int, kept: int) -> None:
        self.twin = resource_id
        remove_resource(run, self.api, resource_id, self.name, **self.list_params)
        run.warnings.append(f"{self.title} was created twice by the same change: kept {kept}, deleted {resource_id}")
        self.twin = None
        self.forget()

    def likely(self, run: ChangeRun, entry: Entry) -> Sighting | None:
        """A resource without the mark: the caller's, if one appeared after the create was sent; or somebody else's."""
        skew = run.session.server_time() - time.time()
        earliest = entry.since + skew - CLOCK_TOLERANCE
        namesakes = self.namesakes(run)
        rows = [row for row in namesakes if _may_be_ours(run, row, earliest)]
        if not rows:
            return Sighting(namesakes[0], own=False) if namesakes else None
        fitting = [row for row in rows if not self.differing(run, row)]
        if not fitting:
            ids = ", ".join(str(row["id"]) for row in rows)
            raise OperatorError(
                Exit.UNKNOWN_OUTCOME,
                f"{self.title}: its create got no response, and the same name now has other content: {ids}",
                hint="rename or delete the one that is not yours, then run again with --resume",
                resource={"type": self.kind, "name": self.name, "candidates": [row["id"] for row in rows]},
            )
        if run.mark(self.key) is not None and not run.marks_are_dropped:
            run.warnings.append(
                f"{self.title}: uses {fitting[0]['id']}, which has the same content but no mark of this change: "
                "it may be somebody else's, and is never deleted by this change"
            )
            return Sighting(fitting[0], proven=False)
        return Sighting(fitting[0])

    def create(self, run: ChangeRun) -> Applied:
        """Create the resource, or adopt it when the response was lost.

        Raises:
            ApiError, OperatorError: as ``writes.create``.
        """
        assert run.journal is not None
        body, entry = with_mark(self.desired(run), run.mark(self.key)), run.entry(self.key)
        assert entry is not None, "the intent is recorded before the request"
        journal = run.journal

        def on_unanswered() -> None:
            journal.intent(self.key, "create", None, {}, entry.resume_data)

        search = Search(lambda: self._marked(run), lambda: self.likely(run, entry), on_unanswered)
        row, proven, own = create(run.session, self.api.path, body, search, run.report)
        self.forget()
        return Applied(int(row["id"]), created=own, proven=proven)

    def keep_one(self, run: ChangeRun, applied: Applied) -> Applied:
        """After a create, read again: of our own twins the oldest stays; an older one of another run is used instead.

        Raises:
            OperatorError: ERROR, when the resource does not exist although its create was confirmed.
        """
        assert run.journal is not None and applied.id is not None
        rows, mark = {row["id"]: row for row in self.namesakes(run)}, run.mark(self.key)
        own = rows.get(applied.id) or get_or_none(run.session, self.api, applied.id, expand=1)
        if own is None:
            text = f"{self.title} (id {applied.id}) was created, but no longer exists: somebody else deleted it"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": applied.id})
        others = [rows[resource_id] for resource_id in sorted(rows) if resource_id != applied.id]
        twins = [row["id"] for row in others if mark and self._carries(run, row, mark)]
        kept = min([applied.id, *twins])
        for resource_id in sorted({applied.id, *twins} - {kept}):
            self._remove_twin(run, resource_id, kept)
        older = [row["id"] for row in others if row["id"] < kept and row["id"] not in twins]
        if older and applied.proven:
            return self._use_older(run, kept, older[0])
        if mark is not None and self._carries(run, own, mark) is False:
            run.marks_are_dropped = True
        run.journal.seen(self.key, as_sent=not self._edited(run, own))
        return Applied(kept, created=True, proven=applied.proven)

    def _use_older(self, run: ChangeRun, resource_id: int, older: int) -> Applied:
        run.warnings.append(f"{self.title}: another run created it too; using {older}, deleting {resource_id}")
        remove_resource(run, self.api, resource_id, self.name, **self.list_params)
        self.forget()
        return Applied(older)

    def recheck(self, run: ChangeRun) -> None:
        entry = run.entry(self.key)
        if entry is None or not entry.created or entry.id is None or not run.has_changed(self.key):
            return
        mark = run.mark(self.key)
        for row in self.namesakes(run):
            if row["id"] == entry.id:
                continue
            if mark and self._carries(run, row, mark):
                self._remove_twin(run, row["id"], entry.id)
            elif row["id"] < entry.id:
                raise OperatorError(
                    Exit.ERROR,
                    f"{self.title}: somebody else created the same at the same time (id {row['id']})",
                    hint="run again to use theirs",
                    resource={"type": self.kind, "id": row["id"], "name": self.name},
                )

    def undo_create(self, run: ChangeRun, entry: Entry) -> None:
        """Delete what this change created, unless somebody else changed it since.

        Raises:
            OperatorError: LEFT_BEHIND, when it is not certainly ours, not as it was sent, or may still appear.
        """
        if entry.id is None:
            sighting = poll_for_row(
                run.session, lambda: self._marked(run), min(RECONCILE_SECONDS, run.seconds_until_certain(entry)),
                self.title, run.report,
            ) or self.likely(run, entry)  # fmt: skip
            if sighting is None and run.seconds_until_certain(entry) > 0:
                raise OperatorError(
                    Exit.LEFT_BEHIND, "its create got no response; it does not exist yet, but may appear"
                )
            if sighting is None or not sighting.own:
                return
            entry.id, entry.proven = int(sighting.row["id"]), sighting.proven
        if not entry.proven:
            raise OperatorError(Exit.LEFT_BEHIND, "it has no mark of this change, so it may be somebody else's")
        if self.twin is not None:
            self._remove_twin(run, self.twin, entry.id)
        self._refuse_changed(run, entry)
        remove_resource(run, self.api, entry.id, self.name, **self.list_params)

    def _edited(self, run: ChangeRun, row: Row) -> list[str]:
        """The fields in which a new resource differs from what was sent, also a description that was not sent."""
        wanted = self.desired(run).get("description")
        described = "description" in row and (row["description"] or None) != (wanted or None)
        return [*self.differing(run, row), *(["description"] if described and not wanted else [])]

    def _refuse_changed(self, run: ChangeRun, entry: Entry) -> None:
        row = get_or_none(run.session, self.api, int(entry.id or 0), expand=1)
        if row is None:
            return
        # before this run has come to the step, it does not know the ids that the desired fields contain
        fields = self._edited(run, row) if entry.as_sent and run.has_come_to(self.key) else []
        if not same_name(row.get("name"), self.name):
            fields.append("name")
        if fields:
            text = f"somebody else changed its {', '.join(fields)} in the meantime, so it was not deleted"
            raise OperatorError(Exit.LEFT_BEHIND, text)


def _may_be_ours(run: ChangeRun, row: Row, earliest: float) -> bool:
    if owner_of(run.session, row) is not None:
        return False
    try:
        created = datetime.fromisoformat(str(row.get("created_at")))
    except ValueError:
        return True  # unknown
    return (created if created.tzinfo else created.replace(tzinfo=UTC)).timestamp() >= earliest
