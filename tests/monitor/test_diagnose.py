"""diagnose_flow.py: faults that really happen on the sandbox; the true cause comes first, a healthy flow has none."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import support
from support import Done, Exit, Sandbox
from support.clocks import VirtualClock

PYTHON_RAISES = "def transform(input, metadata, args):\n    raise ValueError('no amount in ' + repr(input['email']))\n"


class Shop:
    """A deployed flow (source, nexset, derived nexset, destination) and the ways to break it."""

    def __init__(self, sandbox: Sandbox, tmp_path: Path) -> None:
        self.sandbox, self.tmp_path = sandbox, tmp_path
        self.config = support.plant_orders(sandbox)
        self.folder = sandbox.data / "buckets" / "shop" / "in"
        (self.folder / "orders.csv").write_text("id,email,amount\n1,a@example.com,1.5\n2,b@example.com,2.5\n")
        done = sandbox.run_inside("deploy_flow.py", "--config", support.write_config(tmp_path, self.config)).ok()
        self.source, (self.sink,) = done.data["source"], [sink["id"] for sink in done.data["destinations"]]
        self.nexset, self.derived = sorted(done.data["nexsets"].values())

    def put(self, text: str, name: str = "more.csv") -> None:
        (self.folder / name).write_text(text)

    def run(self) -> None:
        self.sandbox.api("PUT", f"/data_sources/{self.source}/activate?force=1")
        self.sandbox.idle()

    def edit(self, kind: str, number: int, **fields: Any) -> None:
        self.sandbox.control("POST", "edit", {"kind": kind, "id": number, "set": fields})

    def transform(self, operations: list[dict[str, Any]]) -> None:
        status, _ = self.sandbox.api("PUT", f"/data_sets/{self.derived}", {"transform": {"transforms": operations}})
        assert status == 200

    def table(self, columns: str) -> None:
        """Replace the delivered table by one of these columns, or by none."""
        with duckdb.connect(str(self.sandbox.data / "databases" / "dw.duckdb")) as db:
            db.execute("DROP TABLE IF EXISTS orders")
            if columns:
                db.execute(f"CREATE TABLE orders ({columns})")

    def diagnose(self, *args: str, number: int | None = None) -> Done:
        return self.sandbox.run_inside(
            "diagnose_flow.py", "--resource-type", "destinations", "--resource-id", str(number or self.sink), *args
        )


ROW = "id,email,amount\n3,c@example.com,3.5\n"


def bad_credential(shop: Shop) -> None:
    shop.edit("credentials", shop.config["credential_id"], bad=True)
    shop.put(ROW)
    shop.run()


def bad_sink_credential(shop: Shop) -> None:
    shop.edit("credentials", shop.config["destination"]["data_credentials_id"], bad=True)
    shop.put(ROW)
    shop.run()


def paused_source(shop: Shop) -> None:
    shop.sandbox.api("PUT", f"/data_sources/{shop.source}/pause")


def paused_sink(shop: Shop) -> None:
    shop.sandbox.api("PUT", f"/data_sinks/{shop.sink}/pause")
    shop.put(ROW)
    shop.run()


def transform_raises(shop: Shop) -> None:
    script = base64.b64encode(PYTHON_RAISES.encode()).decode()
    spec = {"language": "python", "encoding": "base64", "script": script}
    shop.transform([{"operation": "nexla.custom", "spec": spec}])
    shop.put(ROW)
    shop.run()


def transform_no_op(shop: Shop) -> None:
    shop.transform([{"operation": "remove", "spec": {"e_mail": ""}}])
    shop.put(ROW)
    shop.run()


def schema_drift(shop: Shop) -> None:
    shop.put("order,mail,total,currency\n3,c@example.com,3.5,EUR\n")
    shop.run()


def missing_table(shop: Shop) -> None:
    config = shop.config["destination"]["sink_config"] | {"mapping": {"mode": "manual", "mapping": {"id": "id"}}}
    shop.sandbox.api("PUT", f"/data_sinks/{shop.sink}", {"sink_config": config})
    shop.table("")
    shop.put(ROW)
    shop.run()


def empty_file(shop: Shop) -> None:
    shop.put("")
    shop.run()


def schedule_never_fires(shop: Shop) -> None:
    shop.edit("sources", shop.source, source_config={"path": "shop/in", "start.cron": "0 0 6 1 1 ? 2020"})


def schedule_stuck(shop: Shop) -> None:
    shop.edit("sources", shop.source, source_config={"path": "shop/in", "start.cron": "0 0/15 * * * ?"}, stuck=True)
    shop.sandbox.advance(7200)


def rate_limited(shop: Shop) -> None:
    shop.edit("sources", shop.source, status="RATE_LIMITED")


def upstream_file_gone(shop: Shop) -> None:
    for file in shop.folder.glob("*"):
        file.unlink()
    shop.run()


def partial_write(shop: Shop) -> None:
    shop.table("id INTEGER, amount DOUBLE CHECK (amount < 100)")
    shop.put("id,email,amount\n3,c@example.com,3.5\n4,d@example.com,400\n")
    shop.run()


FAULTS: list[tuple[Callable[[Shop], None], str, str]] = [
    (bad_credential, "bad_credential", "sources"),
    (bad_sink_credential, "bad_credential", "destinations"),
    (paused_source, "paused_source", "sources"),
    (paused_sink, "paused_destination", "destinations"),
    (transform_raises, "transform_raises", "nexsets"),
    (transform_no_op, "transform_no_op", "nexsets"),
    (schema_drift, "schema_drift", "nexsets"),
    (missing_table, "missing_table", "destinations"),
    (empty_file, "empty_file", "sources"),
    (schedule_never_fires, "schedule_never_fires", "sources"),
    (schedule_stuck, "schedule_never_fires", "sources"),
    (rate_limited, "rate_limited", "sources"),
    (upstream_file_gone, "upstream_file_gone", "sources"),
    (partial_write, "partial_write", "destinations"),
]


@pytest.fixture
def shop(sandbox: Sandbox, tmp_path: Path, clock: VirtualClock) -> Shop:
    clock.meanwhile = sandbox.idle
    return Shop(sandbox, tmp_path)


@pytest.mark.parametrize(("break_it", "fault", "kind"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_the_true_cause_is_ranked_first(shop: Shop, break_it: Callable[[Shop], None], fault: str, kind: str) -> None:
    break_it(shop)
    done = shop.diagnose().ends(Exit.FINDINGS)
    causes = done.data["causes"]
    assert (causes[0]["fault"], causes[0]["type"]) == (fault, kind), json.dumps(causes, indent=1)
    assert causes[0]["evidence"]
    assert {cause["fault"] for cause in causes} <= set(done.data["checked"]), "the two cannot be joined"
    for line in (causes[0]["confirm"], causes[0]["repair"]):
        words = shlex.split(line)
        assert Path(words[0]).name in ("python", "python3")
        said = shop.sandbox.run_inside(Path(words[1]).name, *[word for word in words[2:] if word != "--wait"])
        assert said.code not in (Exit.USAGE, Exit.NOT_FOUND), said.described(
            "it does not exist, or not what it names", line
        )


def test_a_healthy_flow_has_no_cause_and_says_what_was_checked(shop: Shop) -> None:
    for number in range(3, 6):
        shop.put(f"id,email,amount\n{number},x@example.com,{number}\n", f"{number}.csv")
        shop.run()
    shop.run()  # one that finds nothing new, which is no fault
    done = shop.diagnose("--probe").ok()
    assert done.data["causes"] == []
    assert done.data["verdict"] == "no fault found"
    assert len(done.data["checked"]) == len(set(done.data["checked"])) >= 12
    assert done.data["could_not_be_read"] == []


def test_from_any_resource_of_the_flow_the_cause_is_the_same(shop: Shop) -> None:
    missing_table(shop)
    found = []
    for kind, number in (("sources", shop.source), ("nexsets", shop.nexset), ("nexsets", shop.derived)):
        done = shop.sandbox.run_inside("diagnose_flow.py", "--resource-type", kind, "--resource-id", str(number))
        found.append(done.data["causes"])
    assert found[0] == found[1] == found[2] == shop.diagnose().data["causes"]


def test_after_the_repair_the_waiting_records_arrive_and_no_fault_is_left(shop: Shop) -> None:
    missing_table(shop)
    shop.table("id INTEGER, amount DOUBLE")
    repair = shlex.split(shop.diagnose().data["causes"][0]["repair"])
    shop.sandbox.run_inside(Path(repair[1]).name, *repair[2:]).ok()
    assert [row[0] for row in support.table(shop.sandbox)] == [3]
    shop.diagnose().ok()


def test_a_paused_branch_does_not_outrank_the_fault_of_the_resource_asked_about(shop: Shop) -> None:
    body = {**shop.config["destination"], "name": "second", "data_set_id": shop.derived}
    _, second = shop.sandbox.api("POST", "/data_sinks", body)
    shop.sandbox.api("PUT", f"/data_sinks/{second['id']}/pause")
    healthy = shop.diagnose().ok()
    assert [cause["id"] for cause in healthy.data["elsewhere"]] == [second["id"]]
    partial_write(shop)
    done = shop.diagnose()
    assert (done.data["causes"][0]["fault"], done.data["elsewhere"][0]["id"]) == ("partial_write", second["id"])


def test_a_credential_that_was_mended_is_no_cause_any_more(shop: Shop) -> None:
    bad_credential(shop)
    shop.edit("credentials", shop.config["credential_id"], bad=False)
    empty_file(shop)
    assert shop.diagnose().data["causes"][0]["fault"] == "empty_file"


def test_log_lines_without_a_run_id_are_still_of_their_run(shop: Shop) -> None:
    upstream_file_gone(shop)
    source = shop.sandbox.snapshot()["sources"][0]
    rows = [{"timestamp": source["last_run_id"], "resource_id": shop.source, "resource_type": "SOURCE",
             "log": "No files found under x", "log_type": "LOG", "severity": "WARNING"}]  # fmt: skip
    body = {"status": 200, "logs": {"data": rows, "meta": {"total_count": 1, "pages_count": 1}}}
    path = f"/data_sources/{shop.source}/flow/logs"
    shop.sandbox.faults({"action": "status", "status": 200, "body": body, "method": "GET", "path": path, "times": 9})
    assert shop.diagnose().data["causes"][0]["fault"] == "upstream_file_gone"


def test_one_member_that_cannot_be_read_does_not_hide_the_others(shop: Shop) -> None:
    paused_source(shop)
    path = f"/data_sets/{shop.derived}/metrics/run_summary"
    shop.sandbox.faults({"action": "status", "status": 403, "method": "GET", "path": path, "times": 9})
    done = shop.diagnose().ends(Exit.FINDINGS)
    assert done.data["causes"][0]["fault"] == "paused_source"
    assert "the runs of nexset" in done.data["could_not_be_read"][0]


def test_a_probe_is_a_write(shop: Shop) -> None:
    done = shop.sandbox.run_inside(
        "diagnose_flow.py", "--resource-type", "sources", "--resource-id", str(shop.source), "--probe",
        env={"NEXLA_READ_ONLY": "1"},
    )  # fmt: skip
    done.fails(Exit.CONFIG)


def test_values_in_quarantine_are_hidden_unless_asked_for(shop: Shop) -> None:
    transform_raises(shop)
    hidden = shop.diagnose()
    assert hidden.data["quarantine"][0]["record"] == {"id": "int", "email": "text of 13", "amount": "float"}
    assert "c@example.com" not in hidden.out  # nor in the log lines that quote it
    shown = shop.diagnose("--show-values")
    assert shown.data["quarantine"][0]["record"]["email"] == "c@example.com"


def test_the_difference_to_the_last_good_run_is_shown(shop: Shop) -> None:
    transform_raises(shop)
    difference = shop.diagnose().data["difference"]
    derived = next(row for row in difference["members"] if row["id"] == shop.derived)
    assert (derived["errors"], derived["records_good"], derived["errors_good"]) == (1, 2, 0)
    assert any("quarantine" in line["text"] for line in difference["only_in_failed"])


def test_what_cannot_be_read_is_never_no_fault(shop: Shop) -> None:
    path = f"/data_sources/{shop.source}/flow/logs"
    shop.sandbox.faults({"action": "status", "status": 403, "method": "GET", "path": path, "times": 9})
    done = shop.diagnose()
    done.ends(Exit.UPSTREAM)
    assert done.data["verdict"] == "no fault seen, but not all could be read"
    assert "the log of run" in done.json["warnings"][0]
    summary = f"/data_sources/{shop.source}/metrics/run_summary"
    shop.sandbox.faults({"action": "status", "status": 500, "method": "GET", "path": summary, "times": 9})
    shop.diagnose().ends(Exit.UPSTREAM)


def test_the_graph_marks_the_fault(shop: Shop) -> None:
    paused_sink(shop)
    mermaid = shop.diagnose("--graph", "mermaid")
    assert mermaid.out.startswith("flowchart LR\n")
    assert len(re.findall(r":::fault", mermaid.out)) == 1
    assert re.search(rf"destination {shop.sink}<br/>warehouse<br/>PAUSED<br/>paused destination", mermaid.out)
    dot = shop.diagnose("--graph", "dot", "--format", "json")
    assert dot.data["graph"].count("->") == 3
    assert dot.data["graph"].count("penwidth") == 1


def test_names_cannot_break_out_of_the_graph(shop: Shop) -> None:
    shop.edit("sinks", shop.sink, name='x"]; click n1 "javascript:alert(1)" \\"; evil -> [y](http://z)')
    mermaid = shop.diagnose("--graph", "mermaid").out
    assert '"]; click' not in mermaid
    assert all(line.count('"') in (0, 2) for line in mermaid.splitlines())
    transform_raises(shop)  # its cause names the nexset
    shop.edit("nexsets", shop.derived, name="[y](http://z)")
    markdown = shop.diagnose("--format", "markdown").out.split("```")[0]
    assert "http" in markdown
    assert "[y](http" not in markdown
    dot = shop.diagnose("--graph", "dot").out
    assert r"\"]; click" in dot
    assert r"\\\"; evil" in dot  # the backslash is escaped as well, or it would eat the quote's own


def test_markdown_is_for_a_pull_request(shop: Shop) -> None:
    paused_source(shop)
    text = shop.diagnose("--format", "markdown").out
    assert text.startswith("### fault found: paused_source")
    assert "```mermaid" in text
    assert re.search(r"repair: `\S*python3? scripts/operate_flow.py --operation activate", text)


def test_the_demo_flows_have_different_causes(sandbox: Sandbox) -> None:
    expected = {123: None, 456: "paused_source", 789: "bad_credential", 321: "schedule_never_fires"}
    for number, fault in expected.items():
        done = sandbox.run_inside("diagnose_flow.py", "--resource-type", "sources", "--resource-id", str(number))
        done.ends(Exit.FINDINGS if fault else Exit.OK, about=number)
        assert (done.data["causes"][0]["fault"] if done.data["causes"] else None) == fault


def test_wrong_input(sandbox: Sandbox) -> None:
    sandbox.run_inside("diagnose_flow.py", "--resource-id", "99999").fails(Exit.NOT_FOUND)
    sandbox.run_inside("diagnose_flow.py").fails(Exit.USAGE)
    sandbox.run_inside("diagnose_flow.py", "--resource-type", "teams", "--resource-id", "42").fails(Exit.USAGE)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("failed to resolve host 'nope'", "was unreachable"), ("connection refused", "was unreachable"),
        ("Connection timed out", "was unreachable"), ("invalid input syntax for type integer", "correct the records"),
    ],
)  # fmt: skip
def test_the_remedy_for_a_refused_write_fits_the_log(shop: Shop, line: str, part: str) -> None:
    partial_write(shop)
    source = shop.sandbox.snapshot()["sources"][0]
    rows = [{"timestamp": source["last_run_id"], "run_id": source["last_run_id"], "resource_id": shop.sink, "log": line,
             "resource_type": "SINK", "log_type": "LOG", "severity": "ERROR"}]  # fmt: skip
    body = {"status": 200, "logs": {"data": rows, "meta": {"total_count": 1, "pages_count": 1}}}
    shop.sandbox.faults(
        {"action": "status", "status": 200, "body": body, "method": "GET", "path": ".*/flow/logs", "times": 9}
    )
    cause = shop.diagnose().data["causes"][0]
    assert cause["fault"] == "partial_write"
    assert part in cause["by_hand"]
    assert "must be delivered to the source again" in cause["by_hand"]
