"""Deployments in the corners: lost updates, lookups that fail, late effects, edited configs, foreign files."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import support
from support import SCRIPTS, Sandbox
from support.deploying import deploy, rows


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    return support.plant_orders(sandbox)


def stored(sandbox: Sandbox) -> dict[str, Any]:
    """What a user would notice of every resource."""
    keys = ("name", "description", "status", "source_config", "sink_config", "data_credentials_id", "tags", "code")
    kinds = ("sources", "nexsets", "sinks", "code", "credentials")
    return {kind: [{k: row.get(k) for k in keys} for row in rows(sandbox, kind)] for kind in kinds}


def edited(config: dict[str, Any]) -> dict[str, Any]:
    """The config with a change in every resource."""
    changed = copy.deepcopy(config)
    changed["source"]["description"] = "new"
    changed["source"]["source_config"]["csv.delimiter"] = ","
    changed["nexsets"][0]["transform"] = [{"operation": "remove", "spec": {"amount": ""}}]
    changed["destination"]["description"] = "new"
    return changed


# -- updates


@pytest.mark.parametrize("how", ["refused", "lost"])
@pytest.mark.parametrize("path", [r"/data_sources/\d+/pause", r"/data_sources/\d+", r"/data_sources/\d+/activate",
                                  r"/data_sets/\d+", r"/data_sinks/\d+"])  # fmt: skip
def test_an_update_that_fails_anywhere_is_taken_back(
    sandbox: Sandbox, tmp_path: Path, config: Any, path: str, how: str
) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    before = stored(sandbox)
    rule = {"action": "status", "method": "PUT", "path": path}
    rule |= {"status": 403} if how == "refused" else {"status": 500, "when": "after", "times": 2}
    sandbox.faults(rule)
    done = deploy(sandbox, tmp_path, edited(config))
    assert done.code == 9, done.err
    assert stored(sandbox) == before


def test_an_update_that_was_killed_is_taken_back_after_a_resume(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    before = stored(sandbox)
    path = support.write_config(tmp_path, edited(config))
    child = sandbox.start("deploy_flow.py", "--config", path)
    sandbox.faults({"action": "kill", "method": "PUT", "path": r"/data_sets/\d+", "when": "after", "pid": child.pid})
    child.communicate("go\n", timeout=60)
    sandbox.faults({"action": "status", "status": 403, "method": "PUT", "path": r"/data_sinks/\d+"})
    done = sandbox.run("deploy_flow.py", "--config", path, "--resume")
    assert done.code == 9, done.err
    assert stored(sandbox) == before


def test_changing_the_path_keeps_the_flow_deployable(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    other = sandbox.data / "buckets" / "shop" / "refunds"
    other.mkdir(exist_ok=True)
    (other / "r.csv").write_text("refund_id,reason\n1,broken\n")
    changed = copy.deepcopy(config)
    changed["source"]["source_config"]["path"] = "shop/refunds"
    assert any("paused while" in w for w in deploy(sandbox, tmp_path, changed, "--dry-run").json["warnings"])
    assert deploy(sandbox, tmp_path, changed).code == 0
    sandbox.idle()
    back = deploy(sandbox, tmp_path, config)
    assert back.code == 0, back.err
    assert any("2 nexsets by now" in warning for warning in back.json["warnings"])


def test_warnings_name_only_what_concerns_a_destination(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    first = config.pop("destination")
    second = copy.deepcopy(first) | {"name": "second"}
    second["sink_config"]["table"] = "second"
    done = deploy(sandbox, tmp_path, {**config, "destinations": [first, second]})
    assert done.code == 0, done.err
    assert [sink["verified"] for sink in done.data["destinations"]] == [False, True]
    assert not done.json["warnings"]
    alone = deploy(sandbox, tmp_path, {**config, "destination": first})
    assert any("'second'" in warning for warning in alone.json["warnings"]), "removed from the config, still there"
    refused = deploy(sandbox, tmp_path, {**config, "destination": first}, "--teardown", "--yes")
    assert (refused.code, len(rows(sandbox, "sinks"))) == (1, 2)


def test_a_plan_shows_that_a_new_credential_changes_the_source(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    config["source"]["credential"] = {"name": "new login", "credentials_type": "s3", "credentials": {"key": "k" * 9}}
    plan = deploy(sandbox, tmp_path, config, "--dry-run")
    step = next(step for step in plan.data["steps"] if step["step"] == "source")
    assert step["changes"]["data_credentials_id"] == [config["credential_id"], "(new)"]
    assert deploy(sandbox, tmp_path, config).data["outcome"] == "deployed"
    assert deploy(sandbox, tmp_path, config).data["outcome"] == "unchanged"


# -- creates whose outcome is open


@pytest.mark.parametrize("lookup", [{"action": "status", "status": 403}, {"action": "html"}])
def test_a_lost_create_that_cannot_be_looked_for_is_unknown(
    sandbox: Sandbox, tmp_path: Path, config: Any, lookup: Any
) -> None:
    sandbox.faults(
        {"action": "reset", "when": "after", "method": "POST", "path": "/data_sources"},
        {**lookup, "method": "GET", "path": "/data_sources", "nth": 2, "times": 9},
    )
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 13, done.err
    assert [row["step"] for row in done.json["data"]["kept"]] == ["source"]
    sandbox.faults()
    resumed = deploy(sandbox, tmp_path, config, "--resume")
    assert resumed.code == 0, resumed.err
    assert sandbox.resources()["sources"] == ["orders"]


def test_a_create_that_takes_effect_late_is_not_called_undone(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.faults({"action": "late", "method": "POST", "path": "/data_sources", "seconds": 5})
    done = deploy(sandbox, tmp_path, config, "--timeout", "2")
    time.sleep(0.5)
    for _ in range(60):
        if sandbox.journal()[-1].get("status") is not None:
            break
        time.sleep(0.1)
    if rows(sandbox, "sources"):
        assert done.code in (11, 13), done.err
        assert "source" in json.dumps(done.json["data"])
    else:
        assert done.code == 9, "it appeared while undoing, and was removed"


def test_a_duplicate_of_another_run_is_settled_for_the_older(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    body = {**config["source"], "data_credentials_id": config["credential_id"]}
    _, older = sandbox.api("POST", "/data_sources", body)
    sandbox.faults({"action": "status", "status": 200, "body": [], "path": "/data_sources", "method": "GET"})
    done = deploy(sandbox, tmp_path, config)
    assert done.code == 0, done.err
    assert [row["id"] for row in rows(sandbox, "sources")] == [older["id"]]
    assert any("another run" in warning for warning in done.json["warnings"])


def test_a_killed_nexset_is_found_when_the_resume_fails_early(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    before = sandbox.resources()
    path = support.write_config(tmp_path, config)
    child = sandbox.start("deploy_flow.py", "--config", path)
    sandbox.faults({"action": "kill", "method": "POST", "path": "/data_sets", "when": "after", "pid": child.pid})
    child.communicate("go\n", timeout=60)
    assert "clean" in sandbox.resources()["nexsets"]
    sandbox.faults({"action": "status", "status": 403, "method": "GET", "path": "/data_sources"})
    done = sandbox.run("deploy_flow.py", "--config", path, "--resume")
    assert done.code == 9, done.err
    assert sandbox.resources() == before


# -- answers that no one expects


@pytest.mark.parametrize(
    ("rule", "nth"),
    [
        ({"action": "status", "status": 404}, 2),
        ({"action": "status", "status": 200, "body": {"flows": [None]}}, 2),
        ({"action": "status", "status": 200, "body": {"flows": []}}, 3),
        ({"action": "status", "status": 200, "body": {"flows": [{"id": 1}]}}, 2),
        ({"action": "status", "status": 200, "body": {}}, 4),
    ],
)
def test_an_absurd_flow_answer_ends_in_an_undo(
    sandbox: Sandbox, tmp_path: Path, config: Any, rule: Any, nth: int
) -> None:
    before = sandbox.resources()
    sandbox.faults({**rule, "method": "GET", "path": r"/data_sources/\d+/flow", "nth": nth})
    done = deploy(sandbox, tmp_path, config)
    if done.code == 0:
        assert sandbox.resources()["sinks"] == ["warehouse"]
    else:
        assert done.code == 9, done.err
        assert sandbox.resources() == before


# -- configs


def test_a_variable_in_a_name_can_be_deployed_twice(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["source"]["name"] = "orders ${STAGE}"
    env = {"STAGE": "Hunter2Secret"}
    assert deploy(sandbox, tmp_path, config, env=env).code == 0
    again = deploy(sandbox, tmp_path, config, env=env)
    assert (again.code, again.data["outcome"]) == (0, "unchanged"), again.err
    assert "hunter2secret" not in again.err.lower()
    assert not [file for file in (tmp_path / "state").rglob("*") if "hunter2" in file.name]


def test_a_renamed_destination_is_not_forgotten_on_resume(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["verify"] = {"min_records": 21}
    assert deploy(sandbox, tmp_path, config, "--on-failure", "keep", "--verify-timeout", "1").code == 12
    config["verify"] = {"min_records": 1}
    config["destination"]["name"] = "renamed"
    done = deploy(sandbox, tmp_path, config, "--resume")
    assert done.code == 0, done.err
    assert any("destination:warehouse" in warning for warning in done.json["warnings"])


def test_a_nexset_of_another_flow_is_refused(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    assert deploy(sandbox, tmp_path, config).code == 0
    foreign = rows(sandbox, "nexsets")[0]["id"]
    other = copy.deepcopy(config)
    other["source"]["name"] = "other"
    other["destination"] |= {"name": "theirs", "data_set_id": foreign}
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, other)
    assert (done.code, sandbox.writes()) == (5, [])


@pytest.mark.parametrize("cron", ["every day", "0 6 * * *", "@daily", "0 0 6 * * ? ; drop"])
def test_a_schedule_must_look_like_quartz(sandbox: Sandbox, tmp_path: Path, config: Any, cron: str) -> None:
    assert deploy(sandbox, tmp_path, {**config, "schedule": cron}).code == 2


def test_a_key_that_stands_twice_and_all_missing_variables_are_named(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "twice.json"
    file.write_text('{"source": {"name": "a", "name": "b"}}')
    assert "'name' stands twice" in sandbox.run("deploy_flow.py", "--config", str(file)).error["message"]
    file.write_text('{"source": {"name": "${NO_A}", "source_type": "${NO_B}"}}')
    assert "NO_A, NO_B" in sandbox.run("deploy_flow.py", "--config", str(file)).error["message"]


def test_a_teardown_needs_no_secrets_and_keeps_a_shared_credential(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    config["source"]["credential"] = {"name": "login", "credentials_type": "s3", "credentials": {"k": "${LOGIN_KEY}"}}
    assert deploy(sandbox, tmp_path, config, env={"LOGIN_KEY": "key-0123456789"}).code == 0
    login = next(row for row in rows(sandbox, "credentials") if row["name"] == "login")
    sandbox.api("POST", "/data_sources", {"name": "x", "source_type": "s3", "data_credentials_id": login["id"]})
    done = deploy(sandbox, tmp_path, config, "--teardown", "--yes")
    assert done.code == 0, done.err
    assert done.data["deleted"] == 3
    assert done.data["steps"][-1]["action"] == "kept"
    assert "kept" in done.json["warnings"][0]
    config["source"]["name"] = "typo"
    nothing = deploy(sandbox, tmp_path, config, "--teardown", "--yes")
    assert nothing.data["outcome"] == "nothing to do"
    assert "no source of this name" in nothing.json["warnings"][0]


# -- what was there and what arrived


def test_delivered_rows_and_lost_states_are_told(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    sandbox.api("POST", "/data_sources", {**config["source"], "data_credentials_id": config["credential_id"]})
    config["verify"] = {"min_records": 21}
    done = deploy(sandbox, tmp_path, config, "--verify-timeout", "1")
    assert done.code == 9
    text = " ".join(done.json["data"]["warnings"])
    assert "20 records were delivered to warehouse" in text
    assert "was INIT before and is PAUSED now" in text
    assert done.error["retryable"] is False
    assert len(support.table(sandbox)) == 20


# -- files


@pytest.mark.parametrize("content", [b'{\n  "a": 1\n}\n', b"\xff\xfe\x00binary", b"plain words\n", b'{"a": 1}\n'])
def test_a_file_that_is_no_journal_is_left_alone(sandbox: Sandbox, tmp_path: Path, config: Any, content: bytes) -> None:
    file = tmp_path / "precious"
    file.write_bytes(content)
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config, "--journal", str(file))
    assert (done.code, file.read_bytes(), sandbox.writes()) == (3, content, [])
    assert deploy(sandbox, tmp_path, config, "--journal", str(tmp_path / "no" / "j.jsonl")).code == 3
    assert not (tmp_path / "no").exists()


def test_a_torn_journal_stays_readable_after_more_runs(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    journal = tmp_path / "j.jsonl"
    config["verify"] = {"min_records": 21}
    args = ("--on-failure", "keep", "--verify-timeout", "1", "--journal", str(journal))
    assert deploy(sandbox, tmp_path, config, *args).code == 12
    with journal.open("a") as file:
        file.write('{"event": "inten')
    for _ in range(2):
        assert deploy(sandbox, tmp_path, config, *args, "--resume").code == 12, "it is still not verified"
    assert all(json.loads(line) for line in journal.read_text().splitlines())


@pytest.mark.parametrize("bad", ["missing/result.json", ".", ""])
def test_an_output_that_cannot_be_written_stops_before_anything(
    sandbox: Sandbox, tmp_path: Path, config: Any, bad: str
) -> None:
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config, "--output", str(tmp_path / bad) if bad else "")
    assert done.code in (2, 3)
    assert sandbox.journal() == []


def test_output_follows_links_and_never_replaces_a_pipe(sandbox: Sandbox, tmp_path: Path) -> None:
    import os

    target, link, pipe = tmp_path / "real.json", tmp_path / "link.json", tmp_path / "pipe"
    link.symlink_to(target)
    assert sandbox.run("list_resources.py", "--type", "sources", "--output", str(link)).code == 0
    assert link.is_symlink()
    assert json.loads(target.read_text())["ok"]
    os.mkfifo(pipe)
    words = [sys.executable, str(SCRIPTS / "list_resources.py"), "--type", "sources", "--output", str(pipe)]
    with subprocess.Popen(words, env=sandbox.env) as child:
        assert json.loads(pipe.read_text())["ok"]
        assert child.wait(20) == 0
    assert pipe.is_fifo()
    assert sandbox.run("list_resources.py", "--type", "sources", "--output", "-").json["ok"]


def test_a_failed_run_does_not_leave_an_older_success_in_the_file(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    target = tmp_path / "result.json"
    assert deploy(sandbox, tmp_path, config, "--output", str(target)).code == 0
    assert deploy(sandbox, tmp_path, {**config, "project": "Nowhere"}, "--output", str(target)).code == 5
    assert json.loads(target.read_text())["ok"] is False


def test_a_failure_into_a_closed_pipe_is_still_a_failure(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["verify"] = {"min_records": 21}
    path = support.write_config(tmp_path, config)
    words = f"{sys.executable} {SCRIPTS}/deploy_flow.py --config {path} --verify-timeout 1 --quiet | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", words], env=sandbox.env, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert json.loads(done.stderr.splitlines()[-1])["error"]["name"] == "ROLLED_BACK"


@pytest.mark.parametrize("form", ["table", "csv", "ndjson", "json"])
def test_fields_of_a_deployment_in_every_format(sandbox: Sandbox, tmp_path: Path, config: Any, form: str) -> None:
    done = deploy(sandbox, tmp_path, config, "--format", form, "--fields", "outcome,source")
    assert done.code == 0, done.err
    assert "deployed" in done.out


# -- settings


def test_an_env_file_carries_through_and_can_forbid_writes(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    file = tmp_path / "my env"
    file.write_text(f"NEXLA_API_URL={sandbox.url}\nNEXLA_SERVICE_KEY={sandbox.key}\nNEXLA_READ_ONLY=1\n")
    file.chmod(0o600)
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config, "--env-file", str(file))
    assert (done.code, sandbox.writes()) == (3, [])
    file.write_text(f"NEXLA_API_URL={sandbox.url}\nNEXLA_SERVICE_KEY={sandbox.key}\n")
    config["verify"] = {"min_records": 21}
    args = ("--env-file", str(file), "--on-failure", "keep", "--verify-timeout", "1")
    kept = deploy(sandbox, tmp_path, config, *args)
    assert f"--env-file '{file}'" in kept.error["hint"]


def test_tls_that_breaks_after_the_handshake_is_not_taken_for_unsent() -> None:
    import ssl
    from types import SimpleNamespace

    import requests

    from helpers.api.session import Exchange
    from helpers.api.transport import _network_failure

    session: Any = SimpleNamespace(settings=SimpleNamespace(host="h"))
    cases = {
        "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]": True,
        "EOF occurred in violation of protocol": True,
        "[SSL: WRONG_VERSION_NUMBER]": False,
        "certificate verify failed": False,
    }
    for text, sent in cases.items():
        error = requests.exceptions.SSLError(ssl.SSLError(1, text))
        found = _network_failure(session, Exchange("POST", "/data_sources", error=error))
        assert (found.sent, found.settled) == (sent, not sent), text


@pytest.mark.parametrize(("age", "left"), [(5, True), (100, False)])
def test_an_unanswered_create_counts_as_not_made_only_when_it_can_no_longer_appear(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: int, left: bool
) -> None:
    import argparse
    import time

    from helpers.api import writes
    from helpers.api.session import Session
    from helpers.change.changes import Run
    from helpers.change.journal import Entry
    from helpers.core import limits
    from helpers.core.errors import Exit, OperatorError
    from helpers.core.settings import Settings
    from helpers.deploy import config as flow_config
    from helpers.deploy.plan import deploy_steps

    monkeypatch.setattr(writes, "RECONCILE_SECONDS", 0.1)
    config, _ = flow_config.load(str(support.write_config(tmp_path, support.plant_orders(sandbox))))
    args = argparse.Namespace(verify_timeout=1.0, no_verify=True)
    step = next(step for step in deploy_steps(config, args) if step.key == "source")
    deadline = limits.Deadline(None)
    session = Session(Settings(sandbox.url, sandbox.key), deadline, limits.RateLimiter(None, unlimited=True))
    run = Run(session, lambda text: None)
    entry = Entry("source", "create", 1, made=True, at=time.time() - age)
    if left:
        with pytest.raises(OperatorError) as caught:
            step.undo(run, entry)
        assert caught.value.code is Exit.LEFT_BEHIND
    else:
        step.undo(run, entry)
    assert entry.id is None
