"""More than eighty secrets, planted wherever text comes from, come out nowhere that text goes to."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.command.progress import Reporter
from support import CLEAN, ROOT, Done, Exit, Sandbox, answers, run_words
from support.clocks import VirtualClock
from support.planted import Planted, planted, seen
from support.receiver import Receiver

SECRETS = planted()
ALL = "\n".join(entry.text for entry in SECRETS)
FORMATS = ("json", "ndjson", "csv", "table")
LOGIN = "/users/current"
RUN = 1_795_000_000_000  # an id


def shows_none(text: str, *, at_least: int = 200) -> None:
    """No secret is in the text, which is not empty but shows what was redacted."""
    __tracebackhide__ = True
    found = seen(text, SECRETS)
    assert found == [], f"{len(found)} secrets came out, such as {found[0].text!r}"
    assert len(text) >= at_least
    assert "[redacted]" in text


def parts(length: int = 190) -> list[list[Planted]]:
    """The secrets in groups whose texts are short enough for a message; a long one is a group of its own."""
    groups: list[list[Planted]] = [[]]
    for entry in SECRETS:
        if groups[-1] and len("\n".join(item.text for item in [*groups[-1], entry])) > length:
            groups.append([])
        groups[-1].append(entry)
    return groups


def edit(sandbox: Sandbox, kind: str, **fields: Any) -> None:
    sandbox.control("POST", "edit", {"kind": kind, "id": 123, "set": fields})


def test_there_are_more_than_eighty_kinds() -> None:
    assert len(SECRETS) >= 80
    assert len({entry.secret for entry in SECRETS}) == len(SECRETS)
    assert seen(ALL, SECRETS) == SECRETS


@pytest.mark.parametrize("form", FORMATS)
def test_lists_and_files_of_descriptions_names_and_configs(sandbox: Sandbox, tmp_path: Path, form: str) -> None:
    notes = {f"note_{number}": entry.text for number, entry in enumerate(SECRETS)}
    edit(sandbox, "sources", description=ALL, source_config={"path": "demo-bucket/orders", "all": ALL, **notes})
    file = tmp_path / "result"
    words = ["--type", "sources", "--all", "--format", form]
    words += ["--fields", "id,description"] if form == "table" else ["--full"]
    done = sandbox.run_inside("list_resources.py", *words).ok()
    shows_none(done.out)
    assert form == "table" or done.out.count("[redacted]") >= 2 * len(SECRETS)  # a table breaks words
    sandbox.run_inside("list_resources.py", *words, "--output", str(file)).ok()
    shows_none(file.read_text())


def test_error_messages(sandbox: Sandbox) -> None:
    """A message is cut at 200 characters, so the secrets come in groups."""
    for group in parts():
        text = "\n".join(entry.text for entry in group)
        for body in ({"message": text}, text, {"error": {"text": [text]}}):
            sandbox.faults(answers(body, LOGIN, status=422))
            done = sandbox.run_inside("nexla_quickstart.py", "--verbose").ends(Exit.ERROR)
            assert seen(done.out + done.err, group) == [], text
            assert "[redacted]" in done.err, done.err


TRACEBACK = """
import sys; sys.path[:0] = ['scripts', 'tests']
from helpers.command import cli
from helpers.command.parser import command_parser
from support.planted import planted

def defect(args):
    try:
        raise ValueError('\\n'.join(entry.text for entry in planted()))
    except ValueError as error:
        raise RuntimeError(str(error)) from error

