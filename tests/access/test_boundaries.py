"""When rules are read again, and what a declaration may hold: each limit with the values around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.access.confirmation import Caller
from helpers.access.declaration import load_declaration
from helpers.access.plan import plan_access
from support.requesting import accepts, request_of
from support.scripted import ScriptedSession


@pytest.mark.parametrize(("resources", "again"), [(99, True), (100, True), (101, False)])
def test_the_rules_of_a_hundred_resources_are_read_again(resources: int, again: bool) -> None:
    ids = ",".join(str(n) for n in range(1, resources + 1))
    words = ["--operation", "revoke", "--resource-type", "sources", "--resource-ids", ids,
             "--accessor-type", "TEAM", "--accessor-id", "42"]  # fmt: skip
    request = request_of("manage_access", *words)
    session = ScriptedSession(lambda asked: {})
    steps = plan_access(request, session, Caller(session), lambda text: None)
    assert [step.reread for step in steps] == [again] * resources


@pytest.mark.parametrize(
    ("entry", "good"),
    [
        ({"project": -1}, False), ({"project": 0}, False), ({"project": 1}, True),
        ({"pipeline_of": {"type": "", "id": 1}}, False), ({"pipeline_of": {"type": "x", "id": 1}}, True),
        ({"pipeline_of": {"type": "xy", "id": 1}}, True),
    ],
)  # fmt: skip
def test_a_declared_id_is_above_0_and_a_text_not_empty(tmp_path: Path, entry: dict[str, Any], good: bool) -> None:
    file = tmp_path / "access.json"
    file.write_text(json.dumps({"resources": [{**entry, "accessors": []}]}))
    assert accepts(lambda: load_declaration(str(file))) is good
