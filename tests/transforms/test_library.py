"""The library of transforms: create, update, copy, delete, show; wrong input is refused and nothing is overwritten."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from support import Exit, Sandbox, answers
from support.transforming import ATTACH, EXAMPLES, GOOD, RECORDS, attach, manage, script


def test_create_is_idempotent_and_never_overwrites(sandbox: Sandbox, tmp_path: Path) -> None:
    file = script(tmp_path, json.dumps([{"operation": "remove", "spec": {"ssn": ""}}]), "drop.json")
    first = manage(sandbox, "create", "--file", file, "--name", "drop", "--description", "PII").ok()
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
    refused.fails(Exit.ERROR)
    assert sandbox.writes() == []
    assert any('-      "ssn": ""' in line or "ssn" in line for line in refused.data["diff"])
    plan = manage(sandbox, "create", "--file", other, "--name", "drop", "--dry-run").ok()
    assert plan.data["steps"][0]["action"] == "refused"
    assert any('+    "dob": ""' in line or "dob" in line for line in plan.data["diff"])
    assert "used by nexsets: none" in plan.json["warnings"][0]


def test_an_update_that_has_no_effect_is_not_believed(sandbox: Sandbox, tmp_path: Path) -> None:
    words = ["--name", "mask", "--file"]
    number = manage(sandbox, "create", *words, script(tmp_path, GOOD)).ok().data["ids"]["transform:mask"]
    place = f"/transforms/{number}"
    sandbox.faults(answers(sandbox.api("GET", place)[1], place, "PUT", times=1))
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    done = manage(sandbox, "update", "--id", str(number), "--file", other)
    done.fails(Exit.ROLLED_BACK, "the code on the server differs from what was sent")


def test_an_update_of_what_others_use_needs_yes_and_names_them(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    attach(sandbox, people, script(tmp_path, GOOD)).ok()
    other = script(tmp_path, GOOD.replace("***", "xxx"), "other.py")
    manage(sandbox, "update", "--name", "mask", "--file", other).fails(Exit.USAGE, "'masked'")
    plan = manage(sandbox, "update", "--name", "mask", "--file", other, "--dry-run")
    assert plan.data["used_by"][0]["name"] == "masked"
    assert any("xxx" in line for line in plan.data["diff"])
    done = manage(sandbox, "update", "--name", "mask", "--file", other, "--yes").ok()
    assert "unproven" in done.json["warnings"][0]
    shown = manage(sandbox, "get", "--name", "mask").data
    assert "xxx" in shown["text"]
    assert manage(sandbox, "usage", "--name", "mask").data[0]["name"] == "masked"


def test_delete_refuses_while_in_use_and_needs_yes(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    attach(sandbox, people, script(tmp_path, GOOD)).ok()
    manage(sandbox, "delete", "--name", "mask").fails(Exit.USAGE)
    manage(sandbox, "delete", "--name", "mask", "--yes").fails(Exit.ERROR, "'masked'")
    child = next(row for row in sandbox.api("GET", "/data_sets")[1] if row["name"] == "masked")
    manage(sandbox, "detach", "--nexset", str(child["id"])).ok()
    manage(sandbox, "delete", "--name", "mask", "--yes").ok()
    assert sandbox.resources()["code"] == []


def test_copy_and_attribute_transforms(sandbox: Sandbox) -> None:
    made = manage(
        sandbox, "create", "--kind", "attribute", "--file", str(EXAMPLES / "mask_email.py"), "--name", "mask-email"
    ).ok()
    number = made.data["ids"]["transform:mask-email"]
    stored = sandbox.api("GET", f"/attribute_transforms/{number}")[1]
    assert (stored["code_type"], stored["code_encoding"], stored["output_type"]) == ("python", "base64", "attribute")
    manage(sandbox, "copy", "--kind", "attribute", "--id", str(number), "--name", "mask-email-2").ok()
    names = [row["name"] for row in manage(sandbox, "list", "--kind", "attribute").data]
    assert sorted(names) == ["mask-all", "mask-email", "mask-email-2"]
    assert [row["name"] for row in manage(sandbox, "list", "--kind", "attribute", "--public").data] == ["mask-all"]
    manage(sandbox, "attach", "--kind", "attribute", "--name", "mask-email", "--nexset", "123").fails(Exit.USAGE)


@pytest.mark.parametrize("fault", [{"action": "reset"}, {"action": "status", "status": 503}, {"action": "html"}])
def test_a_lost_response_creates_one_transform(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.faults({**fault, "when": "after", "method": "POST", "path": "/transforms"})
    manage(sandbox, "create", "--file", str(EXAMPLES / "drop_pii.json"), "--name", "drop").ok()
    assert sandbox.resources()["code"].count("drop") == 1


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("[", "x.json", "is not JSON"),
        ("[]", "x.json", "no Jolt operations"),
        ('[{"op": "shift"}]', "x.json", "entry 1"),
        ('[{"operation": "no-such-operation", "spec": {}}]', "x.json", "not a valid Jolt spec"),
        ("def transform(a, b):\n  pass\n", "x.py", "must accept (input, metadata, args)"),
        ("def f(:\n", "x.py", "line 1"),
        ("x = 1\n", "x.py", "does not define transform"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, text: str, name: str, message: str
) -> None:
    sandbox.clear_journal()
    manage(sandbox, "create", "--file", script(tmp_path, text, name), "--name", "x").fails(Exit.USAGE, message)
    assert sandbox.journal() == []


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        ([*ATTACH, "--parent", "PEOPLE", "--must-mask", ""], Exit.USAGE, "--must-mask is empty"),
        ([*ATTACH, "--parent", "99999"], Exit.NOT_FOUND, "nexset 99999 (--parent) does not exist"),
        ([*ATTACH, "--parent", "99999", "--dry-run"], Exit.NOT_FOUND, "99999"),
        (["create", "--file", "F", "--name", "a\nb"], Exit.USAGE, "printable"),
        (["create", "--file", "F", "--name", "x" * 300], Exit.USAGE, "255"),
        (["create", "--file", "F", "--name", "x", "--parent", "1"], Exit.USAGE, "cannot be used with"),
        (["create", "--file", "F"], Exit.USAGE, "needs --name"),
        (["detach"], Exit.USAGE, "needs --nexset"),
        (["copy", "--name", "x"], Exit.USAGE, "needs --id"),
        (["update", "--id", "CODE", "--name", "other", "--file", "F", "--yes"], Exit.USAGE, "is named 'kept'"),
        (["test", "--file", "F", "--samples", "S", "--limit", "0"], Exit.USAGE, "--limit"),
        (["get", "--id", "CODE", "--kind", "attribute"], Exit.NOT_FOUND, "404"),
        (["test", "--file", "F", "--samples", "S", "--args", "{}"], Exit.USAGE, "--kind attribute"),
        (["test", "--file", "MISSPELT", "--samples", "S"], Exit.USAGE, "toUper"),
        (["test", "--file", "F", "--samples", "NUMBERS"], Exit.USAGE, "not a record"),
    ],
)  # fmt: skip
def test_wrong_flags_and_ids_are_reported_and_nothing_is_written(
    sandbox: Sandbox, people: int, tmp_path: Path, args: list[str], code: Exit, text: str
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
    done.fails(code, text)
    assert sandbox.writes() == []


def test_a_secret_in_a_script_is_not_shown_in_base64_either(sandbox: Sandbox, tmp_path: Path) -> None:
    file = script(tmp_path, "API_KEY = 'hunter2secret99'\n" + GOOD)
    manage(sandbox, "create", "--file", file, "--name", "with-a-key").ok()
    shown = manage(sandbox, "get", "--name", "with-a-key")
    assert "transform(input" in shown.out
    assert "hunter2" not in shown.out
    assert "odW50ZXIyc2VjcmV0" not in shown.out, "as it stands in the script's base64"


def test_another_language_is_shown_and_copied_as_it_is_and_not_run(sandbox: Sandbox, tmp_path: Path) -> None:

    source = "function transformAttribute(input, metadata, args) { return 1 }"
    body = {"name": "js", "output_type": "attribute", "code_type": "javascript", "code_encoding": "base64"}
    body |= {"reusable": True, "code": base64.b64encode(source.encode()).decode()}
    _, stored = sandbox.api("POST", "/attribute_transforms", body)
    words = ["--kind", "attribute", "--id", str(stored["id"])]
    assert manage(sandbox, "get", *words).data["text"] == f"# language: javascript\n{source}"
    done = manage(sandbox, "copy", *words, "--name", "js-2").ok()
    twin = sandbox.api("GET", f"/attribute_transforms/{done.data['ids']['transform:js-2']}")[1]
    assert twin["code_type"] == "javascript"
    file = script(tmp_path, json.dumps(RECORDS), "s.json")
    manage(sandbox, "test", *words, "--samples", file).fails(Exit.USAGE, "cannot run javascript scripts locally")


def test_a_public_transform_of_somebody_else_is_found_by_name(sandbox: Sandbox) -> None:
    sandbox.reset("demo")
    sandbox.key = sandbox.control("POST", "users", {"email": "new@example.com"})["service_key"]
    words = ["--kind", "attribute", "--name", "mask-all"]
    manage(sandbox, "get", *words).fails(Exit.NOT_FOUND)
    manage(sandbox, "get", *words, "--public").ends(Exit.OK, Exit.AUTH)
