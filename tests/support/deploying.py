"""Deploying a config on the sandbox, and reading what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import support
from support import Done, Exit, Sandbox
from support.access import BOB, CHLOE, acting_as


def deploy(sandbox: Sandbox, tmp_path: Path, config: Any, *args: str, env: dict[str, str] | None = None) -> Done:
    path = support.write_config(tmp_path, config)
    return sandbox.run_inside("deploy_flow.py", "--config", path, "--verify-timeout", "20", *args, env=env)


def rows(sandbox: Sandbox, kind: str) -> list[dict[str, Any]]:
    return sandbox.snapshot().get(kind, [])


def two_people_deploy(sandbox: Sandbox, folder: Path, config: Any) -> None:
    """Two org admins deploy one config at the same moment: one flow, or an honest refusal of one of them."""
    people = sandbox.control("GET", "users")["users"]
    for email in (BOB, CHLOE):
        number = next(person["id"] for person in people if person["email"] == email)
        sandbox.control("POST", "edit", {"kind": "users", "id": number, "set": {"org_admin": True}})
    path = support.write_config(folder, config)
    two = [acting_as(sandbox, email).start("deploy_flow.py", "--config", path) for email in (BOB, CHLOE)]
    ended = support.at_once(two)
    reported = "\n".join(one.err[-600:] for one in ended)
    assert len(rows(sandbox, "sources")) == len(rows(sandbox, "sinks")) == 1, reported
    assert len(support.table(sandbox)) == 20, reported
    assert Exit.OK in [one.code for one in ended], reported
    for one in ended:
        one.ends(Exit.OK, Exit.ROLLED_BACK, Exit.ERROR, Exit.NOT_FOUND)
