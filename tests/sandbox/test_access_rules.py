"""Who may see and change what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sandbox.conftest import Api


def test_other_users_see_nothing_of_mine(api_of: Callable[..., Api]) -> None:
    eve = api_of("eve@example.com")
    assert eve.get("/data_sources") == []
    for method, path in (
        ("GET", "/data_sources/123"),
        ("PUT", "/data_sources/123/pause"),
        ("DELETE", "/data_sets/123"),
        ("GET", "/data_sets/123/flow"),
    ):
        assert eve.expect(403, method, path) is None, f"{method} {path}: a 403 has an empty body"
