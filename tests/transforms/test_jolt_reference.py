"""What the reference Jolt project documents of its operations, through our own ``test`` command.

The cases in data/jolt_cases.json are ours; the semantics are those of the documentation of Shiftr, Defaultr, Removr,
CardinalityTransform, Sortr and Modifier (github.com/bazaarvoice/jolt).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import ROOT, Exit, Sandbox

CASES = json.loads((ROOT / "tests" / "data" / "jolt_cases.json").read_text(encoding="utf-8"))


def test_there_are_enough_cases_of_each_operation() -> None:
    assert len(CASES) >= 40
    operations = {name.split(":")[0] for name in (case["name"] for case in CASES)}
    assert {"shift", "default", "remove", "cardinality", "sort", "modify-overwrite", "chain"} <= operations


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_documented_semantics(sandbox_process: Sandbox, tmp_path: Path, case: dict[str, Any]) -> None:
    files = {"spec": case["spec"], "in": [case["input"]], "out": [case["expected"]]}
    for name, value in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    words = ["--operation", "test", "--file", str(tmp_path / "spec.json"), "--samples", str(tmp_path / "in.json")]
    done = sandbox_process.run_inside("manage_transforms.py", *words, "--expect", str(tmp_path / "out.json")).ok()
    if case["name"].startswith("sort"):
        assert list(done.data[0]["output"]) == sorted(case["input"])


def test_a_wrong_expectation_is_noticed(sandbox_process: Sandbox, tmp_path: Path) -> None:
    for name, value in (("spec", CASES[0]["spec"]), ("in", [CASES[0]["input"]]), ("out", [{"other": 1}])):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    words = ["--operation", "test", "--file", str(tmp_path / "spec.json"), "--samples", str(tmp_path / "in.json")]
    sandbox_process.run_inside("manage_transforms.py", *words, "--expect", str(tmp_path / "out.json")).ends(
        Exit.FINDINGS
    )
