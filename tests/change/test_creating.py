"""One create whose outcome is open: the mark tells what is ours, one of each stays, and nobody else's is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.api.caller import identify_caller
from helpers.change.changes import apply
from helpers.change.creating import CreateStep
from helpers.change.journal import Journal
from helpers.change.model import Applied, ChangeRun, Found, RecoveryCommands, Step
from helpers.core.errors import Exit, OperatorError
from helpers.core.marks import with_mark
from helpers.deploy import config as flow_config
from helpers.deploy.model import parse
from helpers.deploy.plan import deploy_steps
from helpers.deploy.state import FlowState
from support import Sandbox
from support.access import BOB, entry, plant, user
from support.clocks import VirtualClock
from support.deploying import rows
from support.interference import before_request
from support.requesting import ends_with, session_on

HEADER = {"command": "test", "subject": "s", "identity": "i"}
POST_SOURCE = {"method": "POST", "path": "/data_sources"}


class Then(Step):
    """A later step, in which this happens; nothing of it is undone."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__("then", "then")
        self.do = do

    def find(self, run: ChangeRun) -> Found:
        return Found("create")

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        self.do()
        return Applied()


def refuse() -> None:
    raise OperatorError(Exit.ERROR, "refused")


REFUSED = Then(refuse)


@dataclass
class Change:
    """A change of one source, or of its inline credential, on the sandbox."""

    sandbox: Sandbox
    run: ChangeRun
    step: CreateStep
    before: list[int] = field(default_factory=list)

    def post(self, *, marked: bool = True) -> int:
        """Create the source past the command: by its own request that was lost on the way, or by hand."""
        body = with_mark(self.step.desired(self.run), self.run.mark(self.step.key) if marked else None)
        return int(self.sandbox.api("POST", self.step.api.path, body)[1]["id"])

    def was_killed(self) -> None:
        """An earlier run ended while its create was under way, and the journal says no more."""
        assert self.run.journal
        self.run.journal.intent(self.step.key, "create", None, {}, {})

    def apply(self, *steps: Step, rollback: bool = True) -> None:
        apply(self.run, steps or [self.step], rollback=rollback, recovery=RecoveryCommands("again", "remove"))

    def fails(self, code: Exit, *steps: Step, rollback: bool = True) -> OperatorError:
        return ends_with(code, lambda: self.apply(*steps or (self.step, REFUSED), rollback=rollback))

    @property
    def ids(self) -> list[int]:
        """What there is of the kind, but for what there was before."""
        return [row["id"] for row in rows(self.sandbox, self.step.kind) if row["id"] not in self.before]


@pytest.fixture
def change(sandbox: Sandbox, tmp_path: Path, clock: VirtualClock, request: pytest.FixtureRequest) -> Iterator[Change]:
    """A change of the step with the key that is the fixture's parameter; without one, of the source."""
    key, config = getattr(request, "param", "source"), support.plant_orders(sandbox)
    if key != "source":
        inline = {"name": "own", "credentials_type": "s3", "credentials": {"key": "k" * 12}}
        config["source"]["credential"], config["credential_id"] = inline, None
    loaded = flow_config.load(support.write_config(tmp_path, {k: v for k, v in config.items() if v is not None}))
    steps = deploy_steps(FlowState(parse(loaded)), verify=False, timeout=1.0)
    step: Any = next(step for step in steps if step.key == key)
    session = session_on(sandbox)
    identify_caller(session)
    journal = Journal(tmp_path / "j.jsonl", HEADER, resume=False)
    found = Change(sandbox, ChangeRun(session, lambda text: None, journal), step)
    found.before = found.ids
    yield found
    journal.close()


@pytest.mark.parametrize("change", ["source", "credential:source"], indirect=True)
def test_what_a_lost_create_made_is_known_by_its_mark_and_undone(change: Change) -> None:
    """Also what the list shows without its tags."""
    change.sandbox.faults({"action": "reset", "when": "after", "method": "POST", "path": change.step.api.path})
    change.fails(Exit.ROLLED_BACK)
    assert change.ids == []
    assert change.run.warnings == []


def test_what_a_killed_create_made_is_known_by_its_mark_under_another_name(change: Change) -> None:
    """Some servers shorten names."""
    change.was_killed()
    own = change.post()
    change.sandbox.control("POST", "edit", {"kind": "sources", "id": own, "set": {"name": "ord"}})
    change.apply()
    assert change.ids == [own]
    assert change.run.results == {"source": own}


