"""The sandbox's world: state, clock, data folder and settings, and the rules of who may see what."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

from sandbox.state.clock import Clock
from sandbox.state.engine_port import EnginePort
from sandbox.state.store import Doc, Snapshot, Store

DEFAULTS: dict[str, Any] = {
    "token_seconds": 3600,  # the public guide's lifetime of a session token
    "discovery_seconds": 0.2,  # how long after a run starts its data is read
    "max_per_page": 0,  # 0: no cap, as on the main lists; some endpoints of the real API cap at 50
    "delete_matches_role": False,  # whether DELETE of an accessor looks at its roles; unknown of the real API
    "put_changes_end": True,  # whether PUT changes the end of an access rule that is there; unknown as well
    "limits": None,  # {"second": {...}, "day": {...}} once rate limiting is switched on
}
ROLES = ["collaborator", "operator", "admin", "owner"]
RANK = ["sharer", *ROLES]


class OutsideDataFolderError(Exception):
    """A path leads out of the data folder."""


def is_at_least(role: str | None, needed: str) -> bool:
    """Whether a role, or having none, is as strong as the needed one."""
    return role is not None and RANK.index(role) >= RANK.index(needed)


class World:
    """Everything that one running sandbox knows. ``lock`` guards it; the engine and the handlers share it."""

    engine: EnginePort  # set by whoever builds the world

    def __init__(self, data: Path) -> None:
        self.data = data
        data.mkdir(parents=True, exist_ok=True)
        self.store = Store(data / "state.sqlite")
        self.clock = Clock()
        self.lock = threading.RLock()
        self.settings = dict(DEFAULTS)
        self.url = ""
        self.generation = 0
        self.seeds: dict[str, Snapshot] = {}
        self.store_seed = "demo"

    def folder(self, *parts: str) -> Path:
        """A folder below the data directory, made when missing; a path that leaves it is refused."""
        path = self.data.joinpath(*parts).resolve()
        if not path.is_relative_to(self.data.resolve()):
            raise OutsideDataFolderError("path leaves the sandbox")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def reset(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot; what runs in the background is dropped."""
        self.generation += 1
        self.settings = dict(DEFAULTS)
        self.clock.reset()
        self.engine.forget()
        self.store.restore(snapshot)
        for name in ("batches", "quarantine"):
            shutil.rmtree(self.data / name, ignore_errors=True)

    def brief_user(self, number: int) -> Doc:
        user = self.store.get("users", number) or {"id": number, "full_name": "gone", "email": "gone@example.com"}
        return {key: user.get(key) for key in ("id", "full_name", "email", "email_verified_at")}

    def brief_org(self, number: int | None) -> Doc | None:
        org = self.store.get("orgs", number)
        if org is None:
            return None
        return {"id": org["id"], "name": org["name"], "email_domain": org["email_domain"], "client_identifier": None}

    def role(self, user: Doc, doc: Doc) -> str | None:
        """The strongest role that a user has on a resource; None when it may not see it."""
        if doc.get("owner_id") == user["id"]:
            return "owner"
        given = {rule["role"] for rule in doc.get("rules", []) if self._applies(user, rule)}
        if user.get("org_admin") and doc.get("org_id") == user.get("org_id"):
            given.add("admin")
        return max(given, key=RANK.index, default=None)

    def flow_role(self, user: Doc, origin: Doc) -> str | None:
        """The strongest role on a flow: by the flow's own rules, or by its source's."""
        by_source, by_flow = self.role(user, origin), self.role(user, {**origin, "rules": origin.get("flow_rules", [])})
        return max((role for role in (by_source, by_flow) if role), key=RANK.index, default=None)

    def _applies(self, user: Doc, rule: Doc) -> bool:
        """Whether an access rule is about this user, as one, in a team or in an org; an expired one is about nobody."""
        if rule.get("expires") and rule["expires"] <= self.clock.iso():
            return False
        if rule["type"] == "USER":
            return bool(rule["id"] == user["id"])
        if rule["type"] == "ORG":
            return bool(rule["id"] == user["org_id"])
        team = self.store.get("teams", rule["id"])
        return bool(team and user["id"] in team["members"])

    def runtime_status(self, kind: str, doc: Doc) -> str:
        """PROCESSING while a source is being read, or a destination cannot get rid of what waits for it."""
        busy = kind == "sources" and self.engine.is_reading(doc["id"])
        return "PROCESSING" if busy else str(doc.get("runtime_status", "IDLE"))

    def stamp(self, doc: Doc, *, new: bool = False) -> Doc:
        now = self.clock.iso()
        if new:
            doc.setdefault("created_at", now)
        doc["updated_at"] = now
        return doc
