"""A journal belongs to one change of one account, is exact, is safe from other users, and survives a full disk."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
from functools import partial
from pathlib import Path

import pytest

import support
from helpers.change.journal import Identity, Journal, open_journal
from helpers.change.stored_values import is_lost, to_stored
from helpers.core import redact
from support import Exit, Sandbox
from support.children import finish
from support.deploying import deploy, rows
from support.forked import Forked
from support.requesting import ends_with

HEADER = {"command": "test", "subject": "s", "identity": "i"}
URL = "https://gw.example.com/eu/nexla-api"
ME = Identity("deploy_flow", URL, 1, 5001, "s3 orders")


def unfinished(path: Path) -> Journal:
    journal = Journal(path, HEADER, resume=False)
    journal.intent("source", "create", None, {}, {})
    return journal


@pytest.mark.parametrize(
    "other",
    [
        Identity("deploy_flow", "https://gw.example.com/us/nexla-api", 1, 5001, "s3 orders"),
        Identity("deploy_flow", URL, 2, 5001, "s3 orders"), Identity("deploy_flow", URL, None, 5001, "s3 orders"),
        Identity("deploy_flow", URL, 1, 5002, "s3 orders"), Identity("deploy_flow", URL, 1, 5001, "s3 order"),
        Identity("deploy_flow-teardown", URL, 1, 5001, "s3 orders"),
    ],
)  # fmt: skip
def test_every_part_of_an_identity_makes_another_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Identity
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert ME.path() != other.path()
    file = str(tmp_path / "j.jsonl")
    journal = open_journal(ME, path=file, resume=False)
    journal.intent("source", "create", None, {}, {})
    journal.close()
    open_journal(ME, path=file, resume=True).close()
    for resume in (True, False):
        error = ends_with(Exit.CONFIG, partial(open_journal, other, path=file, resume=resume))
        assert "another change, account or API" in error.message


def test_another_account_does_not_take_over_an_unfinished_change(sandbox: Sandbox, tmp_path: Path) -> None:
    config = support.plant_orders(sandbox)
    path = support.write_config(tmp_path, config)
    sandbox.run_killed("deploy_flow.py", "--config", path, method="POST", path="/data_sources").is_killed()
    unfinished_one = list((tmp_path / "state").rglob("*.jsonl"))
    sandbox.act_as("bob.smith@example.com")
    deploy(sandbox, tmp_path, config, "--dry-run")
    sandbox.run_inside("deploy_flow.py", "--config", path, "--resume", "--no-verify")
    assert len(list((tmp_path / "state").rglob("*.jsonl"))) == 2, "it has a journal of its own"
    assert json.loads(unfinished_one[0].read_text().splitlines()[-1])["event"] == "intent", "and left ours alone"


@pytest.mark.parametrize("damage", [b"{broken\n", b"[1]\n", b"\x00\x00\n", b'"text"\n'])
def test_a_damaged_line_in_the_middle_is_refused_and_not_cut_off(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "j.jsonl"
    journal = unfinished(path)
    journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage + lines[1])
    content = path.read_bytes()
    error = ends_with(Exit.CONFIG, lambda: Journal(path, HEADER, resume=True))
    assert f"line 2 of the journal {path} is damaged" in error.message
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [(errno.EWOULDBLOCK, Exit.ERROR, "another run holds"), (errno.ENOLCK, Exit.CONFIG, "cannot lock the journal")],
)
def test_a_file_system_without_locks_is_not_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: Exit, text: str
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert text in ends_with(code, lambda: Journal(tmp_path / "j.jsonl", HEADER, resume=False)).message


@pytest.mark.parametrize(
    ("mode", "good"), [(0o700, True), (0o770, True), (0o1777, True), (0o777, False), (0o702, False)]
)
def test_a_directory_that_everybody_may_write_to_is_refused(tmp_path: Path, mode: int, good: bool) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    if good:
        Journal(folder / "j.jsonl", HEADER, resume=False).close()
    else:
        error = ends_with(Exit.CONFIG, lambda: Journal(folder / "j.jsonl", HEADER, resume=False))
        assert "all users may write to" in error.message
        assert list(folder.iterdir()) == []


def test_a_journal_that_others_may_write_to_or_that_is_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    unfinished(path).close()
    path.chmod(0o620)
    ends_with(Exit.CONFIG, lambda: Journal(path, HEADER, resume=True))
    path.chmod(0o600)
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    ends_with(Exit.CONFIG, lambda: Journal(link, HEADER, resume=True))


def test_a_full_disk_does_not_end_the_record_of_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first write fails for want of space; with the reserve given up there is room again."""
    journal = unfinished(tmp_path / "j.jsonl")
    fsync, reserve = os.fsync, tmp_path / ".j.jsonl.reserve"

    def syncing(descriptor: int) -> None:
        if reserve.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", syncing)
    journal.done("source", 7, created=True)
    journal.close()
    known = Journal(tmp_path / "j.jsonl", HEADER, resume=True).entry("source")
    assert known is not None
    assert (known.id, known.done) == (7, True)


