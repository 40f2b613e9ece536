"""One sandbox per test process; after every test all its requests and answers are held against the contract."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

import support
from helpers.core import redact
from support.clocks import VirtualClock

SHOWN = ("n", "method", "path", "query", "status", "fault", "user_agent")  # of a request, when a test fails
hypothesis.settings.register_profile("house", deadline=None)  # on a busy machine, a single example may take long
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[support.Sandbox]:
    yield from support.start_sandbox(tmp_path_factory.mktemp("world"))


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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """Scripts that run in this process do not sleep, and time stands still but for their sleeps."""
    virtual = VirtualClock()
    virtual.install(monkeypatch)
    return virtual


@pytest.fixture(autouse=True)
def _forget_secrets() -> Iterator[None]:
    """What one test's scripts have learned to be secret, in this process, is an ordinary word in the next."""
    yield
    redact.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the sandbox was asked last."""
    report = yield
    sandbox = getattr(item, "funcargs", {}).get("sandbox")
    if report.when == "call" and report.failed and isinstance(sandbox, support.Sandbox):
        with contextlib.suppress(Exception):  # whatever is wrong with the sandbox, the failure itself counts
            lines = [json.dumps({key: entry.get(key) for key in SHOWN}) for entry in sandbox.journal()[-30:]]
            report.sections.append(("last requests to the sandbox", "\n".join(lines)))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The order is random: after a failure, how to have it again."""
    seed = config.getoption("randomly_seed", None)
    if seed is not None and terminalreporter.stats.get("failed"):
        terminalreporter.write_line(f"the same order again: --randomly-seed={seed}")
