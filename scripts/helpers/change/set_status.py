"""Turning members of a flow on and off as steps of a change, each verified by reading it again."""

from __future__ import annotations

from helpers.api.flows import Flow, Member
from helpers.api.resources import get
from helpers.api.transport import ApiError, call
from helpers.api.writes import look_for
from helpers.change.changes import UNCHANGED, Found, Run, Step
from helpers.change.journal import REMEMBER, Entry
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path

ACTIVE, PAUSED = "ACTIVE", "PAUSED"


class SwitchStep(Step):
    """Bring one member to ACTIVE or PAUSED. INIT counts as paused: nothing moves a resource back to INIT.

    Args:
        phase: tells steps apart that touch the same member, as in a restart.
        once: a step that was done is not done again by a resumed run, whatever the status is by then.
    """

    def __init__(self, member: Member, status: str, *, phase: str = "", once: bool = False) -> None:
        self.word = "activate" if status == ACTIVE else "pause"
        super().__init__(f"{phase or self.word}:{member.kind}:{member.id}", f"{phase or self.word} {member.label}")
        self.member, self.status, self.once = member, status, once
        self.kind, self.name = member.kind, str(member.name)

    @property
    def pending(self) -> bool:
        """Whether the step has something to do, as far as the flow's last reading tells."""
        return self.member.status != self.status and not (self.status == PAUSED and self.member.status == "INIT")

    def find(self, run: Run) -> Found:
        entry = run.entry(self.key)
        now = self._read(run).get("status")
        there = now == self.status or (self.status == PAUSED and now == "INIT")
        started = run.journal is not None and any(key.startswith("start:") for key in run.journal.entries)
        if run.dry and any(outcome.key == f"stop:{self.kind}:{self.member.id}" for outcome in run.outcomes):
            return Found(self.word, self.member.id, {"status": [PAUSED, self.status]})  # as it will be by then
        if there or (self.once and (started or (entry and entry.done))):
            return Found(UNCHANGED, self.member.id)
        resting = [child.id for child in _detected_of(self.member) if child.status != ACTIVE]
        before = {"status": now, "resting": resting}
        return Found(self.word, self.member.id, {"status": [now, self.status]}, before)

    def _read(self, run: Run) -> Row:
        return get(run.session, KINDS[self.kind], self.member.id)

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        self._set(run, self.word)
        return self.member.id, False

    def _set(self, run: Run, word: str) -> None:
        call(run.session, "PUT", item_path(KINDS[self.kind], self.member.id, word), say=run.say)

    def verify(self, run: Run, number: int | None, *, made: bool) -> None:
        now = self._read(run).get("status")
        if now != self.status:
            text = f"{self.member.label} is {now} after it was told to {self.word}"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": self.member.id})

    def undo(self, run: Run, entry: Entry) -> None:
        was_active = entry.before.get("status") == ACTIVE
        if (self._read(run).get("status") == ACTIVE) != was_active:
            self._set(run, "activate" if was_active else "pause")
        now = self._read(run).get("status")
        if (now == ACTIVE) != was_active:
            raise OperatorError(Exit.LEFT_BEHIND, f"it is {now}, and was {entry.before.get('status')}")
        for number in entry.before.get("resting") or [] if was_active else []:
            self._put_to_rest(run, number)

    def _put_to_rest(self, run: Run, number: int) -> None:
        """Pause a detected nexset that rested before, and that its source has woken."""
        if get(run.session, KINDS["nexsets"], number).get("status") == ACTIVE:
            call(run.session, "PUT", item_path(KINDS["nexsets"], number, "pause"), say=run.say)
        now = get(run.session, KINDS["nexsets"], number).get("status")
        if now == ACTIVE:
            raise OperatorError(Exit.LEFT_BEHIND, f"nexset {number} rested before, and is {now}")


class RememberStep(Step):
    """Write down which members are ACTIVE before anything is changed, so that a resumed run brings back the same set.

    Attributes:
        on: the members that were ACTIVE when the change began.
    """

    def __init__(self, members: list[Member], run: Run) -> None:
        super().__init__("before", "note what is ACTIVE")
        entry = run.entry(self.key)
        known = entry.memo.get("active", []) if entry else None
        self.on = [m for m in members if (m.status == ACTIVE if known is None else [m.kind, m.id] in known)]

    def find(self, run: Run) -> Found:
        if run.entry(self.key):
            return Found(UNCHANGED)
        return Found(REMEMBER, memo={"active": [[member.kind, member.id] for member in self.on]})

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        return None, False

    def undo(self, run: Run, entry: Entry) -> None:
        """There is nothing to take back."""


