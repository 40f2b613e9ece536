"""The statuses of the demo flow's members."""

from __future__ import annotations

from support import Sandbox

KINDS = {"sources": "sources", "nexsets": "nexsets", "destinations": "sinks"}


def statuses(sandbox: Sandbox, number: int = 123) -> dict[str, str]:
    snapshot = sandbox.snapshot()
    return {name: row["status"] for name, kind in KINDS.items() for row in snapshot[kind] if row["id"] == number}
