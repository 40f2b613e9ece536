"""Removes secrets and control characters at the one place where text leaves the process.

A value under a secret-looking key is redacted (``secret_names``), the values of the secrets that the process was given
are redacted wherever they appear (``known_secrets``), and so is text that looks secret (``secret_text``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from helpers.core.known_secrets import (
    SHORTEST_SECRET,
    forget,
    remember,
    remember_environment,
    remember_tree,
    remember_url,
    remember_user_info,
    replace_known,
)
from helpers.core.lazy_pattern import LazyPattern
from helpers.core.plain_text import plain
from helpers.core.secret_names import is_secret_key, may_hide
from helpers.core.secret_text import redact_secret_looking
from helpers.core.secret_values import MARK

__all__ = [
    "MARK", "excerpt", "forget", "is_secret_key", "plain", "redact", "redact_text", "remember", "remember_arguments",
    "remember_document", "remember_environment", "remember_tree", "remember_url", "without_quotes", "without_values",
]  # fmt: skip

MAX_DEPTH = 100  # of objects in objects; what is nested deeper is not shown
TOO_DEEP = "[nested too deep]"
LONGEST_CACHED = 200  # characters; longer texts seldom come twice
_NAMES = ("name", "key", "header", "field", "parameter")  # {"name": "password", "value": "…"}

_QUOTED = LazyPattern(r"(?<!\w)'(?:[^'\n]|'(?=\w))*+(?:'|(?=\n)|\Z)|\"[^\"]*+\"")
_BRACKETS = LazyPattern(r"\([^()]*\)")
_ADDRESS = LazyPattern(r"(?<![^\s=,;])@*+[^\s=@,;]++@[^\s,;]++")
_LONG = LazyPattern(r"\d[\d -]{7,}\d|\d{6,}")


def remember_document(value: Any) -> None:
    """Register the secrets in a config or a response: what is under secret keys, and what looks secret in its texts."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            for key, part in item.items():
                secret = is_secret_key(str(key)) or (key == "value" and _names_secret(item))
                (remember_tree if secret and may_hide(str(key), part) else waiting.append)(part)
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str):
            _remember_looking(item)


def _remember_looking(text: str) -> None:
    """Register what looks secret inside a text, such as the password in a URL: what redaction takes out of it."""
    remember_user_info(text)
    first, *others = redact_secret_looking(text).split(MARK)
    begin = len(first)
    for kept in others:
        end = text.find(kept, begin + 1) if kept else len(text)
        remember(text[begin : max(end, begin)])
        begin = max(end, begin) + len(kept)


def remember_arguments(words: Sequence[str]) -> None:
    """Register the secrets on a command line: values of flags with secret names, and what looks secret."""
    for flag, value in zip(words, [*words[1:], ""], strict=False):
        _remember_looking(flag)
        if flag.startswith("-") and is_secret_key(flag) and not value.startswith("-"):
            remember(value)


_looking_in_short_text = lru_cache(maxsize=8192)(redact_secret_looking)


def redact_text(text: str) -> str:
    """The text without control characters, with known secrets and secret-looking parts replaced."""
    text = replace_known(plain(text), MARK)  # plain first: an invisible character could hide a secret
    return _looking_in_short_text(text) if len(text) <= LONGEST_CACHED else redact_secret_looking(text)


def _names_secret(item: dict[Any, Any]) -> bool:
    """Whether an object is a pair of a secret name and its value."""
    return any(isinstance(item.get(name), str) and is_secret_key(item[name]) for name in _NAMES)


def redact(value: Any, *, key: str = "", depth: int = 0) -> Any:
    """A JSON value that is safe to print: secrets are redacted by key name and by value, at any depth, also in keys.

    Args:
        key: the key that holds the value, if any.
        depth: how many objects and lists the value is in.
    """
    if key and is_secret_key(key) and may_hide(key, value):
        return MARK
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict | list | tuple) and depth == MAX_DEPTH:
        return TOO_DEEP
    if isinstance(value, dict):
        secret_value = "value" in value and _names_secret(value) and may_hide("value", value["value"])
        return {
            redact_text(str(name)): MARK
            if secret_value and name == "value"
            else redact(item, key=str(name), depth=depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item, depth=depth + 1) for item in value]
    if isinstance(value, int) and len(str(value)) >= SHORTEST_SECRET and replace_known(str(value), MARK) == MARK:
        return MARK
    return value


def excerpt(text: str, length: int = 200) -> str:
    """The first ``length`` characters of a text on one line, redacted before it is cut."""
    flat = " ".join(redact_text(text).split())
    return flat if len(flat) <= length else flat[:length] + "…"


def without_quotes(text: Any) -> str:
    """A message without parts that may be values of a record: quotations, brackets, addresses and long numbers."""
    masked = _QUOTED.sub("'…'", str(text))
    masked = _BRACKETS.sub("(…)", masked)
    return _LONG.sub("…", _ADDRESS.sub("…", masked))


def without_values(value: Any) -> Any:
    """A record with every value replaced by its type or, for text, by its length."""
    if isinstance(value, dict):
        return {key: without_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_values(item) for item in value]
    if isinstance(value, str):
        return f"text of {len(value)}"
    return None if value is None else type(value).__name__
