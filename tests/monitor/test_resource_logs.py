"""get_resource_logs.py: the right run, all pages once, oldest first, and every kind of nothing told apart."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.api.logs import _overlap
from helpers.core.errors import OperatorError
from helpers.core.times import Schedule, iso, to_ms
from helpers.monitor.follow import IDLE_SECONDS
from support import ROOT, SCRIPTS, Done, Sandbox

NOW = 1_795_000_000.0


def logs(sandbox: Sandbox, *args: str, kind: str = "sources", number: int = 123) -> Done:
    return sandbox.run("get_resource_logs.py", "--resource-type", kind, "--resource-id", str(number), *args)


def plant(sandbox: Sandbox, *runs: dict[str, Any], kind: str = "sources", number: int = 123) -> list[int]:
    ids: list[int] = sandbox.control("POST", "history", {"kind": kind, "id": number, "runs": list(runs)})["runs"]
    return ids


def test_the_seeds_command_shows_the_latest_run_oldest_first(sandbox: Sandbox) -> None:
    for alias in ("data_sets", "nexset", "dataset"):
        done = logs(sandbox, kind=alias)
        assert done.code == 0, done.err
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


def test_200_000_lines_stream_in_flat_memory(sandbox: Sandbox) -> None:
    (small,) = plant(sandbox, {"ago": 90, "records": 1, "logs": 2_000})
    (big,) = plant(sandbox, {"ago": 60, "records": 1, "logs": 200_000})

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

    assert peak(big, 200_000) < peak(small, 2_000) * 1.3


def test_rows_that_a_shifting_page_repeats_are_shown_once() -> None:
    rows = [{"n": n} for n in range(10)]
    assert _overlap(rows[:5], rows[5:]) == 0
    assert _overlap(rows[:5], rows[3:8]) == 2
    assert _overlap([{"n": 1}, {"n": 1}], [{"n": 1}, {"n": 2}]) == 1
    assert _overlap([], rows) == 0


def test_a_late_line_with_an_earlier_time_is_shown_once() -> None:
    from collections import Counter

    from helpers.monitor.follow import _unseen

    def line(n: int) -> dict[str, Any]:
        return {"timestamp": n, "resource": "SOURCE 1", "type": "LOG", "text": f"l{n}"}

    shown: Counter[str] = Counter()
    assert len(list(_unseen(iter([line(1), line(3), line(3)]), shown))) == 3
    assert [row["text"] for row in _unseen(iter([line(1), line(2), line(3), line(3)]), shown)] == ["l2"]


def test_a_server_that_sorts_the_other_way_is_put_right(sandbox: Sandbox) -> None:
    rows = [{"timestamp": 3, "log": "c"}, {"timestamp": 2, "log": "b"}, {"timestamp": 1, "log": "a"}]
    body = {"status": 200, "logs": {"data": rows, "meta": {"total_count": 3, "pages_count": 1}}}
    sandbox.faults(
        {"action": "status", "status": 200, "body": body, "method": "GET", "path": "/data_sources/123/flow/logs"}
    )
    done = logs(sandbox)
    assert [line["text"] for line in done.data] == ["a", "b", "c"]
    assert "does not sort" in done.json["warnings"][0]


def test_lines_that_went_missing_are_told(sandbox: Sandbox) -> None:
    body = {
        "status": 200,
        "logs": {"data": [{"timestamp": 1, "log": "a"}], "meta": {"total_count": 3, "pages_count": 1}},
    }
    sandbox.faults(
        {"action": "status", "status": 200, "body": body, "method": "GET", "path": "/data_sources/123/flow/logs"}
    )
    done = logs(sandbox)
    assert "2 of 3 log lines are missing" in done.json["warnings"][0]


def test_never_ran_no_lines_and_no_permission_differ(sandbox: Sandbox) -> None:
    _, source = sandbox.api("POST", "/data_sources", {"name": "new", "source_type": "s3"})
    never = logs(sandbox, number=source["id"])
    assert (never.code, "has never run" in never.error["message"]) == (5, True)
    (run,) = plant(sandbox, {"ago": 60, "records": 5})
    silent = logs(sandbox, "--run-id", str(run))
    assert (silent.code, silent.data) == (10, [])
    assert "no log line" in silent.json["warnings"][0]
    unknown = logs(sandbox, "--run-id", "1600000000000")
    assert (unknown.code, "has no run 1600000000000" in unknown.error["message"]) == (5, True)
    stranger = sandbox.control("POST", "users", {"email": "eve@example.com"})
    refused = sandbox.run(
        "get_resource_logs.py", "--resource-type", "sources", "--resource-id", "123",
        env={"NEXLA_SERVICE_KEY": stranger["service_key"]},
    )  # fmt: skip
    assert refused.code == 4
    filtered = logs(sandbox, "--since", "7d", "--grep", "no such text")
    assert (filtered.code, filtered.data) == (0, [])
    assert "none passes the filters" in filtered.json["warnings"][0]


def test_filters_windows_and_counts(sandbox: Sandbox) -> None:
    plant(sandbox, {"ago": 7200, "records": 7, "errors": 2, "logs": ["Reading", "Read failed: broken line"]})
    assert [line["text"] for line in logs(sandbox, "--since", "3h", "--until", "1h").data][:2] == [
        "Reading", "Read failed: broken line"
    ]  # fmt: skip
    errors = logs(sandbox, "--since", "3h", "--severity", "error")
    assert {line["severity"] for line in errors.data} == {"ERROR"}
    none = logs(sandbox, "--since", "3h", "--grep", "no such line", "--summary")
    assert (none.code, none.data, "no resource has written a summary" in none.json["warnings"][-1]) == (0, [], True)
    summary = logs(sandbox, "--since", "3h", "--until", "1h", "--summary").data
    assert [(row["records"], row["errors"]) for row in summary] == [(7, 2)]
    assert len(logs(sandbox, "--last", "2").json["meta"]["runs"]) == 2
    grep = logs(sandbox, "--since", "3h", "--grep", "broken")
    assert len(grep.data) == 1


def test_failed_finds_a_run_that_failed_anywhere_in_the_flow(sandbox: Sandbox) -> None:
    (run,) = plant(sandbox, {"ago": -5, "records": 0, "errors": 9, "logs": ["Write failed: x"]}, kind="sinks")
    done = logs(sandbox, "--failed")
    assert done.json["meta"]["runs"] == [run]
    assert any("Write failed" in line["text"] for line in done.data)
    none = logs(sandbox, "--failed", number=321)
    assert (none.code, "no run with errors" in none.error["message"]) == (5, True)


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
    none = logs(sandbox, "--compare-with-last-good", number=321)
    assert none.code == 5


def test_follow_ends_with_the_run(sandbox: Sandbox) -> None:
    sandbox.api("PUT", "/data_sources/123/activate?force=1")
    sandbox.idle()
    (run,) = plant(sandbox, {"ago": -100, "records": 5, "logs": 2}, kind="sinks")
    done = logs(sandbox, "--follow", "--timeout", "60", "--format", "ndjson")
    assert done.code == 0, done.err
    assert json.loads(done.out.splitlines()[-1])["_meta"]["runs"] == [run]
    assert done.out.count("Processed record ") == 2


@pytest.mark.parametrize("form", ["table", "csv", "ndjson"])
def test_follow_shows_a_line_while_the_run_goes_on(sandbox: Sandbox, form: str) -> None:
    plant(sandbox, {"ago": -100, "records": 5, "logs": 2})
    words = ["--resource-type", "data_sources", "--resource-id", "123", "--follow", "--format", form, "--quiet"]
    child = sandbox.start("get_resource_logs.py", *words)
    assert child.stdin and child.stdout
    child.stdin.write("go\n")
    child.stdin.flush()
    began = time.monotonic()
    try:
        shown = "".join(child.stdout.readline() for _ in range(3 if form == "csv" else 2))
        assert "Processed record 1" in shown
        assert "Processed record 2" in shown
        assert time.monotonic() - began < IDLE_SECONDS / 2  # it ends only after so many seconds without a line
    finally:
        child.kill()
        child.communicate()


def test_follow_ends_with_the_deadline(sandbox: Sandbox) -> None:
    plant(sandbox, {"ago": -100, "records": 5, "logs": 2})
    done = logs(sandbox, "--follow", "--timeout", "1")
    assert (done.code, [line["text"] for line in done.data][:2]) == (12, ["Processed record 1", "Processed record 2"])
    assert "deadline" in done.json["warnings"][0]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--run-id", "1", "--failed"], "exclude each other"),
        (["--until", "1h"], "--until needs --since"),
        (["--since", "yesterday"], "is not a time"),
        (["--since", ""], "is not a time"),
        (["--since", "1h", "--until", "2h"], "not before"),
        (["--since", "2090-01-01"], "not before"),
        (["--run-id", "-1"], "positive"),
        (["--last", "0"], "--last"),
        (["--grep", "("], "regular expression"),
        (["--resource-type", "teams"], "not part of a flow"),
    ],
)
def test_wrong_input_is_usage(sandbox: Sandbox, args: list[str], text: str) -> None:
    done = logs(sandbox, *args)
    assert done.code == 2, done.err
    assert text in done.error["message"] + done.error["hint"]


@given(st.integers(min_value=10**9, max_value=4 * 10**9 - 1))
def test_seconds_milliseconds_and_iso_are_told_apart(seconds: int) -> None:
    assert to_ms(seconds, NOW) == to_ms(seconds * 1000, NOW) == seconds * 1000
    written = datetime.fromtimestamp(seconds, UTC)
    assert to_ms(written.isoformat(), NOW) == seconds * 1000
    assert to_ms(written.astimezone().isoformat(), NOW) == seconds * 1000


@pytest.mark.parametrize(
    "text", ["", "12", "12345678", "10:00", "-5", "1e12", "5 parsecs", "20261", "nan", "20261101120000", "202611011200"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(OperatorError):
        to_ms(text, NOW)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 0 6 * * ?", "2026-11-21T05:00:00Z", "2026-11-21T06:00:00.000Z"),
        ("0 0 6 ? * 2", "2026-11-21T05:00:00Z", "2026-11-23T06:00:00.000Z"),  # Quartz: 2 is Monday
        ("0 0 6 ? * MON-FRI", "2026-11-21T05:00:00Z", "2026-11-23T06:00:00.000Z"),
        ("0 0/15 * * * ?", "2026-11-21T05:01:00Z", "2026-11-21T05:15:00.000Z"),
        ("0 0 6 1 1 ? 2020", "2026-11-21T05:00:00Z", None),
        ("every day", "2026-11-21T05:00:00Z", None),
    ],
)
def test_quartz_schedules(expression: str, after: str, expected: str | None) -> None:
    found = Schedule(expression).next_after(to_ms(after, NOW) / 1000)
    assert iso(int(found * 1000) if found else None) == expected
    if found:
        before = Schedule(expression).last_before(found)
        assert before is not None
        assert before < found <= before + timedelta(days=8).total_seconds()
