"""/__sandbox/…: what tests steer the sandbox with. None of it exists on a real Nexla."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.engine.records import add_past_run
from sandbox.resources import sources
from sandbox.server.faults import Fault
from sandbox.server.routing import Answer, ApiError, Request
from sandbox.state.seed import add_user
from sandbox.state.world import DEFAULTS, OutsideDataFolderError

if TYPE_CHECKING:
    from sandbox.server.app import App


def handle(app: App, method: str, path: str, query: Mapping[str, str], raw: bytes) -> Answer:
    """Answer one control request; unknown ones get 404 with the list of known ones."""
    name = path.removeprefix("/__sandbox/")
    handler = COMMANDS.get((method, name))
    if handler is None:
        known = ", ".join(f"{m} {n}" for m, n in COMMANDS)
        return Answer({"message": f"known: {known}"}, status=404)
    try:
        body = json.loads(raw) if raw else {}
        with app.world.lock:
            result = handler(app, body, query)
            app.world.store.commit()
        return Answer(result)
    except (ApiError, OutsideDataFolderError, ValueError, KeyError, TypeError) as error:
        return Answer({"message": f"{type(error).__name__}: {error}"}, status=400)


def _reset(app: App, body: Any, query: Mapping[str, str]) -> Any:
    """Back to the start: ``{"seed": "demo" | "empty"}``, default as the sandbox was started."""
    name = body.get("seed") or app.world.store_seed
    app.world.reset(app.world.seeds[name])
    app.faults.rules.clear()
    app.journal.clear()
    return {"ok": True, "seed": name}


def _snapshot(app: App, body: Any, query: Mapping[str, str]) -> Any:
    """Every resource as stored, without tokens; what comparisons of before and after need."""
    kinds = app.world.store.snapshot()
    hidden = ("tokens", "audit")  # what changes with every request
    return {kind: list(rows.values()) for kind, rows in kinds.items() if kind not in hidden and rows}


def _journal(app: App, body: Any, query: Mapping[str, str]) -> Any:
    return {"requests": app.journal[int(query.get("since", 0)) :]}


def _clear_journal(app: App, body: Any, query: Mapping[str, str]) -> Any:
    app.journal.clear()
    return {"ok": True}


def _faults(app: App, body: Any, query: Mapping[str, str]) -> Any:
    """Replace the fault rules: a list of rules, or one."""
    rules = body if isinstance(body, list) else [body]
    app.faults.rules = [Fault(**rule) for rule in rules if rule]
    return {"rules": len(app.faults.rules)}


def _clock(app: App, body: Any, query: Mapping[str, str]) -> Any:
    app.world.clock.advance(float(body.get("advance_seconds", 0)))
    return {"now": app.world.clock.iso()}


def _settings(app: App, body: Any, query: Mapping[str, str]) -> Any:
    """Change settings of the world; see sandbox/world.py for their names."""
    unknown = set(body) - set(DEFAULTS)
    if unknown:
        raise ValueError(f"unknown settings {sorted(unknown)}; known: {sorted(DEFAULTS)}")
    app.world.settings |= body
    return app.world.settings


def _users(app: App, body: Any, query: Mapping[str, str]) -> Any:
    """Add a user; the answer holds the service key to act as that user."""
    return add_user(app.world, body["email"], org_id=body.get("org_id", 1), admin=bool(body.get("org_admin")))


def _list_users(app: App, body: Any, query: Mapping[str, str]) -> Any:
    return {"users": app.world.store.all("users")}


def _edit(app: App, body: Any, query: Mapping[str, str]) -> Any:
    """Change stored fields of a document from outside the API, e.g. make a credential bad."""
    doc = app.world.store.get(body["kind"], body["id"])
    if doc is None:
        raise ValueError("no such document")
    return app.world.store.put(body["kind"], doc | body["set"])


def _bulk(app: App, body: Any, query: Mapping[str, str]) -> Any:
    """Make many sources at once, named by ``name`` with ``{n}`` from 1."""
    user = app.world.store.all("users")[0]
    request = Request(app.world, "POST", "/data_sources", {}, {}, {}, {}, "", user)
    for number in range(1, int(body["count"]) + 1):
        name = body.get("name", "bulk-{n}").replace("{n}", str(number))
        doc = sources.new_source(request, {"name": name, "source_type": "s3", "tags": body.get("tags", [])})
        doc["status"] = body.get("status", doc["status"])
    return {"made": body["count"]}


def _history(app: App, body: Any, query: Mapping[str, str]) -> Any:
    """Plant what earlier runs left: ``{"kind", "id", "runs": [{"ago", "run_id", "records", "errors", "logs"}]}``.

    ``ago`` is in seconds; ``run_id`` instead joins a run that another resource has. ``logs`` is a number of log lines,
    or a list of texts.
    """
    world = app.world
    doc = world.store.get(body["kind"], body["id"])
    if doc is None:
        raise ValueError("no such document")
    label = {"sources": "SOURCE", "nexsets": "DATASET", "sinks": "SINK"}[body["kind"]]
    return {"runs": [add_past_run(world, doc, label, **run) for run in body["runs"]]}


def _idle(app: App, body: Any, query: Mapping[str, str]) -> Any:
    return {"idle": not app.world.engine.busy()}


COMMANDS: dict[tuple[str, str], Any] = {
    ("POST", "reset"): _reset,
    ("GET", "snapshot"): _snapshot,
    ("GET", "journal"): _journal,
    ("DELETE", "journal"): _clear_journal,
    ("POST", "faults"): _faults,
    ("POST", "clock"): _clock,
    ("POST", "settings"): _settings,
    ("POST", "users"): _users,
    ("GET", "users"): _list_users,
    ("POST", "edit"): _edit,
    ("POST", "bulk"): _bulk,
    ("POST", "history"): _history,
    ("GET", "idle"): _idle,
}