parser = command_parser('x', 'd', 'python scripts/x.py')
sys.exit(cli.main(cli.Command('x', 'no:job'), parser, defect, sys.argv[1:]))
"""


def test_tracebacks() -> None:
    for words in ([], ["--verbose"]):
        done = run_words([sys.executable, "-c", TRACEBACK, *words], env=CLEAN, cwd=ROOT).ends(Exit.ERROR)
        shows_none(done.out + done.err)
        assert ("Traceback" in done.err) is bool(words)


def test_log_lines(sandbox: Sandbox) -> None:
    row = {"resource_type": "SOURCE", "resource_id": 123, "severity": "ERROR", "log_type": "LOG", "run_id": RUN}
    rows = [{**row, "timestamp": RUN + n, "log": entry.text} for n, entry in enumerate(SECRETS)]
    body = {"status": 200, "logs": {"data": rows, "meta": {"total_count": len(rows), "pages_count": 1}}}
    for form in FORMATS:
        sandbox.faults(answers(body, "/data_sources/123/flow/logs"))
        words = ["--resource-type", "sources", "--resource-id", "123", "--run-id", str(RUN), "--format", form]
        done = sandbox.run_inside("get_resource_logs.py", *words)
        assert done.code in (Exit.OK, Exit.FINDINGS), done.described("log lines")
        shows_none(done.out + done.err)
    sandbox.problems.clear()


def test_progress(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    for entry in SECRETS:
        Reporter(quiet=False).report(entry.text)
    shows_none(capsys.readouterr().err)


def test_reports_and_alerts(sandbox: Sandbox, clock: VirtualClock, tmp_path: Path) -> None:
    receiver = Receiver()
    page, posts = tmp_path / "health.html", list[str]()
    try:
        for group in parts(600):
            edit(sandbox, "sinks", name="\n".join(entry.text for entry in group), status="PAUSED")
            for form in ("generic", "slack", "teams"):
                words = ["--resource-type", "destinations", "--resource-id", "123", "--open-after", "1",
                         "--state", str(tmp_path / f"{len(posts)}.json"), "--alert-format", form]  # fmt: skip
                env = {"NEXLA_ALERT_WEBHOOK": receiver.url}
                words += ["--report", str(page), "--format", "markdown"]
                done = sandbox.run_inside("health_check.py", *words, env=env).ends(Exit.FINDINGS)
                posts.append(json.dumps(receiver.posts[-1][0]))
                text = page.read_text() + done.out + done.err + posts[-1]
                assert seen(text, group) == []
                assert receiver.url not in text
    finally:
        receiver.server.shutdown()
    assert all("redacted" in post for post in posts)


def secret_config(sandbox: Sandbox) -> dict[str, Any]:
    config = support.plant_orders(sandbox)
    config["source"]["description"] = "password=short-one-1"
    config["source"]["source_config"] |= {f"note_{number}": entry.text for number, entry in enumerate(SECRETS)}
    config["destination"]["sink_config"] |= {"all": ALL, "account_key": "Zz999xWv7Kd9", "nested": [{"pwd": 12345678}]}
    return config


@pytest.mark.parametrize("words", [["--dry-run"], [], ["--format", "table"]], ids=["plan", "deploy", "table"])
def test_plans_and_journals(sandbox: Sandbox, tmp_path: Path, words: list[str]) -> None:
    path = support.write_config(tmp_path, secret_config(sandbox))
    done = sandbox.run_inside("deploy_flow.py", "--config", path, *words).ok()
    files = [file.read_text() for file in sandbox.state.rglob("*") if file.is_file()]
    text = "\n".join([done.out, done.err, *files])
    for hidden in ("Zz999xWv7Kd9", "12345678", "short-one-1"):
        assert hidden not in text
    assert seen(text, SECRETS) == []
    stored = json.dumps(sandbox.snapshot().get("sources"))
    assert words == ["--dry-run"] or "[redacted]" not in stored, "what is sent is not redacted"


def test_a_proxys_password_is_not_shown(sandbox: Sandbox) -> None:
    env = {
        "NEXLA_API_URL": "https://nexla.invalid/api",
        "HTTPS_PROXY": "http://bob:pr0xy-pw@127.0.0.1:1",
        "NO_PROXY": "",
    }
    done = sandbox.run("nexla_quickstart.py", "--verbose", env={**env, "https_proxy": env["HTTPS_PROXY"]})
    done.fails(Exit.UPSTREAM)
    assert "pr0xy-pw" not in done.out + done.err


def test_the_secrets_of_a_token_response_are_known(sandbox: Sandbox) -> None:
    body = {"access_token": "", "refresh_token": "fresh-tok-1", "note": {"client_secret": "cl1ent-s3cret"}}
    echo = {"message": "you sent fresh-tok-1 and cl1ent-s3cret and " + "QUJDZnJlc2gtdG9rLTE="}
    sandbox.faults(answers({**body, "access_token": "t0ken-of-1", "expires_in": 9999}, "/token", "POST"),
                   answers(echo, LOGIN, status=422))  # fmt: skip
    done = sandbox.run_inside("nexla_quickstart.py", "--verbose").ends(Exit.ERROR)
    sandbox.problems.clear()
    assert not [word for word in ("fresh-tok-1", "cl1ent-s3cret", "t0ken-of-1", "ZnJlc2gtdG9rLT") if word in done.err]


@pytest.mark.parametrize(
    "words",
    [
        ["--service-key", "Zq777xWv7Kd9"], ["--token=Zq777xWv7Kd9"], ["-p", "password=Zq777xWv7Kd9"],
        ["Bearer Zq777xWv7Kd9"],
        ["--webhook", "https://u:Zq777xWv7Kd9@h.test/"], ["--timeout", "https://h.test/?sig=Zq777xWv7Kd9"],
        ["--api-key", "Zq777xWv7Kd9", "--timeout", "Zq777xWv7Kd9"], ["--format", "token=Zq777xWv7Kd9"],
        ["Zq777xWv7Kd9abcdefghijklm"], ["--no-such", "Zq777xWv7Kd9-abcdefghijklm"],
        ["--workers", "api_key:Zq777xWv7Kd9"],
        ["--client-secret='Zq777xWv7Kd9"], ["--format", "sources?access_token=Zq777xWv7Kd9"],
    ],
)  # fmt: skip
def test_a_secret_in_a_wrong_argument_is_not_repeated(sandbox: Sandbox, words: list[str]) -> None:
    for script, needed in (("list_resources.py", ["--type", "sources"]), ("health_check.py", ["--all"])):
        done = sandbox.run_inside(script, *needed, *words).ends(Exit.USAGE)
        assert "Zq777" not in done.out + done.err
        assert "[redacted]" in done.err or "unknown flag --" in done.err, done.err


def test_what_is_wrong_is_still_named(sandbox: Sandbox) -> None:
    done = sandbox.run_inside("list_resources.py", "--type", "sources", "--no-such", "flag-value", "report-2026.csv")
    done.fails(Exit.USAGE, "unknown flag --no-such")
    done = sandbox.run_inside("list_resources.py", "--type", "sources", "flag-value", "report-2026.csv")
    done.fails(Exit.USAGE, "unrecognized arguments: flag-value report-2026.csv")


BYPASS = """
import sys; sys.path.insert(0, 'scripts')
import logging, threading, warnings
from helpers.command import cli
from helpers.command.parser import command_parser

SECRET = 'password=Zq777xWv7Kd9'

class Gone:
    def __del__(self):
        raise RuntimeError(SECRET)

def fail():
    raise RuntimeError(SECRET)

def job(request, context):
    warnings.warn(SECRET)
    logging.getLogger('library').warning('line of a log: %s', SECRET)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    Gone()
    raise RuntimeError(SECRET)

sys.modules['planted_job'] = sys.modules['__main__']
parser = command_parser('x', 'd', 'python scripts/x.py')
sys.exit(cli.main(cli.Command('x', 'planted_job:job', lambda request: False), parser, lambda args: None, ['--verbose']))
"""


def test_pythons_own_messages_pass_the_redactor() -> None:
    done: Done = run_words([sys.executable, "-c", BYPASS], env=CLEAN, cwd=ROOT)
    done.ends(Exit.ERROR)
    assert "Zq777" not in done.out + done.err
    for shown in ("UserWarning", "line of a log: password=[redacted]", "in fail", "in __del__", "in job"):
        assert shown in done.err, done.described(shown)
