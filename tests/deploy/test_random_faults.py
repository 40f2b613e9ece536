"""40 random fault schedules against a deployment: nothing is created twice, nothing is left behind unreported."""

from __future__ import annotations

from pathlib import Path

import pytest

import support
from support import Exit, Sandbox
from support.fault_schedules import WANTED, listed, one_schedule, run, schedule, visible
from support.interference import unanswered_post

SCHEDULES, PER_TEST = 40, 10


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(first, marks=pytest.mark.soak) for first in range(PER_TEST, SCHEDULES, PER_TEST))]
)
def test_random_faults_never_duplicate_and_never_hide_leftovers(sandbox: Sandbox, first: int, tmp_path: Path) -> None:
    for seed in range(first, first + PER_TEST):
        config = support.plant_orders(sandbox)
        sandbox.state = tmp_path / f"state-{seed}"
        rules = schedule(seed)
        try:
            one_schedule(sandbox, tmp_path, config, rules, update=seed % 2 == 1)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {rules}\n{error}") from None


def test_what_may_still_appear_is_listed_not_called_undone(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The create takes effect only after the command has stopped looking for it."""
    path = support.write_config(tmp_path, support.plant_orders(sandbox))
    take_effect = unanswered_post(monkeypatch, sandbox, "/data_sources")
    done, data, _ = run(sandbox, "--config", path, "--timeout", "10")  # so that the deadline ends the search
    assert visible(sandbox)["sources"] == [], "the effect has not come yet"
    done.ends(Exit.LEFT_BEHIND, Exit.UNKNOWN_OUTCOME)
    assert listed(data) == {"sources"}
    take_effect()
    assert visible(sandbox)["sources"], "it has appeared, as was said"
    run(sandbox, "--config", path, "--resume")[0].ok()
    assert sandbox.resources() == WANTED
