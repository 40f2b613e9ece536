"""What reached the server, and what an action ends with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helpers.core.errors import Exit, OperatorError
from support import Sandbox


def hits(sandbox: Sandbox, method: str, path: str) -> int:
    return sum((r["method"], r["path"]) == (method, path) for r in sandbox.journal())


def ends_with(code: Exit, action: Callable[[], Any]) -> OperatorError:
    """The error that an action raises, which has this exit code."""
    __tracebackhide__ = True
    with pytest.raises(OperatorError) as caught:
        action()
    error = caught.value
    assert error.code is code, f"{error.code.name}, not {code.name}: {error.message} (hint: {error.hint})"
    return error
