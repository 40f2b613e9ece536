"""Running a transform here, on samples: what it makes of them, what differs from what is expected, and its errors."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from helpers.transforms.code import code_from_file
from helpers.transforms.local_run import run_locally
from support import Exit, Sandbox
from support.transforming import EXAMPLES, GOOD, LAST, RECORDS, manage, own_code, script


def test_a_transform_is_tried_locally_and_nothing_is_sent(sandbox: Sandbox, tmp_path: Path) -> None:
    samples = script(tmp_path, "\n".join(json.dumps(record) for record in RECORDS), "in.jsonl")
    sandbox.clear_journal()
    done = manage(sandbox, "test", "--file", script(tmp_path, GOOD), "--samples", samples, "--limit", "1").ok()
    assert sandbox.journal() == []
    assert done.data[0]["changes"] == ["- ssn", "~ email", "~ contact.phone"]
    assert done.json["meta"] == {"records": 12, "errors": 0, "unchanged": 0, "dropped": 0, "requests": 0}
    broken = GOOD.replace(LAST, "    return output if input['customer_id'] != 3 else 1 / 0")
    failed = manage(sandbox, "test", "--file", script(tmp_path, broken), "--samples", samples, "--limit", "1").ends(
        Exit.FINDINGS
    )
    assert (failed.data[0]["record"], failed.data[0]["line"]) == (3, 6)
    assert "ZeroDivisionError" in failed.data[0]["error"]


def test_expected_outputs_are_compared(sandbox: Sandbox, tmp_path: Path) -> None:
    file = script(tmp_path, json.dumps({"operation": "remove", "spec": {"a": ""}}), "t.json")
    samples = script(tmp_path, '[{"a": 1, "b": 2}, {"b": true}]', "in.json")
    good = script(tmp_path, '[{"b": 2}, {"b": true}]', "out.json")
    manage(sandbox, "test", "--file", file, "--samples", samples, "--expect", good).ok()
    bad = script(tmp_path, '[{"b": 3}, {"b": true}, {}]', "bad.json")
    done = manage(sandbox, "test", "--file", file, "--samples", samples, "--expect", bad).ends(Exit.FINDINGS)
    assert done.json["meta"]["unexpected"] == 2
    none = manage(sandbox, "test", "--file", file, "--samples", script(tmp_path, "[]", "none.json")).ends(Exit.FINDINGS)
    assert "this proves nothing" in none.json["warnings"][0]


def test_expected_outputs_are_compared_as_json(sandbox: Sandbox, tmp_path: Path) -> None:
    file = script(tmp_path, "def transform(input, metadata, args):\n    return {'a': {'b': 1}, 'c': True}\n")
    records = script(tmp_path, "[{}]", "s.json")
    same = [{"a": {"b": 1}, "c": True}]
    others = ([{"a": {"b": 1.0}, "c": True}], [{"a": {"b": 1}, "c": 1}], [{"a.b": 1, "c": True}])
    for expected, code in ((same, Exit.OK), *((other, Exit.FINDINGS) for other in others)):
        want = script(tmp_path, json.dumps(expected), "e.json")
        done = manage(sandbox, "test", "--file", file, "--samples", records, "--expect", want)
        done.ends(code, about=expected)
    assert done.data[0]["expected"] == {"a.b": 1, "c": True}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("    return [1, 2]", "not a record"),
        ("    return {'a': float('nan')}", "not JSON compliant"),
        ("    raise SystemExit(3)", "SystemExit"),
    ],
)
def test_what_the_platform_would_refuse_is_an_error_locally(
    sandbox: Sandbox, tmp_path: Path, body: str, text: str
) -> None:
    file = script(tmp_path, f"def transform(input, metadata, args):\n{body}\n")
    records = script(tmp_path, json.dumps(RECORDS), "s.json")
    done = manage(sandbox, "test", "--file", file, "--samples", records).ends(Exit.FINDINGS)
    assert text in done.data[0]["error"]


USUAL = """base64 bisect calendar collections copy csv dataclasses datetime decimal difflib email.utils enum fractions
functools hashlib hmac html inspect io ipaddress itertools json logging math operator pathlib pprint random re secrets
statistics string struct textwrap typing unicodedata urllib.parse uuid xml.etree.ElementTree zlib zoneinfo"""


def test_a_script_has_the_usual_standard_library() -> None:
    source = """
from zoneinfo import ZoneInfo
from datetime import datetime
from typing import NamedTuple

class Pair(NamedTuple):
    left: int

def transform(input, metadata, args):
    import importlib
    for name in input["modules"]:
        importlib.import_module(name)
    return {"time": datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")).isoformat(), "left": Pair(1).left}
"""
    spec = {"language": "python", "encoding": "none", "script": source}
    (outcome,) = run_locally(
        own_code("record", ({"operation": "nexla.custom", "spec": spec},)), [{"modules": USUAL.split()}]
    )
    assert outcome.output == {"time": "2026-07-01T00:00:00+02:00", "left": 1}, outcome


def test_the_function_that_runs_is_the_kinds_own() -> None:
    both = "def transform(i, m, a):\n    return 'WRONG'\ndef transformAttribute(i, m, a):\n    return 'right'\n"
    (outcome,) = run_locally(own_code("attribute", script=both), [{}])
    assert outcome.output == "right"


def test_ten_times_the_records_take_jolt_ten_times_the_work() -> None:
    code = code_from_file(str(EXAMPLES / "reshape.json"), "record")

    def work(count: int) -> float:
        records = [{"id": n, "a": {"b": n, "c": "x"}, "tags": ["p", "q"]} for n in range(count)]
        began = time.process_time()
        assert len(run_locally(code, records)) == count
        return time.process_time() - began

    work(10)  # loads what it needs
    few = min(work(1_000) for _ in range(3))
    assert any(work(10_000) < 3 * 10 * few for _ in range(3))  # at least once: other processes disturb the caches
