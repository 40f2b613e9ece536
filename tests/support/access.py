"""Planting access rules on the sandbox, and reading them back past the scripts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from support import Done, Sandbox

SEEDS = ["--resource-type", "sources", "--resource-ids", "123,456,789",
         "--accessor-type", "TEAM", "--accessor-id", "42"]  # fmt: skip


SOURCE = ["--resource-type", "sources", "--resource-id", "123"]
THREE = ["--resource-type", "sources", "--resource-ids", "123,456,789"]
NEXSET = ["--resource-type", "nexsets", "--resource-id", "123"]
TEAM = ["--accessor-type", "TEAM", "--accessor-id", "42"]


PATHS = {"sources": "data_sources", "nexsets": "data_sets", "destinations": "data_sinks", "flows": "flows",
         "credentials": "data_credentials", "lookups": "data_maps", "projects": "projects", "teams": "teams",
         "code_containers": "code_containers", "data_schemas": "data_schemas",
         "doc_containers": "doc_containers"}  # fmt: skip


BOB, CHLOE = "bob.smith@example.com", "chloe.dubois@example.com"


TEAM42 = ("TEAM", 42)


def access(sandbox: Sandbox, operation: str, *args: str) -> Done:
    return sandbox.run_inside("manage_access.py", "--operation", operation, *args)


def rules(sandbox: Sandbox, kind: str, number: int) -> dict[tuple[str, int], list[str]]:
    _, rows = sandbox.api("GET", f"/{PATHS[kind]}/{number}/accessors")
    found: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        found.setdefault((row["type"], row["id"]), []).extend(row["access_roles"])
    return {who: sorted(roles) for who, roles in found.items()}


def ends(sandbox: Sandbox, kind: str, number: int) -> dict[tuple[str, int, str], str | None]:
    """The end of each rule, as its day."""
    _, rows = sandbox.api("GET", f"/{PATHS[kind]}/{number}/accessors")
    return {
        (row["type"], row["id"], role): (row.get("access_role_expires_at") or "")[:10] or None
        for row in rows
        for role in row["access_roles"]
    }


def user(sandbox: Sandbox, email: str) -> int:
    return next(int(u["id"]) for u in sandbox.control("GET", "users")["users"] if u["email"] == email)


def plant(sandbox: Sandbox, kind: str, number: int, *entries: dict[str, Any]) -> None:
    status, _ = sandbox.api("PUT", f"/{PATHS[kind]}/{number}/accessors", {"accessors": list(entries)})
    assert status == 200


def acting_as(sandbox: Sandbox, email: str) -> Sandbox:
    """The same sandbox as another person has it, beside a script that runs as somebody else."""
    person = next(u for u in sandbox.control("GET", "users")["users"] if u["email"] == email)
    return replace(sandbox, key=person["service_key"], state=sandbox.state / email, _token="")


def entry(kind: str, number: int, *roles: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "id": number, "access_roles": list(roles), **more}


def declared(tmp_path: Path, *resources: dict[str, Any]) -> str:
    file = tmp_path / "access.json"
    file.write_text(json.dumps({"resources": list(resources)}))
    return str(file)


def declared_for_three(path: Path, role: str, team: int = 7) -> str:
    """A file that gives a team one role on the three sources of the seeds."""
    accessors = [{"type": "TEAM", "id": team, "role": role}]
    resources = [{"type": "sources", "id": number, "accessors": accessors} for number in (123, 456, 789)]
    path.write_text(json.dumps({"resources": resources}))
    return str(path)


ANA = "ana.silva@example.com"


def audit(sandbox: Sandbox, *args: str) -> Done:
    return sandbox.run_inside("audit_access.py", *args)


def seen(done: Done) -> set[tuple[str, int, str, str | None]]:
    return {
        (row["type"], row["id"], str(row["accessor"] or row["accessor_id"]), row["role"]) for row in done.data["access"]
    }
