"""What a new sandbox holds: one org with people, and (demo) flows that are healthy, failing, stale and paused.

The ids 123, 456, 789 and team 42 are the ones that the commands in the guides name.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import Any

from sandbox.state.store import Doc
from sandbox.state.world import World

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
DAY = 86_400.0
EMPTY, DEMO = "empty", "demo"
CUSTOMER_FIELDS = ["customer_id", "email", "name", "created_at", "address"]  # of the JSON file; CSV files have a header
RECORD_BYTES = 180


def add_user(world: World, email: str, *, org_id: int = 1, admin: bool = False, key: str = "") -> Doc:
    """Store a user, with a service key of its own unless one is given, and return it."""
    name = email.split("@", maxsplit=1)[0].replace(".", " ").title()
    doc: Doc = {
        "email": email,
        "full_name": name,
        "org_id": org_id,
        "org_admin": admin,
        "service_key": key or f"sandbox-{secrets.token_urlsafe(24)}",
    }
    return world.store.put("users", world.stamp(doc, new=True))


def seed_people(world: World, key: str) -> None:
    """Store the org, its people and teams, and one project. ``key`` becomes the first user's service key."""
    put, stamp = world.store.put, world.stamp
    put("orgs", stamp({"id": 1, "name": "Acme Retail", "email_domain": "example.com"}, new=True))
    owner = add_user(world, "ana.silva@example.com", key=key)
    others = [add_user(world, f"{name}@example.com")["id"] for name in ("bob.smith", "chloe.dubois")]
    owned = {"owner_id": owner["id"], "org_id": 1}
    put("teams", stamp({"id": 42, "name": "Data Engineering", "members": [owner["id"], *others], **owned}, new=True))
    put("teams", stamp({"id": 7, "name": "Analysts", "members": others, **owned}, new=True))
    put("projects", stamp({"id": 10, "name": "Commerce", "description": "Shop data", **owned}, new=True))


def seed_demo(world: World) -> None:
    """Store the demo flows, and copy their files into the bucket ``demo-bucket``; the healthy one really runs."""
    bucket = world.folder("buckets", "demo-bucket")
    for file in sorted(DATA.iterdir()):
        target = bucket / file.stem
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target / file.name)
    _add_credential(world, 123, "Demo bucket", "s3")
    _add_credential(world, 456, "Demo warehouse", "postgres")
    _add_credential(world, 789, "Expired bucket key", "s3", bad=True)
    columns = {file.stem: file.read_text().splitlines()[0].split(",") for file in DATA.glob("*.csv")}
    _add_flow(world, 123, "orders", columns["orders"], project_id=10, tags=["prod"])
    _add_flow(world, 456, "customers", CUSTOMER_FIELDS, tags=["prod"])
    _add_flow(world, 789, "payments", columns["payments"], credential_id=789)
    _add_flow(world, 321, "inventory", columns["inventory"])
    _add_transforms(world)
    _add_shareable(world)
    for flow in (123, 456, 789):
        _set_status(world, flow, "ACTIVE")
    for source_id in (123, 456, 789):
        world.engine.start_run(world.store.get("sources", source_id) or {})
    world.engine.run_all()
    _set_status(world, 456, "PAUSED")
    _add_history(world, 123, range(1, 14), 480)
    _add_history(world, 456, range(3, 9), 40)
    _add_history(world, 321, range(6, 12), 20)
    _set_status(world, 321, "ACTIVE")
    world.store.put("sources", {**(world.store.get("sources", 321) or {}), "stuck": True})
    world.store.commit()


def _owner_id(world: World) -> int:
    owner_id: int = world.store.all("users")[0]["id"]
    return owner_id


def _add_credential(world: World, credential_id: int, name: str, credentials_type: str, **more: Any) -> None:
    doc = {
        "id": credential_id,
        "name": name,
        "description": None,
        "credentials_type": credentials_type,
        "credentials": {"bucket": "demo-bucket"} if credentials_type == "s3" else {"database": "warehouse"},
        "tags": ["demo"],
        "owner_id": _owner_id(world),
        "org_id": 1,
        "verified_status": None,
        "verified_at": None,
        **more,
    }
    world.store.put("credentials", world.stamp(doc, new=True))


