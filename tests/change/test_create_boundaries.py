"""How long a create is looked for, what counts as ours, and how a journal names things: each with the values around."""

from __future__ import annotations

import errno
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from helpers.change.creating import CreateStep, wait_until_unique
from helpers.change.journal import Entry, Journal
from helpers.change.model import ChangeRun
from helpers.command.output import checked_file
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row
from support.clocks import VirtualClock
from support.requesting import ends_with
from support.scripted import ScriptedSession, change_run

HEADER = {"command": "test", "subject": "s", "identity": "i"}
NOW = 1_795_240_000.0


@pytest.fixture(autouse=True)
def _no_waiting(clock: VirtualClock) -> None:
    """Nor a sandbox."""


class OneSource(CreateStep):
    """Creates a source; ``rows`` are its namesakes."""

    kind, name, api = "sources", "x", KINDS["sources"]

    def __init__(self, *rows: Row) -> None:
        super().__init__("source", "source x")
        self.rows = list(rows)

    def namesakes(self, run: ChangeRun) -> list[Row]:
        return self.rows

    def differing(self, run: ChangeRun, row: Row) -> list[str]:
        return []


@pytest.mark.parametrize(("age", "gone"), [(89.0, False), (90.0, True), (91.0, True)])
def test_a_create_that_was_not_answered_cannot_happen_after_90_seconds(
    monkeypatch: pytest.MonkeyPatch, age: float, gone: bool
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    entry = Entry("source", "create", 0, created=True, since=NOW - age, at=NOW - age)
    try:
        OneSource().undo_create(change_run(ScriptedSession(lambda asked: [])), entry)
        assert gone, "it may still appear"
    except OperatorError as error:
        assert (error.code, gone) == (Exit.LEFT_BEHIND, False), error.message


@pytest.mark.parametrize(("early", "ours"), [(4.0, True), (5.0, True), (5.1, False)])
def test_the_clocks_of_server_and_client_may_be_5_seconds_apart(
    monkeypatch: pytest.MonkeyPatch, early: float, ours: bool
) -> None:
    """A namesake that appeared so many seconds before our request was sent is somebody else's, or an older one."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    row = {"id": 7, "created_at": datetime.fromtimestamp(NOW - early, UTC).isoformat()}
    entry = Entry("source", "create", 0, created=True, since=NOW, at=NOW - 100)
    step, session = OneSource(row), ScriptedSession(lambda asked: [])
    sighting = step.likely(change_run(session), entry)
    assert sighting is not None
    assert sighting.own is ours


@pytest.mark.parametrize(("gone", "rows"), [(1.9, 1), (2.0, 1), (2.1, 2)])
def test_two_of_one_name_are_watched_for_two_seconds(clock: VirtualClock, gone: float, rows: int) -> None:
    """The younger one goes after so many seconds."""
    run = change_run(ScriptedSession(lambda asked: {}))
    found = wait_until_unique(run, lambda: [{"id": 1}, {"id": 2}][: 1 if clock.now() >= gone else 2])
    assert len(found) == rows


def test_a_mark_names_the_change_and_the_step(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", HEADER, resume=False)
    assert re.fullmatch("nexla-operator/[0-9a-f]{12}-[0-9a-f]{6}", journal.mark("source"))
    assert journal.mark("source") != journal.mark("destination:x")
    journal.close()
    assert Journal(tmp_path / "j.jsonl", HEADER, resume=False).change_id != journal.change_id


def test_a_step_is_named_by_16_digits_of_its_digest(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", HEADER, resume=False)
    journal.intent("source", "create", None, {}, {})
    assert [len(step) for step in journal.entries] == [16]


def test_a_journal_keeps_64_kib_free_for_itself(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", HEADER, resume=False)
    assert [file.stat().st_size for file in tmp_path.glob(".*.reserve")] == [65_536]
    journal.close()
    assert [file.name for file in tmp_path.iterdir()] == ["j.jsonl"]


def test_what_was_there_first_is_what_undo_restores_also_after_a_resume(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", HEADER, resume=False)
    journal.intent("a", "update", 1, {"status": "ACTIVE"}, {"runs": 1})
    journal.close()
    journal = Journal(tmp_path / "j.jsonl", HEADER, resume=True)
    journal.intent("a", "update", 1, {"status": "PAUSED"}, {"runs": 2})
    journal.close()
    again = Journal(tmp_path / "j.jsonl", HEADER, resume=True)
    for entry in (journal.entry("a"), again.entry("a")):
        assert entry
        assert (entry.before, entry.resume_data) == ({"status": "ACTIVE"}, {"runs": 1})
    again.close()


def test_a_line_is_on_disk_before_anything_else_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal = Journal(tmp_path / "j.jsonl", HEADER, resume=False)
    for write in (lambda: journal.intent("a", "create", None, {}, {}), lambda: journal.done("a", 1, created=True)):
        write()
        assert synced[-1] == (tmp_path / "j.jsonl").stat().st_size
    journal.close()
    assert len(set(synced)) == 3, "the header, the intent and the outcome"


def test_a_journal_that_is_a_link_is_refused_and_nothing_is_written_behind_it(tmp_path: Path) -> None:
    (tmp_path / "j.jsonl").symlink_to(tmp_path / "elsewhere")
    ends_with(Exit.CONFIG, lambda: Journal(tmp_path / "j.jsonl", HEADER, resume=False))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("folder", "file"), [(0o777, 0o600), (0o700, 0o660), (0o700, 0o602)])
def test_a_journal_that_others_may_write_or_replace_is_refused(tmp_path: Path, folder: int, file: int) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    (place / "j.jsonl").touch()
    (place / "j.jsonl").chmod(file)
    place.chmod(folder)
    ends_with(Exit.CONFIG, lambda: Journal(place / "j.jsonl", HEADER, resume=False))
    assert (place / "j.jsonl").read_text() == ""


@pytest.mark.parametrize(("free", "fits"), [(65_535, False), (65_536, True), (65_537, True)])
def test_64_kib_must_be_free_for_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, fits: bool
) -> None:
    def write(descriptor: int, data: bytes) -> int:
        if len(data) > free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)

    monkeypatch.setattr(os, "write", write)
    if fits:
        assert checked_file(str(tmp_path / "out.json"), "--output").name == "out.json"
    else:
        assert "No space left" in ends_with(Exit.CONFIG, lambda: checked_file(str(tmp_path / "o"), "--output")).message
    assert list(tmp_path.iterdir()) == []
