"""Signals, closed streams and a full disk, wherever they come: an orderly end, with the real exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import Sandbox
from support.ends import ENDS, POINTS, end_at


@pytest.mark.parametrize("how", ENDS)
def test_a_deployment_ends_in_order_wherever_it_is_ended(sandbox: Sandbox, tmp_path: Path, how: str) -> None:
    for point in POINTS:
        sandbox.state = tmp_path / f"state-{point}"
        end_at(sandbox, tmp_path, how, point)
