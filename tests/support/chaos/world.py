"""The sandbox beside the gateway: its clock, what is true on it, and the other people who work there."""

from __future__ import annotations

import dataclasses
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from support import Sandbox
from support.access import BOB
from support.clocks import VirtualClock

REAL_TIME = time.time
MARK = "nexla-operator/"
Key = tuple[str, int]  # kind and id
PATHS = {"sources": "/data_sources", "nexsets": "/data_sets", "sinks": "/data_sinks", "code": "/transforms"}
WATCHED = {
    "sources": ("name", "description", "status", "source_config", "data_credentials_id", "rules"),
    "nexsets": ("name", "description", "status", "parent_data_set_id", "transform", "rules"),
    "sinks": ("name", "description", "status", "sink_config", "data_set_id", "data_credentials_id", "rules"),
    "code": ("name", "description", "code", "rules"),
    "credentials": ("name", "description", "rules"),
}


class VirtualDatetime(datetime):
    """``datetime`` whose present is that of ``time.time``, which a play replaces."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.fromtimestamp(time.time(), tz)


class World:
    """What the gateway and the judge do with the sandbox, past the faults."""

    def __init__(self, sandbox: Sandbox, clock: VirtualClock) -> None:
        self.sandbox, self.clock = sandbox, clock
        self._synced = clock.now()
        self._parts: set[Key] = set()
        bob = next(u for u in sandbox.control("GET", "users")["users"] if u["email"] == BOB)
        sandbox.control("POST", "edit", {"kind": "users", "id": bob["id"], "set": {"org_admin": True}})
        self.bob = dataclasses.replace(sandbox, key=bob["service_key"], _token="")
        credential = {"name": "bob's", "credentials_type": "postgres", "credentials": {}}
        self.credential = int(self.bob.api("POST", "/data_credentials", credential)[1]["id"])

    def wall(self) -> float:
        """Epoch seconds: the machine's, and what has passed on the virtual clock."""
        return REAL_TIME() + self.clock.now()

    def install(self, patch: pytest.MonkeyPatch, modules: dict[str, Any]) -> None:
        """The scripts' wall clock is ``wall``."""
        patch.setattr(time, "time", self.wall)
        for name, module in modules.items():
            if name.startswith(("helpers.", "retry_helpers")) and getattr(module, "datetime", None) is datetime:
                patch.setattr(module, "datetime", VirtualDatetime)

    def sync(self, at: float | None = None) -> None:
        """Let the sandbox's clock go on to the virtual time, or to ``at`` on it."""
        ahead = (self.clock.now() if at is None else at) - self._synced
        if ahead > 0:
            self.sandbox.control("POST", "clock", {"advance_seconds": ahead})
            self._synced += ahead

    def idle(self) -> None:
        self.sandbox.idle()

    def fetch(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """All rows of a list as the owner sees them."""
        status, rows = _again(self.sandbox, "GET", path + (f"?{urlencode(query)}" if query else ""))
        assert status == 200, (path, query, status, rows)
        return list(rows)

    def ask(self, method: str, path: str, body: Any = None, *, as_owner: bool) -> tuple[int, Any]:
        """A request of another person."""
        return _again(self.sandbox if as_owner else self.bob, method, path, body)

    @property
    def parts(self) -> set[Key]:
        """Detected nexsets, and code that belongs to one nexset, so far: they go with what they are part of."""
        return self._parts

    def state(self) -> dict[Key, dict[str, Any]]:
        """What there is, as far as anybody cares: no times, no runs, no marks."""
        snapshot = self.sandbox.snapshot()
        code = {row["id"]: row.get("code") for row in snapshot.get("code", [])}
        for nexset in snapshot.get("nexsets", []):
            nexset["transform"] = code.get(nexset.get("code_container_id"))
        self._parts |= {("nexsets", int(r["id"])) for r in snapshot.get("nexsets", []) if r.get("data_source_id")}
        self._parts |= {("code", int(r["id"])) for r in snapshot.get("code", []) if not r.get("reusable")}
        found = {}
        for kind, keys in WATCHED.items():
            for row in snapshot.get(kind, []):
                values = {key: row.get(key) or None for key in keys}
                values["rules"] = _rules(row.get("rules") or [])
                values["tags"] = sorted(tag for tag in row.get("tags") or [] if not tag.startswith(MARK))
                found[kind, int(row["id"])] = values
        return found


def _rules(rules: list[dict[str, Any]]) -> dict[str, str]:
    """Roles by accessor."""
    found: dict[str, list[str]] = {}
    for rule in rules:
        found.setdefault(f"{rule['type']}:{rule['id']}", []).append(rule["role"])
    return {who: ",".join(sorted(roles)) for who, roles in sorted(found.items())}


def _again(sandbox: Sandbox, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A request, with a new token when the old one has expired."""
    status, answer = sandbox.api(method, path, body)
    if status == 401:
        sandbox._token = ""
        status, answer = sandbox.api(method, path, body)
    return status, answer
