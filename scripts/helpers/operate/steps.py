"""The steps that activate, pause, restart or run a flow."""

from __future__ import annotations

from collections.abc import Sequence

from helpers.api.failures import ApiError
from helpers.api.flows import Flow, Member
from helpers.api.resources import get
from helpers.api.transport import call
from helpers.api.writes import RECONCILE_SECONDS, Sighting, poll_for_row
from helpers.change.journal import Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.change.set_status import ACTIVE, PAUSED, SetStatusStep, SnapshotActiveStep
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path


def detected_in(source: Member) -> list[Member]:
    """The nexsets that Nexla detected in a source; an empty list for any other member."""
    return [child for child in source.children if child.kind == "nexsets"] if source.kind == "sources" else []


class MemberStatusStep(SetStatusStep):
    """Activate or pause a member of a flow."""

    def __init__(self, member: Member, status: str, *, phase: str = "") -> None:
        paused = [child.id for child in detected_in(member) if child.status != ACTIVE]
        super().__init__(member.ref, status, phase=phase, paused_nexsets=paused)
        self.member = member

    @property
    def pending(self) -> bool:
        """Whether the step has something to do, according to the flow as it was last read."""
        return not self._is_reached(self.member.status)


class StopStep(MemberStatusStep):
    """Pause a member in the first half of a restart. Once any member was started again, nothing else is paused."""

    def __init__(self, member: Member) -> None:
        super().__init__(member, PAUSED, phase="stop")

    def find(self, run: ChangeRun) -> Found:
        if run.journal is not None and any(entry.key.startswith("start:") for entry in run.journal.entries.values()):
            return Found(UNCHANGED, self.resource.id)
        return super().find(run)


class StartStep(MemberStatusStep):
    """Activate a paused member. In a plan, this includes members that an earlier step of the restart would pause."""

    def __init__(self, member: Member) -> None:
        super().__init__(member, ACTIVE, phase="start")

    def find(self, run: ChangeRun) -> Found:
        if run.dry and any(outcome.key == f"stop:{self.kind}:{self.resource.id}" for outcome in run.outcomes):
            return Found(self.verb, self.resource.id, {"status": [PAUSED, self.status]})
        return super().find(run)


def snapshot_of(members: Sequence[Member], run: ChangeRun) -> SnapshotActiveStep:
    """The step that records which of these members are ACTIVE."""
    return SnapshotActiveStep([member.key for member in members if member.status == ACTIVE], run)


def activate_steps(members: Sequence[Member]) -> list[Step]:
    """Steps that activate the members, the source last."""
    return [MemberStatusStep(member, ACTIVE) for member in reversed(members)]


def pause_steps(members: Sequence[Member], snapshot: SnapshotActiveStep) -> list[Step]:
    """Steps that record which members are ACTIVE, then pause them, the source first."""
    return [snapshot, *(MemberStatusStep(member, PAUSED) for member in members)]


def restart_steps(flow: Flow, members: Sequence[Member], run: ChangeRun) -> list[Step]:
    """Steps that pause the ACTIVE members and activate exactly the same members again.

    Activating a source also activates its detected nexsets; those that were paused before are paused again.
    """
    snapshot = snapshot_of(members, run)
    active = [member for member in members if member.key in snapshot.active]
    return [snapshot, *map(StopStep, active), *start_steps(flow, active)]


def start_steps(flow: Flow, members: Sequence[Member]) -> list[Step]:
    """Steps that activate only these members, the source last. Nexsets that it activates as well are paused again."""
    paused = [nexset for nexset in detected_in(flow.origin) if nexset not in members] if flow.origin in members else []
    return [*map(StartStep, reversed(members)), *map(_keep_paused, paused)]


def _keep_paused(member: Member) -> Step:
    return MemberStatusStep(member, PAUSED, phase="keep paused")


def run_now_steps(flow: Flow, run: ChangeRun) -> list[Step]:
    """Steps that start a run of the source, and pause the detected nexsets again that were paused before."""
    detected = detected_in(flow.origin)
    snapshot = snapshot_of(detected, run)
    paused = [member for member in detected if member.key not in snapshot.active]
    return [snapshot, RunNowStep(flow.origin), *map(_keep_paused, paused)]


class RunNowStep(Step):
    """Start a run of an ACTIVE source at once, and verify that it has begun.

    The only documented way is ``activate`` with ``force``, which pauses the source and activates it again. It is not
    idempotent: after an unclear response, the step looks for a newer run and never sends the request again.
    """

    def __init__(self, source: Member) -> None:
        super().__init__(f"run:{source.id}", f"run {source.label}")
        self.source, self.kind, self.name = source, source.kind, str(source.name)

    def find(self, run: ChangeRun) -> Found:
        row = get(run.session, KINDS["sources"], self.source.id)
        entry = run.entry(self.key)
        newest = _newest_run(row)
        if entry and newest > entry.resume_data.get("last_run_id", newest):
            return Found(UNCHANGED, self.source.id)
        if row.get("status") != ACTIVE:
            raise _not_active(self.source, row.get("status"))
        return Found("run", self.source.id, resume_data={"last_run_id": newest})

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        path = item_path(KINDS["sources"], self.source.id, "activate")
        try:
            call(run.session, "PUT", path, params={"force": 1}, effect="once", report=run.report)
        except ApiError as error:
            if error.known_not_applied:
                raise
            run.report(f"PUT {path}: outcome unknown, looking for a newer run")
        if self._await_newer(run, found.resume_data["last_run_id"], RECONCILE_SECONDS) is None:
            status = command_line(
                "operate_flow", "--operation", "status", "--resource-type", "sources", "--resource-id", self.source.id
            )
            raise OperatorError(
                Exit.UNKNOWN_OUTCOME,
                f"no run of {self.source.label} has begun since it was requested",
                hint=f"check with: {status}",
                resource={"type": "sources", "id": self.source.id},
            )
        return Applied(self.source.id)

    def recover(self, run: ChangeRun) -> None:
        """Wait for the run that an interrupted command may have requested: it must not start a second one."""
        entry = run.entry(self.key)
        if entry is not None and not entry.done:
            self._await_newer(run, entry.resume_data.get("last_run_id", 0), run.seconds_until_certain(entry))

    def _await_newer(self, run: ChangeRun, last_run_id: int, seconds: float) -> Sighting | None:
        def newer() -> Sighting | None:
            row = get(run.session, KINDS["sources"], self.source.id)
            return Sighting(row) if _newest_run(row) > last_run_id and row.get("status") == ACTIVE else None

        return poll_for_row(run.session, newer, seconds, self.title, run.report)

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        raise OperatorError(Exit.LEFT_BEHIND, "a run that has begun cannot be undone")


def _not_active(source: Member, status: str | None) -> OperatorError:
    activate = command_line(
        "operate_flow", "--operation", "activate", "--resource-type", "sources", "--resource-id", source.id
    )
    return OperatorError(
        Exit.ERROR,
        f"{source.label} is {status}; only an ACTIVE source can be run",
        hint=f"activating it also starts a run: {activate}",
        resource={"type": "sources", "id": source.id},
    )


def _newest_run(source: Row) -> int:
    """The id of the newest run in a source row (epoch milliseconds); 0 before the first run."""
    run_ids = [entry.get("id") for entry in source.get("run_ids") or [] if isinstance(entry, dict)]
    run_ids.append(source.get("last_run_id"))
    return max((run_id for run_id in run_ids if isinstance(run_id, int)), default=0)
