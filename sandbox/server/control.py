"""/__sandbox/…: how tests and rehearsals steer the sandbox. A real Nexla has none of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.engine.records import add_past_run
from sandbox.resources import sources
from sandbox.server.faults import Fault, Faults
from sandbox.server.routing import ApiError, Request, Response
from sandbox.state.seed import add_user
from sandbox.state.store import Doc
from sandbox.state.world import DEFAULTS, OutsideDataFolderError, World

LABELS = {"sources": "SOURCE", "nexsets": "DATASET", "sinks": "SINK"}
CHANGING_KINDS = ("tokens", "audit")  # they change with every request, so a snapshot leaves them out


@dataclass
class Control:
    """The control interface of one sandbox."""

    world: World
    faults: Faults
    journal: list[dict[str, Any]]

    def handle(self, method: str, command: str, query: Mapping[str, str], raw: bytes) -> Response:
        """Handle one control request. An unknown one gets 404 with the list of those that exist."""
        run = COMMANDS.get((method, command))
        if run is None:
            known = ", ".join(f"{m} {name}" for m, name in COMMANDS)
            return Response({"message": f"known: {known}"}, status=404)
        try:
            body = json.loads(raw) if raw else {}
            with self.world.lock:
                result = run(self, body, query)
                self.world.store.commit()
            return Response(result)
        except (ApiError, OutsideDataFolderError, ValueError, KeyError, TypeError) as error:
            return Response({"message": f"{type(error).__name__}: {error}"}, status=400)


def _reset(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Return to a seed: ``{"seed": "demo" | "empty"}``, by default the one that the sandbox was started with."""
    name = body.get("seed") or control.world.initial_seed
    control.world.reset(control.world.seeds[name])
    control.faults.rules.clear()
    control.journal.clear()
    return {"ok": True, "seed": name}


def _snapshot(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Every stored document, for comparisons of before and after; as JSON, made while nobody changes them."""
    store = control.world.store
    kinds = {kind: store.all(kind) for kind in store.kinds() if kind not in CHANGING_KINDS}
    return json.dumps({kind: rows for kind, rows in kinds.items() if rows}).encode()


def _journal(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Every API request since the last reset, or since the ``since``-th."""
    return {"requests": control.journal[int(query.get("since", 0)) :]}


def _clear_journal(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    control.journal.clear()
    return {"ok": True}


def _faults(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Replace the fault rules by a list of rules, or by one; see ``Fault`` for their fields."""
    rules = body if isinstance(body, list) else [body]
    control.faults.rules = [Fault(**rule) for rule in rules if rule]
    return {"rules": len(control.faults.rules)}


def _clock(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Move the clock forward: ``{"advance_seconds": 3600}``."""
    control.world.clock.advance(float(body.get("advance_seconds", 0)))
    return {"now": control.world.clock.iso()}


def _settings(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Change settings; ``DEFAULTS`` in sandbox/state/world.py names and explains them."""
    unknown = set(body) - set(DEFAULTS)
    if unknown:
        raise ValueError(f"unknown settings {sorted(unknown)}; known: {sorted(DEFAULTS)}")
    control.world.settings |= body
    return control.world.settings


def _users(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Add a user: ``{"email", "org_id", "org_admin"}``. The response has the service key to act as that user."""
    return add_user(control.world, body["email"], org_id=body.get("org_id", 1), admin=bool(body.get("org_admin")))


def _list_users(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    return {"users": control.world.store.all("users")}


def _edit(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Change a stored document without the API: ``{"kind", "id", "set": {…}}``, e.g. to make a credential bad."""
    return control.world.store.put(body["kind"], _document(control, body) | body["set"])


def _document(control: Control, body: Any) -> Doc:
    doc = control.world.store.get(body["kind"], body["id"])
    if doc is None:
        raise ValueError("no such document")
    return doc


def _bulk(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Create ``count`` sources with the given ``status`` and ``tags``; ``{n}`` in ``name`` counts from 1."""
    user = control.world.store.all("users")[0]
    request = Request(control.world, "POST", "/data_sources", {}, {}, user=user)
    for n in range(1, int(body["count"]) + 1):
        name = body.get("name", "bulk-{n}").replace("{n}", str(n))
        doc = sources.new_source(request, {"name": name, "source_type": "s3", "tags": body.get("tags", [])})
        doc["status"] = body.get("status", doc["status"])
    return {"made": body["count"]}


def _history(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Add past runs: ``{"kind", "id", "runs": [{"ago", "run_id", "records", "errors", "logs"}]}``.

    ``ago`` is in seconds; ``run_id`` instead joins a run that another resource has. ``logs`` is the number of log
    lines, or their texts.
    """
    doc, label = _document(control, body), LABELS[body["kind"]]
    return {"runs": [add_past_run(control.world, doc, label, **run) for run in body["runs"]]}


def _idle(control: Control, body: Any, query: Mapping[str, str]) -> Any:
    """Whether the engine has nothing to do."""
    return {"idle": not control.world.engine.busy()}


COMMANDS: dict[tuple[str, str], Callable[[Control, Any, Mapping[str, str]], Any]] = {
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
