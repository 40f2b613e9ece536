"""Every mutant still fits the code, so that ``make mutants`` can run it. Whether the tests notice it is seen there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mutants.run import Mutant, fingerprint, known_outcomes, load, missing_tests

from support import ROOT

MUTANTS = load()


def some(**fields: Any) -> Mutant:
    usual = {"id": "some", "file": "some.py", "old": "b = 1", "new": "b = 2", "promise": "a promise"}
    return Mutant(**{**usual, "tests": ("tests/house/test_mutants.py",), **fields})


def test_there_are_200_mutants_with_ids_of_their_own() -> None:
    ids = [mutant.id for mutant in MUTANTS]
    assert len(set(ids)) == len(ids) >= 200


def test_every_mutant_applies_compiles_and_names_tests_that_exist() -> None:
    problems = []
    for mutant in MUTANTS:
        try:
            compile(mutant.applied_to((ROOT / mutant.file).read_text(encoding="utf-8")), mutant.file, "exec")
        except (OSError, ValueError, SyntaxError) as error:
            problems.append(f"{mutant.id}: {error}")
        problems += [f"{mutant.id}: {name} does not exist" for name in missing_tests(mutant)]
        if not (mutant.promise and mutant.tests):
            problems.append(f"{mutant.id}: names no promise or no test")
    assert problems == []


@pytest.mark.parametrize("source", ["b = 3\n", "b = 1\nb = 1\n", ""])
def test_a_mutant_that_no_longer_fits_is_told(source: str) -> None:
    with pytest.raises(ValueError, match="some: the old text occurs"):
        some().applied_to(source)


def test_one_of_several_places_is_changed() -> None:
    twice = some(times=2, occurrence=2)
    assert twice.applied_to("b = 1\nb = 1\n") == "b = 1\nb = 2\n"
    with pytest.raises(ValueError, match="changes nothing"):
        some(new=some().old).applied_to("b = 1\n")


def test_a_test_that_does_not_exist_is_told() -> None:
    here = "tests/house/test_mutants.py"
    names = (f"{here}::test_one_of_several_places_is_changed", f"{here}::test_none", "tests/house/test_nothing.py")
    assert missing_tests(some(tests=names)) == [*names[1:]]


def test_an_outcome_is_known_until_the_mutant_the_code_or_its_tests_change(tmp_path: Path) -> None:
    (tmp_path / "results").write_text('{"id": "some", "code": "0", "outcome": "killed"}\n{"id": "so', encoding="utf-8")
    assert known_outcomes(tmp_path / "results") == {("some", "0"): "killed"}
    assert known_outcomes(tmp_path / "nothing") == {}
    before = fingerprint(some(), "code")
    assert before == fingerprint(some(), "code")
    assert before not in (fingerprint(some(), "other"), fingerprint(some(new="b = 4"), "code"))
    assert before != fingerprint(some(tests=("tests/house/test_version.py",)), "code")
