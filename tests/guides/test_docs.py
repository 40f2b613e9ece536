"""The guides are tests: every command is parsed and run, every block runs, every table is the code's own."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from skills_ref import validate

from support import ROOT, SCRIPTS, Done, Exit, Sandbox, run_shell, run_words
from support import guides as doc_checks
from support.guides import GUIDES
from support.quick_python import quick_python

PYTHON = Path(sys.executable)
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in GUIDES}


def nothing_wrong(problems: list[str]) -> None:
    assert not problems, "\n".join(problems)


# -- what is written


@pytest.mark.parametrize("name", GUIDES)
def test_every_command_is_accepted_by_its_script(name: str) -> None:
    nothing_wrong(doc_checks.command_problems(TEXTS[name]))


def test_there_are_commands_blocks_and_links_to_check() -> None:
    everything = "\n".join(TEXTS.values())
    assert len(doc_checks.command_lines(everything)) >= 35
    assert sum(block.kind == "python" for block in doc_checks.blocks(everything)) >= 7
    assert sum(block.kind == "json" for block in doc_checks.blocks(everything)) >= 4
    assert len(re.findall(r"\]\([^)]+\)", everything)) >= 30


@pytest.mark.parametrize("name", GUIDES)
def test_links_json_placeholders_and_reasons(name: str) -> None:
    text = TEXTS[name]
    nothing_wrong(doc_checks.link_problems(text))
    nothing_wrong(doc_checks.json_problems(text))
    nothing_wrong(doc_checks.placeholder_problems(text))
    nothing_wrong(doc_checks.unexplained_blocks(text))


@pytest.mark.parametrize("name", ["SKILL.md", "REFERENCE.md"])
def test_the_exit_codes_are_the_codes(name: str) -> None:
    nothing_wrong(doc_checks.exit_code_problems(TEXTS[name]))


def test_the_table_of_scripts_is_the_folder() -> None:
    nothing_wrong(doc_checks.script_table_problems(TEXTS["SKILL.md"]))


def test_versions_are_the_installed_ones() -> None:
    checked = re.search(r"nexla-sdk (\d+\.\d+\.\d+)", TEXTS["REFERENCE.md"])
    assert checked
    assert checked[1] == version("nexla-sdk")


def test_environment_variables_are_all_documented() -> None:
    sources = "\n".join(path.read_text() for path in SCRIPTS.rglob("*.py"))
    used = set(re.findall(r"\b(NEXLA_[A-Z_]+|XDG_[A-Z_]+)\b", sources))
    assert used == set(re.findall(r"^\| `((?:NEXLA|XDG)_[A-Z_]+)` \|", TEXTS["REFERENCE.md"], re.MULTILINE))


def test_the_skill_page_is_short_and_valid(tmp_path: Path) -> None:
    assert len(TEXTS["SKILL.md"].splitlines()) <= 200
    folder = tmp_path / "nexla-data-flows-operator"
    folder.mkdir()
    shutil.copy(ROOT / "SKILL.md", folder)
    assert validate(folder) == []
    wrong = tmp_path / "another-name"
    shutil.copytree(folder, wrong)
    assert validate(wrong) != []


@pytest.mark.parametrize("name", [guide for guide in GUIDES if guide != "README.md"])
def test_long_guides_have_a_table_of_contents(name: str) -> None:
    if len(TEXTS[name].splitlines()) > 100 and name != "SKILL.md":
        heads = re.findall(r"^## (.+)$", doc_checks.prose(TEXTS[name]), re.MULTILINE)
        missing = [head for head in heads if f"[{head}](#" not in TEXTS[name]]
        assert not missing, missing


# -- what runs


@pytest.fixture(scope="module")
def quick() -> Iterator[Path]:
    """A ``python`` that starts scripts quickly."""
    with quick_python() as python:
        yield python


def workplace(sandbox: Sandbox, folder: Path, python: Path = PYTHON) -> dict[str, str]:
    """A folder that looks like the bundle, with ``python`` on the path; what blocks write lands there."""
    for name in ("scripts", "sandbox", "examples", "requirements.txt"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(PYTHON)
    path = f"{python.parent}:{PYTHON.parent}:{os.environ['PATH']}"
    return {**sandbox.env, "PATH": path, "HOME": str(folder), "PYTHONPATH": str(folder), "SHOP_KEY_ID": "example-id"}


def run_block(block: Any, folder: Path, env: dict[str, str]) -> Done:
    if block.kind == "python":
        return run_words([sys.executable, "-c", block.body], cwd=folder, env=env)
    body = "\n".join(line for line in block.body.splitlines() if not line.startswith("make "))
    body = body.replace("python -m pip install", ": python -m pip install")  # what is to be installed is there
    return run_shell("set -u\n" + body, cwd=folder, env=env)


def sections(name: str) -> dict[str, list[Any]]:
    """The blocks of a guide that run, by the line and title of their chapter."""
    lines = TEXTS[name].splitlines()
    titles = {number: line for number, line in enumerate(lines, 1) if line.startswith("## ")}
    found: dict[str, list[Any]] = {}
    for block in doc_checks.blocks(TEXTS[name]):
        if block.kind in ("bash", "python") and block.reason is None:
            above = max((number for number in titles if number < block.line), default=0)
            found.setdefault(f"{name}:{above} {titles.get(above, '')[3:40]}".strip(), []).append(block)
    return found


CHAPTERS = {title: blocks for name in GUIDES for title, blocks in sections(name).items()}


@pytest.mark.soak
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_runs_with_a_python_that_has_nothing_loaded(
    sandbox: Sandbox, tmp_path: Path, chapter: str
) -> None:
    test_every_chapter_runs_on_its_own_from_its_first_block_to_its_last(sandbox, PYTHON, tmp_path, chapter)


@pytest.mark.long
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_runs_on_its_own_from_its_first_block_to_its_last(
    sandbox: Sandbox, quick: Path, tmp_path: Path, chapter: str
) -> None:
    env = workplace(sandbox, tmp_path, quick)
    for block in CHAPTERS[chapter]:
        run_block(block, tmp_path, env).ok(f"{chapter}, line {block.line}")
    sandbox.problems = [p for p in sandbox.problems if "/__sandbox" not in p]


@pytest.mark.parametrize("name", ["SKILL.md", "EXAMPLES.md", "REFERENCE.md"])
def test_every_command_in_the_prose_runs(sandbox: Sandbox, quick: Path, tmp_path: Path, name: str) -> None:
    env = workplace(sandbox, tmp_path, quick)
    prose = doc_checks.prose(TEXTS[name])
    commands = list(dict.fromkeys(re.findall(r"`(python scripts/[^`]+)`", prose)))
    assert commands or name == "REFERENCE.md"
    for line in commands:
        sandbox.idle()  # one may ask for what another one has started
        finds = any(
            name in line for name in ("diagnose_flow", "health_check", "audit_access")
        )  # what they find may be so
        run_words(["bash", "-c", line], cwd=tmp_path, env=env).ends(Exit.OK, *([Exit.FINDINGS] if finds else []))


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([a-z]+)\b", TEXTS["README.md"])) - {"and"}
    assert {"demo", "test", "lint", "sandbox"} <= named
    for target in named & {"demo", "test", "lint", "sandbox"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for line in ("-m sandbox.demo", "-m pytest", "ruff format --check .", "ruff check .", "mypy", "-m sandbox"):
        assert line in TEXTS["README.md"]
        assert line in makefile
    assert "make test" in (ROOT / ".ci" / "run").read_text()


# -- a checker that finds nothing must fail: planted faults


FAULTS = {
    "an unknown flag": ("```bash\npython scripts/list_resources.py --type sources --pge 2\n```\n", "command_problems"),
    "a script that is not there": ("`python scripts/no_such.py --x`", "command_problems"),
    "a wrong choice": ("```bash\npython scripts/list_resources.py --type x --format yaml\n```\n", "command_problems"),
    "a dead link": ("[x](NOWHERE.md)", "link_problems"),
    "a dead heading": ("[x](REFERENCE.md#no-such-heading)", "link_problems"),
    "broken JSON": ('```json\n{"a": }\n```\n', "json_problems"),
    "an unknown key in a flow": ('```json\n{"source": {"nmae": "x"}}\n```\n', "json_problems"),
    "a placeholder": ("```python\nx = <nexset_id>\n```\n", "placeholder_problems"),
    "a skip without a reason": ("<!-- not run: later -->\n```bash\nfalse\n```\n", "unexplained_blocks"),
    "a wrong exit code": ("| 7 | NOT_FOUND | gone |\n", "exit_code_problems"),
    "no exit codes at all": ("nothing here", "exit_code_problems"),
    "a script that is made up": ("| `scripts/magic.py` | x | y |\n", "script_table_problems"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    text, check = FAULTS[fault]
    assert getattr(doc_checks, check)(text)


@pytest.mark.parametrize(
    "body",
    ["import nexla_sdk\nnexla_sdk.NexlaClient(nonsense=1)\n", "from nexla_sdk import NoSuchThing\n", "1/0\n"],
)
def test_a_planted_fault_in_a_python_block_is_found(sandbox: Sandbox, tmp_path: Path, body: str) -> None:
    block = doc_checks.blocks(f"```python\n{body}```\n")[0]
    assert run_block(block, tmp_path, workplace(sandbox, tmp_path)).code != Exit.OK


def test_a_failing_command_in_a_shell_block_is_found(sandbox: Sandbox, tmp_path: Path) -> None:
    text = "```bash\npython scripts/list_resources.py --type sources --id 0\necho fine\n```\n"
    assert run_block(doc_checks.blocks(text)[0], tmp_path, workplace(sandbox, tmp_path)).code != Exit.OK
