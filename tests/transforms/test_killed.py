"""manage_transforms.py under kill -9 at every request, and twice at once: resuming gives one of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import Exit, Sandbox, at_once
from support.transforming import DEMANDS, GOOD, live_child, script


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_attach_that_is_killed_is_resumed_to_one_of_each(
    sandbox: Sandbox, people: int, tmp_path: Path, when: str
) -> None:
    file = script(tmp_path, GOOD)
    for number in (1, 2):
        sandbox.state = tmp_path / f"{when}-{number}"
        words = ["--operation", "attach", "--file", file, "--name", f"mask-{number}", "--parent", str(people),
                 "--nexset-name", f"masked-{number}", *DEMANDS]  # fmt: skip
        at = {"method": "POST", "path": "/(?!token).*", "nth": number, "when": when}
        sandbox.run_killed("manage_transforms.py", *words, **at).is_killed()
        sandbox.run_inside("manage_transforms.py", *words, "--resume").ok()
    assert sandbox.resources()["code"] == ["mask-1", "mask-2"]
    assert [name for name in sandbox.resources()["nexsets"] if name.startswith("masked")] == ["masked-1", "masked-2"]


@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.soak), "after"])
def test_a_change_of_an_active_nexset_that_is_killed_anywhere_is_resumed(
    sandbox: Sandbox, people: int, tmp_path: Path, when: str
) -> None:
    nexset = live_child(sandbox, people, tmp_path)
    for number in range(1, 6):
        other = script(tmp_path, GOOD.replace("***", f"x{number}x"), f"other-{number}.py")
        sandbox.state = tmp_path / f"{when}-{number}"
        words = ["--operation", "attach", "--file", other, "--name", f"m{number}", "--nexset", str(nexset), *DEMANDS]
        at = {"method": "POST|PUT", "path": "/(?!token).*", "when": when, "nth": number}
        done = sandbox.run_killed("manage_transforms.py", *words, **at)
        done.is_killed(number) if number < 5 else done.ok()
        sandbox.run_inside("manage_transforms.py", *words, "--resume").ok((when, number))
        now = sandbox.api("GET", f"/data_sets/{nexset}?expand=1")[1]
        code = sandbox.api("GET", f"/transforms/{now['transform_id']}")[1]
        assert (now["status"], code["name"]) == ("ACTIVE", f"m{number}"), (when, number)


OPERATIONS = {
    "create": (["create", "--file", "F", "--name", "made"], ["kept", "made"]),
    "update": (["update", "--name", "kept", "--file", "F"], ["kept"]),
    "copy": (["copy", "--id", "ID", "--name", "twin"], ["kept", "twin"]),
    "delete": (["delete", "--id", "ID", "--yes"], []),
}


@pytest.mark.parametrize(
    "name", ["copy", *(pytest.param(name, marks=pytest.mark.soak) for name in OPERATIONS if name != "copy")]
)
def test_a_change_that_is_killed_anywhere_is_resumed(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    words, names = OPERATIONS[name]
    body = {"name": "kept", "reusable": True, "output_type": "record", "code_type": "jolt_standard"}
    body |= {"code_encoding": "none", "code": [{"operation": "remove", "spec": {"a": ""}}]}
    for method, when in ((".*", "before"), ("POST|PUT|DELETE", "after")):
        for nth in range(1, 20):
            sandbox.reset("empty")
            sandbox.state = tmp_path / f"{when}-{nth}"
            _, stored = sandbox.api("POST", "/transforms", body)
            known = {"F": script(tmp_path, GOOD), "ID": str(stored["id"])}
            args = ["--operation", *(known.get(word, word) for word in words)]
            at = {"nth": nth, "when": when, "path": "/(?!token).*", "method": method}
            done = sandbox.run_killed("manage_transforms.py", *args, **at)
            if done.code == Exit.OK:
                break
            done.is_killed(nth)
            sandbox.run_inside("manage_transforms.py", *args, "--resume").ok(f"killed {when} {method} {nth}")
            assert sandbox.resources().get("code", []) == names, f"killed {when} {method} {nth}"
        assert nth > 1, "no kill hit a request"


def test_two_creates_at_once_create_one(sandbox: Sandbox, tmp_path: Path) -> None:
    for number in range(4):
        sandbox.reset("empty")
        file = script(tmp_path, GOOD)
        children = []
        for who in ("a", "b"):  # two users' own state: no journal keeps them apart
            sandbox.state = tmp_path / f"{who}-{number}"
            words = ["--operation", "create", "--file", file, "--name", "mask"]
            children.append(sandbox.fork("manage_transforms.py", *words))
        for done in at_once(children):
            done.ok()
        assert sandbox.resources()["code"] == ["mask"]
