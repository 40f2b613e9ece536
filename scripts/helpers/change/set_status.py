"""Steps that activate or pause a resource, verified by reading it again."""

from __future__ import annotations

from collections.abc import Sequence

from helpers.api.resources import get, get_or_none
from helpers.api.transport import call
from helpers.change.journal import SNAPSHOT, Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, ResourceRef, Row, item_path

ACTIVE, PAUSED, INIT = "ACTIVE", "PAUSED", "INIT"
VERBS = {ACTIVE: "activate", PAUSED: "pause"}


def set_status(run: ChangeRun, kind: Kind, resource_id: int, status: str) -> Row:
    """Activate or pause one resource.

    Returns:
        The row of the response. Its status is not verified.
    """
    row: Row = call(run.session, "PUT", item_path(kind, resource_id, VERBS[status]), report=run.report).data
    return row


class SetStatusStep(Step):
    """Set the status of one resource to ACTIVE or PAUSED. INIT counts as paused: nothing returns a resource to INIT.

    Args:
        status: ACTIVE or PAUSED.
        phase: distinguishes steps that concern the same resource, as in a restart; default: the verb.
        paused_nexsets: ids of paused nexsets that activating their source would activate too; undo pauses them again.
    """

    def __init__(
        self,
        resource: ResourceRef,
        status: str,
        *,
        phase: str = "",
        paused_nexsets: Sequence[int] = (),
    ) -> None:
        self.verb = VERBS[status]
        super().__init__(
            f"{phase or self.verb}:{resource.kind}:{resource.id}", f"{phase or self.verb} {resource.label}"
        )
        self.resource, self.status, self.paused_nexsets = resource, status, list(paused_nexsets)
        self.kind, self.name = resource.kind, str(resource.name)

    def find(self, run: ChangeRun) -> Found:
        now = self._current(run)
        if self._is_reached(now):
            return Found(UNCHANGED, self.resource.id)
        before = {"status": now, "resting": self.paused_nexsets}
        return Found(self.verb, self.resource.id, {"status": [now, self.status]}, before)

    def _is_reached(self, status: str | None) -> bool:
        return status == self.status or (self.status == PAUSED and status == INIT)

    def _current(self, run: ChangeRun) -> str | None:
        return get(run.session, KINDS[self.kind], self.resource.id).get("status")

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        set_status(run, KINDS[self.kind], self.resource.id, self.status)
        return Applied(self.resource.id)

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        now = self._current(run)
        if now != self.status:
            text = f"{self.resource.label} is {now} after the request to {self.verb} it"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": self.resource.id})
        return applied

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        was_active = entry.before.get("status") == ACTIVE
        if (self._current(run) == ACTIVE) != was_active:
            set_status(run, KINDS[self.kind], self.resource.id, ACTIVE if was_active else PAUSED)
        now = self._current(run)
        if (now == ACTIVE) != was_active:
            raise OperatorError(Exit.LEFT_BEHIND, f"it is {now} but was {entry.before.get('status')}")
        for nexset_id in entry.before.get("resting") or [] if was_active else []:
            _pause_again(run, nexset_id)


def _pause_again(run: ChangeRun, nexset_id: int) -> None:
    """Pause a detected nexset that was paused before its source was activated."""
    nexsets = KINDS["nexsets"]
    if get(run.session, nexsets, nexset_id).get("status") == ACTIVE:
        set_status(run, nexsets, nexset_id, PAUSED)
    now = get(run.session, nexsets, nexset_id).get("status")
    if now == ACTIVE:
        raise OperatorError(Exit.LEFT_BEHIND, f"nexset {nexset_id} is {now} but was paused before")


class SnapshotActiveStep(Step):
    """Record which resources are ACTIVE before anything changes, so that a resumed run restores the same set.

    Args:
        active: (kind, id) of the resources that are ACTIVE now; ignored when an unfinished change recorded its own.

    Attributes:
        active: (kind, id) of the resources that were ACTIVE when the change began.
    """

    def __init__(self, active: Sequence[tuple[str, int]], run: ChangeRun) -> None:
        super().__init__("before", "record what is ACTIVE")
        entry = run.entry(self.key)
        known = (
            [(str(kind), int(resource_id)) for kind, resource_id in entry.resume_data.get("active", [])]
            if entry
            else None
        )
        self.active = list(active) if known is None else known

    def find(self, run: ChangeRun) -> Found:
        if run.entry(self.key):
            return Found(UNCHANGED)
        return Found(SNAPSHOT, resume_data={"active": [list(key) for key in self.active]})

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        return Applied()

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        """Nothing to undo, but what was ACTIVE must be so again, also what the pause of a source has taken along.

        Raises:
            OperatorError: LEFT_BEHIND, with what is not. Somebody else may have paused it, so it is left as it is.
        """
        paused = []
        for kind, resource_id in entry.resume_data.get("active", []):
            row = get_or_none(run.session, KINDS[str(kind)], int(resource_id))
            if row is not None and row.get("status") != ACTIVE:
                paused.append(f"{KINDS[str(kind)].singular} {resource_id} is {row.get('status')}")
        if paused:
            raise OperatorError(Exit.LEFT_BEHIND, f"{'; '.join(paused)}, but was ACTIVE before")
