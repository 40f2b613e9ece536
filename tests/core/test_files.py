"""An output file is replaced completely or not at all, and nothing is left beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.core.files import replacing, write_text


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), ValueError("a defect")], ids=repr)
@pytest.mark.parametrize("former", ["old", None])
def test_a_file_whose_writing_fails_stays_as_it_was(tmp_path: Path, error: BaseException, former: str | None) -> None:
    target = tmp_path / "out.json"
    if former is not None:
        target.write_text(former)
    with pytest.raises(type(error)), replacing(target) as stream:
        stream.write("half")
        stream.flush()
        raise error
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == ({"out.json": "old"} if former else {})


def test_a_replaced_file_is_complete_private_and_alone(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    write_text(str(tmp_path / "link.json"), "new")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.json", "real.json"]
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"
    assert (tmp_path / "real.json").stat().st_mode & 0o777 == 0o600
