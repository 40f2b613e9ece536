"""What a fresh sandbox holds: one org with people, and (demo) flows that are healthy, failing, stale and paused.

The ids 123, 456, 789 and team 42 are those that the guides' commands name.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import Any

from sandbox.state.store import Doc
from sandbox.state.world import World

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
HOUR, DAY = 3600.0, 86_400.0
EMPTY, DEMO = "empty", "demo"


def add_user(world: World, email: str, *, org_id: int = 1, admin: bool = False, key: str = "") -> Doc:
    """A user with a service key of its own."""
    name = email.split("@", maxsplit=1)[0].replace(".", " ").title()
    doc: Doc = {
        "email": email,
        "full_name": name,
        "org_id": org_id,
        "org_admin": admin,
        "service_key": key or f"sandbox-{secrets.token_urlsafe(24)}",
    }
    return world.store.put("users", world.stamp(doc, new=True))


def plant_people(world: World, key: str) -> None:
    """The org, its people, the teams and one project; ``key`` is the service key that the sandbox prints."""
    put, stamp = world.store.put, world.stamp
    put("orgs", stamp({"id": 1, "name": "Acme Retail", "email_domain": "example.com"}, new=True))
    owner = add_user(world, "ana.silva@example.com", key=key)
    others = [add_user(world, f"{name}@example.com")["id"] for name in ("bob.smith", "chloe.dubois")]
    mine = {"owner_id": owner["id"], "org_id": 1}
    put("teams", stamp({"id": 42, "name": "Data Engineering", "members": [owner["id"], *others], **mine}, new=True))
    put("teams", stamp({"id": 7, "name": "Analysts", "members": others, **mine}, new=True))
    put("projects", stamp({"id": 10, "name": "Commerce", "description": "Shop data", **mine}, new=True))


def _credential(world: World, number: int, name: str, kind: str, **more: Any) -> None:
    doc = {
        "id": number,
        "name": name,
        "description": None,
        "credentials_type": kind,
        "credentials": {"bucket": "demo-bucket"} if kind == "s3" else {"database": "warehouse"},
        "tags": ["demo"],
        "owner_id": world.store.all("users")[0]["id"],
        "org_id": 1,
        "verified_status": None,
        "verified_at": None,
        **more,
    }
    world.store.put("credentials", world.stamp(doc, new=True))


def _flow(world: World, number: int, name: str, path: str, columns: list[str], **more: Any) -> None:
    """Source, detected nexset and warehouse destination, all with the same id, stored as INIT."""
    store, owner = world.store, world.store.all("users")[0]["id"]
    nodes = [store.put("nodes", {"id": number * 10 + i})["id"] for i in range(3)]
    mine = {"owner_id": owner, "org_id": 1, "status": "INIT", "description": None, "origin_node_id": nodes[0]}
    source = {
        "id": number,
        "name": name,
        "source_type": "s3",
        "ingest_method": "API",
        "source_format": "JSON",
        "source_config": {"path": path, "start.cron": "0 0 6 * * ?"},
        "data_credentials_id": more.get("credential", 123),
        "flow_node_id": nodes[0],
        "tags": ["demo", *more.get("tags", [])],
        "project_id": more.get("project_id"),
        **mine,
    }
    nexset = {
        "id": number,
        "name": f"{name}, Schema #1",
        "data_source_id": number,
        "parent_data_set_id": None,
        "columns": columns,
        "samples": [],
        "tags": [],
        "flow_node_id": nodes[1],
        "parent_node_id": nodes[0],
        **mine,
    }
    sink = {
        "id": number,
        "name": f"{name} warehouse",
        "sink_type": "postgres",
        "data_credentials_id": 456,
        "data_set_id": number,
        "sink_config": {
            "database": "warehouse",
            "table": name.replace(" ", "_"),
            "insert.mode": "INSERT",
            "mapping": {"mode": "auto"},
        },
        "flow_node_id": nodes[2],
        "parent_node_id": nodes[1],
        "tags": ["demo"],
        **mine,
    }
    for kind, doc in (("sources", source), ("nexsets", nexset), ("sinks", sink)):
        store.put(kind, world.stamp(doc, new=True))


def _set(world: World, number: int, status: str) -> None:
    for kind in ("sources", "nexsets", "sinks"):
        doc = world.store.get(kind, number)
        if doc:
            world.store.put(kind, doc | {"status": status})


def _history(world: World, number: int, ages: list[float], records: int, errors: int = 0) -> None:
    """Past runs of a flow, as metrics rows only; ``ages`` in seconds before now."""
    for age in ages:
        run_id = int((world.clock.now() - age) * 1000)
        for resource_type in ("data_sources", "data_sets", "data_sinks"):
            failed = errors if resource_type == "data_sources" else 0
            row = {"resource_type": resource_type, "resource_id": number, "data_set_id": number, "run_id": run_id}
            row |= {"records": records, "size": records * 180, "errors": failed, "last_written": run_id + 4000}
            world.store.put("metrics", row)


def plant_demo(world: World) -> None:
    """The demo flows, with their files in the bucket ``demo-bucket``; the healthy one has really run."""
    bucket = world.folder("buckets", "demo-bucket")
    for file in sorted(DATA.iterdir()):
        target = bucket / file.stem
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target / file.name)
    _credential(world, 123, "Demo bucket", "s3")
    _credential(world, 456, "Demo warehouse", "postgres")
    _credential(world, 789, "Expired bucket key", "s3", bad=True)
    columns = {file.stem: file.read_text().splitlines()[0].split(",") for file in DATA.glob("*.csv")}
    people = ["customer_id", "email", "name", "created_at", "address"]
    _flow(world, 123, "orders", "demo-bucket/orders", columns["orders"], project_id=10, tags=["prod"])
    _flow(world, 456, "customers", "demo-bucket/customers", people, tags=["prod"])
    _flow(world, 789, "payments", "demo-bucket/payments", columns["payments"], credential=789)
    _flow(world, 321, "inventory", "demo-bucket/inventory", columns["inventory"])
    plant_transforms(world)
    for number, status in ((123, "ACTIVE"), (456, "ACTIVE"), (789, "ACTIVE")):
        _set(world, number, status)
    for number in (123, 456, 789):
        world.engine.start_run(world.store.get("sources", number) or {})
    world.engine.run_all()
    _set(world, 456, "PAUSED")
    _history(world, 123, [DAY * n for n in range(1, 14)], 480)
    _history(world, 456, [DAY * n for n in range(3, 9)], 40)
    _history(world, 321, [DAY * n for n in range(6, 12)], 20)
    _set(world, 321, "ACTIVE")
    world.store.put("sources", {**(world.store.get("sources", 321) or {}), "stuck": True})
    world.store.commit()


def plant_transforms(world: World) -> None:
    """One reusable record transform and one public attribute transform."""
    mine = {"owner_id": world.store.all("users")[0]["id"], "org_id": 1, "resource_type": "transform", "reusable": True}
    drop = [{"operation": "remove", "spec": {"ssn": "", "card_number": ""}}]
    record = {"id": 123, "name": "drop-card-and-ssn", "output_type": "record", "code_type": "jolt_standard"}
    record |= {"code_encoding": "none", "code": drop, **mine}
    world.store.put("code", world.stamp(record, new=True))
    script = "ZGVmIHRyYW5zZm9ybUF0dHJpYnV0ZShpbnB1dCwgbWV0YWRhdGEsIGFyZ3MpOgogICAgcmV0dXJuICIqKioiCg=="
    mask = {"id": 456, "name": "mask-all", "output_type": "attribute", "code_type": "python", "public": True}
    mask |= {"code_encoding": "base64", "code": script, **mine}
    world.store.put("code", world.stamp(mask, new=True))
