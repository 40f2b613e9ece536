"""An overview of an account, or of a sandbox that is started for this purpose."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from helpers.api.resources import count
from helpers.api.transport import call
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.core.commands import BUNDLE, command_line, module_line, python_line
from helpers.core.errors import config_error
from helpers.core.kinds import KINDS
from helpers.inventory.request import QuickstartRequest

COUNTED = ("sources", "nexsets", "destinations", "flows", "credentials")
SETTINGS = ("NEXLA_API_URL", "NEXLA_SERVICE_KEY", "NEXLA_ACCESS_TOKEN")


def run(request: QuickstartRequest, context: Context) -> Result:
    """Report the user, the API URL, the round-round_trip time, how many resources the user owns, and what to do next.

    Raises:
        OperatorError: CONFIG, when the sandbox does not start; AUTH and so on from the requests.
    """
    if not request.sandbox:
        return _overview(context, sandbox=False)
    with _sandbox(context):
        return _overview(context, sandbox=True)


def _overview(context: Context, *, sandbox: bool) -> Result:
    session = context.session
    context.report(f"connecting to {session.settings.api_url}")
    person = call(session, "GET", "/users/current").data
    started, sent = time.perf_counter(), session.requests
    counts: dict[str, int] = {}
    samples: dict[str, list[Any]] = {}
    for name in COUNTED:
        context.report(f"counting {name}")
        params = {"flows_only": 1} if name == "flows" else {}
        counts[name], rows = count(session, KINDS[name], **params)
        samples[name] = [row.get("id") for row in rows[:3]]
    round_trip = round((time.perf_counter() - started) * 1000 / max(session.requests - sent, 1), 1)
    user, org = (value if isinstance(value := person.get(key), dict) else {} for key in ("user", "org"))
    data = {
        "api_url": session.settings.api_url,
        "login": "service key" if session.settings.service_key else "access token",
        "user": {"id": user.get("id"), "email": user.get("email")},
        "org": {key: org.get(key) for key in ("id", "name")},
        "counts": counts,
        "sample_ids": samples,
        "round_trip_ms": round_trip,
        "versions": {"python": sys.version.split()[0], "nexla-sdk": version("nexla-sdk")},
        "next": _next_commands(counts, samples, sandbox=sandbox),
    }
    empty = "you own no resources here; list those of other users with --access-role all"
    warnings = [] if sum(counts.values()) else [empty]
    return Result(data, {"access_role": "owner"}, warnings)


def _next_commands(counts: dict[str, int], samples: dict[str, list[Any]], *, sandbox: bool) -> list[str]:
    commands = (
        [f"{module_line('sandbox')}  # keeps running; copy the two export lines that it prints"] if sandbox else []
    )
    if counts["flows"]:
        commands.append(command_line("list_resources", "--type", "flows", "--all"))
    if samples["sources"]:
        commands.append(command_line("list_resources", "--type", "sources", "--id", samples["sources"][0], "--full"))
    return [*commands, command_line("deploy_flow", "--print-schema")]


@contextmanager
def _sandbox(context: Context) -> Iterator[None]:
    """Start a sandbox for this command, connect to it, and stop it at the end.

    Raises:
        OperatorError: CONFIG, when it does not start.
    """
    command = [sys.executable, "-m", "sandbox", "--parent", str(os.getpid())]
    context.report("starting a sandbox")
    environment = {key: value for key, value in os.environ.items() if key not in SETTINGS}
    with subprocess.Popen(command, cwd=BUNDLE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment) as child:  # fmt: skip
        try:
            values = _exported_lines(child)
            if not values:
                reason = (child.stderr.read() if child.stderr else "").strip().splitlines()
                raise config_error(
                    f"the sandbox did not start: {reason[-1] if reason else 'no output'}",
                    python_line(["-m", "pip", "install", "-r", BUNDLE / "requirements-dev.txt"]),
                )
            context.connect_to(values)
            yield
        finally:
            child.terminate()


def _exported_lines(child: subprocess.Popen[str]) -> dict[str, str]:
    """The values that a sandbox exports before it is ready; empty when it does not become ready."""
    values: dict[str, str] = {}
    for line in child.stdout or ():
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            values[name] = value
        if line.strip() == "ready":
            return values
    return {}
