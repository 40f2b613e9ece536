"""Which names stand for secrets: keys of objects, parameters of URLs, headers, flags and environment variables.

A name is judged by its words, and as in English the last word decides: a ``token`` is secret, a ``token_count`` is not.
So ``compass``, ``monkey``, ``primary_key`` and ``credentials_type`` stay readable, in every spelling.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from helpers.core.lazy_pattern import LazyPattern
from helpers.core.plain_text import plain


def word_set(words: str) -> frozenset[str]:
    """The set of the words in a text."""
    return frozenset(words.split())


LONGEST_NAME = 128  # characters that are judged; the end of a longer name decides
_WORD = LazyPattern(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_SECRET_WORDS = word_set(
    "password passwd passphrase passcode pass pwd pw secret token cookie authorization signature sas dsn creds jwt "
    "otp apikey keytab credentials webhook"
)
# How a name ends that is written as one word, such as PGPASSWORD; "pass" and "key" are the ends of compass and monkey.
_SECRET_ENDINGS = (
    "password", "passwd", "passphrase", "secret", "token", "pwd", "apikey", "accesskey", "secretkey", "privatekey",
    "accountkey", "sharedkey", "servicekey", "encryptionkey", "signingkey", "authkey", "sshkey", "connectionstring",
)  # fmt: skip
# What makes a key secret. All other keys are those of tables, maps and objects.
_SECRET_KEYS = word_set(
    "api access secret private account encryption encrypt encrypted decryption decrypt ssh signing sign service "
    "shared master subscription auth license hmac aes rsa pgp gpg pem webhook app application consumer deploy session "
    "symmetric wrapping sas token security integration write client crypto cipher function admin bot recovery"
)
_SECRET_PAIRS = frozenset(
    {
        ("connection", "string"), ("conn", "string"), ("conn", "str"), ("hook", "url"), ("webhook", "url"),
        ("webhook", "uri"), ("sas", "url"), ("sas", "uri"), ("auth", "header"), ("auth", "code"), ("basic", "auth"),
        ("proxy", "auth"), ("authorization", "header"), ("cookie", "header"), ("code", "verifier"),
        ("recovery", "code"), ("mfa", "code"), ("keyfile", "json"), ("keyfile", "dict"), ("template", "config"),
        ("pass", "word"), ("pass", "phrase"), ("pass", "code"), ("security", "answer"),
    }
)  # fmt: skip
# Words that leave what stands before them as it is: password_1, token_value, secret_hash.
_NEUTRAL = word_set(
    "value values text string str plain plaintext raw hash hashed digest encoded decoded base64 base b64 encrypted "
    "enc data content contents pem json new old current previous prev confirmation confirm again primary secondary "
    "backup v"
)
_PREDICATES = word_set(
    "has is use uses using require requires required need needs allow allows enable enables disable show hide with no "
    "send include skip supports"
)
_SECRET_PARAMETERS = word_set("sig sign key code auth hmac")


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, such as ``["api", "key"]`` for ``apiKey``."""
    return [word.lower() for word in _WORD.findall(name[-LONGEST_NAME:])]


@lru_cache(maxsize=4096)
def is_secret_key(name: str) -> bool:
    """Whether a name suggests that its value is secret, whether written in snake, kebab, camel or dotted case."""
    words = words_of(plain(name))  # as it will be shown: an escape sequence could hide a secret name
    if words == ["data", "credentials"]:  # a resource, of which rows show the id and name
        return False
    while len(words) > 1 and (words[-1] in _NEUTRAL or words[-1].isdecimal()):
        if tuple(words[-2:]) in _SECRET_PAIRS:
            return True
        words.pop()
    if not words:
        return False
    if words[-1] in ("key", "keys") and len(words) > 1 and (words[-2] in _SECRET_KEYS or "sse" in words):
        return True
    return _is_secret_word(words[-1]) or tuple(words[-2:]) in _SECRET_PAIRS or _is_secret_word("".join(words))


def _is_secret_word(word: str) -> bool:
    forms = (word, word.removesuffix("s"))
    return any(form in _SECRET_WORDS or form.endswith(_SECRET_ENDINGS) for form in forms)


def is_secret_parameter(name: str) -> bool:
    """Whether a parameter in a URL is secret; short names such as ``sig`` and ``key`` are usual there."""
    return name.lower() in _SECRET_PARAMETERS or is_secret_key(name)


def may_hide(name: str, value: Any) -> bool:
    """Whether a value under a secret name can be a secret.

    Nothing, a number under a plural (a count) and the answer to ``has_password`` are none. ``credentials`` is also a
    kind of resource, of which there are lists.
    """
    if value is None or value in ("", [], {}):
        return False
    if isinstance(value, str | dict):
        return True
    words = words_of(name) or [""]
    if isinstance(value, list | tuple):
        return words[-1] != "credentials"
    if isinstance(value, bool):
        return words[0] not in _PREDICATES
    return not words[-1].endswith("s") or (words[-1] != "credentials" and words[-1] in _SECRET_WORDS)
