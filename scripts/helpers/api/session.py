"""One session around the SDK's client.

The SDK handles authentication, URLs and errors. Responses are recorded on the wire, because the SDK discards the paging
headers and its models reject real responses. This module also turns off harmful defaults of the SDK.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from nexla_sdk import NexlaClient
from nexla_sdk.http_client import RequestsHttpClient
from requests.adapters import HTTPAdapter

from helpers.core import redact
from helpers.core.errors import OperatorError
from helpers.core.limits import Clock, Deadline, RateLimiter
from helpers.core.settings import Settings
from helpers.core.version import NAME, VERSION

READ_TIMEOUT = 30.0  # seconds without a byte
RESPONSE_TIMEOUT = 300.0  # seconds for a complete response, even one that keeps trickling in
TOKEN_MARGIN = 60  # seconds; the SDK's default of 3600 fetches a token per call when tokens live an hour
CHUNK = 1 << 16
MIN_CLOCK_SKEW = 2.0  # seconds; a smaller difference may come from the header's resolution of one second
USER_AGENT = f"{NAME}/{VERSION}"


@dataclass
class Exchange:
    """One HTTP request as it was sent, and its response or network error."""

    method: str
    path: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    error: Exception | None = None
    authorization: str = field(default="", repr=False)


class Session:
    """One authenticated connection. Several threads may read through it; every request goes through ``send``.

    Args:
        settings: from ``load_settings``.
        deadline: the command's deadline; it also limits every read.
        limiter: the rate limiter that all threads share.

    Attributes:
        requests: the number of HTTP requests sent so far.
        has_written: whether a write was applied, or may have been.
        user_id, org_id: the caller and their organisation; None until a token was fetched.
    """

    def __init__(self, settings: Settings, deadline: Deadline, limiter: RateLimiter) -> None:
        self.settings = settings
        self.deadline = deadline
        self.limiter = limiter
        self.requests = 0
        self.has_written = False
        self._clock_skew = 0.0  # seconds that the server's clock is ahead
        self.user_id: int | None = None
        self.org_id: int | None = None
        self._local = threading.local()
        self._count_lock = threading.Lock()
        self.client = self._build_client()

    def _build_client(self) -> NexlaClient:
        http = RequestsHttpClient(timeout=READ_TIMEOUT, max_retries=0)
        http.session.auth = _keep_authorization  # otherwise .netrc would replace the credentials
        http.session.trust_env = not self.settings.loopback  # a proxy could not reach the sandbox
        http.session.max_redirects = 0  # else the SDK's login would follow them, and take the key along
        for scheme in ("https://", "http://"):
            http.session.mount(scheme, WireAdapter(self))
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
        """The path of a URL, below the API URL."""
        return urlsplit(url.removeprefix(self.settings.api_url)).path

    def authorization_used(self) -> str | None:
        """The Authorization header that this thread's current call sent last; None before its first request."""
        exchanges = getattr(self._local, "exchanges", [])
        return exchanges[-1].authorization if exchanges else None

    def record(self, exchange: Exchange) -> None:
        """Add an exchange to this thread's current call."""
        with self._count_lock:
            self.requests += 1
        self._local.exchanges.append(exchange)

    def wait_for_turn(self, method: str, path: str) -> None:
        """Wait until the next request may be sent. What ends the command instead is noted: the SDK wraps it.

        Raises:
            OperatorError: TIMEOUT or INTERRUPTED.
        """
        try:
            self.limiter.wait(method, path, self.deadline)
            self.deadline.check()
        except OperatorError as error:
            self._local.kept_back = error
            raise

    def note_time(self, date: str | None) -> None:
        """Measure the server's clock by a ``Date`` header, which has a resolution of one second."""
        try:
            skew = parsedate_to_datetime(date or "").timestamp() - time.time()
        except ValueError:
            return
        self._clock_skew = skew if abs(skew) > MIN_CLOCK_SKEW else 0.0

    def note_user(self, token_response: str) -> None:
        """Remember the caller, their organisation and every secret from the body of the token response."""
        try:
            document = json.loads(token_response)
            redact.remember_document(document)
            self.user_id, self.org_id = int(document["user"]["id"]), int(document["org"]["id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return

    def server_time(self) -> float:
        """The current time in epoch seconds by the server's clock, because run ids are times of the server."""
        return time.time() + self._clock_skew

    def send(self, method: str, path: str, params: Mapping[str, Any] | None, body: Any) -> Exchange:
        """Make one attempt at a request, through the SDK.

        Returns:
            The exchange of the request; or that of the login, when it failed and the request was not sent.

        Raises:
            OperatorError: TIMEOUT or INTERRUPTED before anything was sent.
        """

        def request() -> None:
            self.client.request(method, path, params=dict(params or {}), json=body, timeout=READ_TIMEOUT)

        exchanges, cause = self._watch(request)
        return exchanges[-1] if exchanges else Exchange(method, path, error=cause)

    def log_in(self) -> Exchange | None:
        """Make one attempt to fetch a token with the service key, unless there is a valid one.

        Returns:
            The exchange of a login that failed; None when there is a valid token.

        Raises:
            OperatorError: as ``send``.
        """
        handler: Any = self.client.auth_handler
        exchanges, cause = self._watch(handler.ensure_valid_token)
        return exchanges[-1] if exchanges and cause is not None else None

    def _watch(self, action: Callable[[], Any]) -> tuple[list[Exchange], Exception | None]:
        """Do something with the SDK; returns what went over the wire, and the SDK's error.

        Raises:
            OperatorError: TIMEOUT or INTERRUPTED, which kept back the request that would have been next.
        """
        self._local.exchanges, self._local.kept_back = [], None
        cause: Exception | None = None
        try:
            action()
        except Exception as error:  # the SDK's classes do not tell what happened; the exchange does
            cause = error
        if self._local.kept_back is not None:
            raise self._local.kept_back from None
        return self._local.exchanges, cause


def _keep_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An auth handler that changes nothing, so that requests does not use .netrc."""
    return request


def _make_token_fetch_safe(session: Session, client: NexlaClient) -> None:
    """Let one thread fetch a token while the others wait, and accept only a real token.

    The SDK does not lock, sends ``Authorization: Bearer None`` after a response without a token, and fails on an
    ``expires_in`` that is a string.
    """
    handler: Any = client.auth_handler
    lock = threading.Lock()
    fetch = handler.obtain_session_token

    def obtain() -> None:
        used = session.authorization_used()
        with lock:
            current = handler._access_token
            if current and used and used != f"Bearer {current}":
                return  # another thread has already replaced the rejected token
            if current and used is None and handler._token_expiry - time.time() > TOKEN_MARGIN:
                return
            fetch()
            if not isinstance(handler._access_token, str) or not handler._access_token:
                handler._access_token = None
                raise ValueError("the response to POST /token has no access_token")
            redact.remember(handler._access_token)

    handler.obtain_session_token = obtain


class WireAdapter(HTTPAdapter):
    """The one place that sends requests: rate limit, deadline, User-Agent, no retries, a record of every exchange."""

    def __init__(self, session: Session) -> None:
        super().__init__(max_retries=0)
        self._session = session

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        session, deadline = self._session, self._session.deadline
        path, method = session.path_of(request.url or ""), request.method or ""
        session.wait_for_turn(method, path)
        request.headers["User-Agent"] = USER_AGENT
        exchange = Exchange(method, path, authorization=str(request.headers.get("Authorization", "")))
        session.record(exchange)
        kwargs["timeout"] = min(READ_TIMEOUT, deadline.left())
        try:
            response = super().send(request, *args, **kwargs)
            response._content = _read_body(response, deadline)
            response._content_consumed = True  # type: ignore[attr-defined]  # requests' own flag
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            exchange.error = error
            raise requests.ConnectionError(type(error).__name__) from error
        exchange.status, exchange.headers = response.status_code, response.headers
        session.note_time(response.headers.get("Date"))
        exchange.text = response.content.decode("utf-8", errors="replace")
        if path == "/token":
            session.note_user(exchange.text)
        return response


def _read_body(response: requests.Response, deadline: Deadline) -> bytes:
    """Read the body in parts, so that a server that sends it slowly cannot exceed the deadline."""
    parts, latest = [], Clock.now() + RESPONSE_TIMEOUT
    while chunk := response.raw.read1(CHUNK, decode_content=True):
        parts.append(chunk)
        if deadline.left() <= 0 or Clock.now() > latest:
            raise requests.ReadTimeout("the response took too long to arrive")
    return b"".join(parts)
