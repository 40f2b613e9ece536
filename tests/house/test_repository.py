"""Rules that the repository itself must keep."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from nexla_sdk.models.credentials.requests import CredentialCreate
from nexla_sdk.models.destinations.requests import DestinationCreate
from nexla_sdk.models.sources.requests import SourceCreate

from helpers.deploy import config as flow_config
from helpers.deploy import model as flow_model
from support import COMMANDS, ROOT, SCRIPTS

FILES = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
TESTS = [name for name in FILES if name.startswith("tests/") and name.endswith(".py") and (ROOT / name).is_file()
         and not name.startswith("tests/sandbox/") and name != "tests/house/test_repository.py"]  # fmt: skip


def requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("script", COMMANDS)
def test_the_script_header_is_requirements_txt(script: str) -> None:
    text = (SCRIPTS / script).read_text()
    header = re.search(r"^# /// script\n(.*?)^# ///$", text, re.DOTALL | re.MULTILINE)
    assert header
    assert re.findall(r'^#   "([^"]+)",$', header[1], re.MULTILINE) == requirements("requirements.txt")
    assert 'requires-python = ">=3.11"' in header[1]


@pytest.mark.parametrize("script", COMMANDS)
def test_a_script_is_parser_job_main(script: str) -> None:
    text = (SCRIPTS / script).read_text()
    names = re.findall(r"^def (\w+)", text, re.MULTILINE)
    assert names[0] == "build_parser"
    assert names[-1] == "main"
    assert "print(" not in text
    others = "|".join(name[:-3] for name in COMMANDS)
    assert not re.search(rf"^(?:from|import) (?:scripts\.)?(?:{others})\b", text, re.MULTILINE)


def test_every_requirement_is_pinned_in_the_constraints() -> None:
    pinned = {re.split(r"==", line)[0].lower().replace("_", "-") for line in requirements("constraints.txt")}
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in requirements(name):
            package = re.split(r"[<>=\[]", line)[0].lower().replace("_", "-")
            assert package in pinned, package


def test_the_stored_schema_is_the_models() -> None:
    assert flow_config.SCHEMA_FILE.read_text() == flow_model.schema_text(), "run: make schema"


def test_the_config_knows_every_field_of_the_sdks_create_models() -> None:

    for sdk, ours in ((SourceCreate, flow_model.Source), (DestinationCreate, flow_model.Destination),
                      (CredentialCreate, flow_model.Credential)):  # fmt: skip
        assert set(sdk.model_fields) <= set(ours.model_fields), sdk.__name__


@pytest.mark.parametrize("config", sorted((ROOT / "examples" / "flows").glob("*.json")), ids=lambda p: p.name)
def test_every_example_flow_is_valid(config: Path) -> None:

    env = dict.fromkeys(re.findall(r"\$\{(\w+)\}", config.read_text()), "x" * 8)
    loaded = flow_config.load(str(config), env)
    parsed = flow_model.parse(loaded)
    assert parsed.source or parsed.all_destinations


def test_files_stay_readable() -> None:
    for name in FILES:
        if name.endswith(".py") and name.startswith(("scripts/", "sandbox/")):
            assert len((ROOT / name).read_text().splitlines()) <= 325, name
        elif name in TESTS:
            assert len((ROOT / name).read_text().splitlines()) <= 400, name


BARE_EXIT = re.compile(r"\.(?:code|returncode)\b[^=\n\"']* (?:==|!=) \(?-?\d")
PRIVATE = re.compile(r"\bfrom helpers[\w.]* import .*\b_[a-z]|\bhelpers\.[\w.]*\._[a-z]|\b[A-Z]\w*\._[a-z]")


def test_tests_name_the_exits_and_use_no_private_function() -> None:
    """An assertion that fails must say what came, and what nobody else may call is no promise."""
    for name in TESTS:
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1):
            assert not BARE_EXIT.search(line), f"{name}:{number} compares an exit code with a bare number"
            assert not PRIVATE.search(line), f"{name}:{number} uses a private name of the code that it tests"


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (BARE_EXIT, "assert done.code == 3, done.err"), (BARE_EXIT, "assert (done.code, x) == (6, True)"),
        (BARE_EXIT, "assert child.returncode == -9"), (PRIVATE, "from helpers.api.logs import _overlap"),
        (PRIVATE, "look = proving.ProofStep._look"),
    ],
)  # fmt: skip
def test_such_a_line_is_found(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


def test_nothing_names_a_machine_or_a_workplace() -> None:
    words = re.compile(r"/work/|/root/|/home/\w|pypi\.org/simple|files\.pythonhosted|\.library\b")
    for name in FILES:
        if name == "tests/house/test_repository.py" or not (ROOT / name).is_file():
            continue
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
        assert not words.search(text), f"{name}: {words.search(text)}"
