"""The commands that are played: what there is before them, and what there must be when they say that all is well."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import support
from support import Sandbox
from support.access import user
from support.chaos.lists import nfc
from support.chaos.schedules import Traits
from support.chaos.world import PATHS, Key
from support.fault_schedules import edited
from support.transforming import plant_people

State = dict[Key, dict[str, Any]]
Missing = list[tuple[Key | None, str]]  # what is not as it should be, and the row that it is about
ON, OFF = "ACTIVE", "PAUSED"
ACCENT = "é"  # of two characters, as some keyboards and file systems give it
DROP_SSN = [{"operation": "remove", "spec": {"ssn": ""}}]
DROP_EMAIL = [{"operation": "remove", "spec": {"email": ""}}]
ROWS = 20


@dataclass
class Scenario:
    """A command in its place.

    Attributes:
        rows: the rows that it is about; those that it creates come to them.
        complete: what is missing for "all is well"; rows that the command created are given to it as well.
        deletes: the rows that it is there to delete.
        replaces: it is there to take away what others have given.
        lets_rest: it leaves alone what another person has paused.
    """

    script: str
    args: list[str]
    complete: Callable[[State], Missing]
    rows: list[Key] = field(default_factory=list)
    deletes: set[Key] = field(default_factory=set)
    replaces: bool = False
    lets_rest: bool = False


FLOW_EDITS = ("rename", "describe", "add a config key", "activate", "pause", "delete", "make a namesake",
              "attach to our nexset")  # fmt: skip
STATUS_EDITS = ("describe", "rename", "activate", "pause", "add a config key", "attach to our nexset")
CODE_EDITS = ("rename", "describe", "delete", "make a namesake")
ATTACH_EDITS = (*CODE_EDITS, "attach to our nexset", "activate")
EDITS = {
    "deploy": FLOW_EDITS, "redeploy": FLOW_EDITS, "teardown": FLOW_EDITS,
    "pause": STATUS_EDITS, "activate": STATUS_EDITS, "restart": STATUS_EDITS,
    "create": CODE_EDITS, "update": CODE_EDITS, "remove": CODE_EDITS, "attach": ATTACH_EDITS, "detach": ATTACH_EDITS,
    "grant": ("share", "describe"), "revoke": ("share", "describe"), "replace": ("share", "describe"),
}  # fmt: skip
COMMANDS = tuple(EDITS)
REACH = {
    "deploy": (24, 3, 6, 3), "redeploy": (16, 0, 8, 0), "teardown": (14, 0, 3, 3),
    "pause": (12, 0, 5, 0), "activate": (13, 0, 6, 0), "restart": (20, 0, 9, 0),
    "create": (5, 1, 0, 1), "update": (6, 0, 2, 0), "remove": (4, 0, 0, 1), "attach": (14, 2, 1, 2),
    "detach": (6, 0, 2, 0), "grant": (12, 0, 3, 3), "revoke": (14, 0, 3, 3), "replace": (16, 0, 3, 3),
}  # fmt: skip


def prepare(command: str, sandbox: Sandbox, folder: Path, traits: Traits) -> Scenario:
    """Put the sandbox into the state in which a command begins."""
    if command in ("deploy", "redeploy", "teardown", "pause", "activate", "restart"):
        return _flow(command, sandbox, folder, traits)
    if command in ("grant", "revoke", "replace"):
        return _access(command, sandbox)
    return _transforms(command, sandbox, folder, traits)


def _flow(command: str, sandbox: Sandbox, folder: Path, traits: Traits) -> Scenario:
    config = support.plant_orders(sandbox, ROWS)
    if traits.nfc:
        for row in (config["source"], config["nexsets"][0], config["destination"]):
            row["name"] += f" caf{ACCENT}"
    _decoys(sandbox, config)
    path = support.write_config(folder, config)
    words = ["--config", path, "--verify-timeout", "120"]
    if command == "deploy":
        return Scenario("deploy_flow.py", words, lambda state: _deployed(state, config))
    stored = {**config, **{key: _nfc_names(config[key]) for key in ("source", "nexsets", "destination")}}
    setup = support.write_config(folder, stored if traits.nfc else config, "setup.json")
    sandbox.run_inside("deploy_flow.py", "--config", setup, "--verify-timeout", "120", "--quiet").ok()
    members = _members(sandbox, config)
    if command == "redeploy":
        changed = edited(config)
        del changed["source"]["description"]  # what the config does not name belongs to whoever wrote it
        support.write_config(folder, changed)
        return Scenario("deploy_flow.py", words, lambda state: _deployed(state, changed), members)
    if command == "teardown":
        words = ["--config", path, "--teardown", "--yes"]
        gone = set(members)
        return Scenario("deploy_flow.py", words, lambda state: [(key, f"{key} is still there") for key in gone
                        if key in state], members, gone)  # fmt: skip
    return _operated(command, sandbox, members)


def _operated(command: str, sandbox: Sandbox, members: list[Key]) -> Scenario:
    source = next(number for kind, number in members if kind == "sources")
    flow = sandbox.api("GET", f"/data_sources/{source}/flow")[1]["flows"][0]["id"]
    if command == "activate":
        for kind, number in members:
            sandbox.api("PUT", f"{PATHS[kind]}/{number}/pause")
    words = ["--operation", command, "--resource-type", "flows", "--resource-id", str(flow), "--scope", "flow"]
    wanted = OFF if command == "pause" else ON
    ends = [key for key in members if command != "pause" or key[0] != "nexsets"]

    def complete(state: State) -> Missing:
        there = [key for key in ends if key in state]
        return [(key, f"{key} is {state[key]['status']}, not {wanted}") for key in there
                if state[key]["status"] != wanted]  # fmt: skip

    return Scenario("operate_flow.py", words, complete, members, lets_rest=command == "restart")


def _nfc_names(value: Any) -> Any:
    if isinstance(value, list):
        return [_nfc_names(item) for item in value]
    return {**value, "name": nfc(value["name"])}


def _decoys(sandbox: Sandbox, config: dict[str, Any]) -> None:
    """Another flow, whose rows' names hold the names of the config, so that lists have several pages."""
    for suffix in (" old", " copy", " 2"):
        source = {**config["source"], "name": nfc(config["source"]["name"]) + suffix}
        _, made = sandbox.api("POST", "/data_sources", {**source, "data_credentials_id": config["credential_id"]})
    sandbox.api("PUT", f"/data_sources/{made['id']}/activate")
    sandbox.idle()
    nexset = sandbox.api("GET", f"/data_sources/{made['id']}")[1]["data_sets"][0]["id"]
    for suffix in (" old", " copy", " 2"):
        sink = {**config["destination"], "name": nfc(config["destination"]["name"]) + suffix, "data_set_id": nexset}
        sandbox.api("POST", "/data_sinks", sink)


