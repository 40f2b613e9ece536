"""Redaction takes time linear in the length of a text, whatever the text is made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from helpers.core import redact

SIZE = 100_000  # characters
MAX_RATIO = 2.6  # of the times for a text and for one of twice its length; 4 would be quadratic
TRIES = 5

PIECES = [
    "=", "A", "a", "-", "-----BEGIN", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "PRIVATE KEY-----",
    "\"", "'", "\\", "\\\"", "`", "{", "[", "(", "<", "<a ", "</", "://", "//u:", "//a@", "@", "a@", "a.", "a,", ",a",
    "a=", "a:", "=a", ":a", "eyJ", "eyJhbGciOiJ.", "-eyJaaaaaaaaa", "AKIA", "Bearer ", "token ", "token token=",
    "password=", "password=\"", "password='", "password: {", "password: [", "password=\\\"", "password=,",
    "password=a,b", "Authorization: ", "Cookie: a;", "--password ", "--token=", "('token', ", " 'x'x", "\"x\"x", "1",
    "1-", "1 ", '\x1b[', '\x1b]', '\x1b[0', '\u200b', "%3D", "%22", "a%22", "&#34;", "%2F%2F", "%2F%2Fa%3A", "%40",
    "&quot;", "&sig=", "?key=", "\\u0022", "sk-", "-sk-a", "MII", "IBAAK", "login ", "login a password ", "name:",
    "\"name\": \"token\", ", "a b ", "api key", '\n', 'password: |\n ', "jdbc:oracle:thin:", "-u a", " -u a:", '\t',
    " ", "\u00e9", "\ud835\udfd8", "_", ".", "$", "ghp_", "xoxb-", "PuTTY-User-Key-File",
]  # fmt: skip


def seconds(action: Callable[[], Any]) -> float:
    before = time.process_time()
    action()
    return time.process_time() - before


def is_linear(action: Callable[[str], Any], text: Callable[[int], str]) -> tuple[bool, list[float]]:
    """Whether twice the text takes about twice the time, at least once in some tries: other processes disturb."""
    ratios = []
    for _ in range(TRIES):
        once, twice = (seconds(lambda size=size: action(text(size))) for size in (SIZE, 2 * SIZE))
        ratios.append(twice / max(once, 0.002))  # below, it is the clock that is measured
        if ratios[-1] <= MAX_RATIO:
            return True, ratios
    return False, ratios


@pytest.fixture(autouse=True)
def _a_secret_is_known() -> None:
    redact.remember("AAAAAAAAAAAAAAAAAAAAAAAA-1", "hunter2-hunter2", "=====-----=====1")


@pytest.mark.parametrize("piece", PIECES, ids=ascii)
def test_one_piece_again_and_again(piece: str) -> None:
    assert is_linear(redact.redact_text, lambda size: piece * (size // len(piece))) == (
        True,
        pytest.approx([0, 9], abs=9),
    )
