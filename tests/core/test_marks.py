"""The mark on what a change creates: it tells a step's own resources from those of any other step and change."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.core.marks import has_mark, mark_of, with_mark

MARK = mark_of("change-1", "source")
OTHERS = [mark_of("change-1", "destination"), mark_of("change-2", "source"), "prod"]


def test_a_step_knows_only_its_own_mark() -> None:
    assert len({MARK, *OTHERS}) == 4
    assert has_mark({"tags": [*OTHERS, MARK]}, MARK) is True
    assert has_mark({"tags": OTHERS}, MARK) is False
    assert has_mark({"tags": []}, MARK) is False


@pytest.mark.parametrize("row", [{}, {"tags": None}, {"tags": MARK}])
def test_tags_that_are_not_shown_are_not_taken_for_none(row: dict[str, Any]) -> None:
    assert has_mark(row, MARK) is None


def test_the_mark_stands_beside_the_tags_of_the_config() -> None:
    assert with_mark({"name": "x", "tags": ["prod"]}, MARK) == {"name": "x", "tags": ["prod", MARK]}
    assert with_mark({"name": "x", "tags": None}, MARK) == {"name": "x", "tags": [MARK]}
    assert with_mark({"name": "x", "tags": ["prod"]}, None) == {"name": "x", "tags": ["prod"]}