def _members(sandbox: Sandbox, config: dict[str, Any]) -> list[Key]:
    """The rows of the deployed flow: source, detected nexset, derived nexset, destination."""
    snapshot = sandbox.snapshot()
    source = next(row for row in snapshot["sources"] if row["name"] == nfc(config["source"]["name"]))
    node = source["origin_node_id"]
    rows = [(kind, row) for kind in ("sources", "nexsets", "sinks") for row in snapshot[kind]]
    named = {nfc(config["nexsets"][0]["name"]), nfc(config["destination"]["name"])}
    nexsets = {row["id"] for kind, row in rows if kind == "nexsets" and row.get("data_source_id") == source["id"]}
    derived = {row["id"] for kind, row in rows if kind == "nexsets" and row.get("parent_data_set_id") in nexsets}
    sinks = {row["id"] for kind, row in rows if kind == "sinks" and row.get("data_set_id") in derived}
    assert named and node, "the flow has an origin and names"
    return [("sources", source["id"]), *(("nexsets", n) for n in sorted(nexsets | derived)),
            *(("sinks", n) for n in sorted(sinks))]  # fmt: skip


def _deployed(state: State, config: dict[str, Any]) -> Missing:
    """What a deployed flow lacks: each of its rows once, ACTIVE, as the config has it."""
    derived, sink = config["nexsets"][0], config["destination"]
    sources = _like(state, "sources", config["source"]["name"], source_config=config["source"]["source_config"])
    nexsets = _like(state, "nexsets", derived["name"], transform=derived["transform"])
    sinks = [key for key in _like(state, "sinks", sink["name"], sink_config=sink["sink_config"])
             if ("nexsets", state[key]["data_set_id"]) in nexsets]  # fmt: skip
    missing: Missing = []
    for what, found in (("source", sources), ("nexset", nexsets), ("destination", sinks)):
        if not found:
            missing.append((None, f"there is no {what} as the config has it"))
        missing += [(key, f"{what} {key[1]} is {state[key]['status']}") for key in found if state[key]["status"] != ON]
    return missing


