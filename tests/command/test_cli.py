"""The contract of every command: streams, exit codes, formats, start-up time, missing parts."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import support
from support import CLEAN, COMMANDS, FOREVER, ROOT, SCRIPTS, Exit, Sandbox, run_words, until
from support.children import PATIENCE


@pytest.mark.parametrize("script", COMMANDS)
def test_help_has_an_example_and_the_exit_codes(script: str) -> None:
    done = support.run_script(script, "--help", env=CLEAN).ok()
    assert done.err == ""
    assert f"python scripts/{script}" in done.out
    for code in Exit:
        assert re.search(rf"^\s+{int(code)} {code.name}\b", done.out, re.MULTILINE), code


@pytest.mark.parametrize("script", COMMANDS)
def test_a_wrong_flag_is_usage_and_prints_one_object(script: str) -> None:
    done = support.run_script(script, "--no-such-flag", env=CLEAN)
    done.fails(Exit.USAGE)
    assert done.out == ""
    assert set(done.error) == {"code", "name", "message", "http_status", "request_id", "retryable", "hint", "resource"}


NEEDED = {  # what a script needs to get as far as its packages
    "list_resources.py": ["--type", "sources"],
    "deploy_flow.py": ["--config", "examples/flows/orders.json"],
    "nexla_quickstart.py": [],
    "operate_flow.py": ["--operation", "status", "--resource-id", "1"],
    "manage_transforms.py": ["--operation", "list"],
    "validate_nexset.py": ["--resource-id", "1", "--required", "a"],
    "manage_access.py": ["--operation", "list", "--resource-type", "sources", "--resource-id", "1"],
    "audit_access.py": ["--project", "10"],
}


def test_without_a_dependency_it_says_what_to_install(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    env = {**CLEAN, "NEXLA_SERVICE_KEY": "k" * 20, "NEXLA_API_URL": "http://127.0.0.1:1"}
    for script in COMMANDS:
        args = NEEDED.get(script, ["--resource-type", "sources", "--resource-id", "1"])
        done = run_words([bare / "bin" / "python", SCRIPTS / script, *args], env=env)
        hint = done.fails(Exit.CONFIG, "pip install -r", about=script)["hint"]
        assert Path(hint.split()[-1]) == ROOT / "requirements.txt"
        run_words([bare / "bin" / "python", SCRIPTS / script, "--help"], env=env).ok(script)


def test_an_old_python_is_refused_with_words() -> None:
    found = (path for minor in (10, 9, 8) if (path := shutil.which(f"python3.{minor}")))
    old = next((path for path in found if run_words([path, "-c", "pass"], env=CLEAN).code == Exit.OK), None)
    pretend = "import sys; sys.version_info = (3, 10, 1); sys.path.insert(0, 'scripts'); import helpers"
    words = [old, SCRIPTS / "list_resources.py"] if old else [sys.executable, "-c", pretend]
    done = run_words(words, env=CLEAN).ends(Exit.CONFIG)
    assert "3.11 or newer" in json.loads(done.err)["error"]["hint"]


def test_scripts_run_from_anywhere(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.run("list_resources.py", "--type", "sources", cwd=tmp_path).ok()
    link = tmp_path / "skill"
    link.symlink_to(ROOT)
    env = {**sandbox.env, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run_words([link / "scripts" / "list_resources.py", "--type", "sources"], env=env, cwd=Path("/")).ok()


def test_on_a_terminal_there_is_a_table_and_a_plain_error_line(sandbox: Sandbox) -> None:
    def in_terminal(*args: str) -> str:
        parent, child = pty.openpty()
        process = subprocess.Popen([sys.executable, str(SCRIPTS / args[0]), *args[1:]], env=sandbox.env, stdin=child,
                                   stdout=child, stderr=child)  # fmt: skip
        os.close(child)
        text = b""
        while True:
            try:
                part = os.read(parent, 4096)
            except OSError:
                break
            if not part:
                break
            text += part
        process.wait(PATIENCE)
        return text.decode()

    shown = in_terminal("list_resources.py", "--type", "sources")
    assert "orders" in shown
    assert "{" not in shown
    failed = in_terminal("list_resources.py", "--type", "sauces")
    assert failed.startswith("error: ")
    assert "{" not in failed


def test_the_output_file_is_atomic_and_private(sandbox: Sandbox, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")
    args = ("list_resources.py", "--type", "sources", "--format", "csv", "--output", str(target))
    assert sandbox.run(*args).out == ""
    assert target.read_text().startswith("id,name")
    assert target.stat().st_mode & 0o777 == 0o600
    target.write_text("old")
    sandbox.faults({"action": "status", "status": 500, "times": 99})
    sandbox.run(*args).fails(Exit.UPSTREAM)
    assert (target.read_text(), [p.name for p in tmp_path.glob(".out*")]) == ("old", [])
    sandbox.faults()
    sandbox.run("list_resources.py", "--type", "sources", "--output", str(tmp_path / "no" / "x")).fails(Exit.CONFIG)


def test_quiet_is_quiet_and_progress_goes_to_standard_error(sandbox: Sandbox) -> None:
    assert "counting" in sandbox.run("nexla_quickstart.py").err
    assert sandbox.run("nexla_quickstart.py", "--quiet").err == ""


def test_only_verbose_shows_a_traceback(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; sys.path.insert(0, 'scripts'); from helpers.command import cli\n"
        "from helpers.command.parser import command_parser\n"
        "def defect(args): raise RuntimeError('defect')\n"
        "parser = command_parser('x', 'd', 'python scripts/x.py')\n"
        "sys.exit(cli.main(cli.Command('x', 'no:job'), parser, defect, sys.argv[1:]))"
    )
    for args, shown in (([], False), (["--verbose"], True)):
        done = run_words([sys.executable, "-c", code, *args], env=CLEAN)
        done.fails(Exit.ERROR, "defect")
        assert ("Traceback" in done.err) is shown


def test_a_reading_command_ends_at_once_on_ctrl_c(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "hang", "path": "/data_sources", "seconds": FOREVER})
    child = sandbox.start("list_resources.py", "--type", "sources")
    child.go()
    until(lambda: any(r["path"] == "/data_sources" for r in sandbox.journal()), "the request has been sent")
    child.send(signal.SIGINT)
    child.wait().fails(Exit.INTERRUPTED)


def test_the_deadline_ends_a_reading_command(sandbox: Sandbox) -> None:
    sandbox.faults({"action": "hang", "path": "/data_sources", "seconds": FOREVER, "times": 9})
    sandbox.run("list_resources.py", "--type", "sources", "--timeout", "1.5").fails(Exit.TIMEOUT)
