"""Kill a command at one of its requests, and resume it on a server whose lists lag behind."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from support import Done, Exit, Sandbox
from support.chaos.playing import ALWAYS, resume_words
from support.chaos.proxy import CREATE, Gateway
from support.chaos.scenarios import Scenario, State, prepare
from support.chaos.schedules import LATE_CREATE_SECONDS, Schedule, Traits
from support.chaos.world import World
from support.clocks import VirtualClock

LAGGING = Traits(list_lag=7.0, delete_lag=3.0)
LATE = 8.0  # virtual seconds after the kill
KILLABLE = {"path": "/(?!token).*"}
SETTLED_BY_ANOTHER = (Exit.LEFT_BEHIND, Exit.UNKNOWN_OUTCOME)


@dataclass(frozen=True)
class Kill:
    """At which request, and when it takes effect: before, after the kill or not at all, or ``late``."""

    nth: int
    when: str

    def __str__(self) -> str:
        said = {"before": "before its effect", "after": "after its effect", "late": f"{LATE:g} s before its effect"}
        return f"killed at request {self.nth}, {said[self.when]}"


@dataclass
class Undisturbed:
    """A run that nothing happened to: how it left the server, and its requests as (method, path)."""

    state: list[str]
    requests: list[tuple[str, str]]

    def kills(self) -> list[Kill]:
        """Every kill that there is: before each request, after each write, and late creates."""
        found = []
        for nth, (method, path) in enumerate(self.requests, start=1):
            found.append(Kill(nth, "before"))
            found += [Kill(nth, "after")] if method != "GET" else []  # a read has no effect
            found += [Kill(nth, "late")] if method == "POST" and CREATE.fullmatch(path) else []
        return found


@contextmanager
def _prepared(sandbox: Sandbox, folder: Path, command: str) -> Iterator[tuple[Scenario, World, Gateway]]:
    """A command about to begin, on a server whose lists lag; what runs in this process has a virtual clock."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sandbox.state = folder / "state"
    clock = VirtualClock()
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        clock.meanwhile = sandbox.idle
        scenario = prepare(command, sandbox, folder, LAGGING)
        sandbox.idle()
        world = World(sandbox, clock)
        world.install(patch, sys.modules)
        sandbox.clear_journal()
        gateway = Gateway(Schedule(0, command, traits=LAGGING), clock, world, lambda edit: "")
        clock.meanwhile = gateway.pass_time
        patch.setattr(HTTPAdapter, "send", lambda adapter, request, *_, **more: gateway.send(adapter, request, **more))
        yield scenario, world, gateway


def undisturbed(sandbox: Sandbox, folder: Path, command: str) -> Undisturbed:
    """The command from its beginning to its end."""
    with _prepared(sandbox, folder, command) as (scenario, world, _):
        sandbox.run_killed(scenario.script, *scenario.args, *ALWAYS, path="/never").ok()
        requests = [(entry["method"], entry["path"]) for entry in sandbox.journal() if entry["path"] != "/token"]
        sandbox.idle()
        return Undisturbed(_comparable(world.state()), requests)


def check(sandbox: Sandbox, folder: Path, command: str, kill: Kill, wanted: Undisturbed) -> bool:
    """Kill a command, and follow the resume command to the state of an undisturbed run; whether it was killed."""
    with _prepared(sandbox, folder, command) as (scenario, world, gateway):
        at = {"nth": kill.nth, "when": "after" if kill.when == "after" else "before"}
        words = [*scenario.args, *ALWAYS]
        done = sandbox.run_killed(scenario.script, *words, later=0.0, **KILLABLE, **at)
        if done.code == Exit.OK:  # waiting takes more requests at one time than at another
            return False
        done.is_killed(kill)
        if kill.when == "late":
            entry = sandbox.journal()[-1]
            gateway.take_effect_later(entry["path"], entry["body"], LATE)
        ended = _resumed(sandbox, scenario, [*words, "--resume"], world.clock)
        world.clock.sleep(LATE)
        sandbox.idle()
        state = world.state()
        ended[-1].ok(kill)
        assert len(ended) == 1 or ended[0].code in SETTLED_BY_ANOTHER, ended[0].described("it may not end so", kill)
        missing = scenario.complete(state)
        found = _comparable(state)
        assert (missing, found) == ([], wanted.state), _difference(
            found, wanted.state, missing, ended[-1], kill, gateway
        )
        return True


def _resumed(sandbox: Sandbox, scenario: Scenario, words: list[str], clock: VirtualClock) -> list[Done]:
    """The resumed command; later once more, by the command that it prints, when it could not settle everything."""
    ended = [sandbox.run_inside(scenario.script, *words)]
    if ended[0].code in SETTLED_BY_ANOTHER and (printed := resume_words(ended[0], scenario.script)):
        clock.sleep(LATE_CREATE_SECONDS)
        ended.append(sandbox.run_inside(scenario.script, *printed))
    return ended


def _comparable(state: State) -> list[str]:
    """A state without ids, which differ from run to run."""
    ids = ("parent_data_set_id", "data_set_id", "data_credentials_id")
    rows = [(kind, {k: v for k, v in row.items() if k not in ids}) for (kind, _), row in state.items()]
    return sorted(f"{kind} {row}" for kind, row in rows)


def _difference(found: list[str], wanted: list[str], missing: Any, done: Done, kill: Kill, gateway: Gateway) -> str:
    lines = [f"missing: {missing}", *(f"+ {row}" for row in found if row not in wanted or found.count(row) > 1),
             *(f"- {row}" for row in wanted if row not in found)]  # fmt: skip
    return "\n".join([done.described("it is not as after an undisturbed run", kill), *lines,
                      *(event.line() for event in gateway.log)])  # fmt: skip
