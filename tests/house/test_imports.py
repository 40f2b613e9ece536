"""The import contracts in pyproject.toml see the code, and each of them turns red when a wrong import is planted."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from support import CLEAN, ROOT, Done, Exit, run_words

PLANTED = [
    ("scripts/helpers/deploy/plan.py", "from helpers.access import rules", "Families of commands"),
    ("scripts/helpers/core/times.py", "from helpers.api import flows", "Families of commands"),
    ("scripts/list_resources.py", "import operate_flow", "No script imports a script"),
    ("scripts/helpers/monitor/health.py", "import sandbox.demo", "No script imports a script"),
    ("sandbox/engine/files.py", "from helpers.core import kinds", "The sandbox is a server of its own"),
    ("sandbox/state/world.py", "import sandbox.engine.runner", "The sandbox: HTTP over resources"),
    (
        "scripts/helpers/core/redact.py",
        "from helpers.core import errors\nfrom helpers.core import settings",
        "No circles",
    ),
]


def contracts(folder: Path) -> Done:
    program = Path(sys.executable).with_name("lint-imports")
    return run_words([program, "--no-cache"], env={**CLEAN, "PYTHONPATH": "scripts"}, cwd=folder)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for name in ("scripts", "sandbox"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_contracts_hold_and_see_the_code() -> None:
    done = contracts(ROOT).ok()
    seen = re.search(r"Analyzed (\d+) files, (\d+) dependencies", done.out)
    assert seen, done.out
    assert int(seen[1]) > 150, "files"
    assert int(seen[2]) > 200, "imports"


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED)
def test_a_planted_import_turns_its_contract_red(copy: Path, file: str, line: str, contract: str) -> None:
    text = (copy / file).read_text()
    (copy / file).write_text(
        text.replace("from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n", 1)
    )
    try:
        done = contracts(copy).ends(Exit.ERROR, about=line)
    finally:
        (copy / file).write_text(text)
    assert re.search(rf"{contract}[^│╔]*?BROKEN", done.out), done.out
