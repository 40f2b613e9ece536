"""Every command that a script prints runs from where the user stands, wherever the bundle is."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.core.settings import load_settings
from support import CLEAN, ROOT, SCRIPTS, Done, Exit, Sandbox, run_shell, run_words
from support.requesting import ends_with

BUNDLE_NAME = "a $HOME, \"quoted\" and O'Brien's bundle"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the bundle in a folder whose name a shell would take apart."""
    folder = tmp_path_factory.mktemp("bundles") / BUNDLE_NAME
    for name in ("scripts", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", folder)
    return folder


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def printed(done: Done) -> list[str]:
    """Every command that a script has printed: in its data, its warnings and the hint of its error."""
    texts = strings(done.json) if done.out else []
    texts += [done.error["hint"]] if done.err.startswith("{") else []
    found = [text[start:].split("; nothing was sent")[0] for text in texts if ".py" in text
             for start in [begin(text)] if start is not None]  # fmt: skip
    assert found, done.described("it prints no command")
    return found


def begin(text: str) -> int | None:
    """Where the command in a text begins: with the word that holds its Python."""
    match = re.search(r"(?:^|(?<= ))(?:'(?:[^']|'\"'\"')*python[\d.]*'|[^\s']*python[\d.]*) (?=\S*|')", text)
    return match.start() if match else None


def no_source(sandbox: Sandbox, folder: Path) -> list[str]:
    return ["operate_flow.py", "--operation", "status", "--resource-type", "sources", "--name", "ordrs"]


def no_flow(sandbox: Sandbox, folder: Path) -> list[str]:
    return ["diagnose_flow.py", "--resource-type", "sources", "--resource-id", "99999"]


def no_run(sandbox: Sandbox, folder: Path) -> list[str]:
    return ["get_resource_logs.py", "--resource-type", "sources", "--resource-id", "123", "--run-id", "5"]


def no_such_path(sandbox: Sandbox, folder: Path) -> list[str]:
    return ["list_resources.py", "--type", "flows", "--project", "999"]


def overview(sandbox: Sandbox, folder: Path) -> list[str]:
    return ["nexla_quickstart.py"]


def failing(sandbox: Sandbox, folder: Path) -> list[str]:
    return ["diagnose_flow.py", "--resource-type", "sources", "--resource-id", "789"]


def wrong_config(sandbox: Sandbox, folder: Path) -> list[str]:
    (folder / "wrong.json").write_text("{}")
    return ["deploy_flow.py", "--config", "wrong.json"]


def deployed(sandbox: Sandbox, folder: Path) -> list[str]:
    (folder / "my $flows").mkdir()
    support.write_config(folder / "my $flows", support.plant_orders(sandbox))
    return ["deploy_flow.py", "--config", "my $flows/flow.json"]


CASES: list[Callable[[Sandbox, Path], list[str]]] = [
    no_source, no_flow, no_run, no_such_path, overview, failing, wrong_config, deployed
]  # fmt: skip


def runs(sandbox: Sandbox, done: Done, here: Path, env: dict[str, str]) -> None:
    """Each printed command starts its script with flags that the script takes."""
    for line in printed(done):
        assert shlex.split(line)[1].endswith(".py"), line
        reads = "list_resources" in line or "--operation status" in line or "--dry-run" in line
        ran = run_shell(line if reads else f"{line} --help", env=env, cwd=here)
        ran.ends(Exit.OK, *([Exit.NOT_FOUND] if "--operation status" in line else []), about=line)


@pytest.mark.parametrize("case", CASES)
def test_from_another_folder(sandbox: Sandbox, bundle: Path, tmp_path: Path, case: Any) -> None:
    here = tmp_path / "else where"
    here.mkdir()
    words = case(sandbox, here)
    done = run_words([sys.executable, bundle / "scripts" / words[0], *words[1:]], env=sandbox.env, cwd=here)
    runs(sandbox, done, here, sandbox.env)


@pytest.mark.parametrize("python", ["python", "python3"])
@pytest.mark.parametrize("activated", [True, False])
def test_from_the_bundles_own_folder_it_is_as_the_guides_write_it(
    sandbox: Sandbox, bundle: Path, python: str, activated: bool
) -> None:
    path = f"{BIN}:{os.environ['PATH']}" if activated else "/usr/bin:/bin"
    env = {**sandbox.env, "PATH": path}
    done = run_words([BIN / python, "scripts/nexla_quickstart.py"], env=env, cwd=bundle).ok()
    first = done.data["next"][0]
    expected = "python" if activated else str(BIN / python)
    assert shlex.split(first)[:2] == [expected, "scripts/list_resources.py"]
    runs(sandbox, done, bundle, env)


def test_a_python_of_another_environment_is_not_named(sandbox: Sandbox, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "python").chmod(0o755)
    env = {**sandbox.env, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    runs(sandbox, run_words([sys.executable, "scripts/nexla_quickstart.py"], env=env, cwd=bundle).ok(), bundle, env)


def test_through_a_symbolic_link(sandbox: Sandbox, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "tool").symlink_to(bundle / "scripts" / "nexla_quickstart.py")
    (tmp_path / "skill").symlink_to(bundle)
    for words, here in ((["./tool"], tmp_path), (["scripts/nexla_quickstart.py"], tmp_path / "skill")):
        done = run_words([sys.executable, *words], env=sandbox.env, cwd=here).ok()
        runs(sandbox, done, here, sandbox.env)


def test_with_an_env_file_the_printed_commands_name_it(sandbox: Sandbox, bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "my nexla.env"
    file.write_text(f"NEXLA_API_URL={sandbox.url}\nNEXLA_SERVICE_KEY={sandbox.key}\n")
    file.chmod(0o600)
    words = [sys.executable, bundle / "scripts" / "nexla_quickstart.py", "--env-file", "my nexla.env"]
    done = run_words(words, env=CLEAN, cwd=tmp_path).ok()
    elsewhere = tmp_path / "else"
    elsewhere.mkdir()
    runs(sandbox, done, elsewhere, CLEAN)
    assert not any("--env-file" in line for line in sandbox.run_inside("nexla_quickstart.py").data["next"])


def test_without_credentials_or_packages_the_printed_command_is_quoted(bundle: Path, tmp_path: Path) -> None:
    done = run_words(
        [sys.executable, bundle / "scripts" / "list_resources.py", "--type", "users"], env=CLEAN, cwd=tmp_path
    )
    line = done.fails(Exit.CONFIG, "no credentials")["hint"].partition("an account: ")[2]
    run_shell(f"{line} --help", env=CLEAN, cwd=tmp_path).ok()
    run_words([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], env=CLEAN).ok()
    env = {**CLEAN, "NEXLA_SERVICE_KEY": "k" * 20, "NEXLA_API_URL": "http://127.0.0.1:1"}
    python = tmp_path / "bare" / "bin" / "python"
    done = run_words([python, bundle / "scripts" / "list_resources.py", "--type", "users"], env=env, cwd=tmp_path)
    words = shlex.split(done.fails(Exit.CONFIG, "pip install -r")["hint"])
    assert Path(words[-1]).samefile(bundle / "requirements.txt")


def test_an_example_says_from_where_it_runs() -> None:
    text = run_words([sys.executable, SCRIPTS / "list_resources.py", "--help"], env=CLEAN).ok().out
    assert "example, from the folder of the bundle:" in text


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://nexla.example.com/nexla-api", "https://nexla.example.com/nexla-api"),
        ("http://nexla.example.com:8443/a/nexla-api/", "https://nexla.example.com:8443/a/nexla-api/"),
        ("nexla.example.com/nexla-api", "https://nexla.example.com/nexla-api"),
        ("https://nexla.example.com/nexla-api?x=1", "https://nexla.example.com/nexla-api"),
        ("https://nexla.example.com/nexla-api#top", "https://nexla.example.com/nexla-api"),
        ("ftp://nexla.example.com/nexla-api", "https://dataops.nexla.io/nexla-api"),
    ],
)
def test_the_hint_for_a_wrong_url_keeps_its_path(url: str, hint: str) -> None:
    error = ends_with(Exit.CONFIG, lambda: load_settings({"NEXLA_API_URL": url, "NEXLA_SERVICE_KEY": "k" * 20}))
    assert error.hint.split()[-1] == hint
