"""One name may have several Unicode forms, and case counts."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.core.names import same_name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("Caf\u00e9", "Cafe\u0301", True), ("Cafe\u0301", "Caf\u00e9", True), ("Cafe", "Caf\u00e9", False),
     ("orders", "Orders", False), (None, None, False), (1, 1, False)],
)  # fmt: skip
def test_names_are_compared_in_one_unicode_form(one: Any, other: Any, same: bool) -> None:
    assert same_name(one, other) is same
