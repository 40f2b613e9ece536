"""What the tests share: a real sandbox process, and the real scripts as child processes."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import urllib3

from helpers.core import redact
from support import forked
from support.children import PATIENCE, Child, at_once, ended_as, finish
from support.done import Done, Exit

__all__ = [
    "CLEAN", "FOREVER", "ROOT", "SCRIPTS", "Child", "Done", "Exit", "Sandbox",
    "answers", "at_once", "ended_as", "finish", "run_shell", "run_words", "until",
]  # fmt: skip

PATIENT = urllib3.Timeout(total=PATIENCE)
CONNECTIONS = urllib3.PoolManager(maxsize=8, retries=False, timeout=PATIENT)
FOREVER = 86_400.0  # seconds that nobody waits for: if they were, the test would be timed out
ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
COMMANDS = sorted(p.name for p in SCRIPTS.glob("*.py") if p.name not in ("__init__.py", "retry_helpers.py"))
OURS = ("NEXLA_", "XDG_STATE", "PYTEST_", "COV_", "PYTHON")  # what a user's shell does not have set
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
GATE = """
import os, runpy, sys
sys.stdin.readline()
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass
class Sandbox:
    """A running sandbox and how to steer it."""

    url: str
    key: str
    data: Path
    state: Path
    problems: list[str] = field(default_factory=list)
    _token: str = ""

    @property
    def env(self) -> dict[str, str]:
        return {**CLEAN, "NEXLA_API_URL": self.url, "NEXLA_SERVICE_KEY": self.key, "XDG_STATE_HOME": str(self.state)}

    def control(self, method: str, name: str, body: Any = None) -> Any:
        return _http(method, self.url.removesuffix("/nexla-api") + "/__sandbox/" + name, body)[1]

    def reset(self, seed: str = "empty") -> None:
        self.check_contract()
        self.control("POST", "reset", {"seed": seed})
        self._token = ""
        self.key = self.control("GET", "users")["users"][0]["service_key"]

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request as the owner, past the scripts."""
        return _http(method, self.url + path, body, f"Bearer {self.token}")

    @property
    def token(self) -> str:
        """The owner's session token."""
        if not self._token:
            status, answer = _http("POST", f"{self.url}/token", None, f"Basic {self.key}")
            assert status == 200
            self._token = answer["access_token"]
        return self._token

    def faults(self, *rules: dict[str, Any]) -> None:
        self.control("POST", "faults", list(rules))

    def journal(self) -> list[dict[str, Any]]:
        requests: list[dict[str, Any]] = self.control("GET", "journal")["requests"]
        return requests

    def writes(self) -> list[str]:
        """Every write request except logins, as ``METHOD path``."""
        return [f"{r['method']} {r['path']}" for r in self.journal() if r["method"] != "GET" and r["path"] != "/token"]

    def clear_journal(self) -> None:
        self.check_contract()
        self.control("DELETE", "journal")

    def check_contract(self) -> None:
        """Remember every request or answer that breaks the contract; the fixture fails the test for them."""
        for entry in self.journal():
            verdict = entry.get("contract", "ok")
            unknown = verdict == "unknown" and entry.get("status") in (404, 501)
            if verdict != "ok" and not unknown:
                self.problems.append(f"{entry['method']} {entry['path']} {entry['query']}: {verdict}")

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        snapshot: dict[str, list[dict[str, Any]]] = self.control("GET", "snapshot")
        return snapshot

    def resources(self) -> dict[str, list[str]]:
        """Names of what there is of each kind that a deployment makes."""
        snapshot = self.snapshot()
        kinds = ("credentials", "sources", "nexsets", "sinks", "code")
        return {kind: sorted(str(row["name"]) for row in snapshot.get(kind, [])) for kind in kinds}

    def idle(self) -> None:
        """Wait until the engine has nothing to do."""
        until(lambda: self.control("GET", "idle")["idle"], "the engine comes to rest")

    def advance(self, seconds: float) -> None:
        """Let the sandbox's clock go on; tokens expire by it."""
        self.control("POST", "clock", {"advance_seconds": seconds})
        self._token = ""

    def later(self, seconds: float, *journals: Path) -> None:
        """Make the journals older, as if the next command came later: an unanswered create can no longer appear."""
        for file in (*(self.state / "nexla-operator").glob("*.jsonl"), *journals):
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            aged = [{**line, "at": line["at"] - int(seconds * 1000)} for line in lines]
            file.write_text("".join(json.dumps(line) + "\n" for line in aged))

    def act_as(self, email: str) -> None:
        """Let the scripts run as this user."""
        self.key = next(u["service_key"] for u in self.control("GET", "users")["users"] if u["email"] == email)

    def run(self, script: str, *args: str, env: dict[str, str] | None = None, **options: Any) -> Done:
        """Run a script to its end."""
        return run_script(script, *args, env={**self.env, **(env or {})}, **options)

    def run_inside(self, script: str, *args: str, env: dict[str, str] | None = None) -> Done:
        """Run a script's ``main`` in this process, which has its packages loaded and may have a clock of its own."""
        redact.forget()  # as a new process knows nothing of the last one's secrets
        out, err, before = io.StringIO(), io.StringIO(), dict(os.environ)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        os.environ.clear()
        os.environ.update({**self.env, **(env or {})})
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = importlib.import_module(script.removesuffix(".py")).main(list(args))
        finally:
            os.environ.clear()
            os.environ.update(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return Done(code, out.getvalue(), err.getvalue(), " ".join([script, *args]))

    def fork(self, script: str, *args: str) -> forked.Forked:
        """As ``start``, in a process that need not load the packages: for the many kills of a series."""
        return forked.Forked(script, args, self.env)

    def run_killed(self, script: str, *args: str, later: float = 100.0, **at: Any) -> Done:
        """Run a script that is killed at the request which this rule of a fault describes.

        What comes next comes ``later`` seconds later, when a request without a response can no longer take effect.
        """
        child = self.fork(script, *args)
        self.faults({"action": "kill", "pid": child.pid, **at})
        done = finish(child)
        self.faults()
        self.later(later)
        return done

    def start(self, script: str, *args: str) -> Child:
        """A script that waits for a line on standard input before it does anything."""
        process = subprocess.Popen(
            [sys.executable, "-c", GATE, str(SCRIPTS / script), *args],
            env=self.env,
            text=True,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return Child(process, " ".join([script, *args]))


def answers(body: Any, path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    """The rule of a fault: these requests are answered with this body, and have no effect."""
    return {"action": "status", "status": 200, "body": body, "method": method, "path": path, "times": 99, **more}


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for something that is sure to come."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE:g} s in vain until {what}"
        time.sleep(0.01)


def run_words(words: Sequence[str | Path], *, env: dict[str, str], stdin: str | None = None, cwd: Path = ROOT) -> Done:
    """Run any program to its end."""
    done = subprocess.run(
        words, env=env, cwd=cwd, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr, " ".join(map(str, words)))


def run_shell(line: str, *, env: dict[str, str], cwd: Path = ROOT) -> Done:
    """Run a line of bash, where each part of a pipe counts."""
    return run_words(["bash", "-eo", "pipefail", "-c", line], env=env, cwd=cwd)


def run_script(script: str, *args: str, env: dict[str, str], stdin: str | None = None, cwd: Path = ROOT) -> Done:
    """Run a script to its end."""
    done = run_words([sys.executable, SCRIPTS / script, *args], env=env, stdin=stdin, cwd=cwd)
    return Done(done.code, done.out, done.err, " ".join([script, *args]))


def _http(method: str, url: str, body: Any = None, authorization: str = "") -> tuple[int, Any]:
    """A request past the scripts' own HTTP client, which some tests replace."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": authorization} if authorization else {}
    answer = CONNECTIONS.request(method, url, body=data, headers=headers)
    return answer.status, json.loads(answer.data) if answer.data else None


def start_sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox for as long as the generator lives."""
    child = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--data", str(folder / "sandbox"), "--parent", str(os.getpid())],
        cwd=ROOT,
        env=CLEAN,
        text=True,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    values: dict[str, str] = {}
    for line in child.stdout:
        if line.strip() == "ready":
            break
        name, value = line.removeprefix("export ").strip().split("=", 1)
        values[name] = value
    assert values, "the sandbox did not start"
    try:
        sandbox = Sandbox(values["NEXLA_API_URL"], values["NEXLA_SERVICE_KEY"], folder / "sandbox", folder / "state")
        yield sandbox
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:  # a request that a test has made to hang may still hang
            child.kill()
            child.wait()


def plant_orders(sandbox: Sandbox, rows: int = 20, bucket: str = "shop") -> dict[str, Any]:
    """An empty sandbox with credentials and a small file; returns a flow config that deploys on it."""
    sandbox.reset("empty")
    sandbox.control("POST", "settings", {"discovery_seconds": 0.02})
    folder = sandbox.data / "buckets" / bucket / "in"
    shutil.rmtree(folder, ignore_errors=True)  # a reset leaves the buckets alone
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{n},user{n}@example.com,{n * 1.5}" for n in range(1, rows + 1)]
    (folder / "orders.csv").write_text("\n".join(["id,email,amount", *lines]) + "\n")
    (sandbox.data / "databases" / "dw.duckdb").unlink(missing_ok=True)
    _, source = sandbox.api(
        "POST", "/data_credentials", {"name": "s3", "credentials_type": "s3", "credentials": {"key": "k" * 12}}
    )
    _, sink = sandbox.api(
        "POST", "/data_credentials", {"name": "pg", "credentials_type": "postgres", "credentials": {}}
    )
    return {
        "credential_id": source["id"],
        "source": {"name": "orders", "source_type": "s3", "source_config": {"path": f"{bucket}/in"}},
        "nexsets": [{"name": "clean", "transform": [{"operation": "remove", "spec": {"email": ""}}]}],
        "destination": {
            "name": "warehouse",
            "sink_type": "postgres",
            "data_credentials_id": sink["id"],
            "sink_config": {"table": "orders", "database": "dw", "mapping": {"mode": "auto"}},
        },
    }


def write_config(folder: Path, config: Any, name: str = "flow.json") -> str:
    path = folder / name
    path.write_text(json.dumps(config))
    return str(path)


def table(sandbox: Sandbox, name: str = "orders", database: str = "dw") -> list[tuple[Any, ...]]:
    """The rows of a delivered table, in order; empty when it is not there."""
    file = sandbox.data / "databases" / f"{database}.duckdb"
    if not file.exists():
        return []
    with duckdb.connect(str(file), read_only=True) as db:
        return db.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
