"""Removes secrets and control characters at the one place where text leaves the process.

Two rules: a value under a secret-looking key is redacted, and a known secret is redacted wherever it appears, also in
base64 or URL-encoded. Text from the API is data: control, ANSI, zero-width and bidi characters are stripped.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus

MARK = "[redacted]"
SHORTEST_SECRET = 4  # shorter values would redact half the output

_SENSITIVE = (
    r"pass(?:word|wd|phrase)?|secret(?:[-_.]?(?:access)?[-_.]?key)?|token|api[-_.]?key|service[-_.]?key|access[-_.]?key|private[-_.]?key|"
    r"authorization|auth[-_.]?header|cookie|signature|sas|connection[-_.]?string|webhook[-_.]?url|dsn|pwd"
)
_SECRET_KEY = re.compile(rf"(?:^|[^a-z]|(?<=[a-z]))(?:{_SENSITIVE})s?$", re.IGNORECASE)
_NOT_SECRET_KEY = re.compile(r"(?:_id|_ids|_type|_version|_status|_count|_name|primary[._]?key)$", re.IGNORECASE)
_INLINE = [
    re.compile(r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})"),
    re.compile(rf"(?i)(?:{_SENSITIVE})[\"']?\s*[=:]\s*[\"']?([^\s\"'&,;}}]{{4,}})"),
    re.compile(r"://[^/\s:@]*:([^/\s@]+)@"),
    re.compile(r"\b(AKIA[0-9A-Z]{16})\b"),
    re.compile(r"\b(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"),
    re.compile(r"(?i)[?&](?:x-amz-signature|sig|signature)=([^&\s]+)"),
    re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$))", re.DOTALL),
]
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u061c]")

_ADDRESSES = frozenset({"host", "port", "database", "bucket", "region", "schema", "warehouse", "account", "role"})
_NOT_SECRETS = frozenset({"true", "false", "null", "none"})

_QUOTED = re.compile(r"(?<!\w)'.*?'(?!\w)|\"[^\"]*\"")
_BRACKETS = re.compile(r"\([^()]*\)")
_ADDRESS = re.compile(r"[^\s=]+@[^\s,;]+")
_LONG = re.compile(r"\d[\d -]{7,}\d|\d{6,}")

_known: set[str] = set()


def remember(*secrets: str | None) -> None:
    """Register secret values. From then on, they are redacted in each of their usual encodings."""
    for secret in secrets:
        if not secret or len(secret.strip()) < SHORTEST_SECRET or secret.strip().lower() in _NOT_SECRETS:
            continue
        bare = secret.strip()
        raw = bare.encode()
        forms = {secret, bare, quote(bare), quote(bare, safe=""), quote_plus(bare), base64.b64encode(raw).decode()}
        forms |= {json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1]}
        forms |= {base64.urlsafe_b64encode(raw).decode(), base64.b64encode(raw).decode().rstrip("=")}
        _known.update(forms)


def remember_tree(value: Any) -> None:
    """Register every string inside a value, such as the ``credentials`` object of a config, except plain addresses."""
    if isinstance(value, dict):
        for key, item in value.items():
            if str(key).lower() not in _ADDRESSES:
                remember_tree(item)
    elif isinstance(value, list):
        for item in value:
            remember_tree(item)
    elif isinstance(value, str):
        remember(value)


def remember_inline(text: str) -> None:
    """Register what looks secret inside a text, such as the password in a URL."""
    for pattern in _INLINE:
        remember(*(match[1] for match in pattern.finditer(text)))


def is_secret_key(key: str) -> bool:
    """Whether a key's name suggests that its value is secret."""
    if key.lower() in ("credentials", "template_config"):
        return True
    return bool(_SECRET_KEY.search(key)) and not _NOT_SECRET_KEY.search(key)


def plain(text: str) -> str:
    """The text without control, ANSI, zero-width and bidi characters; tabs and newlines stay."""
    return _INVISIBLE.sub("", _ANSI.sub("", text))


def redact_text(text: str) -> str:
    """The text without control characters, with known secrets and secret-looking parts replaced."""
    text = plain(text)  # first, because an invisible character could hide a secret from the patterns
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MARK)
    for pattern in _INLINE:
        text = pattern.sub(lambda match: match[0].replace(match[1], MARK), text)
    return text


def _may_hide(key: str, value: Any) -> bool:
    """Whether a value under a secret-looking key can be secret. ``credentials`` is also a kind, with counts and ids."""
    if value in (None, "", [], {}) or isinstance(value, bool):
        return False
    return not (key == "credentials" and isinstance(value, int | float | list))


def redact(value: Any, *, key: str = "") -> Any:
    """A JSON value that is safe to print: secrets are redacted by key name and by value, at any depth, also in keys.

    Args:
        key: the key that holds the value, if any.
    """
    if key and is_secret_key(key) and _may_hide(key, value):
        return MARK
    if isinstance(value, dict):
        return {redact_text(str(name)): redact(item, key=str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return redact_text(value) if isinstance(value, str) else value


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
