"""Redaction takes time linear in the length of a text, whatever the text is made of."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.core import redact

SIZE = 40_000  # characters; what grows with their square takes seconds
MAX_RATIO = 2.6  # of the times for a text and for one of twice its length; 4 would be quadratic
TRIES = 8
SHORTEST = 0.004  # seconds of processor time; less is not measured exactly

PIECES = [
    "Cookie: a\n", 'Authorization: "Authorization: ', "\'Cookie: \\\\\'",
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


COMBINED = [random.Random(seed).choices(PIECES, k=3) for seed in range(40)]


def seconds(action: Callable[[str], Any], text: str) -> float:
    before = time.process_time()
    action(text)
    return time.process_time() - before


def is_linear(text: Callable[[int], str], *actions: Callable[[str], Any]) -> None:
    """Twice the text takes about twice the time, at least once in some tries: other processes disturb the caches."""
    once, twice = text(SIZE), text(2 * SIZE)
    for action in actions:
        ratios: list[float] = []
        while len(ratios) < TRIES and not (ratios and ratios[-1] <= MAX_RATIO):
            ratios.append(seconds(action, twice) / max(seconds(action, once), SHORTEST))
        assert ratios[-1] <= MAX_RATIO, f"{action.__name__}: {ratios}"


@pytest.fixture(autouse=True)
def _secrets_are_known() -> None:
    redact.remember("AAAAAAAAAAAAAAAAAAAAAAAA-1", "hunter2-hunter2", "=====-----=====1")


@pytest.mark.parametrize("piece", PIECES, ids=ascii)
def test_of_one_piece_again_and_again(piece: str) -> None:
    is_linear(lambda size: piece * (size // len(piece)), redact.redact_text, redact.without_quotes)


@pytest.mark.parametrize("pieces", COMBINED, ids=ascii)
def test_of_several_pieces(pieces: list[str]) -> None:
    first, second, last = pieces
    together = "".join(pieces)
    is_linear(lambda size: together * (size // len(together)), redact.redact_text, redact.without_quotes)
    is_linear(lambda size: first + second * (size // len(second)) + last, redact.redact_text, redact.without_quotes)


def test_of_a_log_of_long_lines() -> None:
    """Such lines have kept a command busy for many times its --timeout."""
    for char in "A=a.-_@x":
        is_linear(lambda size, char=char: "\n".join([char * (size // 3)] * 3), redact.redact_text)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5))
def test_of_random_pieces(pieces: list[str]) -> None:
    together = "".join(pieces)
    is_linear(lambda size: together * (size // len(together)), redact.redact_text)