def restart_steps(flow: Flow, members: list[Member], run: Run) -> list[Step]:
    """Pause what is ACTIVE among the members, and activate exactly that again.

    Activating a source activates its detected nexsets as well; those that rested before are paused again.
    """
    remember = RememberStep(members, run)
    stop = [SwitchStep(member, PAUSED, phase="stop", once=True) for member in remember.on]
    return [remember, *stop, *start_steps(flow, remember.on)]


def start_steps(flow: Flow, on: list[Member]) -> list[Step]:
    """Activate these members, the source last, and nothing else: what it wakes besides is paused again."""
    resting = [member for member in _detected(flow) if member not in on] if flow.origin in on else []
    return [
        *(SwitchStep(member, ACTIVE, phase="start") for member in reversed(on)),
        *(SwitchStep(member, PAUSED, phase="keep paused") for member in resting),
    ]


def run_now_steps(flow: Flow, run: Run) -> list[Step]:
    """Start a run of the flow's source, and pause again those detected nexsets that rested before."""
    if flow.origin.status != ACTIVE and not run.entry(f"run:{flow.origin.id}"):
        raise _not_active(flow.origin, flow.origin.status)
    remember = RememberStep(_detected(flow), run)
    resting = [member for member in _detected(flow) if member not in remember.on]
    rest = [SwitchStep(member, PAUSED, phase="keep paused") for member in resting]
    return [remember, RunNowStep(flow.origin), *rest]


def _detected(flow: Flow) -> list[Member]:
    return _detected_of(flow.origin)


def _detected_of(member: Member) -> list[Member]:
    return [child for child in member.children if child.kind == "nexsets"] if member.kind == "sources" else []


class RunNowStep(Step):
    """Start a run of an ACTIVE source at once, and see that it has begun.

    ``activate`` with ``force`` is the only documented way; it pauses the source and activates it again. It is not
    idempotent, so an unclear answer is settled by looking for a newer run, never by sending it again.
    """

    def __init__(self, member: Member) -> None:
        super().__init__(f"run:{member.id}", f"run {member.label}")
        self.member, self.kind, self.name = member, member.kind, str(member.name)

    def find(self, run: Run) -> Found:
        row = get(run.session, KINDS["sources"], self.member.id)
        entry = run.entry(self.key)
        mark = _mark(row)
        if entry and mark > entry.memo.get("last_run_id", mark):
            return Found(UNCHANGED, self.member.id)
        if row.get("status") != ACTIVE:
            raise _not_active(self.member, row.get("status"))
        return Found("run", self.member.id, memo={"last_run_id": mark})

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        path = item_path(KINDS["sources"], self.member.id, "activate")
        try:
            call(run.session, "PUT", path, params={"force": 1}, effect="once", say=run.say)
        except ApiError as error:
            if error.settled:
                raise
            run.say(f"PUT {path}: outcome unknown, looking for a newer run")
        newer = look_for(run.session, lambda: self._newer(run, found.memo["last_run_id"]))
        if newer is None:
            raise OperatorError(
                Exit.UNKNOWN_OUTCOME,
                f"no run of {self.member.label} has begun since it was asked for",
                hint=f"look with: python scripts/operate_flow.py --operation status --resource-type sources "
                f"--resource-id {self.member.id}",
                resource={"type": "sources", "id": self.member.id},
            )
        return self.member.id, False

    def _newer(self, run: Run, mark: int) -> Row | None:
        row = get(run.session, KINDS["sources"], self.member.id)
        return row if _mark(row) > mark and row.get("status") == ACTIVE else None

    def undo(self, run: Run, entry: Entry) -> None:
        raise OperatorError(Exit.LEFT_BEHIND, "a run that has begun cannot be taken back")


def _not_active(source: Member, status: str | None) -> OperatorError:
    return OperatorError(
        Exit.ERROR,
        f"{source.label} is {status}; only an ACTIVE source can be run",
        hint="activating it starts a run by itself: python scripts/operate_flow.py --operation activate "
        f"--resource-type sources --resource-id {source.id}",
        resource={"type": "sources", "id": source.id},
    )


def _mark(source: Row) -> int:
    """The newest run that the source names; 0 before the first."""
    marks = [entry.get("id") for entry in source.get("run_ids") or [] if isinstance(entry, dict)]
    marks.append(source.get("last_run_id"))
    return max((mark for mark in marks if isinstance(mark, int)), default=0)
