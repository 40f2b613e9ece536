"""There is one version, and everything that names one names it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import support
from helpers.core.version import NAME, VERSION
from support import COMMANDS, ROOT, Sandbox


@pytest.mark.parametrize("script", COMMANDS)
def test_every_command_shows_it(script: str, sandbox: Sandbox) -> None:
    done = sandbox.run_inside(script, "--version").ok()
    assert (done.out, done.err) == (f"{script} {VERSION}\n", "")


def test_the_server_sees_it_in_every_request(sandbox: Sandbox) -> None:
    sandbox.run("list_resources.py", "--type", "sources").ok()
    seen = {request["user_agent"] for request in sandbox.journal()}
    assert seen == {f"{NAME}/{VERSION}"}


def test_a_journal_begins_with_it(sandbox: Sandbox, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    config = support.write_config(tmp_path, support.plant_orders(sandbox))
    sandbox.run("deploy_flow.py", "--config", config, "--journal", str(journal)).ok()
    assert json.loads(journal.read_text().splitlines()[0])["version"] == VERSION


def test_the_skill_and_the_changelog_name_it() -> None:
    skill = (ROOT / "SKILL.md").read_text(encoding="utf-8")
    assert re.findall(r'^name: (.+)$|^  version: "(.+)"$', skill, re.MULTILINE) == [(NAME, ""), ("", VERSION)]
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(VERSION)} - \d{{4}}-\d\d-\d\d", heads[1]), heads