def test_a_line_that_could_be_written_only_in_part_is_taken_back(tmp_path: Path) -> None:
    """The file may grow by 20 bytes and no more, as with a quota."""
    path = tmp_path / "j.jsonl"
    journal = unfinished(path)
    before, (soft, hard) = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        ends_with(Exit.CONFIG, lambda: journal.done("source", 7, created=True))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    journal.undone("source")
    journal.close()
    assert Journal(path, HEADER, resume=True).entries == {}


def test_what_undo_restores_is_stored_unaltered_and_secrets_are_not(tmp_path: Path) -> None:
    redact.remember("hunter2-hunter2")
    plain = {
        "path": "in/\u200d\r\x1b[31m",
        "name": "rev-out-${STAGE}",
        "n": 1.5,
        "none": None,
        "[redacted]": "[redacted]",
    }
    secret = {"password": "Zq777", "url": "https://u:hunter2-hunter2@h.test", "list": ["hunter2-hunter2"]}
    journal = Journal(tmp_path / "j.jsonl", HEADER, resume=False)
    entry = journal.intent("sink of hunter2-hunter2", "update", 3, {**plain, **secret}, {})
    assert entry.before == {**plain, **secret}, "the process that wrote it knows everything"
    journal.close()
    text = (tmp_path / "j.jsonl").read_text()
    assert "Zq777" not in text
    assert "hunter2" not in text
    again = Journal(tmp_path / "j.jsonl", HEADER, resume=True).entry("sink of hunter2-hunter2")
    assert again is not None
    assert {key: again.before[key] for key in plain} == plain
    assert [key for key in secret if is_lost(again.before[key])] == list(secret)
    assert to_stored(plain) == plain


def test_a_name_that_looks_secret_is_resumed_like_any_other(sandbox: Sandbox, tmp_path: Path) -> None:
    """The journal must not show the value of ${STAGE}, and still know which step is which."""
    config, env = support.plant_orders(sandbox), {"STAGE": "s3cr3t-stage-1"}
    config["destination"]["name"] = "rev-out-${STAGE}\u200d"
    path = support.write_config(tmp_path, config)
    child = Forked("deploy_flow.py", ("--config", path), {**sandbox.env, **env})
    sandbox.faults({"action": "kill", "pid": child.pid, "method": "POST", "path": "/data_sinks", "when": "after"})
    finish(child).is_killed()
    sandbox.faults()
    (journal,) = (tmp_path / "state").rglob("*.jsonl")
    assert "s3cr3t" not in journal.read_text()
    sandbox.run_inside("deploy_flow.py", "--config", path, "--resume", env=env).ok()
    assert [row["name"] for row in rows(sandbox, "sinks")] == ["rev-out-s3cr3t-stage-1\u200d"]
