"""list_resources.py: filters over all pages, honest counts, within the request budget."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import Any

import pytest

from helpers.api.paging import Pages
from helpers.api.session import Session
from helpers.core import limits
from helpers.core.kinds import KINDS
from helpers.core.settings import load_settings
from support import Exit, Sandbox, run_shell, run_words


def listed(sandbox: Sandbox, *args: str) -> Any:
    return sandbox.run_inside("list_resources.py", *args).ok().json


def ids(document: Any) -> list[int]:
    return [row["id"] for row in document["data"]]


@pytest.mark.parametrize("count", [0, 1, 20, 100, 101, 1234])
def test_all_means_all_in_few_requests(sandbox: Sandbox, count: int) -> None:
    sandbox.reset("empty")
    sandbox.control("POST", "bulk", {"count": count})
    sandbox.clear_journal()
    document = listed(sandbox, "--type", "sources", "--all")
    assert len(set(ids(document))) == count
    assert document["meta"] | {"requests": 0} == {
        "type": "sources", "access_role": "owner", "total": count, "returned": count, "truncated": False, "requests": 0
    }  # fmt: skip
    assert len(sandbox.journal()) == document["meta"]["requests"] == max(-(-count // 100), 1) + 1


def listed_with_peak(sandbox: Sandbox) -> tuple[str, int]:
    """Output of a full listing as NDJSON, and the highest memory of its process in KiB."""
    watch = (
        "import atexit, runpy, sys; sys.argv = sys.argv[1:]; sys.path.insert(0, 'scripts')\n"
        "peak = lambda: next(l for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "atexit.register(lambda: sys.stderr.write(peak()))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    words = ["scripts/list_resources.py", "--type", "sources", "--all", "--full", "--format", "ndjson"]
    done = run_words([sys.executable, "-c", watch, *words], env=sandbox.env).ok()
    return done.out, int(done.err.split()[-2])


def test_five_thousand_rows_in_51_requests_and_flat_memory(sandbox: Sandbox) -> None:
    sandbox.reset("empty")
    sandbox.control("POST", "bulk", {"count": 5000})
    sandbox.clear_journal()
    out, peak = listed_with_peak(sandbox)
    lines = out.splitlines()
    assert len({json.loads(line)["id"] for line in lines[:-1]}) == 5000
    meta = json.loads(lines[-1])["_meta"]
    assert (meta["total"], meta["returned"], meta["truncated"]) == (5000, 5000, False)
    assert len(sandbox.journal()) <= 51
    sandbox.reset("empty")
    sandbox.control("POST", "bulk", {"count": 500})
    _, small = listed_with_peak(sandbox)
    assert peak < small * 1.15, f"{peak} KiB for 5000 rows, {small} KiB for 500"


def test_a_name_is_found_on_the_last_page(sandbox: Sandbox) -> None:
    sandbox.control("POST", "bulk", {"count": 300})
    document = listed(sandbox, "--type", "sources", "--name", "ORDERS", "--limit", "5")
    assert ids(document) == [123]
    assert ids(listed(sandbox, "--type", "sources", "--name", "/^ord.rs$/")) == [123]
    assert ids(listed(sandbox, "--type", "sources", "--name", "no such thing")) == []


def test_limits_say_that_rows_are_missing(sandbox: Sandbox) -> None:
    sandbox.control("POST", "bulk", {"count": 300})
    sandbox.clear_journal()
    document = listed(sandbox, "--type", "sources")
    assert (len(document["data"]), document["meta"]["total"], document["meta"]["truncated"]) == (20, 304, True)
    assert len(sandbox.journal()) == 2, "a login and one page"
    filtered = listed(sandbox, "--type", "sources", "--name", "/bulk-1/", "--limit", "3")
    assert (len(filtered["data"]), filtered["meta"]["total"], filtered["meta"]["truncated"]) == (3, 111, True)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--status", "PAUSED"], [456]),
        (["--status", "paused"], [456]),
        (["--tag", "prod"], [456, 123]),
        (["--project", "10"], [123]),
        (["--project", "Commerce"], [123]),
        (["--owner", "ana.silva@example.com", "--name", "orders"], [123]),
        (["--owner", "nobody@example.com"], []),
        (["--id", "789,123"], [789, 123]),
        (["--updated-since", "2020-01-01T00:00:00Z", "--sort", "name"], [456, 321, 123, 789]),
        (["--sort", "id:desc", "--limit", "2"], [789, 456]),
    ],
)
def test_filters(sandbox: Sandbox, args: list[str], expected: list[int]) -> None:
    assert ids(listed(sandbox, "--type", "sources", *args)) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [("source", "sources"), ("data_sources", "sources"), ("data-sets", "nexsets"), ("nexset", "nexsets"),
     ("sinks", "destinations"), ("data_sink", "destinations"), ("creds", "credentials"), ("flow", "flows"),
     ("transform", "transforms"), ("attribute_transforms", "attribute_transforms"), ("team", "teams"),
     ("projects", "projects"), ("user", "users"), ("code_container", "code_containers")],
)  # fmt: skip
def test_every_name_of_a_type_works(sandbox: Sandbox, name: str, kind: str) -> None:
    document = listed(sandbox, "--type", name)
    assert document["meta"]["type"] == kind
    assert document["data"]


def test_flows_are_flows(sandbox: Sandbox) -> None:
    row = listed(sandbox, "--type", "flows", "--name", "orders")["data"][0]
    counts = {key: row[key] for key in ("name", "status", "nodes", "sources", "nexsets", "destinations")}
    assert counts == {"name": "orders", "status": "ACTIVE", "nodes": 3, "sources": 1, "nexsets": 1, "destinations": 1}
    tree = listed(sandbox, "--type", "flows", "--id", str(row["id"]), "--full")["data"][0]["tree"]
    assert (tree["id"], tree["status"]) == (123, "ACTIVE")
    assert tree["children"][0]["children"][0] | {"node_id": 0} == {
        "type": "destinations", "id": 123, "name": "orders warehouse", "status": "ACTIVE", "node_id": 0, "children": []
    }  # fmt: skip


def test_full_rows_carry_their_config(sandbox: Sandbox) -> None:
    row = listed(sandbox, "--type", "sources", "--id", "123", "--full")["data"][0]
    assert row["source_config"]["path"] == "demo-bucket/orders"
    assert row["data_credentials"]["id"] == 123


def test_what_others_own_is_shown_only_when_asked(sandbox: Sandbox) -> None:
    other = sandbox.control("POST", "users", {"email": "dora.new@example.com", "org_admin": True})
    env = {"NEXLA_SERVICE_KEY": other["service_key"]}
    mine = sandbox.run("list_resources.py", "--type", "sources", "--all", env=env)
    assert (mine.data, mine.json["meta"]["access_role"]) == ([], "owner")
    theirs = sandbox.run("list_resources.py", "--type", "sources", "--all", "--access-role", "admin", env=env)
    assert (len(theirs.data), theirs.json["meta"]["access_role"]) == (4, "admin")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--type", "sauces"], Exit.USAGE, "did you mean 'source"),
        ([], Exit.USAGE, "--type"),
        (["--type", "sources", "--limit", "0"], Exit.USAGE, "--limit"),
        (["--type", "sources", "--name", "/(/"], Exit.USAGE, "regular expression"),
        (["--type", "sources", "--updated-since", "yesterday"], Exit.USAGE, "ISO"),
        (["--type", "sources", "--id", "12x"], Exit.USAGE, "positive number"),
        (["--type", "transforms", "--access-role", "admin"], Exit.USAGE, "access-role"),
        (["--type", "teams", "--project", "10"], Exit.USAGE, "does not apply"),
        (["--type", "sources", "--fields", ","], Exit.USAGE, "--fields"),
        (["--type", "sources", "--sort", "id:down"], Exit.USAGE, "asc or desc"),
        (["--type", "sources", "--project", "Nowhere"], Exit.NOT_FOUND, "no project"),
        (["--type", "sources", "--id", "99999"], Exit.NOT_FOUND, "99999"),
        *[
            (["--type", "sources", f"--{name}", ""], Exit.USAGE, f"--{name} is empty")
            for name in ("id", "name", "status", "tag")
        ],
        (["--type", "sources", "--project", "999"], Exit.NOT_FOUND, "404"),
        (["--type", "async_tasks"], Exit.UPSTREAM, "501"),
    ],
)
def test_wrong_input(sandbox: Sandbox, args: list[str], code: Exit, words: str) -> None:
    sandbox.run_inside("list_resources.py", *args).fails(code, words)


def test_a_list_that_changes_while_it_is_read_has_no_duplicates(sandbox: Sandbox) -> None:

    sandbox.control("POST", "bulk", {"count": 250})
    session = Session(load_settings(sandbox.env), limits.Deadline(60), limits.RateLimiter(unlimited=True))
    seen = []
    for row in Pages(session, KINDS["sources"]):
        seen.append(row["id"])
        if len(seen) == 50:
            sandbox.api("POST", "/data_sources", {"name": "late", "source_type": "s3"})
    assert len(seen) == len(set(seen)) >= 254


def test_flows_are_filtered_by_what_their_origin_carries(sandbox: Sandbox) -> None:
    def names(*args: str) -> list[str]:
        return sorted(row["name"] for row in listed(sandbox, "--type", "flows", *args)["data"])

    assert names("--tag", "prod") == ["customers", "orders"]
    assert names("--owner", "ana.silva@example.com", "--tag", "prod") == ["customers", "orders"]
    assert names("--updated-since", "2020-01-01", "--status", "PAUSED") == ["customers"]


def test_sorted_flow_trees_keep_their_own_members(sandbox: Sandbox) -> None:
    sandbox.control("POST", "bulk", {"count": 130})
    rows = listed(sandbox, "--type", "flows", "--full", "--all", "--sort", "name")["data"]
    assert len(rows) == 134
    assert all(row["tree"]["name"] == row["name"] for row in rows)


def test_what_cannot_match_or_was_not_found_is_reported(sandbox: Sandbox) -> None:
    tagged = listed(sandbox, "--type", "credentials", "--tag", "demo")
    assert "have no tags" in tagged["warnings"][0]
    some = listed(sandbox, "--type", "sources", "--id", "123,99999")
    assert ids(some) == [123]
    assert "1 of the 2 ids" in some["warnings"][0]
    assert "not sorted" in listed(sandbox, "--type", "sources", "--sort", "nope")["warnings"][0]
    assert listed(sandbox, "--type", "sources", "--fields", "type")["data"][0] == {"type": "s3"}
    assert listed(sandbox, "--type", "users")["data"][0]["name"] == "Ana Silva"


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "table"])
def test_every_format_holds_the_same_rows(sandbox: Sandbox, form: str) -> None:
    args = ["--type", "sources", "--fields", "id,name,data_credentials.id", "--sort", "id", "--full"]
    done = sandbox.run("list_resources.py", *args, "--format", form).ok()
    expected = [(123, "orders", 123), (321, "inventory", 123), (456, "customers", 123), (789, "payments", 789)]
    if form == "json":
        found = [tuple(row.values()) for row in done.data]
    elif form == "ndjson":
        found = [tuple(json.loads(line).values()) for line in done.out.splitlines()[:-1]]
    elif form == "csv":
        rows = list(csv.DictReader(io.StringIO(done.out)))
        found = [(int(r["id"]), r["name"], int(r["data_credentials.id"])) for r in rows]
    else:
        cells = [line.split() for line in done.out.splitlines()[1:5]]
        found = [(int(row[0]), row[1], int(row[2])) for row in cells]
    assert found == expected


def test_same_input_same_bytes(sandbox: Sandbox) -> None:
    args = ("list_resources.py", "--type", "flows", "--all", "--full")
    assert sandbox.run(*args).out == sandbox.run(*args).out


def test_an_unknown_field_is_warned_of(sandbox: Sandbox) -> None:
    document = listed(sandbox, "--type", "sources", "--fields", "id,nmae")
    assert "nmae" in document["warnings"][0]


def test_names_from_the_api_are_cleaned(sandbox: Sandbox) -> None:
    name = "evil\x1b[31mred\x1b[0m\u202egnp\u200b\x07"
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"name": name}})
    for form in ("json", "ndjson", "csv", "table"):
        out = sandbox.run_inside("list_resources.py", "--type", "sources", "--id", "123", "--format", form).out
        assert "evilredgnp" in out
        assert not set("\x1b\u202e\u200b\x07") & set(out)


def test_csv_cells_are_no_formulas(sandbox: Sandbox) -> None:
    formulas = {"name": "=HYPERLINK(1)", "tags": ["@SUM(1)", "b"]}
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": formulas})
    words = ["--type", "sources", "--id", "123", "--format", "csv", "--fields", "name,tags,id"]
    assert sandbox.run_inside("list_resources.py", *words).ok().out.splitlines()[1] == "'=HYPERLINK(1),'@SUM(1); b,123"


def test_a_closed_pipe_is_no_error(sandbox: Sandbox) -> None:
    sandbox.control("POST", "bulk", {"count": 2000})
    line = f"{sys.executable} scripts/list_resources.py --type sources --all --full --format ndjson | head -1"
    done = run_shell(line, env=sandbox.env).ok()
    assert "Traceback" not in done.err
    assert len(done.out.splitlines()) == 1


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_rows_without_a_value_come_last_in_either_order(sandbox: Sandbox, order: str) -> None:
    sandbox.control("POST", "edit", {"kind": "sources", "id": 456, "set": {"description": None}})
    for number in (123, 789):
        sandbox.control("POST", "edit", {"kind": "sources", "id": number, "set": {"description": f"d{number}"}})
    found = listed(sandbox, "--type", "sources", "--id", "123,456,789", "--full", "--sort", f"description:{order}")
    ids = [row["id"] for row in found["data"]]
    assert ids == [*sorted((123, 789), reverse=order == "desc"), 456]
