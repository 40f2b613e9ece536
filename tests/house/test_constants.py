"""Every constant that decides something has its table of boundary cases. That the tables fail is seen in tests/soak."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from soak.constants import EXEMPT, PINS
from soak.places import changed, constants, unpinned
from support import ROOT, SCRIPTS

NAMES = {f"{pin.module} {pin.name}" for pin in PINS}


def test_every_constant_is_pinned_or_exempt() -> None:
    assert unpinned(SCRIPTS, NAMES, EXEMPT.keys()) == []


def test_what_is_exempt_has_a_reason_and_no_table() -> None:
    assert all(EXEMPT.values())
    assert not NAMES & EXEMPT.keys()


def test_every_table_is_there() -> None:
    for file, test in {tuple(pin.table.split("::")) for pin in PINS}:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {test}"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("LIMIT = 5", ["LIMIT"]), ("LIMIT: float = -5.5", ["LIMIT"]), ("_LIMIT = 2 * OTHER", ["_LIMIT"]),
        ("A, B = 1, 10**9", ["A", "B"]), ("RANGE = (1, 2)", ["RANGE[0]", "RANGE[1]"]),
        ("SOME = frozenset({429})", ["SOME[0]"]), ("RATES = {'high': 5 * SHARE}", ["RATES[high]"]),
        ("WAIT = wait(base=0.5)", ["WAIT(base)"]), ("class A:\n    field: int = 3", ["A.field"]),
        ("class A:\n    def __init__(self, n=3): ...", ["A.__init__(n)"]),
        ("def f(a, b=3, *, c=4, d=0): ...", ["f(b)", "f(c)"]), ("@rule(rank=7)\ndef f(): ...", ["@f(rank)"]),
        ("add('--last', default=10)", ["--last"]),
        ("NAME = 'text'\nFLAG = True\nlower = 5\ndef f(a=None, b=False): ...", []),
    ],
)  # fmt: skip
def test_a_constant_is_found(source: str, names: list[str]) -> None:
    assert list(constants(ast.parse(source))) == names


def test_a_new_constant_a_lost_one_and_an_unknown_place_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("NEW = 5\nOLD = 6\ndef f():\n    return 7 + 7\n")
    problems = unpinned(tmp_path, {"a.py OLD", "a.py GONE", "b.py OLD", "a.py f:8", "a.py f:7"}, set())
    assert [text.partition(":")[0] for text in problems] == ["a.py NEW", "a.py GONE", "a.py f", "a.py f", "b.py OLD"]


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("ONE", "ONE, TWO = (1 + 1), 2  # ×"), ("TWO", "ONE, TWO = 1, (2 + 1)  # ×"),
        ("f(n)", "def f(n=(3 + 1)): return '×', n * 60, 60"), ("f:60#2", "def f(n=3): return '×', n * 60, (60 + 1)"),
    ],
)  # fmt: skip
def test_a_change_is_made_at_its_place(place: str, line: str) -> None:
    source = "ONE, TWO = 1, 2  # ×\ndef f(n=3): return '×', n * 60, 60\n"
    assert line in changed(source, place, "+ 1").splitlines()
