"""Secrets planted in more than fifty places never come out: not on stdout or stderr, not in journals or files."""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import support
from helpers.core import redact
from support import Exit, Sandbox

NUMBERS = itertools.count(1000)


def secret(kind: str = "s3cr3t") -> str:
    return f"{kind}/{next(NUMBERS)}+x{next(NUMBERS)}"


def test_tokens_known_by_their_shape_go() -> None:
    for text in ("AKIAABCDEFGHIJKLMNOP", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl"):
        assert text not in redact.redact_text(f"see {text}.")


def everything_written(done: support.Done, *folders: Path) -> str:
    files = [file.read_text() for folder in folders for file in folder.rglob("*") if file.is_file()]
    return "\n".join([done.out, done.err, *files])


def plant(sandbox: Sandbox) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """A config with secrets everywhere; returns it, its environment and the secrets."""
    config = support.plant_orders(sandbox)
    env = {name: secret() for name in ("V_NAME", "V_PATH", "V_DESC", "V_TAG", "V_LOGIN", "V_SINK")}
    direct = [secret() for _ in range(6)]
    config["source"] |= {
        "name": "orders ${V_NAME}",
        "description": "see ${V_DESC}",
        "tags": ["${V_TAG}"],
        "credential": {"name": "login", "credentials_type": "s3",
                       "credentials": {"access_key": direct[0], "nested": [{"x": direct[1]}], "env": "${V_LOGIN}"}},
    }  # fmt: skip
    config["source"]["source_config"] |= {"hash_secret_key": direct[2], "note": "${V_PATH}"}
    config["destination"]["sink_config"] |= {"password": direct[3], "api_key": direct[4], "comment": "${V_SINK}"}
    config["destination"]["description"] = f"postgres://u:{direct[5].replace('/', '-').replace('+', '-')}@h/db"
    return config, env, [*env.values(), *direct[:5], direct[5].replace("/", "-").replace("+", "-"), sandbox.key]


def encodings(hidden: str) -> list[str]:
    return [hidden, quote(hidden, safe=""), base64.b64encode(hidden.encode()).decode()]


@pytest.mark.parametrize("mode", ["--dry-run", "deploy", "fail", "table", "csv", "ndjson", "verbose"])
def test_a_deployment_shows_none_of_its_secrets(sandbox: Sandbox, tmp_path: Path, mode: str) -> None:
    config, env, secrets = plant(sandbox)
    if mode in ("fail", "verbose"):
        echo = " ".join(secrets) + " password=" + secrets[0]
        body = {"message": f"refused: {echo}", "sink_config": {"password": secrets[-3]}}
        sandbox.faults({"action": "status", "status": 400, "method": "POST", "path": "/data_sinks", "body": body,
                        "headers": {"x-request-id": "req-1"}, "times": 9})  # fmt: skip
    args = {"--dry-run": ["--dry-run"], "verbose": ["--verbose"]}.get(mode, [])
    args += ["--format", mode] if mode in ("table", "csv", "ndjson") else []
    output = tmp_path / "output"
    output.mkdir()
    words = ["--config", support.write_config(tmp_path, config), *args, "--output", str(output / "result")]
    done = sandbox.run("deploy_flow.py", *words, env=env)
    done.ends(Exit.ROLLED_BACK if mode in ("fail", "verbose") else Exit.OK)
    text = everything_written(done, output, sandbox.state)
    assert len(text) > 100
    for hidden in secrets:
        for form in encodings(hidden):
            assert form not in text, f"{form} came out"


def test_secrets_that_the_api_holds_do_not_come_out_of_lists(sandbox: Sandbox) -> None:
    hidden = [secret() for _ in range(4)]
    config = {"path": "demo-bucket/orders", "hash_secret_key": hidden[0], "nested": {"api_key": hidden[1]}}
    keys = [{"id": 1, "api_key": hidden[3], "url": f"https://x/?api_key={hidden[3]}"}]
    changes = {"source_config": config, "description": f"token={hidden[2]}", "api_keys": keys}
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": changes})
    for form in ("json", "ndjson", "csv", "table"):
        done = sandbox.run("list_resources.py", "--type", "sources", "--all", "--full", "--format", form).ok()
        assert not [h for h in [*hidden, sandbox.key] if h in done.out + done.err]


@pytest.mark.parametrize("where", ["body", "headers", "html", "text"])
def test_secrets_in_error_responses_do_not_come_out(sandbox: Sandbox, where: str) -> None:
    hidden = secret("key")
    rule: dict[str, Any] = {"action": "status", "status": 422, "path": "/users/current", "times": 9}
    if where == "headers":
        rule |= {"headers": {"retry-after": f"Bearer {hidden}", "x-request-id": sandbox.key}, "status": 429}
    elif where == "html":
        rule |= {"action": "html", "body": f"<html>password={hidden} {sandbox.key}</html>"}
    elif where == "text":
        rule |= {"body": f"api_key={hidden} {sandbox.key}"}
    else:
        rule |= {"body": {"message": f"bad token={hidden}; you sent Basic {sandbox.key}"}}
    sandbox.faults(rule)
    done = sandbox.run("nexla_quickstart.py", "--verbose")
    done.ends(Exit.ERROR, Exit.UPSTREAM, Exit.THROTTLED)
    assert hidden not in done.out + done.err
    assert sandbox.key not in done.out + done.err


def test_a_key_in_the_url_or_with_white_space_does_not_come_out(sandbox: Sandbox) -> None:
    hidden = secret("pw").replace("/", "-").replace("+", "-")
    for env in ({"NEXLA_API_URL": f"https://me:{hidden}@nexla.example.com"},
                {"NEXLA_SERVICE_KEY": f"{hidden}\nInjected: yes"},
                {"NEXLA_SERVICE_KEY": f"{hidden} extra"}):  # fmt: skip
        done = sandbox.run("nexla_quickstart.py", "--verbose", env=env)
        done.fails(Exit.CONFIG)
        assert hidden not in done.out + done.err


def test_a_restored_config_is_never_the_redaction_mark(sandbox: Sandbox, tmp_path: Path) -> None:
    """A kill loses the secret in the old config; undoing after a resume must then say so, not write the mark."""
    config = support.plant_orders(sandbox)
    config["destination"]["sink_config"]["password"] = "old-password-1"
    path = support.write_config(tmp_path, config)
    sandbox.run("deploy_flow.py", "--config", path).ok()
    config["destination"]["sink_config"]["password"] = "new-password-2"
    config["destination"]["tags"] = ["later"]
    support.write_config(tmp_path, config)
    sandbox.run_killed("deploy_flow.py", "--config", path, method="PUT", path=r"/data_sinks/\d+").is_killed()
    journals = [file.read_text() for file in sandbox.state.rglob("*.jsonl")]
    assert any("sink_config" in text for text in journals)
    assert not any("old-password-1" in text or "new-password-2" in text for text in journals)
    rule = {"action": "status", "status": 403, "method": "GET", "path": r"/data_sources/\d+/flow", "nth": 2, "times": 1}
    sandbox.faults(rule)
    done = sandbox.run("deploy_flow.py", "--config", path, "--resume")
    stored = sandbox.snapshot()["sinks"][0]["sink_config"]["password"]
    assert stored in ("old-password-1", "new-password-2")
    done.ends(Exit.ROLLED_BACK, Exit.LEFT_BEHIND)
    assert redact.MARK not in json.dumps(sandbox.snapshot())
    assert "not stored" not in json.dumps(sandbox.snapshot())
