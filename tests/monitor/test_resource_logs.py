"""get_resource_logs.py: the right run, all pages once, oldest first, and every kind of nothing is distinguished."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from helpers.core.times import iso
from helpers.monitor.follow import IDLE_SECONDS
from support import ROOT, SCRIPTS, Done, Exit, Sandbox, answers
from support.clocks import VirtualClock


def logs(sandbox: Sandbox, *args: str, kind: str = "sources", number: int = 123) -> Done:
    return sandbox.run_inside("get_resource_logs.py", "--resource-type", kind, "--resource-id", str(number), *args)


def plant(sandbox: Sandbox, *runs: dict[str, Any], kind: str = "sources", number: int = 123) -> list[int]:
    ids: list[int] = sandbox.control("POST", "history", {"kind": kind, "id": number, "runs": list(runs)})["runs"]
    return ids


def page(*numbers: int, total: int, pages: int = 1) -> dict[str, Any]:
    """A page of log rows; the number of a row is its time and its text."""
    rows = [{"timestamp": n, "resource_type": "SOURCE", "resource_id": 123, "log": f"line {n}"} for n in numbers]
    return {"status": 200, "logs": {"data": rows, "meta": {"total_count": total, "pages_count": pages}}}


def shown(done: Done) -> list[int]:
    return [line["timestamp"] for line in done.data]


LOGS = "/data_sources/123/flow/logs"


def test_the_seeds_command_shows_the_latest_run_oldest_first(sandbox: Sandbox) -> None:
    for alias in ("data_sets", "nexset", "dataset"):
        done = logs(sandbox, kind=alias).ok()
    run = done.json["meta"]["runs"]
    assert run == [sandbox.api("GET", "/data_sources/123")[1]["last_run_id"]]
    times = [line["timestamp"] for line in done.data]
    assert times == sorted(times)
    assert {line["resource"] for line in done.data} == {"SOURCE 123", "DATASET 123", "SINK 123"}
    assert all(line["time"] == iso(line["timestamp"]) for line in done.data)
    own = logs(sandbox, "--own", kind="data_sets")
    assert {line["resource"] for line in own.data} == {"DATASET 123"}


def test_every_page_is_read_once_and_streamed(sandbox: Sandbox) -> None:
    (run,) = plant(sandbox, {"ago": 60, "records": 1203, "logs": 1203})
    sandbox.clear_journal()
    done = logs(sandbox, "--run-id", str(run), "--format", "ndjson")
    lines = [json.loads(line) for line in done.out.splitlines()]
    texts = [line["text"] for line in lines[:-1]]
    assert texts == [f"Processed record {n}" for n in range(1, 1204)] + [
        "Processed records=1203, errors=0, size=216540"
    ]
    assert lines[-1]["_meta"]["returned"] == 1204
    assert len([r for r in sandbox.journal() if r["path"].endswith("/flow/logs")]) == 3


@pytest.mark.soak
def test_50_000_lines_stream_in_flat_memory(sandbox: Sandbox) -> None:
    (small,) = plant(sandbox, {"ago": 90, "records": 1, "logs": 2_000})
    (big,) = plant(sandbox, {"ago": 60, "records": 1, "logs": 50_000})

    def peak(run: int, rows: int) -> int:
        code = (
            "import resource, subprocess, sys\n"
            "out = subprocess.run(sys.argv[1:], capture_output=False, stdout=subprocess.PIPE)\n"
            "print(out.stdout.count(b'\\n'), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        )
        script = [str(SCRIPTS / "get_resource_logs.py"), "--resource-type", "sources", "--resource-id", "123"]
        command = [sys.executable, "-c", code, sys.executable, *script, "--run-id", str(run), "--format", "ndjson"]
        done = subprocess.run(command, env=sandbox.env, cwd=ROOT, capture_output=True, text=True, check=True)
        count, kilobytes = map(int, done.stdout.split())
        assert count == rows + 2
        return kilobytes

    assert peak(big, 50_000) < peak(small, 2_000) * 1.3


@pytest.mark.parametrize(
    ("first", "second", "lines"),
    [
        ([0, 1, 2, 3, 4], [5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]),
        ([0, 1, 2, 3, 4], [3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]),
        ([1, 1], [1, 2], [1, 1, 2]),
    ],
)
def test_rows_that_a_shifting_page_repeats_are_shown_once(
    sandbox: Sandbox, first: list[int], second: list[int], lines: list[int]
) -> None:
    of_two = {"total": len(lines), "pages": 2}
    sandbox.faults(answers(page(*first, **of_two), LOGS, times=1), answers(page(*second, **of_two), LOGS, nth=2))
    done = logs(sandbox).ok()
    assert shown(done) == lines
    assert done.json["warnings"] == []


def test_a_late_line_with_an_earlier_time_is_shown_once(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.faults(answers(page(1, 3, 3, total=3), LOGS, times=1), answers(page(1, 2, 3, 3, total=4), LOGS, nth=2))
    assert shown(logs(sandbox, "--follow").ok()) == [1, 3, 3, 2]
    assert clock.now() > IDLE_SECONDS


def test_a_server_that_sorts_the_other_way_is_put_right(sandbox: Sandbox) -> None:
    sandbox.faults(answers(page(3, 2, 1, total=3), LOGS))
    done = logs(sandbox)
    assert shown(done) == [1, 2, 3]
    assert "did not sort" in done.json["warnings"][0]


def test_missing_lines_are_reported(sandbox: Sandbox) -> None:
    sandbox.faults(answers(page(1, total=3), LOGS))
    done = logs(sandbox)
    assert "2 of 3 log lines are missing" in done.json["warnings"][0]


def test_never_ran_no_lines_and_no_permission_differ(sandbox: Sandbox) -> None:
    _, source = sandbox.api("POST", "/data_sources", {"name": "new", "source_type": "s3"})
    logs(sandbox, number=source["id"]).fails(Exit.NOT_FOUND, "has never run")
    (run,) = plant(sandbox, {"ago": 60, "records": 5})
    silent = logs(sandbox, "--run-id", str(run)).ends(Exit.FINDINGS)
    assert silent.data == []
    assert "no log line" in silent.json["warnings"][0]
    logs(sandbox, "--run-id", "1600000000000").fails(Exit.NOT_FOUND, "has no known run 1600000000000")
    stranger = sandbox.control("POST", "users", {"email": "eve@example.com"})
    refused = sandbox.run(
        "get_resource_logs.py", "--resource-type", "sources", "--resource-id", "123",
        env={"NEXLA_SERVICE_KEY": stranger["service_key"]},
    )  # fmt: skip
    refused.fails(Exit.AUTH)
    filtered = logs(sandbox, "--since", "7d", "--grep", "no such text").ok()
    assert filtered.data == []
    assert "none matches the filters" in filtered.json["warnings"][0]


def test_filters_windows_and_counts(sandbox: Sandbox) -> None:
    plant(sandbox, {"ago": 7200, "records": 7, "errors": 2, "logs": ["Reading", "Read failed: broken line"]})
    assert [line["text"] for line in logs(sandbox, "--since", "3h", "--until", "1h").data][:2] == [
        "Reading", "Read failed: broken line"
    ]  # fmt: skip
    errors = logs(sandbox, "--since", "3h", "--severity", "error")
    assert {line["severity"] for line in errors.data} == {"ERROR"}
    none = logs(sandbox, "--since", "3h", "--grep", "no such line", "--summary").ok()
    assert none.data == []
    assert "no resource has written a summary" in none.json["warnings"][-1]
    summary = logs(sandbox, "--since", "3h", "--until", "1h", "--summary").data
    assert [(row["records"], row["errors"]) for row in summary] == [(7, 2)]
    assert len(logs(sandbox, "--last", "2").json["meta"]["runs"]) == 2
    grep = logs(sandbox, "--since", "3h", "--grep", "broken")
    assert len(grep.data) == 1


def test_ages_are_counted_by_the_servers_clock(sandbox: Sandbox) -> None:
    sandbox.advance(3 * 3600)
    plant(sandbox, {"ago": 7200, "records": 1, "logs": ["older"]}, {"ago": 600, "records": 1, "logs": ["newer"]})
    texts = [line["text"] for line in logs(sandbox, "--since", "1h").ok().data]
    assert "newer" in texts
    assert "older" not in texts
    assert "older" in [line["text"] for line in logs(sandbox, "--since", "3h", "--until", "1h").ok().data]


def test_failed_finds_a_run_that_failed_anywhere_in_the_flow(sandbox: Sandbox) -> None:
    (run,) = plant(sandbox, {"ago": -5, "records": 0, "errors": 9, "logs": ["Write failed: x"]}, kind="sinks")
    done = logs(sandbox, "--failed")
    assert done.json["meta"]["runs"] == [run]
    assert any("Write failed" in line["text"] for line in done.data)
    logs(sandbox, "--failed", number=321).fails(Exit.NOT_FOUND, "no run with errors")


def test_compare_puts_a_failed_run_beside_the_last_good_one(sandbox: Sandbox) -> None:
    good, bad = plant(
        sandbox,
        {"ago": 9000, "records": 100, "logs": ["Opening file 1", "Closing file 1"]},
        {"ago": -60, "records": 3, "errors": 97, "logs": ["Opening file 2", "Parsing failed: quote"]},
    )
    data = logs(sandbox, "--compare-with-last-good").data
    assert (data["failed_run"]["run_id"], data["good_run"]["run_id"]) == (bad, good)
    source = data["members"][0]
    assert (source["records"], source["records_good"], source["errors"], source["errors_good"]) == (3, 100, 97, 0)
    assert [line["text"] for line in data["only_in_failed"]] == ["Parsing failed: quote"]
    assert [line["text"] for line in data["only_in_good"]] == ["Closing file 1"]
    assert data["failed_run"]["seconds"] is not None
    logs(sandbox, "--compare-with-last-good", number=321).fails(Exit.NOT_FOUND)


def test_follow_ends_with_the_run(sandbox: Sandbox, clock: VirtualClock) -> None:
    sandbox.api("PUT", "/data_sources/123/activate?force=1")
    sandbox.idle()
    (run,) = plant(sandbox, {"ago": -100, "records": 5, "logs": 2}, kind="sinks")
    done = logs(sandbox, "--follow", "--timeout", "60", "--format", "ndjson").ok()
    assert json.loads(done.out.splitlines()[-1])["_meta"]["runs"] == [run]
    assert done.out.count("Processed record ") == 2


@pytest.mark.parametrize("form", ["table", "csv", "ndjson"])
def test_follow_shows_a_line_while_the_run_goes_on(sandbox: Sandbox, form: str) -> None:
    plant(sandbox, {"ago": -100, "records": 5, "logs": 2})
    sandbox.control("POST", "edit", {"kind": "sources", "id": 123, "set": {"runtime_status": "PROCESSING"}})
    words = ["--resource-type", "data_sources", "--resource-id", "123", "--follow", "--format", form, "--quiet"]
    child = sandbox.start("get_resource_logs.py", *words)
    child.go()
    try:
        child.has_said("Processed record 1", "out")
        child.has_said("Processed record 2", "out")
        assert child.runs, "it shows a line only when the run has ended"
    finally:
        child.kill()


def test_follow_ends_with_the_deadline(sandbox: Sandbox, clock: VirtualClock) -> None:
    plant(sandbox, {"ago": -100, "records": 5, "logs": 2})
    done = logs(sandbox, "--follow", "--timeout", "1")
    done.ends(Exit.TIMEOUT)
    assert [line["text"] for line in done.data][:2] == ["Processed record 1", "Processed record 2"]
    assert "deadline" in done.json["warnings"][0]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--run-id", "1", "--failed"], "cannot be used together"),
        (["--until", "1h"], "--until needs --since"),
        (["--since", "yesterday"], "is not a time"),
        (["--since", ""], "is not a time"),
        (["--since", "1h", "--until", "2h"], "must be earlier than --until"),
        (["--since", "2090-01-01"], "must be earlier than --until"),
        (["--run-id", "-1"], "positive"),
        (["--last", "0"], "--last"),
        (["--grep", "("], "regular expression"),
        (["--resource-type", "teams"], "not part of a flow"),
    ],
)
def test_wrong_input_is_usage(sandbox: Sandbox, args: list[str], text: str) -> None:
    logs(sandbox, *args).fails(Exit.USAGE, text)
