"""nexla_quickstart.py: real counts, and a message of its own for each way in which a setup can be wrong."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import support
from support import CLEAN, Sandbox


def test_counts_are_real(sandbox: Sandbox) -> None:
    sandbox.control("POST", "bulk", {"count": 120})
    sandbox.clear_journal()
    done = sandbox.run("nexla_quickstart.py")
    assert done.code == 0, done.err
    assert done.data["counts"] == {"sources": 124, "nexsets": 4, "destinations": 4, "flows": 124, "credentials": 3}
    assert done.data["user"]["email"] == "ana.silva@example.com"
    assert (done.data["org"]["name"], done.data["versions"]["nexla-sdk"]) == ("Acme Retail", "1.0.8")
    assert len(sandbox.journal()) <= 7
    assert 0 < done.data["round_trip_ms"] < 5000
    assert sandbox.writes() == []


def test_an_empty_account_is_told_what_to_do(sandbox: Sandbox) -> None:
    sandbox.reset("empty")
    done = sandbox.run("nexla_quickstart.py")
    assert (done.code, done.data["counts"]["sources"]) == (0, 0)
    assert "--access-role all" in done.json["warnings"][0]


def test_with_its_own_sandbox_it_needs_nothing() -> None:
    done = support.run_script("nexla_quickstart.py", "--sandbox", env=CLEAN)
    assert done.code == 0, done.err
    assert done.data["counts"]["sources"] == 4


def test_every_next_step_runs(sandbox: Sandbox) -> None:
    for line in sandbox.run("nexla_quickstart.py").data["next"]:
        words = line.split()
        done = sandbox.run(words[1].removeprefix("scripts/"), *words[2:])
        assert done.code == 0, line


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("env", "fault", "code", "words"),
    [
        ({"NEXLA_SERVICE_KEY": ""}, None, 3, "no credentials"),
        ({"NEXLA_SERVICE_KEY": "wrong-key-000"}, None, 4, "refused the service key"),
        ({"NEXLA_SERVICE_KEY": "", "NEXLA_ACCESS_TOKEN": "expired-token"}, None, 4, "wrong or has expired"),
        ({"NEXLA_API_URL": "URL/nowhere"}, None, 3, "no Nexla API at"),
        ({"NEXLA_API_URL": "http://127.0.0.1:PORT/x"}, None, 6, "connection refused"),
        ({"NEXLA_API_URL": "https://no-such-host.invalid"}, None, 6, "DNS"),
        ({"NEXLA_API_URL": "http://nexla.example.com"}, None, 3, "must be https"),
        ({}, {"action": "html", "path": "/token", "times": 9}, 6, "without a token"),
        ({}, {"action": "html", "path": "/users/current", "times": 9}, 6, "HTML, not JSON"),
        ({}, {"action": "status", "status": 503, "times": 99}, 6, "503"),
        ({}, {"action": "status", "status": 429, "times": 99, "headers": {"retry-after": "900"}}, 7, "429"),
    ],
)
def test_each_wrong_setup_has_its_message(
    sandbox: Sandbox, env: dict[str, str], fault: Any, code: int, words: str
) -> None:
    env = {k: v.replace("URL", sandbox.url).replace("PORT", str(_free_port())) for k, v in env.items()}
    sandbox.faults(*([fault] if fault else []))
    done = sandbox.run("nexla_quickstart.py", env=env)
    assert done.code == code, done.err
    assert words in done.error["message"]
    assert done.error["hint"] or code in (6, 7)
    assert done.out == ""


def test_a_proxy_of_the_environment_does_not_reach_the_sandbox(sandbox: Sandbox) -> None:
    done = sandbox.run("nexla_quickstart.py", env={"HTTP_PROXY": f"http://127.0.0.1:{_free_port()}"})
    assert done.code == 0, done.err


def test_an_env_file_is_enough(sandbox: Sandbox, tmp_path: Any) -> None:
    file = tmp_path / "nexla.env"
    file.write_text(f"NEXLA_API_URL={sandbox.url}\nNEXLA_SERVICE_KEY={sandbox.key}\n")
    file.chmod(0o600)
    done = support.run_script("nexla_quickstart.py", "--env-file", str(file), env=CLEAN)
    assert done.code == 0, done.err
    assert "chmod" not in done.err
