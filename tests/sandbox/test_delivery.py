"""Destinations really hold what was read: files, DuckDB tables, a PostgreSQL server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

import support
from support import Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Api

ORDERS = [(n, n * 1.5) for n in range(1, 21)]


def deploy(sandbox: Sandbox, config: dict[str, Any], folder: Path) -> None:
    done = sandbox.run("deploy_flow.py", "--config", support.write_config(folder, config))
    assert done.code == 0, done.err


@pytest.mark.parametrize("data_format", ["csv", "json", "parquet"])
def test_file_destinations_hold_what_was_read(sandbox: Sandbox, tmp_path: Path, data_format: str) -> None:
    config = support.plant_orders(sandbox)
    config["destination"] |= {"sink_type": "s3", "data_credentials_id": config["credential_id"]}
    config["destination"]["sink_config"] = {"path": f"shop/out-{data_format}", "data_format": data_format}
    deploy(sandbox, config, tmp_path)
    pattern = sandbox.data / "buckets" / "shop" / f"out-{data_format}" / f"*.{data_format}"
    with duckdb.connect() as db:
        rows = db.execute(f"SELECT * FROM '{pattern}' ORDER BY id").fetchall()
    assert rows == ORDERS


@pytest.mark.soak
def test_100_000_rows_through_jolt_into_a_table(sandbox: Sandbox, tmp_path: Path) -> None:
    config = support.plant_orders(sandbox, rows=100_000, bucket="big")
    spec = [{"operation": "shift", "spec": {"id": "order.id", "amount": "order.amount", "email": "contact"}}]
    config["nexsets"][0]["transform"] = spec
    config["destination"]["sink_config"]["table"] = "big"
    config["verify"] = {"min_records": 100_000}
    deploy(sandbox, config, tmp_path)
    file = sandbox.data / "buckets" / "big" / "in" / "orders.csv"
    with duckdb.connect(str(sandbox.data / "databases" / "dw.duckdb"), read_only=True) as db:
        different = db.execute(
            f"""WITH wanted AS (SELECT id, amount, email FROM read_csv('{file}')),
                     have AS (SELECT "order".id AS id, "order".amount AS amount, contact AS email FROM big)
                SELECT * FROM (
                    (FROM wanted EXCEPT ALL FROM have) UNION ALL (FROM have EXCEPT ALL FROM wanted)) LIMIT 5"""
        ).fetchall()
        count = db.execute("SELECT count(*) FROM big").fetchall()
    assert different == [], "rows that only the file or only the table has"
    assert count == [(100_000,)]


def test_a_real_postgresql_is_written_to(sandbox: Sandbox, tmp_path: Path) -> None:
    pgserver = pytest.importorskip("pgserver", reason="pgserver has no wheel for this Python or platform")
    server = pgserver.get_server(tmp_path / "pg")
    try:
        uri = server.get_uri()
        host = re.search(r"host=([^&]+)", uri)
        config = support.plant_orders(sandbox)
        login = {"host": host[1] if host else "127.0.0.1", "username": "postgres", "database": "postgres"}
        del config["destination"]["data_credentials_id"]
        config["destination"]["credential"] = {"name": "real", "credentials_type": "postgres", "credentials": login}
        config["destination"]["sink_config"] |= {"insert.mode": "UPSERT", "primary.key": "id"}
        deploy(sandbox, config, tmp_path)
        with psycopg.connect(uri) as db:
            rows = db.execute("SELECT id, amount FROM orders ORDER BY id").fetchall()
        assert rows == ORDERS
    finally:
        server.cleanup()


def test_a_missing_table_keeps_the_records_until_it_is_there(sandbox: Sandbox, api: Api) -> None:
    config = support.plant_orders(sandbox)
    source = api.post("/data_sources", {**config["source"], "data_credentials_id": config["credential_id"]})
    api.put(f"/data_sources/{source['id']}/activate")
    sandbox.idle()
    (nexset,) = api.get(f"/data_sources/{source['id']}")["data_sets"]
    sink_config = {"table": "later", "database": "dw", "mapping": {"mode": "manual", "mapping": {"id": "id"}}}
    sink = api.post("/data_sinks", config["destination"] | {"data_set_id": nexset["id"], "sink_config": sink_config})
    path = f"/data_sinks/{sink['id']}"
    api.put(f"{path}/activate")
    sandbox.idle()
    waiting = api.get(path)
    assert waiting["status"] == "ACTIVE", waiting
    assert waiting["runtime_status"] == "PROCESSING", waiting
    with duckdb.connect(str(sandbox.data / "databases" / "dw.duckdb")) as db:
        db.execute("CREATE TABLE later (id INTEGER)")
    api.put(f"/data_sources/{source['id']}/activate?force=1")
    sandbox.idle()
    assert len(support.table(sandbox, "later")) == 20
    delivered = api.get(path)
    assert delivered["runtime_status"] == "IDLE", delivered
