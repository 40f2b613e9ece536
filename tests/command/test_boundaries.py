"""The least and the most that a flag may ask for."""

from __future__ import annotations

import pytest

from helpers.command.parser import hours
from support.requesting import accepts, parsed


@pytest.mark.parametrize(
    ("flag", "value", "good"),
    [
        ("--timeout", "0", False), ("--timeout", "0.1", True), ("--timeout", "604800", True),
        ("--timeout", "604801", False),  # a week
        ("--rps", "0", False), ("--rps", "0.1", True), ("--rps", "1000", True), ("--rps", "1001", False),
        ("--workers", "0", False), ("--workers", "1", True), ("--workers", "16", True), ("--workers", "17", False),
    ],
)  # fmt: skip
def test_a_common_flag_has_its_limits(flag: str, value: str, good: bool) -> None:
    assert accepts(lambda: parsed("list_resources", "--type", "sources", flag, value)) is good


@pytest.mark.parametrize(("value", "good"), [("0", False), ("0.1", True), ("87600", True), ("87601", False)])
def test_an_age_is_at_most_ten_years(value: str, good: bool) -> None:
    assert accepts(lambda: hours(value)) is good


def test_the_defaults_of_the_flags() -> None:
    args = parsed("list_resources", "--type", "sources")
    assert (args.workers, args.limit, args.timeout, args.rps) == (4, 20, None, None)
