"""Properties of a change: plan, apply, resume and undo, for any list of steps and any point of failure."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import support
from helpers.change.changes import apply, plan
from helpers.change.journal import Entry, Journal
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, RecoveryCommands, Step
from helpers.core import limits
from helpers.core.errors import Exit, OperatorError
from support import Sandbox
from support.clocks import VirtualClock


class World:
    """A tiny server: values by name, a count of writes, and calls that fail."""

    def __init__(self, values: dict[str, int]) -> None:
        self.values = dict(values)
        self.writes = 0
        self.fail_at: set[int] = set()
        self.lose_at: set[int] = set()
        self.stuck: set[str] = set()

    def write(self, name: str, value: int | None) -> None:
        self.writes += 1
        if self.writes in self.fail_at:
            raise OperatorError(Exit.ERROR, "refused")
        if value is None:
            self.values.pop(name, None)
        else:
            self.values[name] = value
        if self.writes in self.lose_at:
            raise OperatorError(Exit.UPSTREAM, "the answer was lost")


class SetStep(Step):
    """Bring one value of the world to what is wanted."""

    kind = "values"

    def __init__(self, world: World, name: str, value: int) -> None:
        super().__init__(name, f"set {name}")
        self.world, self.name, self.value = world, name, value

    def find(self, run: ChangeRun) -> Found:
        have = self.world.values.get(self.name)
        if have is None:
            return Found("create")
        if have == self.value:
            return Found(UNCHANGED, 1)
        return Found("update", 1, {"value": [have, self.value]}, {"value": have})

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        self.world.write(self.name, self.value)
        return Applied(1, found.action == "create" or run.created(self.key))

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        if self.name in self.world.stuck:
            raise OperatorError(Exit.ERROR, "cannot be undone")
        self.world.write(
            self.name, None if entry.created else entry.before.get("value", self.world.values.get(self.name))
        )


RECOVERY = RecoveryCommands("again", "remove")
HEADER = {"command": "test", "subject": "s", "identity": "i"}


def start(folder: str, *, resume: bool = False) -> ChangeRun:
    session: Any = SimpleNamespace(
        deadline=limits.Deadline(None), settings=SimpleNamespace(read_only=False, dry_run=False)
    )
    return ChangeRun(session, lambda text: None, Journal(Path(folder) / "j.jsonl", HEADER, resume=resume))


def go(run: ChangeRun, steps: list[Step], *, rollback: bool = True) -> Exit:
    try:
        apply(run, steps, rollback=rollback, recovery=RECOVERY)
        return Exit.OK
    except OperatorError as error:
        return error.code
    finally:
        assert run.journal
        run.journal.close()


NAMES = st.sampled_from("abcdef")
WANTED = st.dictionaries(NAMES, st.integers(1, 3), min_size=1, max_size=6)
PLACES = st.sets(st.integers(1, 8), max_size=2)


@given(WANTED, WANTED)
@settings(max_examples=150, deadline=None)
def test_plan_after_apply_is_empty_and_twice_is_once(before: dict[str, int], wanted: dict[str, int]) -> None:
    world = World(before)
    steps = [SetStep(world, name, value) for name, value in wanted.items()]
    with tempfile.TemporaryDirectory() as folder:
        assert go(start(folder), steps) is Exit.OK
        once, writes = dict(world.values), world.writes
        session: Any = SimpleNamespace(deadline=limits.Deadline(None))
        assert not [o for o in plan(ChangeRun(session, lambda text: None, dry=True), steps) if o.changed]
        for resume in (False, True):
            assert go(start(folder, resume=resume), steps) is Exit.OK
        assert (world.values, world.writes) == (once, writes)


@given(WANTED, WANTED, PLACES, PLACES, st.sets(NAMES, max_size=2))
@settings(max_examples=300, deadline=None)
def test_a_failure_anywhere_is_undone_or_listed(
    before: dict[str, int], wanted: dict[str, int], fail: set[int], lose: set[int], stuck: set[str]
) -> None:
    world = World(before)
    world.fail_at, world.lose_at, world.stuck = fail, lose, stuck
    steps = [SetStep(world, name, value) for name, value in wanted.items()]
    with tempfile.TemporaryDirectory() as folder:
        run = start(folder)
        assert run.journal
        try:
            apply(run, steps, rollback=True, recovery=RECOVERY)
            assert all(world.values[name] == value for name, value in wanted.items())
        except OperatorError as error:
            different = {n for n in {*before, *world.values} if before.get(n) != world.values.get(n)}
            listed = {row["step"] for row in (error.data or {}).get("left_behind", [])}
            assert different <= listed, f"{different} differ, {listed} are listed"
            assert (error.code is Exit.LEFT_BEHIND) == bool(listed)
        finally:
            run.journal.close()


@given(WANTED, WANTED, st.integers(1, 6), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_kept_failure_is_resumed_to_the_goal(
    before: dict[str, int], wanted: dict[str, int], place: int, lost: bool
) -> None:
    world = World(before)
    (world.lose_at if lost else world.fail_at).add(place)
    steps = [SetStep(world, name, value) for name, value in wanted.items()]
    with tempfile.TemporaryDirectory() as folder:
        first = go(start(folder), steps, rollback=False)
        unfinished = first is not Exit.OK and bool(Path(folder, "j.jsonl").read_text().count('"intent"'))
        if unfinished:
            with pytest.raises(OperatorError) as refused:
                start(folder)
            assert refused.value.code is Exit.USAGE
        assert go(start(folder, resume=True), steps) is Exit.OK
        assert all(world.values[name] == value for name, value in wanted.items())
        writes = world.writes
        assert go(start(folder, resume=True), steps) is Exit.OK
        assert world.writes == writes


@given(WANTED, WANTED, st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_undo_after_a_resume_goes_back_to_the_very_beginning(
    before: dict[str, int], wanted: dict[str, int], first: int, second: int
) -> None:
    """What an earlier, killed run made belongs to the change; so does the state that it found."""
    world = World(before)
    world.fail_at.add(first)
    steps = [SetStep(world, name, value) for name, value in wanted.items()]
    with tempfile.TemporaryDirectory() as folder:
        if go(start(folder), steps, rollback=False) is Exit.OK:
            return
        world.fail_at = {world.writes + second}
        if go(start(folder, resume=True), steps) is Exit.OK:
            return
        if world.writes == max(world.fail_at):  # the failing write was part of undoing
            return
        assert world.values == before


def test_a_step_that_the_config_no_longer_has_is_listed() -> None:
    world = World({})
    world.fail_at = {2}
    with tempfile.TemporaryDirectory() as folder:
        both = [SetStep(world, "a", 1), SetStep(world, "b", 1)]
        assert go(start(folder), both, rollback=False) is Exit.ERROR
        world.fail_at = {3}
        run = start(folder, resume=True)
        with pytest.raises(OperatorError) as caught:
            apply(run, both[1:], rollback=True, recovery=RECOVERY)
        assert caught.value.code is Exit.LEFT_BEHIND
        assert [row["step"] for row in caught.value.data["left_behind"]] == ["a"]


@pytest.mark.parametrize("kind", ["refused", "lost"])
def test_a_deployment_that_fails_at_its_kth_write_leaves_no_trace(
    sandbox: Sandbox, tmp_path: Path, clock: VirtualClock, kind: str
) -> None:
    clock.meanwhile = sandbox.idle
    config = support.write_config(tmp_path, support.plant_orders(sandbox))
    sandbox.clear_journal()
    sandbox.run_inside("deploy_flow.py", "--config", config).ok()
    writes = len(sandbox.writes())
    assert writes >= 6
    for k in range(1, writes + 1):
        support.write_config(tmp_path, support.plant_orders(sandbox))
        before = sandbox.resources()
        sandbox.state = tmp_path / f"state-{kind}-{k}"
        rule: dict[str, Any] = {"action": "status", "status": 403, "method": "POST|PUT", "path": "/(?!token).*",
                                "nth": k, "times": 1}  # fmt: skip
        if kind == "lost":
            rule |= {"status": 500, "when": "after", "times": 2}
        sandbox.faults(rule)
        done = sandbox.run_inside("deploy_flow.py", "--config", config)
        sandbox.faults()
        after = sandbox.resources()
        if done.code == Exit.OK:
            assert kind == "lost", f"write {k} was refused and nobody noticed"
            assert after["sinks"] == ["warehouse"]
        else:
            done.ends(Exit.AUTH, Exit.UPSTREAM, Exit.ROLLED_BACK, about=k)
            assert after == before, (k, done.err)
