"""A flow config that deploys on an otherwise empty sandbox."""

from __future__ import annotations

from typing import Any

import pytest

import support
from support import Sandbox


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    return support.plant_orders(sandbox)
