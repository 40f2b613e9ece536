"""The engine: reads sources, discovers nexsets, moves batches down the flow, and fires schedules.

Each nexset keeps its batches (JSON Lines files tagged with their run id). A derived nexset and a destination each
remember the last batch they took, so whoever is activated late still gets everything once, and nothing twice.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from sandbox.engine import connectors, records, schedule, transforming
from sandbox.engine.connectors import ConnectorError, NotReadyError, Reading
from sandbox.engine.transforming import TransformError
from sandbox.state.store import Doc
from sandbox.state.world import World

TICK_SECONDS = 0.02
log = logging.getLogger("sandbox.engine")


@dataclass
class Job:
    due: float
    source_id: int
    run_id: int  # 0: only move what is already read
    generation: int


class Engine(threading.Thread):
    """Background thread that works off due jobs, one at a time, in order."""

    def __init__(self, world: World) -> None:
        super().__init__(name="engine", daemon=True)
        self.world = world
        self._jobs: list[Job] = []
        self._stopping = threading.Event()
        self._next_fire: dict[int, tuple[str, float]] = {}
        self._looked_at = world.clock.now()  # a source seen first now may have been due since then

    # -- called by handlers, under the world's lock

    def start_run(self, source: Doc) -> int:
        """Begin a run of a source: its data is read after the discovery delay. Returns the run id."""
        run_id = self.world.clock.run_id()
        created = {"id": run_id, "created_at": self.world.clock.iso()}
        source["run_ids"] = [created, *source.get("run_ids", [])][:5]
        source["last_run_id"] = run_id
        self.world.store.put("sources", source)
        delay = self.world.settings["discovery_seconds"]
        self._jobs.append(Job(self.world.clock.now() + delay, source["id"], run_id, self.world.generation))
        return run_id

    def move(self, source_id: int) -> None:
        """Let what is already read flow on, as after a destination was activated."""
        self._jobs.append(Job(self.world.clock.now(), source_id, 0, self.world.generation))

    def is_reading(self, source_id: int) -> bool:
        return any(job.source_id == source_id and job.run_id for job in self._jobs)

    def busy(self) -> bool:
        return bool(self._jobs)

    def run_all(self) -> None:
        """Work off every job now, whatever its due time; for seeding, before the thread starts."""
        for job in self._jobs:
            job.due = 0.0
        self.tick()

    def forget(self) -> None:
        """Drop every job and schedule, for a reset of the world."""
        self._jobs.clear()
        self._next_fire.clear()
        self._looked_at = self.world.clock.now()

    def stop(self) -> None:
        self._stopping.set()

    # -- the thread

    def run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self.tick()
            except Exception:  # the sandbox must outlive one broken flow; the cause goes to its log
                log.exception("the engine failed on a job")

    def tick(self) -> None:
        """Fire schedules, then work off every due job."""
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
            if not cron or source.get("stuck"):  # stuck: a rehearsal of a scheduler that has lost a source
                continue
            known = self._next_fire.get(source["id"])
            if known is None or known[0] != cron:
                known = (cron, schedule.next_fire(cron, self._looked_at))
            if known[1] <= now:
                known = (cron, schedule.next_fire(cron, now))
                self.start_run(source)
            self._next_fire[source["id"]] = known
        self._looked_at = now

    def _work(self, job: Job) -> None:
        with self.world.lock:
            source = self.world.store.get("sources", job.source_id)
        if source is None or job.generation != self.world.generation:
            return
        if job.run_id and source["status"] == "ACTIVE":
            self._ingest(source, job)
        with self.world.lock:
            roots = self.world.store.where("nexsets", data_source_id=source["id"])
        for nexset in roots:
            self._flow_on(nexset, job.generation)

    # -- reading

    def _ingest(self, source: Doc, job: Job) -> None:
        try:
            readings = self._read(source, job)
        except (ConnectorError, OSError, ValueError) as error:
            with self.world.lock:
                records.log(self.world, source, "SOURCE", job.run_id, f"Read failed: {error}", severity="ERROR")
                records.count(self.world, "data_sources", source["id"], job.run_id, 0, 0, errors=1)
                records.notify(self.world, source, "SOURCE", f"Reading failed: {error}")
            return
        with self.world.lock:
            if job.generation != self.world.generation or self.world.store.get("sources", source["id"]) is None:
                return
            if not readings:
                self._say_nothing_new(source, job.run_id)
            for reading in readings:
                records.store_reading(self.world, source, job.run_id, reading)

    def _say_nothing_new(self, source: Doc, run_id: int) -> None:
        path = str((source.get("source_config") or {}).get("path", ""))
        if source["source_type"] in connectors.FILES and not connectors.list_files(self.world, path):
            records.log(self.world, source, "SOURCE", run_id, f"No files found under {path}", severity="WARNING")
        else:
            records.log(self.world, source, "SOURCE", run_id, "No new data", severity="INFO")

    def _read(self, source: Doc, job: Job) -> list[Reading]:
        world, config = self.world, source.get("source_config") or {}
        credential = world.store.get("credentials", source.get("data_credentials_id")) or {"id": 0, "credentials": {}}
        if credential.get("bad"):
            raise ConnectorError("403 Forbidden: the credential was refused")
        folder = world.folder("batches", f"source-{source['id']}")
        if source["source_type"] in connectors.DATABASES:
            return [connectors.read_table(world, credential, config, folder / f"{job.run_id}-0.jsonl")]
        if source["source_type"] not in connectors.FILES:
            return []
        state: Doc = source.setdefault("read_state", {})
        readings = []
        for number, file in enumerate(connectors.list_files(world, str(config.get("path", "")))):
            mark = [file.stat().st_mtime_ns, file.stat().st_size]
            if state.get(str(file)) == mark:
                continue
            target = folder / f"{job.run_id}-{number}.jsonl"
            readings.append(connectors.read_file(file, target, config.get("csv.delimiter")))
            state[str(file)] = mark
        return readings

    # -- moving

    def _flow_on(self, nexset: Doc, generation: int) -> None:
        with self.world.lock:
            store = self.world.store
            children = [n for n in store.where("nexsets", parent_data_set_id=nexset["id"]) if n["status"] == "ACTIVE"]
            sinks = [s for s in store.where("sinks", data_set_id=nexset["id"]) if s["status"] == "ACTIVE"]
        for child in children:
            for batch in self._pending(nexset, "nexsets", child):
                self._derive(child, batch, generation)
        for sink in sinks:
            for batch in self._pending(nexset, "sinks", sink):
                self._deliver(sink, nexset, batch, generation)
        with self.world.lock:
            below = self.world.store.where("nexsets", parent_data_set_id=nexset["id"])
        for child in below:
            self._flow_on(child, generation)

    def _pending(self, nexset: Doc, kind: str, taker: Doc) -> list[Doc]:
        with self.world.lock:
            current = self.world.store.get(kind, taker["id"]) or {"taken": float("inf")}
            batches = self.world.store.where("batches", data_set_id=nexset["id"])
            return [batch for batch in batches if batch["id"] > current.get("taken", 0)]

    def _taken(self, kind: str, taker: Doc, batch: Doc, generation: int) -> bool:
        if generation != self.world.generation or self.world.store.get(kind, taker["id"]) is not taker:
            return False
        taker["taken"] = batch["id"]
        self.world.store.put(kind, taker)
        return True

    def _derive(self, child: Doc, batch: Doc, generation: int) -> None:
        inputs = [json.loads(line) for line in Path(batch["file"]).read_text(encoding="utf-8").splitlines()]
        try:
            outcomes = transforming.apply_to_nexset(self.world.store, child, inputs)
        except TransformError as error:
            outcomes = [(None, str(error))] * len(inputs)
        good = [record for record, error in outcomes if error is None and record is not None]
        bad = [
            {"error": error, "record": record}
            for record, (_, error) in zip(inputs, outcomes, strict=True)
            if error is not None
        ]
        folder = self.world.folder("batches", f"nexset-{child['id']}")
        target = folder / f"{batch['run_id']}-{batch['id']}.jsonl"
        with target.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in good)
        with self.world.lock:
            if self._taken("nexsets", child, batch, generation):
                records.add_batch(self.world, child, batch["run_id"], target, len(good))
                records.quarantine(self.world, child, "DATASET", batch["run_id"], bad)
                records.finish(self.world, child, "DATASET", batch["run_id"], target, len(good), len(bad))

    def _deliver(self, sink: Doc, nexset: Doc, batch: Doc, generation: int) -> None:
        with self.world.lock:
            credential = self.world.store.get("credentials", sink.get("data_credentials_id"))
        file, run_id, refused, trouble = Path(batch["file"]), batch["run_id"], [], ""
        try:
            if credential is None or credential.get("bad"):
                raise ConnectorError("403 Forbidden: the credential was refused")
            if batch["records"]:
                refused = connectors.write(self.world, sink, credential, file, run_id)
        except NotReadyError as error:
            with self.world.lock:
                if generation == self.world.generation:
                    self._keep_waiting(sink, run_id, str(error))
            return
        except (ConnectorError, OSError, KeyError) as error:
            trouble = f"Write failed: {error}"
        errors = batch["records"] if trouble else len(refused)
        with self.world.lock:
            if not self._taken("sinks", sink, batch, generation):
                return
            sink["runtime_status"] = "IDLE"
            if trouble:
                records.log(self.world, sink, "SINK", run_id, trouble, severity="ERROR")
                records.notify(self.world, sink, "SINK", trouble)
            records.quarantine(self.world, sink, "SINK", run_id, refused)
            good, number = batch["records"] - errors, nexset["id"]
            records.finish(self.world, sink, "SINK", run_id, file, good, errors, data_set_id=number)

    def _keep_waiting(self, sink: Doc, run_id: int, reason: str) -> None:
        """The batch stays where it is; the destination looks busy, and delivers nothing."""
        sink["runtime_status"] = "PROCESSING"
        self.world.store.put("sinks", sink)
        records.log(self.world, sink, "SINK", run_id, f"Waiting for the table: {reason}", severity="WARNING")
