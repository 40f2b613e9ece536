"""What comes between the requests of a script that runs in this process: its end, or somebody else's change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from helpers.api.session import Session
from helpers.change.journal import Journal
from support import Sandbox


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


def before_request(
    patch: pytest.MonkeyPatch, method: str, path: str, do: Callable[[], object], *, after: str = ""
) -> list[object]:
    """Do something once, right before the first request that matches; the list holds what it gave, if it was done.

    Args:
        after: only when a request has been sent that matches this, as ``METHOD path``.
    """
    send, sent, done = Session.send, [""], list[object]()

    def sending(self: Session, verb: str, place: str, params: Any, body: Any) -> Any:
        fits = re.fullmatch(method, verb) and re.fullmatch(path, place)
        if fits and not done and any(re.fullmatch(after, request) for request in sent):
            done.append(do())
        sent.append(f"{verb} {place}")
        return send(self, verb, place, params, body)

    patch.setattr(Session, "send", sending)
    return done


def before_the_journal(patch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Do something right before the script gets hold of its journal."""
    opened = Journal.__init__

    def opening(self: Journal, *args: Any, **more: Any) -> None:
        do()
        opened(self, *args, **more)

    patch.setattr(Journal, "__init__", opening)


def unanswered_post(patch: pytest.MonkeyPatch, sandbox: Sandbox, path: str) -> Callable[[], None]:
    """The first POST to a path gets no answer; it takes effect when what this returns is called, or not at all."""
    send, bodies, done = Session.send, list[Any](), list[bool]()

    def sending(self: Session, method: str, place: str, params: Any, body: Any) -> Any:
        if (method, place) == ("POST", path):
            bodies.append(body)
        return send(self, method, place, params, body)

    def take_effect() -> None:
        if bodies and not done:
            done.append(True)
            assert sandbox.api("POST", path, bodies[0])[0] == 200

    patch.setattr(Session, "send", sending)
    sandbox.faults({"action": "reset", "method": "POST", "path": path})
    return take_effect
