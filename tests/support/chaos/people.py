"""Another person's acts between two requests of a command, and what must be left of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.chaos.proxy import Event, Gateway
from support.chaos.schedules import Edit
from support.chaos.world import PATHS, Key, World

CONFIGS = {"sources": "source_config", "sinks": "sink_config"}
NOTE = ("note_by_bob", "keep me")
ATTACHED = "a destination of somebody else"


@dataclass
class Touched:
    """What another person did to a row: when (the index in the log), and the values that they gave it."""

    index: int
    run: int
    what: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass
class Person:
    """Acts on the rows of the change, and keeps a list of what was done.

    Attributes:
        targets: the rows that the change is about, as they are now.
        strangers: rows that the person made, which are nobody else's, and when (the index in the log).
        made: what those rows were then.
    """

    world: World
    targets: Callable[[], list[Key]]
    gateway: Gateway | None = None
    touched: list[tuple[Key, Touched]] = field(default_factory=list)
    strangers: dict[Key, int] = field(default_factory=dict)
    made: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def act(self, edit: Edit) -> str:
        """Carry out an edit, if there is something to edit."""
        assert self.gateway
        event = Event(len(self.gateway.log), self.world.clock.now(), self.gateway.run, "other", "", edit.what)
        self.gateway.log.append(event)
        targets = [key for key in self.targets() if key in self.world.state()]
        target = targets[edit.pick % len(targets)] if targets else None
        event.note = (
            getattr(self, f"_{edit.what.replace(' ', '_')}")(edit, target, event.index) or "nothing to do it to"
        )
        return event.note

    def _ask(self, edit: Edit, method: str, path: str, body: Any = None) -> tuple[bool, Any]:
        status, answer = self.world.ask(method, path, body, as_owner=edit.as_owner)
        return status < 300, answer

    def _put(self, edit: Edit, key: Key | None, index: int, body: dict[str, Any], watched: dict[str, Any]) -> str:
        if key is None or not self._ask(edit, "PUT", f"{PATHS[key[0]]}/{key[1]}", body)[0]:
            return ""
        self._note(key, index, edit.what, watched)
        return f"{key[0]} {key[1]} gets {body}"

    def _note(self, key: Key, index: int, what: str, values: dict[str, Any]) -> None:
        assert self.gateway
        self.touched.append((key, Touched(index, self.gateway.run, what, values)))

    def _rename(self, edit: Edit, key: Key | None, index: int) -> str:
        values = {"name": f"renamed by bob {edit.pick}"}
        return self._put(edit, key, index, values, values)

    def _describe(self, edit: Edit, key: Key | None, index: int) -> str:
        values = {"description": f"described by bob {edit.pick}"}
        return self._put(edit, key, index, values, values)

    def _add_a_config_key(self, edit: Edit, key: Key | None, index: int) -> str:
        key = next((k for k in self.targets() if k[0] == "sinks" and k in self.world.state()), None)
        if key is None:
            return ""
        config = self.world.state()[key][CONFIGS[key[0]]] or {}
        body = {CONFIGS[key[0]]: {**config, NOTE[0]: NOTE[1]}}
        return self._put(edit, key, index, body, {f"{CONFIGS[key[0]]}.{NOTE[0]}": NOTE[1]})

    def _activate(self, edit: Edit, key: Key | None, index: int) -> str:
        return self._set_status(edit, key, index, "activate", "ACTIVE")

    def _pause(self, edit: Edit, key: Key | None, index: int) -> str:
        return self._set_status(edit, key, index, "pause", "PAUSED")

    def _set_status(self, edit: Edit, key: Key | None, index: int, verb: str, status: str) -> str:
        if key is None or key[0] == "code" or self.world.state()[key]["status"] == status:
            return ""
        if not self._ask(edit, "PUT", f"{PATHS[key[0]]}/{key[1]}/{verb}")[0]:
            return ""
        self._note(key, index, edit.what, {"status": status})
        return f"{key[0]} {key[1]} is {status}"

    def _delete(self, edit: Edit, key: Key | None, index: int) -> str:
        if key is None:
            return ""
        before = self.world.state()
        if key[0] != "code":
            self._ask(edit, "PUT", f"{PATHS[key[0]]}/{key[1]}/pause")
        done, _ = self._ask(edit, "DELETE", f"{PATHS[key[0]]}/{key[1]}")
        gone = set(before) - set(self.world.state())  # what hung on it is gone with it
        for each in gone | {key}:
            self._note(each, index, edit.what, {})
            self.made.pop(each, None)
        return f"{key[0]} {key[1]} is {'deleted' if done else 'paused, it cannot be deleted'}"

    def _make_a_namesake(self, edit: Edit, key: Key | None, index: int) -> str:
        if key is None:
            return ""
        row = self.world.state()[key]
        bodies: dict[str, dict[str, Any]] = {
            "sources": {"source_type": "s3", "source_config": {"path": "somewhere/else"}},
            "nexsets": {"parent_data_set_id": row.get("parent_data_set_id"), "has_custom_transform": False},
            "sinks": {"sink_type": "postgres", "sink_config": {"table": "theirs", "database": "dw"},
                      "data_credentials_id": self.world.credential, "data_set_id": row.get("data_set_id")},
            "code": {"reusable": True, "output_type": "record", "code_type": "jolt_standard", "code_encoding": "none",
                     "code": [{"operation": "remove", "spec": {"theirs": ""}}]},
        }  # fmt: skip
        if key[0] == "nexsets" and row["parent_data_set_id"] is None:
            return ""
        return self._make(edit, key[0], {"name": row["name"], **bodies[key[0]]}, index)

    def _attach_to_our_nexset(self, edit: Edit, key: Key | None, index: int) -> str:
        nexsets = [k for k in self.targets() if k[0] == "nexsets" and k in self.world.state()]
        if not nexsets:
            return ""
        body = {"name": ATTACHED, "sink_type": "postgres", "data_set_id": nexsets[edit.pick % len(nexsets)][1],
                "data_credentials_id": self.world.credential,
                "sink_config": {"table": "theirs", "database": "dw"}}  # fmt: skip
        return self._make(edit, "sinks", body, index)

    def _make(self, edit: Edit, kind: str, body: dict[str, Any], index: int) -> str:
        done, answer = self._ask(edit, "POST", PATHS[kind], body)
        if not done:
            return ""
        self.strangers[kind, int(answer["id"])] = index
        self.made[kind, int(answer["id"])] = self.world.state()[kind, int(answer["id"])]
        return f"{kind} {answer['id']} is made, named {body['name']!r}"

    def _share(self, edit: Edit, key: Key | None, index: int) -> str:
        """Give a person access to a row by hand."""
        if key is None:
            return ""
        rule = {"type": "USER", "id": 5003, "access_roles": ["collaborator"]}
        if not self._ask(edit, "PUT", f"{PATHS[key[0]]}/{key[1]}/accessors", {"accessors": [rule]})[0]:
            return ""
        self._note(key, index, edit.what, {"rules.USER:5003": "collaborator"})
        return f"{key[0]} {key[1]} is shared with user 5003"
