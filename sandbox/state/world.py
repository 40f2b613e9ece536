"""The sandbox's world: documents, clock, data folder and settings, and the rules of who may do what."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from sandbox.state.clock import Clock
from sandbox.state.engine_port import EnginePort
from sandbox.state.logs import Logs
from sandbox.state.store import Doc, Snapshot, Store

DEFAULTS: dict[str, Any] = {
    "token_seconds": 3600,  # the lifetime of a session token, as in the public guide
    "discovery_seconds": 0.2,  # from the start of a run until its data is read
    "max_per_page": 0,  # 0: no cap, as on the main lists; some endpoints of the real API cap at 50
    "delete_matches_role": False,  # DELETE of an accessor removes only the given roles; not known of the real API [?]
    "put_changes_end": True,  # PUT changes the end of an existing access rule; not known of the real API [?]
    "limits": None,  # e.g. {"light": 12}, requests per user and second; None: rate limiting is off
}
ROLES = ["collaborator", "operator", "admin", "owner"]  # weakest first
RANK = ["sharer", *ROLES]


class OutsideDataFolderError(Exception):
    """A path leads out of the data folder."""


def is_at_least(role: str | None, needed: str) -> bool:
    """Whether a role (None is no role at all) is as strong as the needed one."""
    return role is not None and RANK.index(role) >= RANK.index(needed)


class World:
    """Everything that one running sandbox knows. The engine and the request handlers share it under its ``lock``."""

    engine: EnginePort  # set by whoever builds the world

    def __init__(self, data: Path) -> None:
        self.data = data
        data.mkdir(parents=True, exist_ok=True)
        self.store = Store(data / "state.sqlite")
        self.logs = Logs(self.store)
        self.clock = Clock()
        self.lock = threading.RLock()
        self.settings = dict(DEFAULTS)
        self.url = ""
        self.generation = 0  # counts resets
        self.seeds: dict[str, Snapshot] = {}
        self.initial_seed = ""

    def folder(self, *parts: str) -> Path:
        """A folder below the data folder, created when it is missing.

        Raises:
            OutsideDataFolderError: the path leads out of the data folder.
        """
        path = self.data.joinpath(*parts).resolve()
        if not path.is_relative_to(self.data.resolve()):
            raise OutsideDataFolderError("path leaves the sandbox")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def reset(self, snapshot: Snapshot) -> None:
        """Return to a snapshot; whatever runs in the background is dropped."""
        self.generation += 1
        self.settings = dict(DEFAULTS)
        self.clock.reset()
        self.engine.forget()
        self.store.restore(snapshot)
        kept = {row.get("file") for seed in self.seeds.values() for rows in seed.values() for row in rows.values()}
        for name in ("batches", "quarantine"):
            for file in (self.data / name).resolve().rglob("*"):
                if file.is_file() and str(file) not in kept:
                    file.unlink(missing_ok=True)

    def brief_user(self, user_id: int) -> Doc:
        """A user as it appears inside other resources; a deleted one gets a substitute."""
        user = self.store.get("users", user_id) or {"id": user_id, "full_name": "gone", "email": "gone@example.com"}
        return {key: user.get(key) for key in ("id", "full_name", "email", "email_verified_at")}

    def brief_org(self, org_id: int | None) -> Doc | None:
        """An org as it appears inside other resources; None when there is none."""
        org = self.store.get("orgs", org_id)
        if org is None:
            return None
        return {"id": org["id"], "name": org["name"], "email_domain": org["email_domain"], "client_identifier": None}

    def role(self, user: Doc, doc: Doc) -> str | None:
        """The strongest role that a user has on a resource; None when the user may not see it."""
        if doc.get("owner_id") == user["id"]:
            return "owner"
        given = {rule["role"] for rule in doc.get("rules", []) if self._applies(user, rule)}
        if user.get("org_admin") and doc.get("org_id") == user.get("org_id"):
            given.add("admin")
        return max(given, key=RANK.index, default=None)

    def flow_role(self, user: Doc, origin: Doc) -> str | None:
        """The strongest role that a user has on a flow, by the flow's own rules or by those of its source."""
        by_source, by_flow = self.role(user, origin), self.role(user, {**origin, "rules": origin.get("flow_rules", [])})
        return max((role for role in (by_source, by_flow) if role), key=RANK.index, default=None)

    def _applies(self, user: Doc, rule: Doc) -> bool:
        """Whether an access rule names this user, a team or the org of this user; an expired rule applies to nobody."""
        if rule.get("expires") and rule["expires"] <= self.clock.iso():
            return False
        if rule["type"] == "USER":
            return bool(rule["id"] == user["id"])
        if rule["type"] == "ORG":
            return bool(rule["id"] == user["org_id"])
        team = self.store.get("teams", rule["id"])
        return bool(team and user["id"] in team["members"])

    def runtime_status(self, kind: str, doc: Doc) -> str:
        """PROCESSING while a source is being read, or while a destination cannot deliver what waits for it."""
        busy = kind == "sources" and self.engine.is_reading(doc["id"])
        return "PROCESSING" if busy else str(doc.get("runtime_status", "IDLE"))

    def stamp(self, doc: Doc, *, new: bool = False) -> Doc:
        """Set ``updated_at`` (and ``created_at`` of a new document) to now, and return the document."""
        now = self.clock.iso()
        if new:
            doc.setdefault("created_at", now)
        doc["updated_at"] = now
        return doc
