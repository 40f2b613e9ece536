"""Operating the demo flow, and the statuses of its members."""

from __future__ import annotations

from support import Done, Sandbox

KINDS = {"sources": "sources", "nexsets": "nexsets", "destinations": "sinks"}
RESTART_WRITES = 5  # of the demo flow: pause source and destination, activate destination, nexset, source


def statuses(sandbox: Sandbox, number: int = 123) -> dict[str, str]:
    snapshot = sandbox.snapshot()
    return {name: row["status"] for name, kind in KINDS.items() for row in snapshot[kind] if row["id"] == number}


def operate(sandbox: Sandbox, operation: str, kind: str = "flows", number: int = 1230, *more: str) -> Done:
    return sandbox.run_inside(
        "operate_flow.py", "--operation", operation, "--resource-type", kind, "--resource-id", str(number), *more
    )


def branch(sandbox: Sandbox, status: str) -> int:
    """A second destination below the demo flow's nexset."""
    _, sink = sandbox.api(
        "POST",
        "/data_sinks",
        {"name": "second", "sink_type": "postgres", "data_credentials_id": 456, "data_set_id": 123,
         "sink_config": {"table": "second", "database": "warehouse", "mapping": {"mode": "auto"}}},
    )  # fmt: skip
    if status == "ACTIVE":
        sandbox.api("PUT", f"/data_sinks/{sink['id']}/activate")
    return int(sink["id"])
