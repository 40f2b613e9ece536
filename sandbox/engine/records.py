"""What a run leaves behind: batches, metrics, log lines, notifications and quarantined records.

``label`` is the name that log lines use for a kind of resource: SOURCE, DATASET or SINK.
"""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.state.store import Doc
from sandbox.state.world import World

RUNS_SHOWN = 5  # the server shows the newest five in run_ids
QUARANTINE_SHOWN = 100  # records of a batch that the API can show; the file has them all
LABELS = {"data_sources": "SOURCE", "data_sets": "DATASET", "data_sinks": "SINK"}
RESOURCE_TYPES = {label: resource_type for resource_type, label in LABELS.items()}
PAST_RECORD_BYTES = 180  # for the size of a run that did not really take place
PAST_RUN_MILLISECONDS = 4000


def log(world: World, doc: Doc, label: str, run_id: int, text: str, *, severity: str, log_type: str = "LOG") -> None:
    """Add one line to the flow's log."""
    entry = {
        "timestamp": int(world.clock.now() * 1000),
        "resource_id": doc["id"],
        "resource_type": label,
        "log": text,
        "log_type": log_type,
        "severity": severity,
        "run_id": run_id,
        "origin_node_id": doc["origin_node_id"],
    }
    world.store.put("logs", entry)


def count(
    world: World,
    resource_type: str,
    resource_id: int,
    run_id: int,
    records: int,
    size: int,
    *,
    errors: int = 0,
    data_set_id: int | None = None,
) -> None:
    """Add to the metrics row of a resource, run and nexset."""
    key: Doc = {
        "resource_type": resource_type,
        "resource_id": resource_id,
        "run_id": run_id,
        "data_set_id": data_set_id or (resource_id if resource_type == "data_sets" else 0),
    }
    rows = world.store.where("metrics", **key)
    row = rows[0] if rows else {**key, "records": 0, "size": 0, "errors": 0}
    row["records"] += records
    row["size"] += size
    row["errors"] += errors
    row["last_written"] = int(world.clock.now() * 1000)
    world.store.put("metrics", row)


def summarize(
    world: World,
    doc: Doc,
    label: str,
    run_id: int,
    batch: Path,
    good: int,
    bad: int,
    *,
    data_set_id: int | None = None,
) -> None:
    """Add one batch to the metrics, and its SUMMARY line to the log."""
    size = batch.stat().st_size if good and batch.exists() else 0
    count(world, RESOURCE_TYPES[label], doc["id"], run_id, good, size, errors=bad, data_set_id=data_set_id)
    text = f"Processed records={good}, errors={bad}, size={size}"
    log(world, doc, label, run_id, text, severity="ERROR" if bad else "INFO", log_type="SUMMARY")


def quarantine(world: World, doc: Doc, label: str, run_id: int, bad: list[Doc]) -> None:
    """Append bad records to the run's quarantine file, log and notify; nothing happens when there are none."""
    if not bad:
        return
    file = world.folder("quarantine") / f"{label.lower()}-{doc['id']}-{run_id}.jsonl"
    with file.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in bad)
    entry = {
        "resource_id": doc["id"],
        "label": label,
        "run_id": run_id,
        "file": str(file),
        "records": bad[:QUARANTINE_SHOWN],
    }
    world.store.put("quarantine", entry)
    first = bad[0]["error"]
    log(world, doc, label, run_id, f"{len(bad)} records in quarantine, first: {first}", severity="ERROR")
    notify(world, doc, label, f"{len(bad)} records in quarantine")


def notify(world: World, doc: Doc, label: str, message: str) -> None:
    """Send a notification of level ERROR to the resource's owner."""
    entry = {
        "owner_id": doc["owner_id"],
        "org_id": doc["org_id"],
        "level": "ERROR",
        "resource_id": doc["id"],
        "resource_type": label,
        "message_id": 0,
        "message": message,
        "read_at": None,
        "ts": int(world.clock.now()),
    }
    world.store.put("notifications", world.stamp(entry, new=True))


def add_batch(world: World, nexset: Doc, run_id: int, file: Path, records: int) -> None:
    """Append a batch to a nexset."""
    doc = {"data_set_id": nexset["id"], "run_id": run_id, "file": str(file), "records": records}
    world.store.put("batches", doc)


def add_past_run(
    world: World,
    doc: Doc,
    label: str,
    ago: float = 0,
    records: int = 0,
    errors: int = 0,
    logs: int | list[str] = 0,
    run_id: int = 0,
) -> int:
    """Record a run that did not really take place, as a metrics row and log lines. Returns its run id.

    It was ``ago`` seconds before now, or has the given ``run_id``. ``logs`` is the number of log lines, or their texts.
    """
    run_id = run_id or int((world.clock.now() - ago) * 1000)
    size = records * PAST_RECORD_BYTES
    row: Doc = {"resource_type": RESOURCE_TYPES[label], "resource_id": doc["id"], "run_id": run_id}
    row["data_set_id"] = doc["id"] if label == "DATASET" else 0
    row |= {"records": records, "size": size, "errors": errors, "last_written": run_id + PAST_RUN_MILLISECONDS}
    world.store.put("metrics", row)
    if logs:
        texts = logs if isinstance(logs, list) else [f"Processed record {n}" for n in range(1, logs + 1)]
        lines = [(text, "LOG", "failed" in text.lower()) for text in texts]
        lines.append((f"Processed records={records}, errors={errors}, size={size}", "SUMMARY", errors > 0))
        _log_past_run(world, doc, label, run_id, lines)
    if label == "SOURCE":
        doc["last_run_id"] = max(doc.get("last_run_id") or 0, run_id)
        created = {"id": run_id, "created_at": world.clock.iso(run_id / 1000)}
        doc["run_ids"] = sorted([created, *doc.get("run_ids", [])], key=lambda run: run["id"], reverse=True)
        doc["run_ids"] = doc["run_ids"][:RUNS_SHOWN]
        world.store.put("sources", doc)
    return run_id


def _log_past_run(world: World, doc: Doc, label: str, run_id: int, lines: list[tuple[str, str, bool]]) -> None:
    """Log lines (text, log type, whether it is an error), a millisecond apart from the start of the run."""
    origin = {"resource_id": doc["id"], "resource_type": label, "run_id": run_id}
    origin["origin_node_id"] = doc["origin_node_id"]
    for position, (text, log_type, is_error) in enumerate(lines):
        line = {"timestamp": run_id + position, "log": text, "log_type": log_type}
        world.store.put("logs", {**line, "severity": "ERROR" if is_error else "INFO", **origin})
