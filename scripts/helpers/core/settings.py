"""Validated settings from the NEXLA_* values of the environment or an env file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from helpers.core import redact
from helpers.core.commands import command_line
from helpers.core.errors import config_error

DEFAULT_URL = "https://dataops.nexla.io/nexla-api"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(NamedTuple):
    """Where to connect, and as whom. Exactly one of the two secrets is set.

    Attributes:
        api_url: base URL, without a trailing slash.
        read_only: whether NEXLA_READ_ONLY forbids every write.
        dry_run: whether ``--dry-run`` forbids every write.
        notes: remarks for the user about how the settings were read.
    """

    api_url: str
    service_key: str | None = None
    access_token: str | None = None
    read_only: bool = False
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    def __repr__(self) -> str:
        return f"Settings({self.api_url!r})"  # without the secrets

    @property
    def loopback(self) -> bool:
        """Whether the API runs on this machine, like the sandbox."""
        return urlsplit(self.api_url).hostname in LOOPBACK

    @property
    def host(self) -> str:
        """Host and port, for messages and journal names."""
        return urlsplit(self.api_url).netloc


def _is_read_only(values: Mapping[str, str | None]) -> bool:
    return (values.get("NEXLA_READ_ONLY") or "").strip().lower() not in ("", "0", "false", "no")


def load_settings(values: Mapping[str, str | None], notes: Sequence[str] = ()) -> Settings:
    """Validate the NEXLA_* values.

    Args:
        values: the environment or the content of an env file. The two are never combined, so that a key is never sent
            to the wrong host. Only NEXLA_READ_ONLY is always read from the environment as well.
        notes: remarks from reading the values.

    Raises:
        OperatorError: CONFIG, when a secret is missing or the URL cannot be used.
    """
    noticed = list(notes)
    key = (values.get("NEXLA_SERVICE_KEY") or "").strip()
    token = (values.get("NEXLA_ACCESS_TOKEN") or "").strip()
    redact.remember(key, token)
    redact.remember_environment(values)
    url = _checked_url((values.get("NEXLA_API_URL") or "").strip() or DEFAULT_URL)
    if key and token:
        noticed.append("NEXLA_SERVICE_KEY and NEXLA_ACCESS_TOKEN are both set; using the service key")
    if not key and not token:
        raise config_error(
            "no credentials are set: neither NEXLA_SERVICE_KEY nor NEXLA_ACCESS_TOKEN",
            "export one of them, or pass --env-file FILE; to try it without an account: "
            + command_line("nexla_quickstart", "--sandbox"),
        )
    for name, secret in (("NEXLA_SERVICE_KEY", key), ("NEXLA_ACCESS_TOKEN", token)):
        if any(ch.isspace() or not ch.isprintable() for ch in secret) or not secret.isascii():
            raise config_error(f"{name} contains white space or characters that no key has", "copy the key again")
    read_only = _is_read_only(values) or _is_read_only(os.environ)
    return Settings(url, key or None, None if key else token, read_only, tuple(noticed))


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise config_error("NEXLA_API_URL is not a URL", f"for example {DEFAULT_URL}") from error
    if parts.username or parts.password:
        redact.remember(parts.password, parts.username)
        raise config_error("NEXLA_API_URL must not contain a user or password", f"for example {DEFAULT_URL}")
    if not host or parts.scheme not in ("https", "http") or any(ch.isspace() for ch in url):
        guess = DEFAULT_URL if parts.scheme or not parts.path or any(ch.isspace() for ch in url) else f"https://{url}"
        raise config_error(f"NEXLA_API_URL is not an http(s) URL: {url!r}", f"for example {guess}")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise config_error(
            "NEXLA_API_URL must use https (http only for localhost)", f"try https://{parts.netloc}{parts.path}"
        )
    if parts.query or parts.fragment:
        raise config_error(
            "NEXLA_API_URL must not contain a query or fragment", f"try https://{parts.netloc}{parts.path}"
        )
    return url.rstrip("/")