def _add_flow(world: World, resource_id: int, name: str, columns: list[str], **more: Any) -> None:
    """Source, detected nexset and warehouse destination, which all get the same id and the status INIT."""
    nodes = [world.store.put("nodes", {"id": resource_id * 10 + i})["id"] for i in range(3)]
    common = {
        "owner_id": _owner_id(world),
        "org_id": 1,
        "status": "INIT",
        "description": None,
        "origin_node_id": nodes[0],
    }
    source = {
        "id": resource_id,
        "name": name,
        "source_type": "s3",
        "ingest_method": "API",
        "source_format": "JSON",
        "source_config": {"path": f"demo-bucket/{name}", "start.cron": "0 0 6 * * ?"},
        "data_credentials_id": more.get("credential_id", 123),
        "flow_node_id": nodes[0],
        "tags": ["demo", *more.get("tags", [])],
        "project_id": more.get("project_id"),
    }
    nexset = {
        "id": resource_id,
        "name": f"{name}, Schema #1",
        "data_source_id": resource_id,
        "parent_data_set_id": None,
        "columns": columns,
        "samples": [],
        "tags": [],
        "flow_node_id": nodes[1],
        "parent_node_id": nodes[0],
    }
    sink = _warehouse_sink(resource_id, name) | {"flow_node_id": nodes[2], "parent_node_id": nodes[1], "tags": ["demo"]}
    for kind, doc in (("sources", source), ("nexsets", nexset), ("sinks", sink)):
        world.store.put(kind, world.stamp(doc | common, new=True))


def _warehouse_sink(resource_id: int, name: str) -> Doc:
    return {
        "id": resource_id,
        "name": f"{name} warehouse",
        "sink_type": "postgres",
        "data_credentials_id": 456,
        "data_set_id": resource_id,
        "sink_config": {
            "database": "warehouse",
            "table": name.replace(" ", "_"),
            "insert.mode": "INSERT",
            "mapping": {"mode": "auto"},
        },
    }


def _set_status(world: World, resource_id: int, status: str) -> None:
    """Set the status of a flow's source, nexset and destination."""
    for kind in ("sources", "nexsets", "sinks"):
        doc = world.store.get(kind, resource_id)
        if doc:
            world.store.put(kind, doc | {"status": status})


def _add_history(world: World, resource_id: int, days_ago: range, records: int) -> None:
    """Past runs of a flow, one for each day, as metrics rows only."""
    for days in days_ago:
        run_id = int((world.clock.now() - DAY * days) * 1000)
        for resource_type in ("data_sources", "data_sets", "data_sinks"):
            row = {"resource_type": resource_type, "resource_id": resource_id, "data_set_id": resource_id}
            row |= {"run_id": run_id, "records": records, "size": records * RECORD_BYTES, "errors": 0}
            world.store.put("metrics", row | {"last_written": run_id + 4000})


def _add_transforms(world: World) -> None:
    """One reusable record transform and one public attribute transform."""
    common = {"owner_id": _owner_id(world), "org_id": 1, "resource_type": "transform", "reusable": True}
    drop = [{"operation": "remove", "spec": {"ssn": "", "card_number": ""}}]
    record = {"id": 123, "name": "drop-card-and-ssn", "output_type": "record", "code_type": "jolt_standard"}
    record |= {"code_encoding": "none", "code": drop, **common}
    world.store.put("code", world.stamp(record, new=True))
    script = "ZGVmIHRyYW5zZm9ybUF0dHJpYnV0ZShpbnB1dCwgbWV0YWRhdGEsIGFyZ3MpOgogICAgcmV0dXJuICIqKioiCg=="
    mask = {"id": 456, "name": "mask-all", "output_type": "attribute", "code_type": "python", "public": True}
    mask |= {"code_encoding": "base64", "code": script, **common}
    world.store.put("code", world.stamp(mask, new=True))


def _add_shareable(world: World) -> None:
    """One each of the kinds that the flows do without but whose access is managed."""
    common = {"id": 123, "description": None, "owner_id": _owner_id(world), "org_id": 1}
    rows = [{"code": "DE", "country": "Germany"}, {"code": "FR", "country": "France"}]
    lookup = {"name": "countries", "map_primary_key": "code", "data_map": rows}
    world.store.put("lookups", world.stamp(lookup | common, new=True))
    world.store.put("schemas", world.stamp({"name": "order", "schema": {"type": "object"}} | common, new=True))
    world.store.put("docs", world.stamp({"name": "orders handbook"} | common, new=True))
