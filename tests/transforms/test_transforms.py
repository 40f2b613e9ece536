"""manage_transforms.py: a transform is made once, tried here, and attached only with a proof of what it does."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import support
from helpers.api.samples import Sample
from helpers.change.changes import SKIPPED, Found
from helpers.core.errors import OperatorError
from helpers.transforms.code import Code, difference, from_file, of_row
from helpers.transforms.local_run import WORKER, run
from helpers.transforms.proof import Demands, failures
from helpers.transforms.proof_steps import RehearsalStep
from support import ROOT, Sandbox
from support.transforming import (
    DEMANDS,
    GOOD,
    LAST,
    MUTATIONS,
    RECORDS,
    attach,
    live_child,
    manage,
    script,
    statuses_seen,
)

EXAMPLES = ROOT / "examples" / "transforms"
VECTORS = json.loads((EXAMPLES / "vectors.json").read_text())


# -- the proof


def test_a_proven_transform_is_attached_to_a_derived_nexset(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    done = attach(sandbox, people, script(tmp_path, GOOD))
    assert done.code == 0, done.err
    assert done.data["proof"] == {"samples": 12, "fresh": 12}
    assert ("ssn", "removed") in {(row["field"], row["change"]) for row in done.data["schema_changes"]}
    child = sandbox.api("GET", f"/data_sets/{done.data['ids']['nexset:masked']}?expand=1")[1]
    assert child["transform_id"] == done.data["ids"]["transform:mask"]
    assert child["status"] == "INIT"  # activation is a step of its own
    sandbox.clear_journal()
    again = attach(sandbox, people, script(tmp_path, GOOD))
    assert (again.code, again.data["outcome"], sandbox.writes()) == (0, "unchanged", [])
    active = attach(sandbox, people, script(tmp_path, GOOD), "--activate")
    assert active.code == 0
    assert sandbox.api("GET", f"/data_sets/{child['id']}")[1]["status"] == "ACTIVE"


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_no_mutation_of_a_mask_is_ever_attached(sandbox: Sandbox, people: int, tmp_path: Path, mutation: str) -> None:
    """Run here on the parent's samples first, it is not even sent."""
    assert MUTATIONS[mutation] != GOOD
    sandbox.clear_journal()
    done = attach(sandbox, people, script(tmp_path, MUTATIONS[mutation]))
    assert (done.code, sandbox.writes()) == (9, []), (mutation, done.err)
    assert "run here on 12 samples" in done.error["message"]
    assert not re.search(r"u\d+@example|123-45-", done.err)  # a script's own message may hold a record


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_proof_catches_it_also_on_the_platform(
    sandbox: Sandbox, people: int, tmp_path: Path, mutation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the parent had no samples yet to try it on."""
    monkeypatch.setattr(RehearsalStep, "find", lambda step, run: Found(SKIPPED, step.nexset))
    before = sandbox.resources()
    words = ["--file", script(tmp_path, MUTATIONS[mutation]), "--name", "mask", "--parent", str(people)]
    words += ["--nexset-name", "masked", *DEMANDS, "--proof-timeout", "0.5"]
    done = sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words)
    assert done.code == 9, (mutation, done.err)
    assert "is not proven" in done.error["message"]
    assert sandbox.resources() == before


def test_zero_and_too_few_samples_prove_nothing(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    done = attach(sandbox, people, script(tmp_path, GOOD), "--min-samples", "13")
    assert (done.code, "12 samples" in done.error["message"]) == (9, True)
    assert attach(sandbox, people, script(tmp_path, GOOD), "--min-samples", "0").code == 2
    assert failures([], Demands()) == ["0 samples with input and output are too few; 5 are wanted"]


def test_a_demand_on_a_field_that_nobody_has_proves_nothing() -> None:
    samples = [Sample({"ssn": f"123-45-{n}"}, {"x": n}) for n in range(1000, 1006)]
    assert failures(samples, Demands(gone=("ssn",))) == []
    assert "nothing is proven" in failures(samples, Demands(gone=("sssn",)))[0]
    assert "nothing is proven" in failures(samples, Demands(masked=("email",)))[0]


def test_samples_from_before_the_change_do_not_count(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    """The answer shows good output, but not of this code: it must not pass."""
    output = {"rawMessage": {"customer_id": 1, "email": "***", "phone": "***"}, "nexlaMetaData": {}}
    stale = [{"input": {"rawMessage": record, "nexlaMetaData": {}}, "output": output} for record in RECORDS]
    sandbox.faults(
        {
            "action": "status",
            "status": 200,
            "body": stale,
            "method": "GET",
            "path": rf"/data_sets/(?!{people}/)\d+/samples",
            "times": 99,
        }
    )
    done = attach(sandbox, people, script(tmp_path, GOOD))
    assert (done.code, "from before the change" in done.error["message"]) == (9, True)


def test_attaching_to_a_detected_nexset_is_refused(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    file = script(tmp_path, GOOD)
    done = manage(sandbox, "attach", "--file", file, "--name", "mask", "--nexset", str(people), *DEMANDS)
    assert done.code == 9
    assert "--parent" in done.error["hint"]
    assert sandbox.resources()["code"] == []


def test_a_failed_proof_gives_back_the_former_transform(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    inline = [{"operation": "remove", "spec": {"ssn": ""}}]
    body = {"name": "child", "parent_data_set_id": people, "has_custom_transform": False,
            "transform": {"transforms": inline}}  # fmt: skip
    _, child = sandbox.api("POST", "/data_sets", body)
    bad = script(tmp_path, MUTATIONS["identity"])
    done = manage(
        sandbox,
        "attach",
        "--file",
        bad,
        "--name",
        "mask",
        "--nexset",
        str(child["id"]),
        *DEMANDS,
        "--proof-timeout",
        "1",
    )
    assert done.code == 9, done.err
    after = sandbox.api("GET", f"/data_sets/{child['id']}?expand=1")[1]
    assert after["transform"]["transforms"] == inline
    good = script(tmp_path, GOOD)
    fine = manage(sandbox, "attach", "--file", good, "--name", "mask", "--nexset", str(child["id"]), *DEMANDS)
    assert fine.code == 0, fine.err
    other = script(tmp_path, MUTATIONS["it raises"], "other.py")
    refused = manage(
        sandbox, "attach", "--file", other, "--name", "other", "--nexset", str(child["id"]), "--proof-timeout", "1"
    )
    assert refused.code == 9
    assert (
        sandbox.api("GET", f"/data_sets/{child['id']}?expand=1")[1]["transform_id"]
        == fine.data["ids"]["transform:mask"]
    )
    gone = manage(sandbox, "detach", "--nexset", str(child["id"]))
    assert gone.code == 0, gone.err
    assert sandbox.api("GET", f"/data_sets/{child['id']}?expand=1")[1]["transform_id"] is None
    assert sandbox.resources()["code"] == ["mask"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_attach_that_is_killed_is_resumed_to_one_of_each(
    sandbox: Sandbox, people: int, tmp_path: Path, when: str
) -> None:
    file = script(tmp_path, GOOD)
    for number in (1, 2):
        sandbox.state = tmp_path / f"{when}-{number}"
        words = ["--operation", "attach", "--file", file, "--name", f"mask-{number}", "--parent", str(people),
                 "--nexset-name", f"masked-{number}", *DEMANDS]  # fmt: skip
        child = sandbox.fork("manage_transforms.py", *words)
        sandbox.faults(
            {"action": "kill", "method": "POST", "path": "/(?!token).*", "nth": number, "when": when, "pid": child.pid}
        )
        child.communicate("go\n", timeout=60)
        sandbox.faults()
        assert child.returncode == -9
        resumed = sandbox.run_inside("manage_transforms.py", *words, "--resume")
        assert resumed.code == 0, resumed.err
    assert sandbox.resources()["code"] == ["mask-1", "mask-2"]
    assert [name for name in sandbox.resources()["nexsets"] if name.startswith("masked")] == ["masked-1", "masked-2"]


# -- create, update, copy, delete


def test_create_is_idempotent_and_never_overwrites(sandbox: Sandbox, tmp_path: Path) -> None:
    file = script(tmp_path, json.dumps([{"operation": "remove", "spec": {"ssn": ""}}]), "drop.json")
    first = manage(sandbox, "create", "--file", file, "--name", "drop", "--description", "PII")
    assert first.code == 0, first.err
    number = first.data["ids"]["transform:drop"]
    stored = sandbox.api("GET", f"/transforms/{number}")[1]
    assert (stored["code_type"], stored["code_encoding"], stored["output_type"]) == ("jolt_standard", "none", "record")
    sandbox.clear_journal()
    assert (
        manage(sandbox, "create", "--file", file, "--name", "drop", "--description", "PII").data["outcome"]
        == "unchanged"
    )
    assert sandbox.writes() == []
    other = script(tmp_path, json.dumps([{"operation": "remove", "spec": {"dob": ""}}]), "other.json")
    refused = manage(sandbox, "create", "--file", other, "--name", "drop")
    assert (refused.code, sandbox.writes()) == (1, [])
    assert any('-      "ssn": ""' in line or "ssn" in line for line in refused.json["data"]["diff"])
    plan = manage(sandbox, "create", "--file", other, "--name", "drop", "--dry-run")
    assert (plan.code, plan.data["steps"][0]["action"]) == (0, "refused")
    assert any('+    "dob": ""' in line or "dob" in line for line in plan.data["diff"])
    assert "used by nexsets: none" in plan.json["warnings"][0]


def test_an_update_of_what_others_use_needs_yes_and_names_them(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    assert attach(sandbox, people, script(tmp_path, GOOD)).code == 0
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    refused = manage(sandbox, "update", "--name", "mask", "--file", other)
    assert (refused.code, "'masked'" in refused.error["message"]) == (2, True)
    plan = manage(sandbox, "update", "--name", "mask", "--file", other, "--dry-run")
    assert plan.data["used_by"][0]["name"] == "masked"
    assert any("xxx" in line for line in plan.data["diff"])
    done = manage(sandbox, "update", "--name", "mask", "--file", other, "--yes")
    assert (done.code, "unproven" in done.json["warnings"][0]) == (0, True)
    shown = manage(sandbox, "get", "--name", "mask").data
    assert "xxx" in shown["text"]
    assert manage(sandbox, "usage", "--name", "mask").data[0]["name"] == "masked"


def test_delete_refuses_while_in_use_and_needs_yes(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    assert attach(sandbox, people, script(tmp_path, GOOD)).code == 0
    assert manage(sandbox, "delete", "--name", "mask").code == 2
    used = manage(sandbox, "delete", "--name", "mask", "--yes")
    assert (used.code, "'masked'" in used.error["message"]) == (1, True)
    child = next(row for row in sandbox.api("GET", "/data_sets")[1] if row["name"] == "masked")
    assert manage(sandbox, "detach", "--nexset", str(child["id"])).code == 0
    assert manage(sandbox, "delete", "--name", "mask", "--yes").code == 0
    assert sandbox.resources()["code"] == []


def test_copy_and_attribute_transforms(sandbox: Sandbox) -> None:
    made = manage(
        sandbox, "create", "--kind", "attribute", "--file", str(EXAMPLES / "mask_email.py"), "--name", "mask-email"
    )
    assert made.code == 0, made.err
    number = made.data["ids"]["transform:mask-email"]
    stored = sandbox.api("GET", f"/attribute_transforms/{number}")[1]
    assert (stored["code_type"], stored["code_encoding"], stored["output_type"]) == ("python", "base64", "attribute")
    twin = manage(sandbox, "copy", "--kind", "attribute", "--id", str(number), "--name", "mask-email-2")
    assert twin.code == 0, twin.err
    names = [row["name"] for row in manage(sandbox, "list", "--kind", "attribute").data]
    assert sorted(names) == ["mask-all", "mask-email", "mask-email-2"]
    assert [row["name"] for row in manage(sandbox, "list", "--kind", "attribute", "--public").data] == ["mask-all"]
    refused = manage(sandbox, "attach", "--kind", "attribute", "--name", "mask-email", "--nexset", "123")
    assert refused.code == 2


@pytest.mark.parametrize("fault", [{"action": "reset"}, {"action": "status", "status": 503}, {"action": "html"}])
def test_a_lost_answer_makes_one_transform(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.faults({**fault, "when": "after", "method": "POST", "path": "/transforms"})
    done = manage(sandbox, "create", "--file", str(EXAMPLES / "drop_pii.json"), "--name", "drop")
    assert done.code == 0, done.err
    assert sandbox.resources()["code"].count("drop") == 1


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("[", "x.json", "is not JSON"),
        ("[]", "x.json", "no list of Jolt operations"),
        ('[{"op": "shift"}]', "x.json", "entry 1"),
        ('[{"operation": "no-such-operation", "spec": {}}]', "x.json", "not a Jolt spec"),
        ("def transform(a, b):\n  pass\n", "x.py", "must take input, metadata, args"),
        ("def f(:\n", "x.py", "line 1"),
        ("x = 1\n", "x.py", "defines no function transform"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, text: str, name: str, message: str
) -> None:
    sandbox.clear_journal()
    done = manage(sandbox, "create", "--file", script(tmp_path, text, name), "--name", "x")
    assert (done.code, sandbox.journal()) == (2, []), done.err
    assert message in done.error["message"]


# -- trying it here


def test_it_is_tried_here_and_nothing_is_sent(sandbox: Sandbox, tmp_path: Path) -> None:
    samples = script(tmp_path, "\n".join(json.dumps(record) for record in RECORDS), "in.jsonl")
    sandbox.clear_journal()
    done = manage(sandbox, "test", "--file", script(tmp_path, GOOD), "--samples", samples, "--limit", "1")
    assert (done.code, sandbox.journal()) == (0, [])
    assert done.data[0]["changes"] == ["- ssn", "~ email", "~ contact.phone"]
    assert done.json["meta"] == {"records": 12, "errors": 0, "unchanged": 0, "dropped": 0, "requests": 0}
    broken = GOOD.replace(LAST, "    return output if input['customer_id'] != 3 else 1 / 0")
    failed = manage(sandbox, "test", "--file", script(tmp_path, broken), "--samples", samples, "--limit", "1")
    assert failed.code == 10
    assert (failed.data[0]["record"], failed.data[0]["line"]) == (3, 6)
    assert "ZeroDivisionError" in failed.data[0]["error"]


def test_expected_outputs_are_compared(sandbox: Sandbox, tmp_path: Path) -> None:
    file = script(tmp_path, json.dumps({"operation": "remove", "spec": {"a": ""}}), "t.json")
    samples = script(tmp_path, '[{"a": 1, "b": 2}, {"b": true}]', "in.json")
    good = script(tmp_path, '[{"b": 2}, {"b": true}]', "out.json")
    assert manage(sandbox, "test", "--file", file, "--samples", samples, "--expect", good).code == 0
    bad = script(tmp_path, '[{"b": 3}, {"b": true}, {}]', "bad.json")
    done = manage(sandbox, "test", "--file", file, "--samples", samples, "--expect", bad)
    assert (done.code, done.json["meta"]["unexpected"]) == (10, 2)
    none = manage(sandbox, "test", "--file", file, "--samples", script(tmp_path, "[]", "none.json"))
    assert (none.code, "nothing is shown" in none.json["warnings"][0]) == (10, True)


@pytest.mark.parametrize(
    "body",
    [
        "import socket; socket.create_connection(('127.0.0.1', 80))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1')",
        "import os; os.system('true')",
        "import subprocess; subprocess.run(['true'])",
        "open('/tmp/written-by-a-transform', 'w').write('x')",
        "import os; os.remove('/tmp/nothing')",
        "import ctypes; ctypes.CDLL(None)",
    ],
)
def test_a_script_cannot_reach_out(body: str) -> None:
    (outcome,) = run(Code("attribute", script=f"def transformAttribute(input, metadata, args):\n    {body}\n"), [{}])
    assert "PermissionError" in str(outcome.error), outcome
    assert not Path("/tmp/written-by-a-transform").exists()


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
    (outcome,) = run(Code("record", ({"operation": "nexla.custom", "spec": spec},)), [{"modules": USUAL.split()}])
    assert outcome.output == {"time": "2026-07-01T00:00:00+02:00", "left": 1}, outcome


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("import sys; sys.stdout.buffer.write(b'\\xff'); return 1", None),
        ("import threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); return 1", None),
        ("raise KeyboardInterrupt('mine')", "KeyboardInterrupt: mine"),
    ],
)
def test_what_a_script_does_besides_goes_nowhere(body: str, error: str | None) -> None:
    code = Code("attribute", script=f"def transformAttribute(input, metadata, args):\n    {body}\n")
    (outcome,) = run(code, [{}])
    assert (outcome.output, outcome.error) == (None if error else 1, error)


def test_what_a_script_prints_without_end_does_not_reach_the_caller() -> None:
    source = "import sys\n[print('x' * 1000, file=f) for _ in range(1000) for f in (sys.stdout, sys.stderr)]\n"
    job = {"source": source + "def transform(i, m, a):\n    print('more')\n    return i\n", "records": [{"a": 1}]}
    done = subprocess.run([sys.executable, "-I", WORKER], input=json.dumps(job).encode(), capture_output=True)
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [{"output": {"a": 1}}], b"")


def test_an_output_that_would_fill_the_memory_here_is_refused() -> None:
    code = Code("attribute", script="def transformAttribute(input, metadata, args):\n    return 'x' * 40_000_000\n")
    assert len(run(code, [{}])[0].output) == 40_000_000
    with pytest.raises(OperatorError, match="larger than 64 MB"):
        run(code, [{}] * 2)


def test_a_script_that_never_ends_or_eats_all_memory_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    from helpers.transforms import local_run as transform_run

    monkeypatch.setattr(transform_run, "SCRIPT_SECONDS", 1)
    with pytest.raises(OperatorError, match="longer than 1 s"):
        run(Code("attribute", script="def transformAttribute(a, b, c):\n    while True:\n        pass\n"), [{}])
    monkeypatch.undo()
    (outcome,) = run(Code("attribute", script="def transformAttribute(a, b, c):\n    return 'x' * (1 << 33)\n"), [{}])
    assert "MemoryError" in str(outcome.error)


def test_10_000_records_through_jolt_take_less_than_five_seconds() -> None:
    records = [{"id": n, "a": {"b": n, "c": "x"}, "tags": ["p", "q"]} for n in range(10_000)]
    started = time.monotonic()
    outcomes = run(from_file(str(EXAMPLES / "reshape.json"), "record"), records)
    assert time.monotonic() - started < 5
    assert len(outcomes) == 10_000


@pytest.mark.parametrize("file", sorted(VECTORS))
def test_the_ready_attribute_transforms_keep_their_vectors(file: str) -> None:
    code = from_file(str(EXAMPLES / file), "attribute")
    outcomes = run(code, [record for record, _ in VECTORS[file]])
    for (record, expected), outcome in zip(VECTORS[file], outcomes, strict=True):
        assert (outcome.error, outcome.output) == (None, expected), record
        assert type(outcome.output) is type(expected), record


def test_the_guides_table_of_attribute_transforms_is_true() -> None:
    text = (EXAMPLES.parent.parent / "TRANSFORMS.md").read_text(encoding="utf-8")
    fields = {"mask_email.py": "email", "mask_card.py": "card_number", "parse_date.py": "created_at",
              "to_number.py": "amount", "trim_case.py": "name"}  # fmt: skip
    rows = re.findall(r"^\| `(\w+\.py)` \| `(.*?)` \| `(.*?)` \|$", text, re.MULTILINE)
    assert {name for name, _, _ in rows} >= set(fields)
    for name, given, wanted in rows:
        (outcome,) = run(from_file(str(EXAMPLES / name), "attribute"), [{fields[name]: given}])
        assert str(outcome.output) == wanted, name


RECORD_VECTORS = json.loads((EXAMPLES / "record_vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted(RECORD_VECTORS))
def test_the_ready_record_transforms_keep_their_vectors(file: str) -> None:
    outcomes = run(from_file(str(EXAMPLES / file), "record"), [record for record, _ in RECORD_VECTORS[file]])
    for (record, expected), outcome in zip(RECORD_VECTORS[file], outcomes, strict=True):
        assert (outcome.error, outcome.output) == (None, expected), record


def test_every_ready_transform_is_valid_and_has_vectors_or_is_a_record_transform() -> None:
    for path in EXAMPLES.iterdir():
        if path.name.endswith("vectors.json") or path.is_dir():
            continue
        kind = "attribute" if path.name in VECTORS else "record"
        code = from_file(str(path), kind)
        assert of_row(code.as_body()) == code  # what the server stores is what we sent


# -- what is ACTIVE


def test_an_active_nexset_is_held_until_the_new_transform_is_proven(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    sandbox.clear_journal()
    words = ["--file", other, "--name", "mask-2", "--nexset", str(nexset)]
    done = manage(sandbox, "attach", *words, *DEMANDS)
    assert done.code == 0, done.err
    assert statuses_seen(sandbox, nexset) == ["pause", str(nexset), "activate"]
    assert sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"] == "ACTIVE"
    sandbox.clear_journal()
    again = manage(sandbox, "attach", *words, *DEMANDS)
    assert (again.code, again.data["outcome"], sandbox.writes()) == (0, "unchanged", [])
    assert again.data["shared_with"] == []  # itself does not count


def test_a_failed_proof_of_an_active_nexset_gives_back_all_of_it(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    before = sandbox.api("GET", f"/data_sets/{nexset}?expand=1")[1]["transform_id"]
    monkeypatch.setattr(RehearsalStep, "find", lambda step, run: Found(SKIPPED, step.nexset))
    bad = script(tmp_path, MUTATIONS["identity"], "bad.py")
    sandbox.clear_journal()
    words = ["--file", bad, "--name", "bad", "--nexset", str(nexset), "--proof-timeout", "0.5"]
    done = sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words, *DEMANDS)
    assert done.code == 9, done.err
    assert statuses_seen(sandbox, nexset) == ["pause", str(nexset), str(nexset), "activate"]
    after = sandbox.api("GET", f"/data_sets/{nexset}?expand=1")[1]
    assert (after["transform_id"], after["status"]) == (before, "ACTIVE")


def test_what_cannot_be_put_back_stays_paused(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    monkeypatch.setattr(RehearsalStep, "find", lambda step, run: Found(SKIPPED, step.nexset))
    rule = {"action": "status", "status": 400, "method": "PUT", "path": f"/data_sets/{nexset}", "nth": 2, "times": 9}
    sandbox.faults(rule)
    words = ["--file", script(tmp_path, MUTATIONS["identity"], "bad.py"), "--name", "bad", "--nexset", str(nexset)]
    done = sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words, *DEMANDS, "--proof-timeout", "1")
    assert done.code == 11, done.err
    assert "left paused" in done.out + done.err
    assert sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"] == "PAUSED"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_change_of_an_active_nexset_that_is_killed_anywhere_is_resumed(
    sandbox: Sandbox, people: int, tmp_path: Path, when: str
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    for number in range(1, 6):
        other = script(tmp_path, GOOD.replace("***", f"x{number}x"), f"other-{number}.py")
        sandbox.state = tmp_path / f"{when}-{number}"
        words = ["--operation", "attach", "--file", other, "--name", f"m{number}", "--nexset", str(nexset), *DEMANDS]
        child = sandbox.fork("manage_transforms.py", *words)
        rule = {"action": "kill", "method": "POST|PUT", "path": "/(?!token).*", "when": when, "nth": number}
        sandbox.faults({**rule, "pid": child.pid})
        child.communicate("go\n", timeout=60)
        sandbox.faults()
        resumed = sandbox.run_inside("manage_transforms.py", *words, "--resume")
        assert (child.returncode, resumed.code) == (-9 if number < 5 else 0, 0), resumed.err
        now = sandbox.api("GET", f"/data_sets/{nexset}?expand=1")[1]
        code = sandbox.api("GET", f"/transforms/{now['transform_id']}")[1]
        assert (now["status"], code["name"]) == ("ACTIVE", f"m{number}"), (when, number)


def test_a_detach_of_an_active_nexset_wants_yes_and_says_what_it_means(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    sandbox.clear_journal()
    refused = manage(sandbox, "detach", "--nexset", str(nexset))
    assert (refused.code, sandbox.writes()) == (2, [])
    assert "passes as it is" in refused.error["message"]
    done = manage(sandbox, "detach", "--nexset", str(nexset), "--yes")
    assert (done.code, "passes as it is" in done.json["warnings"][0]) == (0, True)


def test_an_update_of_what_is_used_can_be_proven_for_each_user(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    bad = script(tmp_path, MUTATIONS["one of two fields"], "bad.py")
    sandbox.clear_journal()
    refused = manage(sandbox, "update", "--name", "mask", "--file", bad, "--yes", *DEMANDS)
    assert (refused.code, sandbox.writes()) == (9, []), refused.err
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    done = manage(sandbox, "update", "--name", "mask", "--file", other, "--yes", *DEMANDS)
    assert (done.code, done.json["warnings"], done.data["proof"]) == (0, [], {"samples": 12, "fresh": 12}), done.err
    assert sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["attach", "--parent", "PEOPLE", "--nexset-name", "x", "--file", "F", "--name", "m", "--must-mask", ""], 2,
         "names no field"),
        (["attach", "--parent", "99999", "--nexset-name", "x", "--file", "F", "--name", "m"], 5, "no nexset 99999"),
        (["attach", "--parent", "99999", "--nexset-name", "x", "--file", "F", "--name", "m", "--dry-run"], 5, "99999"),
        (["create", "--file", "F", "--name", "a\nb"], 2, "printable"),
        (["create", "--file", "F", "--name", "x" * 300], 2, "255"),
        (["create", "--file", "F", "--name", "x", "--parent", "1"], 2, "does not go with"),
        (["create", "--file", "F"], 2, "needs --name"),
        (["detach"], 2, "needs --nexset"),
        (["copy", "--name", "x"], 2, "needs --id"),
        (["update", "--id", "CODE", "--name", "other", "--file", "F", "--yes"], 2, "is named 'kept'"),
        (["test", "--file", "F", "--samples", "S", "--limit", "0"], 2, "--limit"),
        (["get", "--id", "CODE", "--kind", "attribute"], 5, "404"),
        (["test", "--file", "F", "--samples", "S", "--args", "{}"], 2, "--kind attribute"),
        (["test", "--file", "MISSPELT", "--samples", "S"], 2, "toUper"),
        (["test", "--file", "F", "--samples", "NUMBERS"], 2, "not a record"),
    ],
)  # fmt: skip
def test_wrong_flags_and_ids_are_told_and_nothing_is_written(
    sandbox: Sandbox, people: int, tmp_path: Path, args: list[str], code: int, text: str
) -> None:
    body = {"name": "kept", "reusable": True, "output_type": "record", "code_type": "jolt_standard"}
    body |= {"code_encoding": "none", "code": [{"operation": "shift", "spec": {"*": "&"}}]}
    _, stored = sandbox.api("POST", "/transforms", body)
    misspelt = [{"operation": "modify-overwrite-beta", "spec": {"email": "=toUper(@(1,email))"}}]
    known = {"PEOPLE": str(people), "F": script(tmp_path, GOOD), "CODE": str(stored["id"]),
             "S": script(tmp_path, json.dumps(RECORDS), "s.json"), "NUMBERS": script(tmp_path, "[5]", "n.json"),
             "MISSPELT": script(tmp_path, json.dumps(misspelt), "m.json")}  # fmt: skip
    sandbox.clear_journal()
    done = sandbox.run_inside("manage_transforms.py", "--operation", *(known.get(word, word) for word in args))
    assert (done.code, sandbox.writes()) == (code, []), done.err
    assert text in done.error["message"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("    return [1, 2]", "not a record"),
        ("    return {'a': float('nan')}", "not JSON compliant"),
        ("    raise SystemExit(3)", "SystemExit"),
    ],
)
def test_what_the_platform_would_refuse_is_an_error_here(
    sandbox: Sandbox, tmp_path: Path, body: str, text: str
) -> None:
    file = script(tmp_path, f"def transform(input, metadata, args):\n{body}\n")
    records = script(tmp_path, json.dumps(RECORDS), "s.json")
    done = manage(sandbox, "test", "--file", file, "--samples", records)
    assert (done.code, text in done.data[0]["error"]) == (10, True), done.data[0]


@pytest.mark.parametrize("form", ["b64encode(raw).decode()", "hexlify(raw).decode()", "raw[::-1].decode()"])
def test_a_value_in_another_form_is_no_mask(form: str) -> None:
    import base64
    import binascii

    names = {"b64encode": base64.b64encode, "hexlify": binascii.hexlify}
    pairs = [
        Sample({"ssn": f"123-45-{n}"}, {"ssn": "x", "y": eval(form, names, {"raw": f"123-45-{n}".encode()})})
        for n in range(1000, 1006)
    ]
    assert "still readable" in failures(pairs, Demands(masked=("ssn",)))[0]


def test_a_filter_may_change_nothing_when_that_is_said(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    file = script(tmp_path, "def transform(input, metadata, args):\n    return input\n")
    words = ["--file", file, "--name", "keep", "--parent", str(people), "--nexset-name", "kept"]
    assert manage(sandbox, "attach", *words, "--must-keep", "email").code == 9
    done = manage(sandbox, "attach", *words, "--must-keep", "email", "--may-change-nothing")
    assert done.code == 0, done.err


# -- what a proof must not miss


@pytest.mark.parametrize(
    ("before", "after", "demands"),
    [
        ({"emails": ["u{n}@example.com"]}, {"emails": ["u{n}@example.com"]}, Demands(masked=("emails",))),
        ({"emails": ["u{n}@example.com"]}, {"mails": ["u{n}@example.com"]}, Demands(gone=("emails",))),
        ({"address": {"street": "Main street {n}"}}, {"addr": {"s": "main STREET {n}"}}, Demands(gone=("address",))),
        (
            {"address": {"street": "Main street {n}"}},
            {"address": {"street": "Main street {n}"}},
            Demands(masked=("address",)),
        ),
        ({"state": "NY"}, {"state": "NY"}, Demands(masked=("state",))),
        ({"vip": True}, {"vip": True}, Demands(masked=("vip",))),
        ({"age": 7}, {"age": 7}, Demands(masked=("age",))),
        ({"card": "4111 1111 1111 {n}"}, {"card": "4111.1111.1111.{n}"}, Demands(masked=("card",))),
        ({"name": "Ana Silva {n}"}, {"name": "Ana\u200bSilva {n}"}, Demands(masked=("name",))),
        ({"name": "Ana Silva {n}"}, {"name": "\uff21na Silva {n}"}, Demands(masked=("name",))),
        ({"age": 42}, {"age": "42"}, Demands(masked=("age",))),
        ({"state": "NY"}, {"state": "ny "}, Demands(masked=("state",))),
        ({"state": "NY"}, {"state": "the state NY"}, Demands(masked=("state",))),
        ({"states": ["NY", "LA"]}, {"states": "NY,LA"}, Demands(masked=("states",))),
        ({"vip": True}, {"vip": "true"}, Demands(masked=("vip",))),
        ({"vip": True}, {"vip": 1}, Demands(masked=("vip",))),
        ({"salary": 50000.0}, {"pay": 50000}, Demands(gone=("salary",))),
        ({"salary": 5000000.0}, {"pay": "5 000 000"}, Demands(gone=("salary",))),
        ({"mood": "\U0001f600\U0001f43b"}, {"mood": "\U0001f600\U0001f43b"}, Demands(masked=("mood",))),
        ({"email": "-"}, {"email": "-"}, Demands(masked=("email",))),
    ],
)
def test_no_leak_passes_whatever_the_value_is(before: Any, after: Any, demands: Demands) -> None:
    def filled(value: Any, n: int) -> Any:
        return json.loads(json.dumps(value).replace("{n}", str(n)))

    pairs = [Sample(filled(before, n), {**filled(after, n), "more": n}) for n in range(1000, 1006)]
    assert failures(pairs, demands), "it passes"


def test_a_mask_that_was_there_before_may_stay() -> None:
    pairs = [Sample({"email": "***", "x": n}, {"email": "***"}) for n in range(6)]
    assert "no sample has a value" in failures(pairs, Demands(masked=("email",)))[0], "alone they prove nothing"
    pairs += [Sample({"email": f"user{n}@example.com"}, {"email": "u***"}) for n in range(5)]
    assert failures(pairs, Demands(masked=("email",))) == []


def test_the_value_of_another_record_is_no_mask() -> None:
    pairs = [Sample({"email": f"user{n}@example.com"}, {"email": f"user{(n + 1) % 6}@example.com"}) for n in range(6)]
    assert "in another sample" in failures(pairs, Demands(masked=("email",)))[0]


@pytest.mark.parametrize("value", ["abc", {"who": {"abc": 1}}, ["x", {"abc": None}]])
def test_a_short_value_is_found_anywhere_also_as_a_key(value: Any) -> None:
    pairs = [Sample({"code": "abc", "x": n}, {"y": value}) for n in range(6)]
    assert "still readable" in failures(pairs, Demands(gone=("code",)))[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([{"operation": "default", "spec": {"vip": 1}}], [{"operation": "default", "spec": {"vip": True}}]),
        (
            [{"operation": "modify-overwrite-beta", "spec": {"n": "=toUpper(@(1,email))", "email": "***"}}],
            [{"operation": "modify-overwrite-beta", "spec": {"email": "***", "n": "=toUpper(@(1,email))"}}],
        ),
    ],
)
def test_code_that_runs_otherwise_is_other_code(before: list[Any], after: list[Any]) -> None:
    assert Code("record", tuple(before)) != Code("record", tuple(after))


def test_a_script_is_the_same_however_it_is_encoded_and_another_language_is_shown() -> None:
    one = Code("record", (custom(GOOD, "base64"),))
    assert one == Code("record", (custom(GOOD, "none"),)) == Code("record", (custom(GOOD, "base64", width=60),))
    assert hash(one) == hash(Code("record", (custom(GOOD, "none"),)))
    other = Code("record", (custom(GOOD, "none", language="python3"),))
    assert one != other
    assert any("language: python3" in line for line in difference(one, other))


def custom(source: str, encoding: str, language: str = "python", width: int = 0) -> dict[str, Any]:
    text = base64.b64encode(source.encode()).decode() if encoding == "base64" else source
    text = "\n".join(text[i : i + width] for i in range(0, len(text), width)) if width else text
    return {"operation": "nexla.custom", "spec": {"language": language, "encoding": encoding, "script": text}}


def test_a_secret_in_a_script_is_not_shown_in_base64_either(sandbox: Sandbox, tmp_path: Path) -> None:
    file = script(tmp_path, "API_KEY = 'hunter2secret99'\n" + GOOD)
    assert manage(sandbox, "create", "--file", file, "--name", "with-a-key").code == 0
    shown = manage(sandbox, "get", "--name", "with-a-key")
    assert "transform(input" in shown.out
    assert "hunter2" not in shown.out
    assert "odW50ZXIyc2VjcmV0" not in shown.out, "as it stands in the script's base64"


def test_one_value_proves_nothing_for_all() -> None:
    pairs = [Sample({"ssn": "123-45-6789" if n == 3 else None, "x": n}, {"x": -n}) for n in range(12)]
    assert "only 1 samples have a value; 5 are wanted" in failures(pairs, Demands(gone=("ssn",)))[0]
    assert failures(pairs, Demands(gone=("ssn",), least=1)) == []


def test_a_transform_that_fails_on_some_records_is_not_attached(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    some = GOOD.replace(
        LAST, "    if input['customer_id'] > 8:\n        return output['no such field']\n    return output"
    )
    done = attach(sandbox, people, script(tmp_path, some))
    assert (done.code, "KeyError" in done.error["message"], "4 of 12" in done.error["message"]) == (9, True, True)
    dropping = GOOD.replace(LAST, "    return output if input['customer_id'] <= 8 else None")
    told = attach(sandbox, people, script(tmp_path, dropping, "dropping.py"))
    assert (told.code, "4 of 12 samples are dropped" in told.json["warnings"][0]) == (0, True), told.err


def test_an_undo_without_effect_is_not_called_undone(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    _, row = sandbox.api("GET", f"/data_sets/{nexset}")
    monkeypatch.setattr(RehearsalStep, "find", lambda step, run: Found(SKIPPED, step.nexset))
    sandbox.faults({"action": "status", "status": 200, "body": row, "method": "PUT", "path": f"/data_sets/{nexset}",
                    "nth": 2, "times": 9})  # fmt: skip
    words = ["--file", script(tmp_path, MUTATIONS["identity"], "bad.py"), "--name", "bad", "--nexset", str(nexset)]
    done = sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words, *DEMANDS, "--proof-timeout", "1")
    assert done.code == 11, done.err
    assert "does not show the former transform" in done.out
    sandbox.faults()
    assert sandbox.api("GET", f"/data_sets/{nexset}")[1]["status"] == "PAUSED"


def test_what_is_attached_already_and_found_wanting_is_said_to_be_there(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    done = attach(sandbox, people, script(tmp_path, GOOD), "--must-not-contain", "email")
    assert done.code == 9
    assert f"nexset {nexset} HAS IT ALREADY" in done.error["message"]
    again = manage(sandbox, "attach", "--name", "mask", "--nexset", str(nexset), "--must-not-contain", "email")
    assert f"nexset {nexset} HAS IT ALREADY" in again.error["message"]


def test_nothing_is_activated_before_it_is_proven(
    sandbox: Sandbox, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RehearsalStep, "find", lambda step, run: Found(SKIPPED, step.nexset))
    sandbox.clear_journal()
    words = ["--file", script(tmp_path, MUTATIONS["identity"]), "--name", "bad", "--parent", str(people), "--activate"]
    words += ["--nexset-name", "bad", *DEMANDS, "--proof-timeout", "0.5"]
    assert sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words).code == 9
    assert not [write for write in sandbox.writes() if write.endswith("/activate")]


def test_two_nexsets_of_one_name_below_one_parent_are_candidates(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    for _ in range(2):
        sandbox.api(
            "POST", "/data_sets", {"name": "masked", "parent_data_set_id": people, "has_custom_transform": False}
        )
    done = attach(sandbox, people, script(tmp_path, GOOD))
    assert (done.code, "2 nexsets are named 'masked'" in done.error["message"]) == (9, True), done.err
    assert sandbox.resources()["code"] == []


def test_a_plan_does_not_say_unchanged_of_what_is_yet_to_be_made(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    _, child = sandbox.api(
        "POST", "/data_sets", {"name": "bare", "parent_data_set_id": people, "has_custom_transform": False}
    )
    words = ["--file", script(tmp_path, GOOD), "--name", "mask", *DEMANDS, "--dry-run"]
    plan = manage(sandbox, "attach", *words, "--nexset", str(child["id"]))
    assert [step["action"] for step in plan.data["steps"]][1:4] == ["create", "unchanged", "attach"]
    taken = manage(sandbox, "attach", *words, "--parent", str(people), "--nexset-name", "bare")
    assert (taken.code, "exists below nexset" in taken.error["message"]) == (1, True)


# -- changes that are cut off, or meet


OPERATIONS = {
    "create": (["create", "--file", "F", "--name", "made"], ["kept", "made"]),
    "update": (["update", "--name", "kept", "--file", "F"], ["kept"]),
    "copy": (["copy", "--id", "ID", "--name", "twin"], ["kept", "twin"]),
    "delete": (["delete", "--id", "ID", "--yes"], []),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_change_that_is_killed_anywhere_is_resumed(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    words, names = OPERATIONS[name]
    body = {"name": "kept", "reusable": True, "output_type": "record", "code_type": "jolt_standard"}
    body |= {"code_encoding": "none", "code": [{"operation": "remove", "spec": {"a": ""}}]}
    for method, when in ((None, "before"), ("POST|PUT|DELETE", "after")):
        for nth in range(1, 20):
            sandbox.reset("empty")
            sandbox.state = tmp_path / f"{when}-{nth}"
            _, stored = sandbox.api("POST", "/transforms", body)
            known = {"F": script(tmp_path, GOOD), "ID": str(stored["id"])}
            args = ["--operation", *(known.get(word, word) for word in words)]
            child = sandbox.fork("manage_transforms.py", *args)
            rule = {"action": "kill", "nth": nth, "when": when, "pid": child.pid, "path": "/(?!token).*"}
            sandbox.faults(rule | ({"method": method} if method else {}))
            child.communicate("go\n", timeout=60)
            sandbox.faults()
            if child.returncode == 0:
                break
            resumed = sandbox.run_inside("manage_transforms.py", *args, "--resume")
            assert resumed.code == 0, f"killed {when} {method} {nth}: {resumed.err}"
            assert sandbox.resources().get("code", []) == names, f"killed {when} {method} {nth}"
        assert nth > 1, "no kill hit a request"


def test_two_creates_at_once_make_one(sandbox: Sandbox, tmp_path: Path) -> None:
    for number in range(4):
        sandbox.reset("empty")
        file = script(tmp_path, GOOD)
        children = []
        for who in ("a", "b"):  # two users' own state: no journal keeps them apart
            sandbox.state = tmp_path / f"{who}-{number}"
            words = ["--operation", "create", "--file", file, "--name", "mask"]
            children.append(sandbox.start("manage_transforms.py", *words))
        assert [code for code, _ in support.at_once(children)] == [0, 0]
        assert sandbox.resources()["code"] == ["mask"]


# -- languages, public ones, and the child process


def test_another_language_is_shown_and_copied_as_it_is_and_not_run(sandbox: Sandbox, tmp_path: Path) -> None:
    import base64

    source = "function transformAttribute(input, metadata, args) { return 1 }"
    body = {"name": "js", "output_type": "attribute", "code_type": "javascript", "code_encoding": "base64"}
    body |= {"reusable": True, "code": base64.b64encode(source.encode()).decode()}
    _, stored = sandbox.api("POST", "/attribute_transforms", body)
    words = ["--kind", "attribute", "--id", str(stored["id"])]
    assert manage(sandbox, "get", *words).data["text"] == f"# language: javascript\n{source}"
    done = manage(sandbox, "copy", *words, "--name", "js-2")
    assert done.code == 0, done.err
    twin = sandbox.api("GET", f"/attribute_transforms/{done.data['ids']['transform:js-2']}")[1]
    assert twin["code_type"] == "javascript"
    file = script(tmp_path, json.dumps(RECORDS), "s.json")
    tried = manage(sandbox, "test", *words, "--samples", file)
    assert (tried.code, "javascript cannot be run here" in tried.error["message"]) == (2, True)


def test_a_public_transform_of_somebody_else_is_found_by_name(sandbox: Sandbox) -> None:
    sandbox.reset("demo")
    sandbox.key = sandbox.control("POST", "users", {"email": "new@example.com"})["service_key"]
    words = ["--kind", "attribute", "--name", "mask-all"]
    assert manage(sandbox, "get", *words).code == 5
    assert manage(sandbox, "get", *words, "--public").code in (0, 4)


def test_the_function_that_runs_is_the_kinds_own() -> None:
    both = "def transform(i, m, a):\n    return 'WRONG'\ndef transformAttribute(i, m, a):\n    return 'right'\n"
    (outcome,) = run(Code("attribute", script=both), [{}])
    assert outcome.output == "right"


@pytest.mark.parametrize(
    "body",
    [
        "import os; fd = os.open('/tmp/x-written', os.O_CREAT | os.O_WRONLY); return 1",
        "import os; return open('/proc/' + str(os.getppid()) + '/environ').read()",
        "return open('/etc/passwd').read()",
        "import os; return os.listdir('/proc')",
        "import sqlite3; sqlite3.connect('/tmp/x.db')",
        "import _posixsubprocess; return 1",
        "import __main__; __main__.FORBIDDEN = ()",
        "import os; os.kill(os.getppid(), 0)",
    ],
)
def test_a_script_cannot_pry(body: str) -> None:
    source = f"def transformAttribute(input, metadata, args):\n    {body}\n"
    (outcome,) = run(Code("attribute", script=source), [{}])
    assert "PermissionError" in str(outcome.error), outcome
    assert not Path("/tmp/x-written").exists()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("import os; os._exit(0)", 2),
        ("print('[]', flush=True); return {}", 0),
        ("import os; os.write(1, b'[]'); return {}", 0),
    ],
)
def test_a_script_that_writes_or_ends_by_itself_breaks_nothing(
    sandbox: Sandbox, tmp_path: Path, body: str, code: int
) -> None:
    file = script(tmp_path, f"def transform(input, metadata, args):\n    {body}\n")
    records = script(tmp_path, json.dumps(RECORDS[:1]), "s.json")
    assert manage(sandbox, "test", "--file", file, "--samples", records).code == code


def test_expected_outputs_are_compared_as_json(sandbox: Sandbox, tmp_path: Path) -> None:
    file = script(tmp_path, "def transform(input, metadata, args):\n    return {'a': {'b': 1}, 'c': True}\n")
    records = script(tmp_path, "[{}]", "s.json")
    for expected, code in (("[{'a': {'b': 1}, 'c': True}]", 0), ("[{'a': {'b': 1.0}, 'c': True}]", 10),
                           ("[{'a': {'b': 1}, 'c': 1}]", 10), ("[{'a.b': 1, 'c': True}]", 10)):  # fmt: skip
        want = script(tmp_path, json.dumps(eval(expected)), "e.json")
        done = manage(sandbox, "test", "--file", file, "--samples", records, "--expect", want)
        assert done.code == code, (expected, done.out)
    assert done.data[0]["expected"] == {"a.b": 1, "c": True}


# -- what the sandbox does with validators and schemas


def test_a_validator_and_a_validation_schema_send_records_to_quarantine(sandbox: Sandbox, people: int) -> None:
    import base64

    strict = "def transform(input, metadata, args):\n    return input['customer_id'] != 3\n"
    spec = {"language": "python", "encoding": "base64", "script": base64.b64encode(strict.encode()).decode()}
    body = {"name": "no-3", "output_type": "record", "reusable": True, "code_type": "jolt_custom"}
    body |= {"code_encoding": "none", "code": [{"operation": "nexla.custom", "spec": spec}]}
    _, validator = sandbox.api("POST", "/validators", body)
    schema = {"properties": {"customer_id": {"maximum": 10}}}
    more = {"output_validator_id": validator["id"], "output_validation_schema": schema, "has_custom_transform": False}
    body = {"name": "checked", "parent_data_set_id": people, "output_schema_validation_enabled": True, **more}
    _, child = sandbox.api("POST", "/data_sets", body)
    shown = sandbox.api("GET", f"/data_sets/{child['id']}?expand=1")[1]
    assert [op["operation"] for op in shown["transform"]["transforms"]] == ["nexla.schema.validator"]
    samples = sandbox.api("GET", f"/data_sets/{child['id']}/samples?output_only=true")[1]
    assert sorted(row["rawMessage"]["customer_id"] for row in samples) == [1, 2, 4, 5, 6, 7, 8, 9, 10]
