"""Journals and output files: checked before the first request, never overwritten, readable after a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import support
from support import SCRIPTS, Exit, Sandbox, run_shell
from support.deploying import deploy, rows


def test_an_unwritable_journal_stops_before_the_first_request(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, config, "--journal", str(tmp_path)).fails(Exit.CONFIG)
    assert sandbox.writes() == []
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text(json.dumps({"journal": 1, "command": "other", "host": "x", "subject": "y"}) + "\n")
    deploy(sandbox, tmp_path, config, "--journal", str(foreign)).fails(Exit.CONFIG)


def test_a_journal_with_a_cut_last_line_is_resumed(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    journal = tmp_path / "j.jsonl"
    config["verify"] = {"min_records": 21}
    kept = deploy(sandbox, tmp_path, config, "--on-failure", "keep", "--verify-timeout", "1", "--journal", str(journal))
    kept.fails(Exit.TIMEOUT)
    with journal.open("a") as file:
        file.write('{"event": "inten')
    config["verify"] = {"min_records": 1}
    deploy(sandbox, tmp_path, config, "--resume", "--journal", str(journal)).ok()
    assert len(rows(sandbox, "sinks")) == 1
    assert journal.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b'{\n  "a": 1\n}\n', b"\xff\xfe\x00binary", b"plain words\n", b'{"a": 1}\n'])
def test_a_file_that_is_no_journal_is_left_alone(sandbox: Sandbox, tmp_path: Path, config: Any, content: bytes) -> None:
    file = tmp_path / "precious"
    file.write_bytes(content)
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, config, "--journal", str(file)).fails(Exit.CONFIG)
    assert file.read_bytes() == content
    assert sandbox.writes() == []
    deploy(sandbox, tmp_path, config, "--journal", str(tmp_path / "no" / "j.jsonl")).fails(Exit.CONFIG)
    assert not (tmp_path / "no").exists()


def test_a_torn_journal_stays_readable_after_more_runs(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    journal = tmp_path / "j.jsonl"
    config["verify"] = {"min_records": 21}
    args = ("--on-failure", "keep", "--verify-timeout", "1", "--journal", str(journal))
    deploy(sandbox, tmp_path, config, *args).fails(Exit.TIMEOUT)
    with journal.open("a") as file:
        file.write('{"event": "inten')
    for _ in range(2):
        deploy(sandbox, tmp_path, config, *args, "--resume").fails(Exit.TIMEOUT, about="it is still not verified")
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_renamed_destination_is_not_forgotten_on_resume(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["verify"] = {"min_records": 21}
    deploy(sandbox, tmp_path, config, "--on-failure", "keep", "--verify-timeout", "1").fails(Exit.TIMEOUT)
    config["verify"] = {"min_records": 1}
    config["destination"]["name"] = "renamed"
    done = deploy(sandbox, tmp_path, config, "--resume").ok()
    assert any("destination:warehouse" in warning for warning in done.json["warnings"])


@pytest.mark.parametrize("bad", ["missing/result.json", ".", ""])
def test_an_output_that_cannot_be_written_stops_before_anything(
    sandbox: Sandbox, tmp_path: Path, config: Any, bad: str
) -> None:
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, config, "--output", str(tmp_path / bad) if bad else "").ends(Exit.USAGE, Exit.CONFIG)
    assert sandbox.journal() == []


def test_output_follows_links_and_never_replaces_a_pipe(sandbox: Sandbox, tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "real.json", tmp_path / "link.json", tmp_path / "pipe"
    link.symlink_to(target)
    sandbox.run("list_resources.py", "--type", "sources", "--output", str(link)).ok()
    assert link.is_symlink()
    assert json.loads(target.read_text())["ok"]
    os.mkfifo(pipe)
    words = [sys.executable, str(SCRIPTS / "list_resources.py"), "--type", "sources", "--output", str(pipe)]
    with subprocess.Popen(words, env=sandbox.env) as child:
        assert json.loads(pipe.read_text())["ok"]
    assert child.returncode == Exit.OK
    assert pipe.is_fifo()
    assert sandbox.run("list_resources.py", "--type", "sources", "--output", "-").json["ok"]


def test_a_failed_run_does_not_leave_an_older_success_in_the_file(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    target = tmp_path / "result.json"
    deploy(sandbox, tmp_path, config, "--output", str(target)).ok()
    deploy(sandbox, tmp_path, {**config, "project": "Nowhere"}, "--output", str(target)).fails(Exit.NOT_FOUND)
    assert json.loads(target.read_text())["ok"] is False


def test_a_failure_into_a_closed_pipe_is_still_a_failure(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["verify"] = {"min_records": 21}
    path = support.write_config(tmp_path, config)
    line = f"{sys.executable} {SCRIPTS}/deploy_flow.py --config {path} --verify-timeout 1 --quiet | true"
    run_shell(line, env=sandbox.env).fails(Exit.ROLLED_BACK)
