"""From the environment (or an env file) to one session around the SDK's client.

The SDK does authentication, URLs and errors; answers are taken from the wire as they came, because the SDK throws the
paging headers away and its models refuse real answers. What the SDK does wrongly by default is switched off here.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import redact
from .errors import OperatorError, config_error
from .limits import Clock, Deadline, RateLimiter

if TYPE_CHECKING:
    import requests
    from nexla_sdk import NexlaClient

DEFAULT_URL = "https://dataops.nexla.io/nexla-api"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
READ_TIMEOUT = 30.0  # seconds without a byte
ANSWER_TIMEOUT = 300.0  # seconds for a whole answer, however steadily it drips
TOKEN_MARGIN = 60  # the SDK's default of 3600 fetches a token per call when tokens live an hour
CHUNK = 1 << 16


@dataclass(frozen=True)
class Settings:
    """Where to connect and as whom. Exactly one of the two secrets is set."""

    api_url: str
    service_key: str | None = field(repr=False, default=None)
    access_token: str | None = field(repr=False, default=None)
    read_only: bool = False
    notes: tuple[str, ...] = ()

    @property
    def loopback(self) -> bool:
        return urlsplit(self.api_url).hostname in LOOPBACK

    @property
    def host(self) -> str:
        """Host and port, for messages and journal names."""
        return urlsplit(self.api_url).netloc


def _says_read_only(values: Mapping[str, str | None]) -> bool:
    return (values.get("NEXLA_READ_ONLY") or "").strip().lower() not in ("", "0", "false", "no")


def load_settings(env_file: str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Checked settings. With an env file only that file counts, so that no key meets another host by accident.

    Raises:
        OperatorError: CONFIG, when a secret is missing or the URL cannot be used.
    """
    values: Mapping[str, str | None] = environ if environ is not None else os.environ
    notes = []
    if env_file:
        values = _read_env_file(env_file)
        if Path(env_file).stat().st_mode & 0o077:
            notes.append(f"{env_file} can be read by others; chmod 600 it")
    key = (values.get("NEXLA_SERVICE_KEY") or "").strip()
    token = (values.get("NEXLA_ACCESS_TOKEN") or "").strip()
    redact.remember(key, token)
    url = _checked_url((values.get("NEXLA_API_URL") or "").strip() or DEFAULT_URL)
    if key and token:
        notes.append("NEXLA_SERVICE_KEY and NEXLA_ACCESS_TOKEN are both set; using the service key")
    if not key and not token:
        raise config_error(
            "no credentials: NEXLA_SERVICE_KEY or NEXLA_ACCESS_TOKEN must be set",
            "export one of them, or pass --env-file FILE; to try without an account: "
            "python scripts/nexla_quickstart.py --sandbox",
        )
    for name, secret in (("NEXLA_SERVICE_KEY", key), ("NEXLA_ACCESS_TOKEN", token)):
        if any(ch.isspace() or not ch.isprintable() for ch in secret) or not secret.isascii():
            raise config_error(f"{name} holds white space or characters that no key has", "copy the key again")
    read_only = _says_read_only(values) or _says_read_only(os.environ)
    return Settings(url, key or None, None if key else token, read_only, tuple(notes))


