"""Checking health on the sandbox."""

from __future__ import annotations

from typing import Any

from support import Done, Sandbox


def check(sandbox: Sandbox, *args: str) -> Done:
    return sandbox.run_inside("health_check.py", *args)


def one(sandbox: Sandbox, kind: str, number: int, *args: str) -> Done:
    return check(sandbox, "--resource-type", kind, "--resource-id", str(number), *args)


def rows(done: Done) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row["type"], row["id"]): row for row in done.data}