def _like(state: State, kind: str, name: str, **values: Any) -> list[Key]:
    """The rows of a kind that hold what was asked for, whatever else they hold. A row may have been renamed."""

    def holds(found: Any, wanted: Any) -> bool:
        if isinstance(wanted, dict) and isinstance(found, dict):
            return all(holds(found.get(key), value) for key, value in wanted.items())
        return bool(found == wanted)

    fits = [key for key, row in state.items() if key[0] == kind and all(holds(row[k], v) for k, v in values.items())]
    named = [key for key in fits if nfc(state[key]["name"]) == nfc(name)]
    return named or [key for key in fits if "renamed by bob" in str(state[key]["name"])]


def _transforms(command: str, sandbox: Sandbox, folder: Path, traits: Traits) -> Scenario:
    name = f"mask caf{ACCENT}" if traits.nfc else "mask"
    people = plant_people(sandbox)
    file = folder / "spec.json"
    file.write_text(json.dumps(DROP_SSN))
    body = {"name": nfc(name), "reusable": True, "output_type": "record", "code_type": "jolt_standard",
            "code_encoding": "none", "code": DROP_EMAIL}  # fmt: skip
    for suffix in (" old", " copy"):
        sandbox.api("POST", "/transforms", {**body, "name": body["name"] + suffix})
    words = ["--operation", "delete" if command == "remove" else command]
    if command == "create":
        return Scenario("manage_transforms.py", [*words, "--file", str(file), "--name", name],
                        lambda state: _stored(state, name))  # fmt: skip
    demands = ["--must-not-contain", "ssn", "--must-keep", "customer_id", "--proof-timeout", "5"]
    if command == "attach":
        words += ["--file", str(file), "--name", name, "--parent", str(people), "--nexset-name", f"{name} out"]
        return Scenario("manage_transforms.py", [*words, *demands], lambda state: _attached(state, name))
    number = int(sandbox.api("POST", "/transforms", copy.deepcopy(body))[1]["id"])
    code: Key = ("code", number)
    if command == "update":
        words += ["--id", str(number), "--file", str(file), "--yes"]
        return Scenario("manage_transforms.py", words, lambda state: _stored(state, name), [code])
    if command == "remove":
        return Scenario("manage_transforms.py", [*words, "--id", str(number), "--yes"], lambda state: [
            (code, "the transform is still there")] if code in state else [], [code], {code})  # fmt: skip
    child = {"name": f"{nfc(name)} out", "parent_data_set_id": people, "has_custom_transform": False,
             "transform_id": number}  # fmt: skip
    nexset: Key = ("nexsets", int(sandbox.api("POST", "/data_sets", child)[1]["id"]))
    return Scenario("manage_transforms.py", [*words, "--nexset", str(nexset[1])], lambda state: [
        (nexset, "its transform is still attached")] if state.get(nexset, {}).get("transform") else [],
        [nexset, code])  # fmt: skip


def _stored(state: State, name: str) -> Missing:
    found = _like(state, "code", name, code=DROP_SSN)
    return [] if found else [(None, f"there is no transform {name!r} with the code of the file")]


def _attached(state: State, name: str) -> Missing:
    missing = _stored(state, name)
    found = _like(state, "nexsets", f"{name} out", transform=DROP_SSN)
    return missing + ([] if found else [(None, "there is no nexset with the transform")])


def _access(command: str, sandbox: Sandbox) -> Scenario:
    sandbox.reset("empty")
    body = {"source_type": "s3", "source_config": {"path": "x/y"}}
    rows: list[Key] = []
    for name in ("one", "two", "three"):
        rows.append(("sources", int(sandbox.api("POST", "/data_sources", {"name": name, **body})[1]["id"])))
        rule = {"type": "TEAM", "id": 42, "access_roles": ["operator"]}
        if command != "grant":
            sandbox.api("PUT", f"/data_sources/{rows[-1][1]}/accessors", {"accessors": [rule]})
    ids = ",".join(str(number) for _, number in rows)
    words = ["--operation", command, "--resource-type", "sources", "--resource-ids", ids, "--yes"]
    team = "7" if command == "replace" else "42"
    words += ["--accessor-type", "TEAM", "--accessor-id", team]
    words += [] if command == "revoke" else ["--role", "operator"]
    assert user(sandbox, "chloe.dubois@example.com") == 5003, "whom another person gives access by hand"

    def complete(state: State) -> Missing:
        missing: Missing = []
        for key in rows:
            has = state[key]["rules"].get(f"TEAM:{team}")
            if (has is None) is not (command == "revoke"):
                missing.append((key, f"{key} has {state[key]['rules']}"))
            if command == "replace" and "TEAM:42" in state[key]["rules"]:
                missing.append((key, f"{key} still has {state[key]['rules']}"))
        return missing

    return Scenario("manage_access.py", words, complete, rows, replaces=command == "replace")
