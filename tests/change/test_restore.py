"""Undo compares before it restores: it puts back what is as the change wrote it, and names what is not."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.change.restore import EDITS, edits_between, restoration, with_later_edits
from helpers.change.stored_values import NOT_STORED

BEFORE = {"name": "x", "description": None, "config": {"path": "in", "old": 1}, "tags": ["a"]}
BODY = {"description": "new", "config": {"path": "out", "old": 1, "added": True}, "tags": ["a", "b"]}


def after(**more: Any) -> dict[str, Any]:
    """The resource as the change left it, with what somebody else changed since."""
    config = {**BODY["config"], **more.pop("config", {})}
    return {**BEFORE, **BODY, "config": config, **more}


def test_what_nobody_touched_is_put_back_whole() -> None:
    plan = restoration(edits_between(BEFORE, BODY), after())
    assert plan.body == {"description": None, "config": {"path": "in", "old": 1}, "tags": ["a"]}
    assert plan.objections() == ""


@pytest.mark.parametrize(
    ("since", "foreign", "kept"),
    [
        ({"description": "theirs"}, ["description"], {"config": {"path": "in", "old": 1}, "tags": ["a"]}),
        ({"config": {"path": "theirs"}}, ["config.path"], {"config": {"path": "theirs", "old": 1}}),
        ({"config": {"added": False}}, ["config.added"], {"config": {"path": "in", "old": 1, "added": False}}),
        ({"config": {"theirs": 5}}, [], {"config": {"path": "in", "old": 1, "theirs": 5}}),
        ({"tags": ["a", "b", "c"]}, ["tags"], {"description": None}),
    ],
)
def test_what_somebody_else_changed_stays_and_is_named(
    since: dict[str, Any], foreign: list[str], kept: dict[str, Any]
) -> None:
    plan = restoration(edits_between(BEFORE, BODY), after(**since))
    assert plan.foreign == foreign
    assert {key: plan.body[key] for key in kept} == kept
    assert not set(foreign) & plan.body.keys()


def test_what_is_as_before_needs_nothing() -> None:
    assert restoration(edits_between(BEFORE, BODY), BEFORE).body == {}


def test_what_a_resumed_run_wrote_is_undone_to_the_very_beginning() -> None:
    later = {"description": "newer", "name": "y"}
    first, second = {EDITS: edits_between(BEFORE, BODY)}, {EDITS: edits_between(after(), later)}
    edits = with_later_edits(first, second)[EDITS]
    for written in ("new", "newer"):
        plan = restoration(edits, after(description=written, name="y"))
        assert plan.body["description"] is None, written
        assert plan.body["name"] == "x"
        assert plan.foreign == []
    assert restoration(edits, after(description="theirs", name="y")).foreign == ["description"]


def test_a_secret_that_was_not_stored_is_named_as_lost() -> None:
    edits = [{"path": ["config", "password"], "before": NOT_STORED, "after": [NOT_STORED]}]
    plan = restoration(edits, {"config": {"password": "now"}})
    assert (plan.body, plan.lost) == ({}, ["config.password"])
    assert "held a secret" in plan.objections()
