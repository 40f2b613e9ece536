"""Ending a command in the middle of its writes, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from helpers.api.session import Session


class Killed(BaseException):
    """The process ends here; nothing after it runs but what the operating system does."""


@contextmanager
def killed_at(nth: int, *, after: bool) -> Iterator[None]:
    """End the command at its nth write, before it leaves or when it has taken effect."""
    send, seen = Session.send, 0

    def sending(self: Session, method: str, path: str, params: Any, body: Any) -> Any:
        nonlocal seen
        seen += method in ("PUT", "DELETE")
        hit = seen == nth and method in ("PUT", "DELETE")
        if hit and not after:
            raise Killed
        answer = send(self, method, path, params, body)
        if hit:
            raise Killed
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "send", sending)
        yield
