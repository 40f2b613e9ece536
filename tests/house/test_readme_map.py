"""README's map sends a reader to files that are there."""

from __future__ import annotations

import re

from support import ROOT

ROW = re.compile(r"^\| (?!To change|---)(.+?) \| (.+) \| `(tests/\S+?)` \|$", re.MULTILINE)


def test_every_file_of_the_map_is_there() -> None:
    rows = ROW.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(rows) >= 15
    for change, places, test in rows:
        files = re.findall(r"`((?:scripts|sandbox)/\S+?)`", places)
        assert files, f"{change}: no file to edit"
        siblings = [f"{files[0].rpartition('/')[0]}/{name}" for name in re.findall(r"`(\w+\.py)`", places)]
        for name in [*files, *siblings, test]:
            assert (ROOT / name).exists(), f"{change}: there is no {name}"
