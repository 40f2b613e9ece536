"""The secrets that this process was given, found again in text in any usual encoding.

A value is looked for if it has at least SHORTEST_SECRET characters and is not an ordinary word of this field: otherwise
a password ``postgres`` would remove that word from all output. A plain word or number counts only where it stands
alone. Shorter and common values are redacted only under the key that holds them.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from helpers.core.lazy_pattern import LazyPattern
from helpers.core.plain_text import plain
from helpers.core.secret_names import is_secret_key, word_set, words_of

SHORTEST_SECRET = 6
SHORTEST_PART = 16  # characters; a shorter line of a key or segment of a URL may be an ordinary word
LONGEST_WORD = 7  # characters; a value of more, unless a plain word or number, is found inside other text as well
_COMMON = word_set(
    "password secret secrets access private public default admin administrator username system service account "
    "example analytics production prod staging develop development testing sandbox primary master database postgres "
    "postgresql snowflake redshift bigquery databricks mongodb oracle sqlserver warehouse storage azure google amazon "
    "nexla nexset nexsets source sources destination destinations credential credentials transform transforms project "
    "projects team teams member members active paused healthy unhealthy unknown resource resources status schema "
    "tables orders customer customers events records record string number object boolean changed unchanged created "
    "updated deleted enabled disabled required optional internal external unlimited message description bearer basic "
    "digest apikey"
)
_NOT_SECRETS = frozenset({"true", "false", "null", "none", "undefined"})
# Under ``credentials``, what these keys hold is an address or a choice, and no secret.
_ADDRESSES = word_set(
    "host hostname server port database db dbname bucket container region schema warehouse account role user username "
    "login email type name id ids url uri endpoint path version driver mode format catalog project tenant domain "
    "scope"
)
SURROGATES = "surrogatepass"  # a lone surrogate in a value must not raise
_PATHS = frozenset({"PWD", "OLDPWD"})  # of the environment: working directories
_PLAIN = LazyPattern(r"[a-z]+|[A-Z]+|[A-Z][a-z]+|\d+")
_USER_INFO = LazyPattern(r"//([^\s/?#@]*)@")


class _Memory:
    """What is registered. Threads remember and redact at the same time, hence the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._anywhere: set[str] = set()
            self._alone: set[str] = set()
            self._pattern: re.Pattern[str] | None = None

    def add(self, anywhere: set[str], alone: set[str]) -> None:
        with self._lock:
            if not anywhere <= self._anywhere or not alone <= self._alone:
                self._anywhere |= anywhere
                self._alone |= alone
                self._pattern = None

    def pattern(self) -> re.Pattern[str] | None:
        with self._lock:
            if self._pattern is None and (self._anywhere or self._alone):
                self._pattern = _compiled(self._anywhere, self._alone - self._anywhere)
            return self._pattern


_memory = _Memory()


def remember(*secrets: object) -> None:
    """Register secret values, texts or numbers. From then on, they are redacted in each of their usual encodings."""
    for secret in secrets:
        bare = "" if secret is None or isinstance(secret, bool) else str(secret).strip()
        if len(bare) < SHORTEST_SECRET or bare.lower() in _NOT_SECRETS or bare.lower() in _COMMON:
            continue
        escaped, binary = set(_escaped_forms(bare)), set(_binary_forms(bare))
        if len(bare) <= LONGEST_WORD or _PLAIN.fullmatch(bare):
            _memory.add(binary, escaped)
        else:
            _memory.add(binary | escaped, set())
        if "\n" in bare:
            lines = (line.strip() for line in bare.split("\n"))
            remember(*(line for line in lines if len(line) >= SHORTEST_PART and "-----" not in line))


def forget() -> None:
    """Forget every value. For tests, and for a process that works for one account after another."""
    _memory.clear()


def remember_tree(value: Any) -> None:
    """Register every text and number inside a value such as the ``credentials`` of a config, except plain addresses."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [part for key, part in item.items() if not _is_address(str(key))]
        elif isinstance(item, list | tuple):
            waiting += item
        else:
            remember(item)


def _is_address(key: str) -> bool:
    return not _ADDRESSES.isdisjoint(words_of(key)[-1:]) and not is_secret_key(key)


def remember_url(url: str) -> None:
    """Register a URL that is secret as a whole, such as that of a webhook, and its parts that could stand alone."""
    parts = urlsplit(url)
    remember(url, *(part for part in (parts.path, parts.query) if len(part) >= SHORTEST_PART))
    remember_user_info(url)
    words = re.split(r"[/&=?]", f"{parts.path}&{parts.query}")
    remember(*(word for word in words if len(word) >= SHORTEST_PART))


def remember_user_info(text: str) -> None:
    """Register the users and passwords of all URLs in a text, as they are written and decoded."""
    for match in _USER_INFO.finditer(text):
        user, _, password = match[1].partition(":")
        remember(password, unquote(password))
        if not password:
            remember(user, unquote(user))


def remember_environment(values: Mapping[str, str | None]) -> None:
    """Register the secrets among environment variables or the lines of an env file, such as a proxy's password."""
    for name, value in values.items():
        if value and name not in _PATHS:
            if is_secret_key(name):
                remember(value)
            if "@" in value:
                remember_user_info(value)


def _escaped_forms(bare: str) -> Iterator[str]:
    """A value as it appears in texts, URLs, HTML and JSON, also in JSON inside JSON."""
    yield bare
    yield plain(bare)  # as text from outside is shown, and so redacted
    for form in (
        quote(bare, errors=SURROGATES),
        quote(bare, safe="", errors=SURROGATES),
        quote_plus(bare, errors=SURROGATES),
    ):
        yield form
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), form)
    in_html = bare.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield in_html
    yield in_html.replace('"', "&quot;").replace("'", "&#x27;")
    yield in_html.replace('"', "&#34;").replace("'", "&#39;")
    for only_ascii in (True, False):
        form = bare
        for _ in ("once", "twice"):
            form = json.dumps(form, ensure_ascii=only_ascii)[1:-1]
            yield form
    yield repr(bare)[1:-1]


def _binary_forms(bare: str) -> Iterator[str]:
    """A value in hexadecimal, and in base64 at each of the three places where it can begin in a longer text."""
    raw = bare.encode("utf-8", SURROGATES)
    yield raw.hex()
    yield raw.hex().upper()
    for lead in range(3):
        end = (lead + len(raw)) * 8 // 6  # what follows in the text alters the character after this one
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * lead + raw).decode()
            yield encoded[(0, 2, 3)[lead] : end]
            if lead == 0:
                yield encoded


def replace_known(text: str, mark: str) -> str:
    """The text with every registered value replaced by the mark."""
    pattern = _memory.pattern()
    return pattern.sub(mark, text) if pattern else text


def _compiled(anywhere: set[str], alone: set[str]) -> re.Pattern[str]:
    parts = [_alternatives(anywhere)] if anywhere else []
    if alone:
        parts.append(rf"(?<![A-Za-z0-9])(?:{_alternatives(alone)})(?![A-Za-z0-9])")
    return re.compile("|".join(parts))


def _alternatives(forms: Iterable[str], depth: int = 0) -> str:
    """A pattern for any of the forms, the longest first. It branches by the first characters, to be fast with many."""
    forms = list(forms)
    if depth == 3 or len(forms) < 2:
        return "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
    heads: dict[str, list[str]] = {}
    for form in forms:
        heads.setdefault(form[0], []).append(form[1:])
    return "|".join(f"{re.escape(head)}(?:{_alternatives(tails, depth + 1)})" for head, tails in sorted(heads.items()))