def _read_env_file(path: str) -> Mapping[str, str | None]:
    from dotenv import dotenv_values

    try:
        with open(path, encoding="utf-8") as stream:
            return dotenv_values(stream=stream, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise config_error(f"cannot read the env file {path}: {error}") from error


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise config_error("NEXLA_API_URL is not a URL", f"an example is {DEFAULT_URL}") from error
    if parts.username or parts.password:
        redact.remember(parts.password, parts.username)
        raise config_error("NEXLA_API_URL must not hold a user or password", f"an example is {DEFAULT_URL}")
    if not host or parts.scheme not in ("https", "http") or any(ch.isspace() for ch in url):
        raise config_error(f"NEXLA_API_URL is not a web address: {url!r}", f"an example is {DEFAULT_URL}")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise config_error("NEXLA_API_URL must be https (plain http only on this machine)", f"try https://{host}")
    if parts.query or parts.fragment:
        raise config_error("NEXLA_API_URL must not hold a query or fragment", f"an example is {DEFAULT_URL}")
    return url.rstrip("/")


@dataclass
class Exchange:
    """One HTTP request as it went over the wire, and what came back."""

    method: str
    path: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    error: Exception | None = None
    authorization: str = field(default="", repr=False)


class Session:
    """One authenticated connection. Safe for a few reading threads; everything above it goes through ``send``.

    Args:
        settings: from ``load_settings``.
        deadline: the command's deadline; every read is cut at it.
        limiter: shared rate limiter.
    """

    def __init__(self, settings: Settings, deadline: Deadline, limiter: RateLimiter) -> None:
        self.settings = settings
        self.deadline = deadline
        self.limiter = limiter
        self.requests = 0
        self._local = threading.local()
        self._count_lock = threading.Lock()
        self.client = self._build_client()

    def _build_client(self) -> NexlaClient:
        from nexla_sdk import NexlaClient
        from nexla_sdk.http_client import RequestsHttpClient

        http = RequestsHttpClient(timeout=READ_TIMEOUT, max_retries=0)
        http.session.auth = _keep_authorization  # else .netrc replaces the credentials
        http.session.trust_env = not self.settings.loopback  # a proxy cannot reach the sandbox
        for scheme in ("https://", "http://"):
            http.session.mount(scheme, _wire_adapter(self))
        client = NexlaClient(
            service_key=self.settings.service_key,
            access_token=self.settings.access_token,
            base_url=self.settings.api_url,
            http_client=http,
            token_refresh_margin=TOKEN_MARGIN,
        )
        _make_token_fetch_safe(self, client)
        return client

    def path_of(self, url: str) -> str:
        return urlsplit(url.removeprefix(self.settings.api_url)).path

    def authorization_used(self) -> str | None:
        """The header that this thread's current call sent last; None before its first request."""
        exchanges = getattr(self._local, "exchanges", [])
        return exchanges[-1].authorization if exchanges else None

    def record(self, exchange: Exchange) -> None:
        with self._count_lock:
            self.requests += 1
        self._local.exchanges.append(exchange)

    def send(self, method: str, path: str, params: Mapping[str, Any] | None, body: Any) -> Exchange:
        """One attempt of one request, through the SDK.

        Returns:
            The request's own exchange; or the token's, when no token could be had and nothing else was sent.

        Raises:
            OperatorError: the deadline passed before anything was sent.
        """
        self._local.exchanges = []
        cause: Exception | None = None
        try:
            self.client.request(
                method, path, params=dict(params or {}), json=body, allow_redirects=False, timeout=READ_TIMEOUT
            )
        except OperatorError:
            raise
        except Exception as error:  # the SDK's classes do not say what happened; the exchange does
            cause = error
        exchanges: list[Exchange] = self._local.exchanges
        own = [entry for entry in exchanges if (entry.method, entry.path) == (method, path)]
        if own and not (exchanges[-1].path == "/token" and exchanges[-1].status != 200):
            return own[-1]
        if exchanges:
            return exchanges[-1]
        return Exchange(method, path, error=_deadline_in(cause) or cause)


def _deadline_in(error: BaseException | None) -> Exception | None:
    """An OperatorError that the SDK wrapped, if there is one."""
    while error is not None:
        if isinstance(error, OperatorError):
            raise error
        error = error.__cause__ or error.__context__
    return None


def _keep_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An auth that changes nothing: requests then leaves .netrc alone."""
    return request


def _make_token_fetch_safe(session: Session, client: NexlaClient) -> None:
    """Let one thread fetch a token while the others wait for it, and accept only a real token.

    The SDK has no lock, takes ``Authorization: Bearer None`` from an answer without a token, and adds a text
    ``expires_in`` to a number.
    """
    handler: Any = client.auth_handler
    lock = threading.Lock()
    fetch = handler.obtain_session_token

    def obtain() -> None:
        used = session.authorization_used()
        with lock:
            current = handler._access_token
            if current and used and used != f"Bearer {current}":
                return  # another thread has replaced the token that was refused
            if current and used is None and handler._token_expiry - time.time() > TOKEN_MARGIN:
                return
            fetch()
            if not isinstance(handler._access_token, str) or not handler._access_token:
                handler._access_token = None
                raise ValueError("the answer to POST /token holds no access_token")
            redact.remember(handler._access_token)

    handler.obtain_session_token = obtain


def _wire_adapter(session: Session) -> requests.adapters.HTTPAdapter:
    """The one place where requests leave: rate, deadline, no retries, and a record of every exchange."""
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter

    class WireAdapter(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            deadline = session.deadline
            path, method = session.path_of(request.url or ""), request.method or ""
            session.limiter.wait(method, path, deadline)
            deadline.check()
            exchange = Exchange(method, path, authorization=str(request.headers.get("Authorization", "")))
            session.record(exchange)
            kwargs["timeout"] = min(READ_TIMEOUT, deadline.left())
            try:
                response = super().send(request, *args, **kwargs)
                response._content = self._body(response, deadline)
                response._content_consumed = True  # type: ignore[attr-defined]  # requests' own flag
            except (requests.RequestException, urllib3.exceptions.HTTPError, ssl.SSLError, OSError) as error:
                exchange.error = error
                raise requests.ConnectionError(type(error).__name__) from error
            exchange.status, exchange.headers = response.status_code, response.headers
            exchange.text = response.content.decode("utf-8", errors="replace")
            return response

        @staticmethod
        def _body(response: requests.Response, deadline: Deadline) -> bytes:
            parts, latest = [], Clock.now() + ANSWER_TIMEOUT
            while chunk := response.raw.read1(CHUNK, decode_content=True):
                parts.append(chunk)
                if deadline.left() <= 0 or Clock.now() > latest:
                    raise requests.ReadTimeout("the answer dripped in for too long")
            return b"".join(parts)

    return WireAdapter(max_retries=0)
