"""A script that is in Nexla, where others may have written it, runs on this machine only if the user says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.transforms.code import Code, code_from_row
from helpers.transforms.local_run import run_locally
from support import SCRIPTS, Exit, Sandbox, run_words
from support.hostile import UNISOLATED, needs_isolation, needs_unshare
from support.requesting import accepts, ends_with, request_of
from support.transforming import DEMANDS, GOOD, RECORDS, attach, manage, own_code, script

FLAG = "--run-remote-code"
JOLT = '[{"operation": "remove", "spec": {"ssn": ""}}, {"operation": "default", "spec": {"vip": true}}]'


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that were started since."""
    found: list[Any] = []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, words: Any, *args: Any, **options: Any) -> None:
            found.append(words)
            super().__init__(words, *args, **options)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    return found


def stored(sandbox: Sandbox, tmp_path: Path, kind: str = "record", name: str = "theirs", source: str = GOOD) -> str:
    """A script in Nexla; returns its id."""
    text = source if kind == "record" else source.replace("def transform(", "def transformAttribute(")
    file = script(tmp_path, text, f"{name}.py")
    done = manage(sandbox, "create", "--kind", kind, "--file", file, "--name", name).ok()
    return str(done.data["ids"][f"transform:{name}"])


def child_of(sandbox: Sandbox, people: int) -> str:
    """A derived nexset without a transform."""
    body = {"name": "child", "parent_data_set_id": people, "has_custom_transform": False}
    return str(sandbox.api("POST", "/data_sets", body)[1]["id"])


USES = {
    "test by id": ["test", "--id", "ID", "--samples", "SAMPLES"],
    "test by name on a nexset": ["test", "--name", "theirs", "--nexset", "PEOPLE"],
    "test of an attribute function": ["test", "--kind", "attribute", "--name", "value", "--samples", "SAMPLES"],
    "attach by id to a new nexset": ["attach", "--id", "ID", "--parent", "PEOPLE", "--nexset-name", "new", *DEMANDS],
    "attach by name to a nexset": ["attach", "--name", "theirs", "--nexset", "CHILD", *DEMANDS],
}  # fmt: skip


def words_of(use: str, sandbox: Sandbox, people: int, tmp_path: Path) -> list[str]:
    known = {"ID": stored(sandbox, tmp_path), "PEOPLE": str(people), "CHILD": child_of(sandbox, people)}
    known["SAMPLES"] = script(tmp_path, json.dumps(RECORDS), "samples.json")
    stored(sandbox, tmp_path, "attribute", "value")
    sandbox.idle()
    sandbox.clear_journal()
    return [known.get(word, word) for word in USES[use]]


@pytest.mark.parametrize("use", USES)
def test_it_does_not_run_unless_the_user_says_so(
    sandbox: Sandbox, people: int, tmp_path: Path, started: list[Any], use: str
) -> None:
    operation, *words = words_of(use, sandbox, people, tmp_path)
    before = sandbox.snapshot()
    done = manage(sandbox, operation, *words)
    done.fails(Exit.USAGE, "Python script from Nexla", FLAG, "--operation get")
    assert (started, sandbox.writes()) == ([], [])
    assert sandbox.snapshot() == before


FEW = ["--min-samples", "50"]  # so that the code is not tried before it is attached


