"""Play a schedule: the command, then its printed resume command, each judged; and make a failing schedule smaller."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from support import Done, Exit, Sandbox
from support.chaos.evidence import Evidence
from support.chaos.model import Judge
from support.chaos.people import Person
from support.chaos.proxy import Gateway, NeverEndsError
from support.chaos.scenarios import EDITS, REACH, Scenario, prepare
from support.chaos.schedules import Schedule, draw
from support.chaos.world import Key, World
from support.clocks import VirtualClock

RUNS = 4  # the command, and its resumes; from the third on nothing is disturbed
PAUSES = (20.0, 60.0, 120.0)  # virtual seconds before each resume
AFTERWARDS = 300.0  # virtual seconds in which everything that is under way has happened
ALWAYS = ["--workers", "1", "--quiet"]  # one order of requests, for a seed to be played again


@dataclass
class Played:
    """A play: what was found wrong, and all that is needed to see why."""

    schedule: Schedule
    found: list[str]
    requests: list[str]
    runs: list[Done] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def classes(self) -> set[str]:
        return {line.partition(":")[0] for line in self.found}

    def report(self) -> str:
        runs = [f"$ {done.command}\nexit {done.code}\n{done.err.strip()[-1500:]}" for done in self.runs]
        parts = [self.schedule.words(), "EXPECTED OTHERWISE:", *(f"  ! {line}" for line in self.found), "REQUESTS:"]
        return "\n".join([*parts, *self.requests, "RUNS:", *runs])


def play_seed(sandbox: Sandbox, folder: Path, seed: int, command: str) -> Played:
    return play(sandbox, folder, draw(seed, command, EDITS[command], REACH[command]))


def play(sandbox: Sandbox, folder: Path, schedule: Schedule) -> Played:
    """Play a schedule from the beginning."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sandbox.state = folder / "state"
    clock = VirtualClock()
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        clock.meanwhile = sandbox.idle
        scenario = prepare(schedule.command, sandbox, folder, schedule.traits)
        sandbox.idle()
        sandbox.clear_journal()
        world = World(sandbox, clock)
        world.install(patch, sys.modules)
        person = Person(world, lambda: [])
        gateway = Gateway(schedule, clock, world, person.act)
        person.gateway = gateway
        person.targets = lambda: _targets(scenario, gateway)
        clock.meanwhile = gateway.pass_time
        patch.setattr(HTTPAdapter, "send", lambda adapter, request, *_, **more: gateway.send(adapter, request, **more))
        judge = Judge(scenario, Evidence(gateway, person), schedule.traits, world.state())
        _runs(sandbox, scenario, judge, world, gateway)
    return Played(schedule, judge.verdicts.found, [event.line() for event in gateway.log], judge.ended, clock.now())


def _targets(scenario: Scenario, gateway: Gateway) -> list[Key]:
    made = [key for event in gateway.log if event.who == "us" for key in event.created]
    return [*scenario.rows, *made]


def _runs(sandbox: Sandbox, scenario: Scenario, judge: Judge, world: World, gateway: Gateway) -> None:
    words = [*scenario.args, *ALWAYS]
    for number in range(RUNS):
        gateway.begin(troubled=number < 2)
        start = world.state()
        done = _run(sandbox, scenario.script, words, judge)
        world.idle()
        if done is None:
            return
        judge.after_run(done, start, world.state())
        if done.code == Exit.OK:
            break
        if number == RUNS - 1:
            break
        words = resume_words(done, scenario.script) or _again(scenario, done)
        _wait(world, gateway, PAUSES[number])
    _wait(world, gateway, AFTERWARDS)
    judge.at_the_end(world.state())


def _wait(world: World, gateway: Gateway, seconds: float) -> None:
    world.clock.sleep(seconds)
    gateway.pass_time()


def _run(sandbox: Sandbox, script: str, words: list[str], judge: Judge) -> Done | None:
    """One run of the command; None, with a verdict, when it does not end as a command does."""
    try:
        return sandbox.run_inside(script, *words)
    except NeverEndsError:
        judge.verdicts.add("never ends", "more requests or seconds than any run needs")
    except Exception:  # whatever it is, it is what the user would see
        judge.verdicts.add("form", f"a defect: {traceback.format_exc()[-1500:]}")
    return None


def resume_words(done: Done, script: str) -> list[str] | None:
    """The arguments of the resume command that a run printed."""
    for text in _texts(done):
        for part in text.split(";"):
            found = re.search(rf"\S*python\S*\s.*{re.escape(script)}.*--resume", part)
            if found:
                words = shlex.split(found[0])
                at = next(index for index, word in enumerate(words) if word.endswith(script))
                return words[at + 1 :]
    return None


def _again(scenario: Scenario, done: Done) -> list[str]:
    """The same command again, with --resume when the run asks for it."""
    wants = any("add --resume" in text for text in _texts(done))
    return [*scenario.args, *ALWAYS, *(["--resume"] if wants else [])]


def _texts(done: Done) -> Iterator[str]:
    """Every text in the error object and the document."""
    try:
        documents: list[Any] = [*done._errors(), done.json if done.out.strip() else {}]
    except (AssertionError, ValueError):
        return
    while documents:
        value = documents.pop(0)
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            documents += value.values()
        elif isinstance(value, list):
            documents += value


def shrink(sandbox: Sandbox, folder: Path, played: Played, rule: str) -> Played:
    """The smallest schedule found that still fails in this class: one fault after the other is left out."""
    best, again = played, True
    while again:
        again = False
        for smaller in best.schedule.smaller():
            tried = play(sandbox, folder, smaller)
            if rule in tried.classes:
                best, again = tried, True
                break
    return best
