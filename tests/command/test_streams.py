"""What reads a command's output may go away, or have no room: the change goes on, and the exit code is the real one."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

import support
from helpers.command.progress import Reporter
from support import SCRIPTS, Done, Exit, Sandbox, run_shell
from support.access import rules

GRANT = ["manage_access.py", "--operation", "grant", "--resource-type", "sources", "--resource-ids", "123,456,789",
         "--accessor-type", "TEAM", "--accessor-id", "42", "--role", "operator"]  # fmt: skip
GONE = ["2>&1 | head -n 1", "2>&1 | true", "2>/dev/full", ">/dev/full", ">/dev/full 2>&1", ">&-", "2>&-", ">&- 2>&-"]


def shell(sandbox: Sandbox, words: list[str], into: str) -> Done:
    """The script's own exit code, whatever becomes of the rest of the pipe."""
    line = shlex.join([sys.executable, str(SCRIPTS / words[0]), *words[1:]])
    return run_shell(f"set +e +o pipefail; {line} {into}; exit ${{PIPESTATUS[0]}}", env=sandbox.env)


@pytest.mark.parametrize("into", GONE)
def test_a_change_that_nobody_reads_of_is_carried_out(sandbox: Sandbox, into: str) -> None:
    shell(sandbox, GRANT, into).ok(into)
    assert [rules(sandbox, "sources", number) for number in (123, 456, 789)] == [{("TEAM", 42): ["operator"]}] * 3


@pytest.mark.parametrize("into", GONE)
def test_a_change_that_fails_unread_is_undone_and_says_so_by_its_exit_code(sandbox: Sandbox, into: str) -> None:
    refuse = {"action": "status", "status": 400, "method": "PUT", "path": "/data_sources/789/accessors", "times": 9}
    sandbox.faults(refuse)
    shell(sandbox, GRANT, into).ends(Exit.ROLLED_BACK, about=into)
    assert [rules(sandbox, "sources", number) for number in (123, 456, 789)] == [{}] * 3


@pytest.mark.parametrize("into", GONE)
def test_findings_survive_as_the_exit_code(sandbox: Sandbox, into: str) -> None:
    sandbox.api("PUT", "/data_sinks/123/pause")
    words = ["health_check.py", "--resource-type", "destinations", "--resource-id", "123"]
    shell(sandbox, words, into).ends(Exit.FINDINGS, about=into)


@pytest.mark.parametrize("into", GONE)
@pytest.mark.parametrize("words", [["deploy_flow.py", "--print-schema"], ["list_resources.py", "--help"]])
def test_what_needs_no_server_ends_quietly(sandbox: Sandbox, words: list[str], into: str) -> None:
    done = shell(sandbox, words, into).ok(into)
    assert "Traceback" not in done.out + done.err


def test_a_result_that_standard_output_cannot_take_goes_to_standard_error(sandbox: Sandbox) -> None:
    words = ["operate_flow.py", "--operation", "pause", "--resource-id", "1230"]
    done = shell(sandbox, words, ">/dev/full").ok()
    (line,) = [line for line in done.err.splitlines() if line.startswith("{")]
    assert json.loads(line)["data"]["was_active"], "what a later --restore needs is lost"


@pytest.mark.parametrize("into", ["| cat", "", "> /dev/null"])
def test_standard_output_may_be_named_as_the_output_file(sandbox: Sandbox, into: str) -> None:
    words = ["list_resources.py", "--type", "sources", "--id", "123", "--output", "/dev/stdout"]
    done = shell(sandbox, words, into).ok(into)
    assert into == "> /dev/null" or json.loads(done.out)["data"][0]["id"] == 123


def test_a_name_that_the_terminal_cannot_show_is_escaped(sandbox: Sandbox) -> None:
    names = {"name": "caf\u00e9 \u65e5\u672c"}
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": names})
    for form in ("table", "csv", "json"):
        words = [sys.executable, SCRIPTS / "list_resources.py", "--type", "sources", "--id", "123", "--format", form]
        done = support.run_words(words, env={**sandbox.env, "PYTHONIOENCODING": "ascii"}).ok(form)
        assert "Traceback" not in done.err, done.err


@pytest.mark.parametrize("text", ['undo nexset x\n{"ok": false}', '{"ok": false}'])
def test_a_name_cannot_pass_for_an_error_object(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """A reader takes a line of standard error that begins with a brace for the command's error."""
    Reporter(quiet=False).report(text)
    shown = capsys.readouterr().err
    assert '{"ok": false}' in shown
    assert not [line for line in shown.splitlines() if line.startswith("{")]
