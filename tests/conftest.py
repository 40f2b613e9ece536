"""One sandbox per test process; after every test all its requests and answers are held against the contract."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

import support


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[support.Sandbox]:
    yield from support.start_sandbox(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def _room(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test marked ``alone`` measures time: while it runs, the other processes wait. Whoever waits for the whole room
    holds the gate, so that nobody slips in before."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if folder.name.startswith("popen-") else folder  # what the processes of one run share
    alone = request.node.get_closest_marker("alone") is not None
    with open(folder / "gate.lock", "w") as gate, open(folder / "room.lock", "w") as room:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.fixture
def sandbox(sandbox_process: support.Sandbox, tmp_path: Path) -> Iterator[support.Sandbox]:
    """The sandbox in its demo state, with a state directory of this test's own."""
    sandbox_process.state = tmp_path / "state"
    sandbox_process.reset("demo")
    sandbox_process.problems.clear()
    yield sandbox_process
    sandbox_process.check_contract()
    problems, sandbox_process.problems = sandbox_process.problems, []
    assert not problems, "requests or answers break the contract:\n" + "\n".join(problems[:10])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs alone comes first, before others can hold the room for long."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is None)
