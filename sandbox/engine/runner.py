"""The engine: a background thread that fires schedules and works through jobs, one at a time."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from sandbox.engine import movement, records, schedule
from sandbox.state.store import Doc
from sandbox.state.world import World

TICK_SECONDS = 0.02
MOVE_ONLY = 0  # in place of a run id: read nothing, move what was read earlier
logger = logging.getLogger("sandbox.engine")


@dataclass
class Job:
    """A run of a source, or a move of its records (``run_id`` is ``MOVE_ONLY``), due at a time of the world's clock."""

    due: float
    source_id: int
    run_id: int
    generation: int


class Engine(threading.Thread):
    """Works through due jobs in order. It satisfies ``sandbox.state.engine_port.EnginePort``."""

    def __init__(self, world: World) -> None:
        super().__init__(name="engine", daemon=True)
        self.world = world
        self._jobs: list[Job] = []
        self._stopping = threading.Event()
        self._next_fire: dict[int, tuple[str, float]] = {}  # source id → cron expression, next time
        self._checked_at = world.clock.now()  # a source that is first seen now may have been due since then

    # -- for the request handlers, under the world's lock

    def start_run(self, source: Doc) -> int:
        """Start a run of a source and return its run id. The data is read after the discovery delay."""
        run_id = self.world.clock.run_id()
        created = {"id": run_id, "created_at": self.world.clock.iso()}
        source["run_ids"] = [created, *source.get("run_ids", [])][: records.RUNS_SHOWN]
        source["last_run_id"] = run_id
        self.world.store.put("sources", source)
        delay = self.world.settings["discovery_seconds"]
        self._jobs.append(Job(self.world.clock.now() + delay, source["id"], run_id, self.world.generation))
        return run_id

    def move(self, source_id: int) -> None:
        """Move what was read earlier on through a source's flow, for example after a destination was activated."""
        self._jobs.append(Job(self.world.clock.now(), source_id, MOVE_ONLY, self.world.generation))

    def is_reading(self, source_id: int) -> bool:
        """Whether a run of the source is waiting or in progress."""
        return any(job.source_id == source_id and job.run_id != MOVE_ONLY for job in self._jobs)

    def busy(self) -> bool:
        """Whether any job is waiting or in progress."""
        return bool(self._jobs)

    def run_all(self) -> None:
        """Run every job now, whatever its due time; for seeding, before the thread starts."""
        for job in self._jobs:
            job.due = 0.0
        self.tick()

    def forget(self) -> None:
        """Drop every job and schedule, for a reset of the world."""
        self._jobs.clear()
        self._next_fire.clear()
        self._checked_at = self.world.clock.now()

    def stop(self) -> None:
        """Let the thread end after its current tick."""
        self._stopping.set()

    # -- the thread

    def run(self) -> None:
        """Tick until stopped."""
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self.tick()
            except Exception:  # one broken flow must not end the sandbox; the cause goes to its log
                logger.exception("the engine failed on a job")

    def tick(self) -> None:
        """Fire schedules, then work through every due job."""
        with self.world.lock:
            self._fire_schedules()
            now = self.world.clock.now()
            due = [job for job in self._jobs if job.due <= now]
        for job in due:
            try:
                self._work(job)
            finally:
                with self.world.lock:
                    if job in self._jobs:
                        self._jobs.remove(job)
                    self.world.store.commit()

    def _fire_schedules(self) -> None:
        now = self.world.clock.now()
        for source in self.world.store.where("sources", status="ACTIVE"):
            cron = (source.get("source_config") or {}).get("start.cron")
            if not cron or source.get("stuck"):  # stuck: rehearses a scheduler that has lost a source
                continue
            known = self._next_fire.get(source["id"])
            if known is None or known[0] != cron:
                known = (cron, schedule.next_fire(cron, self._checked_at))
            if known[1] <= now:
                known = (cron, schedule.next_fire(cron, now))
                self.start_run(source)
            self._next_fire[source["id"]] = known
        self._checked_at = now

    def _work(self, job: Job) -> None:
        with self.world.lock:
            source = self.world.store.get("sources", job.source_id)
        if source is None or job.generation != self.world.generation:
            return
        if job.run_id != MOVE_ONLY and source["status"] == "ACTIVE":
            movement.ingest(self.world, source, job.run_id, job.generation)
        with self.world.lock:
            detected = self.world.store.where("nexsets", data_source_id=source["id"])
        for nexset in detected:
            movement.move_on(self.world, nexset, job.generation)
