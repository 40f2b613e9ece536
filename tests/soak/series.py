"""The series of a soak: each is one scenario, chosen in every detail by its seed."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

import support
from support import Exit, Sandbox
from support.access_machine import AccessMachine
from support.chaos.killing import check, undisturbed
from support.chaos.playing import play_seed
from support.chaos.scenarios import COMMANDS
from support.deploying import two_people_deploy
from support.fault_schedules import WANTED, one_schedule, schedule
from support.operating import statuses
from support.transforming import DEMANDS, GOOD, plant_people, script

KILL_RULE = {"path": "/(?!token).*"}
ON, OFF = "ACTIVE", "PAUSED"


@dataclass
class Tally:
    """What one series did to the commands: faults and schedules that it played, and processes that it killed."""

    faults: int = 0
    kills: int = 0
    schedules: int = 0  # of each command that writes

    def __iadd__(self, other: Tally) -> Tally:
        self.faults += other.faults
        self.kills += other.kills
        self.schedules += other.schedules
        return self


def deploy_under_faults(sandbox: Sandbox, folder: Path, number: int) -> Tally:
    """A deployment, or an update of one, under a random fault schedule; then a resume."""
    rules = schedule(number)
    one_schedule(sandbox, folder, support.plant_orders(sandbox), rules, update=number % 2 == 1)
    return Tally(faults=len(rules))


def deploy_killed(sandbox: Sandbox, folder: Path, number: int) -> Tally:
    """A deployment that is killed again and again, at random requests, until it gets to its end."""
    pick, tally = random.Random(number), Tally()
    config = support.write_config(folder, support.plant_orders(sandbox))
    more: list[str] = []
    for _ in range(pick.randint(1, 4)):
        at = {"nth": pick.randint(1, 30), "when": pick.choice(["before", "after"])}
        done = sandbox.run_killed("deploy_flow.py", "--config", config, *more, **KILL_RULE, **at)
        if done.code == Exit.OK:
            break
        done.is_killed(at)
        tally.kills += 1
        more = ["--resume"]
    sandbox.run_inside("deploy_flow.py", "--config", config, "--resume").ok()
    sandbox.idle()
    assert sandbox.resources() == WANTED, sandbox.resources()
    assert len(support.table(sandbox)) == 20, support.table(sandbox)
    return tally


def operate_killed(sandbox: Sandbox, folder: Path, number: int) -> Tally:
    """One of several operations, killed at a random request; resumed, it ends as if nothing had happened."""
    pick, tally = random.Random(number), Tally()
    sandbox.reset("demo")
    operation, end = pick.choice([("pause", OFF), ("activate", ON), ("restart", ON)])
    if operation == "activate":
        for kind in pick.sample(["data_sources", "data_sets", "data_sinks"], pick.randint(1, 3)):
            sandbox.api("PUT", f"/{kind}/123/pause")
    words = ["--operation", operation, "--resource-id", "1230"]
    at = {"nth": pick.randint(1, 20), "when": pick.choice(["before", "after"])}
    done = sandbox.run_killed("operate_flow.py", *words, **KILL_RULE, **at)
    if done.code != Exit.OK:
        done.is_killed(at)
        tally.kills += 1
        sandbox.run_inside("operate_flow.py", *words, "--resume").ok(at)
    assert set(statuses(sandbox).values()) == {end}, statuses(sandbox)
    return tally


def attach_killed(sandbox: Sandbox, folder: Path, number: int) -> Tally:
    """A transform that is attached, killed at a random request and resumed: one transform, one nexset, proven."""
    pick, tally = random.Random(number), Tally()
    parent = plant_people(sandbox)
    words = ["--operation", "attach", "--file", script(folder, GOOD), "--name", "mask", "--parent", str(parent)]
    words += ["--nexset-name", "masked", *DEMANDS]
    at = {"nth": pick.randint(1, 20), "when": pick.choice(["before", "after"])}
    done = sandbox.run_killed("manage_transforms.py", *words, **KILL_RULE, **at)
    if done.code != Exit.OK:
        done.is_killed(at)
        tally.kills += 1
        sandbox.run_inside("manage_transforms.py", *words, "--resume").ok(at)
    found = sandbox.resources()
    assert (found["code"], [n for n in found["nexsets"] if n == "masked"]) == (["mask"], ["masked"]), found
    return tally


def access_changes(sandbox: Sandbox, folder: Path, number: int) -> Tally:
    """Changes of access under faults and kills, beside a model of sets."""
    machine = type("AccessMachine", (AccessMachine,), {"sandbox": sandbox, "folder": folder})
    quick = settings(
        max_examples=5, stateful_step_count=8, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(seed(number)(machine), settings=quick)
    return Tally(faults=5)


READS = [
    ["list_resources.py", "--type", "sources", "--all"], ["list_resources.py", "--type", "flows", "--all"],
    ["nexla_quickstart.py"], ["operate_flow.py", "--operation", "status", "--resource-id", "1230"],
    ["operate_flow.py", "--operation", "metrics", "--resource-id", "1230"],
    ["health_check.py", "--all"], ["diagnose_flow.py", "--resource-id", "1230"],
    ["get_resource_logs.py", "--resource-type", "sources", "--resource-id", "123"],
    ["validate_nexset.py", "--nexset", "123", "--infer", "{folder}/schema.json"],
    ["manage_transforms.py", "--operation", "list"], ["audit_access.py", "--pipeline-of", "sources:123"],
]  # fmt: skip
PATHS = ["/flows.*", "/data_s.*", ".*/metrics.*", ".*/logs", ".*/samples.*", "/transforms.*", ".*accessors", ".*"]
VALUES: list[Any] = [None, True, 0, -1, 1.5, "", "x", "\u0000", "9" * 400, [], [None], [[]], {}, {"": None}, [{}] * 3]


def malformed_responses(sandbox: Sandbox, folder: Path, number: int) -> Tally:
    """Commands that read, while some responses are well-formed JSON that makes no sense: no defect, no traceback."""
    pick = random.Random(number)
    sandbox.reset("demo")
    words = [word.format(folder=folder) for word in pick.choice(READS)]
    path = pick.choice(PATHS)
    sandbox.clear_journal()
    sandbox.run_inside(*words)
    asked = [r for r in sandbox.journal() if r["method"] == "GET" and re.fullmatch(path, r["path"])]
    if not asked:
        return Tally()
    request = pick.choice(asked)
    query = "&".join(f"{key}={value}" for key, value in request["query"].items())
    _, body = sandbox.api("GET", request["path"] + (f"?{query}" if query else ""))
    rule = support.answers(mutated(pick, body), re.escape(request["path"]))
    sandbox.faults(rule)
    done = sandbox.run_inside(*words, "--timeout", "60", "--verbose")
    sandbox.faults()
    assert done.code in set(Exit), done.described("this is no exit code of the contract")
    assert "Traceback" not in done.err, done.described(f"a defect, at {request['path']}: {rule['body']!r}"[:2000])
    return Tally(faults=1)


def mutated(pick: random.Random, body: Any) -> Any:
    """A body with one to three values replaced, removed or doubled somewhere in its depth."""
    for _ in range(pick.randint(1, 3)):
        body = _mutated_once(pick, body)
    return body


def _mutated_once(pick: random.Random, value: Any) -> Any:
    if isinstance(value, dict) and value and pick.random() < 0.85:
        key = pick.choice(sorted(value))
        if pick.random() < 0.2:
            return {other: kept for other, kept in value.items() if other != key}
        return {**value, key: _mutated_once(pick, value[key])}
    if isinstance(value, list) and value and pick.random() < 0.85:
        at = pick.randrange(len(value))
        return [*value[:at], _mutated_once(pick, value[at]), *value[at + 1 :]]
    return pick.choice(VALUES)


def chaos(sandbox: Sandbox, folder: Path, number: int) -> Tally:
    """Every command that writes, each under a schedule of faults, habits and other people's edits."""
    tally, reports = Tally(schedules=1), list[str]()
    for command in COMMANDS:
        played = play_seed(sandbox, folder / command, number, command)
        tally.faults += len(played.schedule.troubles)
        if played.found:
            reports.append(played.report())
    assert not reports, "\n\n".join(reports)
    return tally


