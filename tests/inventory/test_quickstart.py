"""nexla_quickstart.py: real counts, and a message of its own for each way in which a setup can be wrong."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import support
from support import CLEAN, Exit, Sandbox
from support.clocks import VirtualClock


def test_counts_are_real(sandbox: Sandbox) -> None:
    sandbox.control("POST", "bulk", {"count": 120})
    sandbox.clear_journal()
    done = sandbox.run("nexla_quickstart.py").ok()
    assert done.data["counts"] == {"sources": 124, "nexsets": 4, "destinations": 4, "flows": 124, "credentials": 3}
    assert done.data["user"]["email"] == "ana.silva@example.com"
    assert (done.data["org"]["name"], done.data["versions"]["nexla-sdk"]) == ("Acme Retail", "1.0.8")
    assert len(sandbox.journal()) <= 7
    assert done.data["round_trip_ms"] > 0
    assert sandbox.writes() == []


def test_an_empty_account_gets_a_next_step(sandbox: Sandbox) -> None:
    sandbox.reset("empty")
    done = sandbox.run("nexla_quickstart.py").ok()
    assert done.data["counts"]["sources"] == 0
    assert "--access-role all" in done.json["warnings"][0]


def test_with_its_own_sandbox_it_needs_nothing() -> None:
    done = support.run_script("nexla_quickstart.py", "--sandbox", env=CLEAN).ok()
    assert done.data["counts"]["sources"] == 4


def test_every_next_step_runs(sandbox: Sandbox) -> None:
    for line in sandbox.run("nexla_quickstart.py").data["next"]:
        words = line.split()
        sandbox.run(words[1].removeprefix("scripts/"), *words[2:]).ok(line)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("env", "fault", "code", "words"),
    [
        ({"NEXLA_SERVICE_KEY": ""}, None, Exit.CONFIG, "no credentials"),
        ({"NEXLA_SERVICE_KEY": "wrong-key-000"}, None, Exit.AUTH, "rejected the service key"),
        ({"NEXLA_SERVICE_KEY": "", "NEXLA_ACCESS_TOKEN": "expired-token"}, None, Exit.AUTH, "invalid or has expired"),
        ({"NEXLA_API_URL": "URL/nowhere"}, None, Exit.CONFIG, "no Nexla API at"),
        ({"NEXLA_API_URL": "http://127.0.0.1:PORT/x"}, None, Exit.UPSTREAM, "connection refused"),
        ({"NEXLA_API_URL": "https://no-such-host.invalid"}, None, Exit.UPSTREAM, "DNS"),
        ({"NEXLA_API_URL": "http://nexla.example.com"}, None, Exit.CONFIG, "must use https"),
        ({}, {"action": "html", "path": "/token", "times": 9}, Exit.UPSTREAM, "without a token"),
        ({}, {"action": "html", "path": "/users/current", "times": 9}, Exit.UPSTREAM, "HTML instead of JSON"),
        ({}, {"action": "status", "status": 503, "times": 99}, Exit.UPSTREAM, "503"),
        (
            {},
            {"action": "status", "status": 429, "times": 9, "headers": {"retry-after": "900"}},
            Exit.THROTTLED,
            "429",
        ),
    ],
)
def test_each_wrong_setup_has_its_message(
    sandbox: Sandbox, clock: VirtualClock, env: dict[str, str], fault: Any, code: Exit, words: str
) -> None:
    env = {k: v.replace("URL", sandbox.url).replace("PORT", str(_free_port())) for k, v in env.items()}
    sandbox.faults(*([fault] if fault else []))
    done = sandbox.run_inside("nexla_quickstart.py", env=env)
    assert done.fails(code, words)["hint"] or code in (Exit.UPSTREAM, Exit.THROTTLED)
    assert done.out == ""


def test_a_proxy_of_the_environment_does_not_reach_the_sandbox(sandbox: Sandbox) -> None:
    sandbox.run("nexla_quickstart.py", env={"HTTP_PROXY": f"http://127.0.0.1:{_free_port()}"}).ok()


def test_an_env_file_is_enough(sandbox: Sandbox, tmp_path: Any) -> None:
    file = tmp_path / "nexla.env"
    file.write_text(f"NEXLA_API_URL={sandbox.url}\nNEXLA_SERVICE_KEY={sandbox.key}\n")
    file.chmod(0o600)
    done = support.run_script("nexla_quickstart.py", "--env-file", str(file), env=CLEAN).ok()
    assert "chmod" not in done.err
