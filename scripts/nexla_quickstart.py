#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "nexla-sdk>=1.0.8,<2",
#   "python-dateutil>=2.9",
#   "requests>=2.32",
#   "tenacity>=9",
#   "rich>=13",
#   "jsonschema>=4.23",
#   "jolt-py>=2",
#   "python-dotenv>=1",
#   "croniter>=6",
# ]
# ///
"""Check setup, login and reach, then count what is there. Start here; with --sandbox it needs no account."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from helpers.command import cli
from helpers.command.output import Result
from helpers.core.errors import config_error

COMMAND = "nexla_quickstart"
COUNTED = ("sources", "nexsets", "destinations", "flows", "credentials")
SETTINGS = ("NEXLA_API_URL", "NEXLA_SERVICE_KEY", "NEXLA_ACCESS_TOKEN")


def build_parser() -> argparse.ArgumentParser:
    parser = cli.build_parser(COMMAND, __doc__ or "", "python scripts/nexla_quickstart.py --sandbox")
    parser.add_argument("--sandbox", action="store_true", help="start a local sandbox for this one command")
    return parser


def quickstart(args: argparse.Namespace, context: cli.Context) -> Result:
    """Who I am, where, how far away it is, how many resources of each kind I own, and what to do next."""
    if not args.sandbox:
        return _look(context, sandbox=False)
    with _sandbox(context):
        return _look(context, sandbox=True)


def _look(context: cli.Context, *, sandbox: bool) -> Result:
    from importlib.metadata import version

    from helpers.api.resources import count
    from helpers.api.transport import call
    from helpers.core.kinds import KINDS

    session = context.session
    context.say(f"connecting to {session.settings.api_url}")
    person = call(session, "GET", "/users/current").data
    started, sent = time.perf_counter(), session.requests
    counts: dict[str, int] = {}
    samples: dict[str, list[Any]] = {}
    for name in COUNTED:
        context.say(f"counting {name}")
        params = {"flows_only": 1} if name == "flows" else {}
        counts[name], rows = count(session, KINDS[name], **params)
        samples[name] = [row.get("id") for row in rows[:3]]
    trip = round((time.perf_counter() - started) * 1000 / max(session.requests - sent, 1), 1)
    user = person.get("user") or {}
    data = {
        "api_url": session.settings.api_url,
        "login": "service key" if session.settings.service_key else "access token",
        "user": {"id": user.get("id"), "email": user.get("email")},
        "org": {key: (person.get("org") or {}).get(key) for key in ("id", "name")},
        "counts": counts,
        "sample_ids": samples,
        "round_trip_ms": trip,
        "versions": {"python": sys.version.split()[0], "nexla-sdk": version("nexla-sdk")},
        "next": _next(counts, samples, sandbox=sandbox),
    }
    warnings = [] if sum(counts.values()) else ["you own nothing here; others' resources: list with --access-role all"]
    return Result(data, {"access_role": "owner"}, warnings)


def _next(counts: dict[str, int], samples: dict[str, list[Any]], *, sandbox: bool) -> list[str]:
    steps = ["python scripts/deploy_flow.py --print-schema"]
    if counts["flows"]:
        steps.insert(0, "python scripts/list_resources.py --type flows --all")
    if counts["sources"]:
        steps.insert(1, f"python scripts/list_resources.py --type sources --id {samples['sources'][0]} --full")
    return (
        ["python -m sandbox  # a sandbox that stays; export the two lines that it prints", *steps] if sandbox else steps
    )


@contextmanager
def _sandbox(context: cli.Context) -> Iterator[None]:
    """A sandbox of this command's own: started, its settings exported to this process, stopped at the end."""
    command = [sys.executable, "-m", "sandbox", "--parent", str(os.getpid())]
    context.say("starting a sandbox")
    environment = {key: value for key, value in os.environ.items() if key not in SETTINGS}
    with subprocess.Popen(command, cwd=cli.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment) as child:  # fmt: skip
        try:
            for name in SETTINGS:
                os.environ.pop(name, None)
            for line in child.stdout or ():
                if line.startswith("export "):
                    name, value = line.removeprefix("export ").strip().split("=", 1)
                    os.environ[name] = value
                if line.strip() == "ready":
                    break
            else:
                reason = (child.stderr.read() if child.stderr else "").strip().splitlines()
                raise config_error(
                    f"the sandbox did not start: {reason[-1] if reason else 'no output'}",
                    f"{sys.executable} -m pip install -r {cli.ROOT / 'requirements-dev.txt'}",
                )
            context.args.env_file = None
            yield
        finally:
            child.terminate()


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), quickstart, argv)


if __name__ == "__main__":
    raise SystemExit(main())