def killed_everywhere(sandbox: Sandbox, folder: Path, number: int) -> Tally:
    """One command that writes, killed at every request in turn, each time resumed on lists that lag."""
    command = COMMANDS[number // len(SERIES) % len(COMMANDS)]
    wanted, failed = undisturbed(sandbox, folder / "undisturbed", command), list[str]()
    tally = Tally()
    for kill in wanted.kills():
        try:
            tally.kills += check(sandbox, folder / "killed", command, kill, wanted)
        except AssertionError as error:
            failed.append(f"{command} {kill}\n{error}")
    assert not failed, "\n\n".join(failed)
    return tally


Series = Callable[[Sandbox, Path, int], Tally]


def two_people(sandbox: Sandbox, folder: Path, number: int) -> Tally:
    """Two people deploy one config at the same moment."""
    two_people_deploy(sandbox, folder, support.plant_orders(sandbox))
    return Tally()


OTHERS: tuple[Series, ...] = (
    deploy_under_faults, malformed_responses, operate_killed, access_changes, deploy_killed, malformed_responses,
    attach_killed, killed_everywhere, two_people,
)  # fmt: skip
# Three of four are chaos. Their number is a prime: of several processes with every nth seed, each comes to all of them.
SERIES: tuple[Series, ...] = (chaos, *itertools.chain(*((chaos, chaos, chaos, other) for other in OTHERS)))


def series_of(number: int) -> Series:
    """The series that a seed stands for."""
    return SERIES[number % len(SERIES)]
