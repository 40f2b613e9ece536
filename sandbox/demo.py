"""``make demo``: start a sandbox and show the complete job on it, with the commands that a person would type."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "examples/flows/orders.json"
HIDDEN = ("ssn", "card_number", "customer_name", "email")


def shell(text: str, *, show: bool = True, expect: int = 0) -> Any:
    """Run one documented command line. ``show`` prints its result as a table; otherwise the result is returned.

    Raises:
        SystemExit: the command ended with another exit code than ``expect``.
    """
    print(f"\n$ {text}", flush=True)
    words = shlex.split(text)
    extra = ["--format", "table"] if show else ["--format", "json"]
    done = subprocess.run(
        [sys.executable, *words[1:], *extra], cwd=ROOT, check=False, text=True, stdout=None if show else subprocess.PIPE
    )
    if done.returncode != expect:
        raise SystemExit(f"demo: {text!r} ended with exit code {done.returncode}")
    return None if show else json.loads(done.stdout)


def start_sandbox(folder: str) -> subprocess.Popen[str]:
    """Start a sandbox with its data in ``folder``, and put its URL and key into this process's environment.

    Raises:
        SystemExit: it did not start.
    """
    print(f"$ python -m sandbox --data {folder} &")
    child = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--data", folder], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("export "):
            name, value = line.removeprefix("export ").strip().split("=", 1)
            os.environ[name] = value
        if line.strip() == "ready":
            return child
    raise SystemExit("demo: the sandbox did not start")


def show_table(folder: str) -> int:
    """Print the first delivered rows. Returns the number of all rows.

    Raises:
        SystemExit: a column with personal data was delivered.
    """
    file = Path(folder) / "databases" / "warehouse.duckdb"
    print("\nthe warehouse table, read from its database file:")
    with duckdb.connect(str(file), read_only=True) as db:
        db.sql("SELECT order_id, item, quantity, unit_price, email_domain FROM orders_masked ORDER BY 1").show(
            max_rows=6
        )
        columns = [row[0] for row in db.sql("DESCRIBE orders_masked").fetchall()]
        count = db.execute("SELECT count(*) FROM orders_masked").fetchall()
    leaked = set(columns) & set(HIDDEN)
    if leaked:
        raise SystemExit(f"demo: personal data was delivered: {sorted(leaked)}")
    return int(count[0][0])


def run_demo(folder: str) -> None:
    """Run the commands in order, and check what each shows.

    Raises:
        SystemExit: one of them showed something else.
    """
    shell("python scripts/nexla_quickstart.py")
    shell('python scripts/list_resources.py --type sources --name "orders" --limit 5')
    shell("python scripts/list_resources.py --type flows --all")
    shell(f"python scripts/deploy_flow.py --config {CONFIG} --dry-run")
    deployed = shell(f"python scripts/deploy_flow.py --config {CONFIG}", show=False)
    sink = deployed["data"]["destinations"][0]
    print(f"deployed flow {deployed['data']['flow']}: {sink['records']} records in run {sink['runs'][0]}")
    for warning in deployed["warnings"]:
        print(f"warning: {warning}")
    count = show_table(folder)
    prove_mask(deployed["data"]["nexsets"]["orders-masked"])
    again = shell(f"python scripts/deploy_flow.py --config {CONFIG}", show=False)
    print(f"deployed again: {again['data']['outcome']}, {again['meta']['requests']} requests, all of them reads")
    if (again["data"]["outcome"], count) != ("unchanged", sink["records"]):
        raise SystemExit("demo: the second deployment changed something, or the table does not match the run")
    print(f"\n{count} records delivered once; the table has none of {', '.join(HIDDEN)}")
    break_and_repair(deployed["data"]["flow"], sink["id"])


def prove_mask(nexset_id: int) -> None:
    """Turn the mask into a reusable transform that is proven on the nexset's samples."""
    proven = shell(
        "python scripts/manage_transforms.py --operation attach --file examples/transforms/mask_orders.json "
        f"--name mask-orders --nexset {nexset_id} --must-not-contain {','.join(HIDDEN)} "
        "--must-keep order_id,email_domain",
        show=False,
    )
    proof = proven["data"]["proof"]
    print(f"proven on {proof['samples']} samples: none of {', '.join(HIDDEN)} is left, by name or by value")


def break_and_repair(flow_id: int, sink_id: int) -> None:
    """Pause the destination of a healthy flow, see health fail and the diagnosis name it, and run its repair.

    Raises:
        SystemExit: health or diagnosis found something else.
    """
    health = f"python scripts/health_check.py --resource-type flows --resource-id {flow_id}"
    shell(health)
    shell(f"python scripts/operate_flow.py --operation pause --resource-type destinations --resource-id {sink_id}")
    print("\nsomebody has paused the destination: health ends with exit code 10, and the diagnosis says why")
    shell(health, expect=10)
    found = shell(f"python scripts/diagnose_flow.py --resource-id {flow_id}", show=False, expect=10)
    cause = found["data"]["causes"][0]
    print(f"diagnosis: {cause['fault']}, {cause['type']} {cause['id']}: {cause['cause']}")
    if (cause["fault"], cause["id"]) != ("paused_destination", sink_id):
        raise SystemExit("demo: the diagnosis did not name the paused destination")
    shell(cause["repair"])
    shell(health)
    print("\ndone: deployed, verified, broken, diagnosed, repaired")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="nexla-demo-") as folder:
        os.environ["XDG_STATE_HOME"] = str(Path(folder) / "state")
        for name in ("NEXLA_ACCESS_TOKEN", "NEXLA_READ_ONLY"):
            os.environ.pop(name, None)
        child = start_sandbox(str(Path(folder) / "sandbox"))
        try:
            run_demo(str(Path(folder) / "sandbox"))
        finally:
            child.terminate()
            child.wait(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