@pytest.mark.parametrize("killed", [True, False])
def test_of_two_that_one_lost_create_made_the_older_stays(
    change: Change, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    if killed:
        change.was_killed()
        older = change.post()
        change.post()
    else:
        first = before_request(monkeypatch, *POST_SOURCE.values(), change.post)
        change.sandbox.faults({"action": "reset", "when": "after", "nth": 2, **POST_SOURCE})
    change.apply()
    assert change.ids == ([older] if killed else first)
    assert "created twice by the same change" in change.run.warnings[0]


@pytest.mark.parametrize("killed", [True, False])
def test_nothing_is_left_of_two_that_one_create_made(
    change: Change, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """Undone before the step is found again; or after the older one has taken the place of the one in the response."""
    if killed:
        change.was_killed()
        change.post()
        change.post()
        change.fails(Exit.ROLLED_BACK, REFUSED, change.step)
    else:
        before_request(monkeypatch, *POST_SOURCE.values(), change.post)
        change.fails(Exit.ROLLED_BACK)
    assert change.ids == []


def test_what_is_used_instead_of_ones_own_is_reported_as_not_created(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = before_request(monkeypatch, *POST_SOURCE.values(), lambda: change.post(marked=False))
    error = change.fails(Exit.ERROR, rollback=False)
    assert change.ids == theirs
    kept = next(row for row in error.data["kept"] if row["step"] == "source")
    assert (kept["id"], kept["made"]) == (theirs[0], False)


def test_a_resumed_change_waits_for_a_create_that_may_still_take_effect(change: Change, clock: VirtualClock) -> None:
    change.was_killed()
    late: list[int] = []

    def take_effect() -> None:
        late.extend([] if late else [change.post()])

    clock.meanwhile = lambda: take_effect() if clock.now() >= 50 else None
    change.apply()
    take_effect()  # by now, whether the command has waited or not
    assert change.ids == late


@pytest.mark.parametrize("first", [True, False])
def test_what_has_the_same_content_but_no_mark_is_used_and_never_deleted(change: Change, first: bool) -> None:
    """Somebody made it by hand after the create was sent; the failure comes before that step, or after it."""
    change.was_killed()
    theirs = change.post(marked=False)
    change.fails(Exit.LEFT_BEHIND, *([REFUSED, change.step] if first else [change.step, REFUSED]))
    assert change.ids == [theirs]


@pytest.mark.parametrize("whose", ["older", "of another user"])
def test_what_was_there_before_or_is_somebody_elses_is_not_undone(change: Change, whose: str) -> None:
    change.was_killed()
    theirs, sandbox = change.post(marked=False), change.sandbox
    edit: dict[str, Any] = {"created_at": "2020-01-01T00:00:00.000Z"}
    if whose == "of another user":
        edit = {"owner_id": user(sandbox, BOB)}
        plant(sandbox, "sources", theirs, entry("USER", change.run.session.user_id or 0, "admin"))
    sandbox.control("POST", "edit", {"kind": "sources", "id": theirs, "set": edit})
    change.fails(Exit.ROLLED_BACK, REFUSED, change.step)
    assert change.ids == [theirs]


def test_what_was_created_and_has_gone_is_not_called_done(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    def delete() -> None:
        change.sandbox.api("DELETE", f"/data_sources/{change.ids[0]}")

    before_request(monkeypatch, "GET", "/data_sources.*", delete, after="POST /data_sources")
    error = change.fails(Exit.ROLLED_BACK, change.step)
    assert "no longer exists: somebody else deleted it" in error.message
    assert change.ids == []


def test_a_twin_of_ones_own_that_appears_after_the_last_write_is_removed(change: Change) -> None:
    change.apply(change.step, Then(change.post))
    assert change.ids == [change.run.results["source"]]


def test_an_older_one_of_somebody_else_that_appears_after_the_last_write_is_a_failure(change: Change) -> None:
    """Two flows of one name would deliver everything twice."""
    theirs = change.post(marked=False)
    name = partial(change.sandbox.control, "POST", "edit")
    name({"kind": "sources", "id": theirs, "set": {"name": "still hidden"}})
    appear = partial(name, {"kind": "sources", "id": theirs, "set": {"name": "orders"}})
    error = change.fails(Exit.ROLLED_BACK, change.step, Then(appear))
    assert "somebody else created the same at the same time" in error.message
    assert change.ids == [theirs]


def test_what_a_finished_change_created_is_not_undone_by_a_resume(change: Change) -> None:
    change.apply()
    made = change.ids
    assert change.run.journal
    change.run.journal.close()
    change.run.journal = Journal(change.run.journal.path, HEADER, resume=True)
    change.fails(Exit.ROLLED_BACK)
    assert change.ids == made
