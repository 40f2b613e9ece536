"""When two transforms are the same code, and how a difference is shown."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from helpers.transforms.code import Code, difference
from support.transforming import GOOD


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
    assert Code("attribute", script=GOOD) != Code("attribute", script=GOOD, language="javascript")
    assert any("language: python3" in line for line in difference(one, other))


def custom(source: str, encoding: str, language: str = "python", width: int = 0) -> dict[str, Any]:
    text = base64.b64encode(source.encode()).decode() if encoding == "base64" else source
    text = "\n".join(text[i : i + width] for i in range(0, len(text), width)) if width else text
    return {"operation": "nexla.custom", "spec": {"language": language, "encoding": encoding, "script": text}}
