"""The transforms in examples/: each does what its vectors and the guide's table say."""

from __future__ import annotations

import json
import re

import pytest

from helpers.transforms.code import code_from_file, code_from_row
from helpers.transforms.local_run import run_locally
from support.transforming import EXAMPLES

VECTORS = json.loads((EXAMPLES / "vectors.json").read_text())
RECORD_VECTORS = json.loads((EXAMPLES / "record_vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted(VECTORS))
def test_the_ready_attribute_transforms_keep_their_vectors(file: str) -> None:
    code = code_from_file(str(EXAMPLES / file), "attribute")
    outcomes = run_locally(code, [record for record, _ in VECTORS[file]])
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
        (outcome,) = run_locally(code_from_file(str(EXAMPLES / name), "attribute"), [{fields[name]: given}])
        assert str(outcome.output) == wanted, name


@pytest.mark.parametrize("file", sorted(RECORD_VECTORS))
def test_the_ready_record_transforms_keep_their_vectors(file: str) -> None:
    outcomes = run_locally(
        code_from_file(str(EXAMPLES / file), "record"), [record for record, _ in RECORD_VECTORS[file]]
    )
    for (record, expected), outcome in zip(RECORD_VECTORS[file], outcomes, strict=True):
        assert (outcome.error, outcome.output) == (None, expected), record


def test_every_ready_transform_is_valid_and_has_vectors_or_is_a_record_transform() -> None:
    for path in EXAMPLES.iterdir():
        if path.name.endswith("vectors.json") or path.is_dir():
            continue
        kind = "attribute" if path.name in VECTORS else "record"
        code = code_from_file(str(path), kind)
        assert code_from_row(code.as_body()) == code  # what the server stores is what we sent