def test_nothing_is_written_before_the_refusal(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    operation, *words = words_of("attach by id to a new nexset", sandbox, people, tmp_path)
    manage(sandbox, operation, *words, *FEW).fails(Exit.USAGE, FLAG)
    assert sandbox.writes() == []


@needs_isolation
@pytest.mark.parametrize("use", USES)
def test_it_runs_when_the_user_says_so(
    sandbox: Sandbox, people: int, tmp_path: Path, started: list[Any], use: str
) -> None:
    operation, *words = words_of(use, sandbox, people, tmp_path)
    done = manage(sandbox, operation, *words, FLAG).ok()
    assert started
    assert not [warning for warning in done.json["warnings"] if "isolate" in warning]
    if operation == "attach":
        assert done.data["proof"] == {"samples": 12, "fresh": 12}
    else:
        assert done.data[0]["output"]["contact"] == {"phone": "***"}


@pytest.mark.parametrize("use", [use for use in USES if use.startswith("attach")])
def test_a_dry_run_plans_without_it_and_says_what_comes(
    sandbox: Sandbox, people: int, tmp_path: Path, started: list[Any], use: str
) -> None:
    operation, *words = words_of(use, sandbox, people, tmp_path)
    done = manage(sandbox, operation, *words, "--dry-run").ok()
    assert done.data["steps"][0]["action"] == "skipped"
    assert [warning for warning in done.json["warnings"] if "not tried locally" in warning and FLAG in warning]
    assert (started, sandbox.writes()) == ([], [])


@needs_isolation
def test_a_dry_run_tries_it_when_the_user_says_so(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    number = stored(sandbox, tmp_path, source=GOOD.replace('key != "ssn"', "True"))
    words = ["--id", number, "--parent", str(people), "--nexset-name", "new", *DEMANDS, "--dry-run", FLAG]
    assert manage(sandbox, "attach", *words).ok().data["steps"][0]["action"] == "would fail"


def test_what_only_shows_or_copies_it_does_not_run_it(sandbox: Sandbox, tmp_path: Path, started: list[Any]) -> None:
    number = stored(sandbox, tmp_path)
    assert "def transform" in manage(sandbox, "get", "--id", number).ok().data["text"]
    manage(sandbox, "copy", "--id", number, "--name", "twin").ok()
    file = script(tmp_path, GOOD.replace("***", "###"))
    manage(sandbox, "update", "--id", number, "--file", file, "--dry-run").ok()
    manage(sandbox, "delete", "--id", number, "--yes").ok()
    assert started == []


def test_a_reviewed_copy_in_a_file_runs_and_is_the_same_transform(
    sandbox: Sandbox, people: int, tmp_path: Path
) -> None:
    """The way out that the refusal names."""
    number = stored(sandbox, tmp_path)
    text = manage(sandbox, "get", "--id", number).ok().data["text"]
    words = ["--file", script(tmp_path, text, "reviewed.py"), "--name", "theirs", "--parent", str(people)]
    done = manage(sandbox, "attach", *words, "--nexset-name", "new", *DEMANDS).ok()
    assert done.data["ids"]["transform:theirs"] == int(number)
    assert sandbox.resources()["code"] == ["theirs"]


def test_jolt_is_data_and_needs_no_word(sandbox: Sandbox, people: int, tmp_path: Path, started: list[Any]) -> None:
    file = script(tmp_path, JOLT, "jolt.json")
    number = str(manage(sandbox, "create", "--file", file, "--name", "jolt").ok().data["ids"]["transform:jolt"])
    manage(sandbox, "test", "--id", number, "--nexset", str(people)).ok()
    words = ["--id", number, "--parent", str(people), "--nexset-name", "new", "--must-not-contain", "ssn"]
    assert manage(sandbox, "attach", *words).ok().data["proof"]["fresh"] == 12
    assert started == []


def test_a_script_among_jolt_operations_is_a_script(sandbox: Sandbox, tmp_path: Path, started: list[Any]) -> None:
    spec = {"language": "python", "encoding": "none", "script": GOOD}
    body: dict[str, Any] = {"name": "mixed", "reusable": True, "output_type": "record", "code_type": "jolt_custom",
            "code_encoding": "none"}  # fmt: skip
    body["code"] = [*json.loads(JOLT), {"operation": "nexla.custom", "spec": spec}]
    number = str(sandbox.api("POST", "/transforms", body)[1]["id"])
    records = script(tmp_path, json.dumps(RECORDS), "samples.json")
    manage(sandbox, "test", "--id", number, "--samples", records).fails(Exit.USAGE, FLAG)
    assert started == []


def test_no_caller_can_run_it_by_mistake() -> None:
    """Whatever the server sends is foreign from the beginning, and refused at the one place where scripts run."""
    own = own_code("attribute", script="def transformAttribute(i, m, a):\n    return 1\n")
    theirs = code_from_row(own.as_body())
    assert theirs == own
    for code in (theirs, Code("attribute", script=own.script)):
        assert code is not None
        ends_with(Exit.USAGE, lambda code=code: run_locally(code, [{}]))
    assert run_locally(own, [{}])[0].output == 1


def test_the_flag_goes_with_code_in_nexla_alone() -> None:
    words = ("manage_transforms", "--operation")
    assert accepts(lambda: request_of(*words, "test", "--id", "1", "--nexset", "2", FLAG))
    assert accepts(lambda: request_of(*words, "attach", "--name", "t", "--nexset", "2", FLAG))
    assert not accepts(lambda: request_of(*words, "get", "--id", "1", FLAG))
    file = str(SCRIPTS.parent / "examples" / "transforms" / "filter.py")
    assert not accepts(lambda: request_of(*words, "test", "--file", file, "--nexset", "2", FLAG))


@needs_isolation
def test_a_resumed_attach_still_has_the_users_word(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    words = ["--operation", "attach", "--id", stored(sandbox, tmp_path), "--parent", str(people)]
    words += ["--nexset-name", "new", *DEMANDS, FLAG]
    at = {"method": "POST", "path": "/data_sets", "when": "after", "nth": 1}
    sandbox.run_killed("manage_transforms.py", *words, **at).is_killed()
    sandbox.run_inside("manage_transforms.py", *words[:-1], "--resume").fails(Exit.USAGE, FLAG)
    sandbox.run_inside("manage_transforms.py", *words, "--resume").ok()
    assert sandbox.resources()["nexsets"].count("new") == 1


# -- where nothing can be isolated


@needs_unshare
@pytest.mark.parametrize("use", USES)
def test_it_does_not_run_where_it_cannot_be_isolated(sandbox: Sandbox, people: int, tmp_path: Path, use: str) -> None:
    operation, *words = words_of(use, sandbox, people, tmp_path)
    command = [*UNISOLATED, sys.executable, str(SCRIPTS / "manage_transforms.py"), "--operation", operation, *words]
    done = run_words([*command, FLAG, *(FEW if operation == "attach" else [])], env=sandbox.env)
    done.fails(Exit.CONFIG, "does not isolate", "--file")
    assert sandbox.writes() == []


@needs_unshare
def test_the_users_own_script_runs_there_with_a_warning(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    """Also if the script claims that it was isolated."""
    file = script(tmp_path, f"import os\nos.write(2, b'isolated\\n')\n{GOOD}")
    words = ["--file", file, "--name", "mine", "--parent", str(people), "--nexset-name", "new", *DEMANDS]
    command = [*UNISOLATED, sys.executable, str(SCRIPTS / "manage_transforms.py"), "--operation", "attach", *words]
    done = run_words(command, env=sandbox.env).ok()
    assert len([text for text in done.json["warnings"] if "does not isolate scripts" in text]) == 1
    assert done.data["proof"]["fresh"] == 12
    quiet = attach(sandbox, people, file)
    assert not [text for text in quiet.json["warnings"] if "isolate" in text]
