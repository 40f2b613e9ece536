"""Classifying failed requests by HTTP status and by what happened on the wire.

The SDK's exception classes are ignored: its ``ServerError`` covers every status without a class of its own, and every
network fault.
"""

from __future__ import annotations

import json
from typing import Any

from helpers.api.session import Exchange
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.redact import excerpt
from helpers.core.settings import DEFAULT_URL, Settings
from retry_helpers import RETRYABLE_STATUSES, is_network_error, parse_retry_after

HANDSHAKE_FAULTS = ("CERTIFICATE", "WRONG_VERSION", "UNSUPPORTED_PROTOCOL", "HANDSHAKE", "UNKNOWN_CA", "HOSTNAME")


class ApiError(OperatorError):
    """A request that failed.

    Attributes:
        method, path: the request.
        sent: whether the server may have received it; False only when it certainly did not.
        known_not_applied: whether it is certain that the request changed nothing.
        headers: the headers of the response.
    """

    def __init__(
        self, code: Exit, message: str, *, exchange: Exchange, sent: bool, known_not_applied: bool, **more: Any
    ) -> None:
        request_id = exchange.headers.get("X-Request-Id") or exchange.headers.get("X-Request-ID")
        super().__init__(code, message, http_status=exchange.status, request_id=request_id, **more)
        self.method, self.path = exchange.method, exchange.path
        self.headers = exchange.headers
        self.sent, self.known_not_applied = sent, known_not_applied


def type_names(kinds: tuple[type, ...]) -> str:
    """The names of JSON types, for messages."""
    words: dict[type, str] = {
        dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number", bool: "a boolean",
        type(None): "nothing",
    }  # fmt: skip
    return " or ".join(words.get(kind, kind.__name__) for kind in kinds)


def content_failure(exchange: Exchange, what: str) -> ApiError:
    """The error for a response with unusable content.

    Args:
        what: what the response contained instead of the expected content.
    """
    shown = excerpt(exchange.text)
    return ApiError(
        Exit.UPSTREAM,
        f"{exchange.method} {exchange.path} returned {exchange.status} with {what}" + (f": {shown}" if shown else ""),
        exchange=exchange,
        sent=True,
        known_not_applied=exchange.method == "GET",
        hint=f"check NEXLA_API_URL and any proxy with: {command_line('nexla_quickstart')}",
    )


def token_failure(settings: Settings, exchange: Exchange) -> ApiError:
    """The error for a failed login. The request that needed the token had no effect.

    A status that would say something about a resource, such as 404, stays out of ``http_status``.
    """
    host = settings.host
    if exchange.error is not None or exchange.status is None:
        error = network_failure(settings, exchange)
        error.sent, error.known_not_applied = False, True
        return error
    code, retryable, hint = Exit.UPSTREAM, exchange.status in RETRYABLE_STATUSES | {500}, ""
    if exchange.status == 401:
        code, text = Exit.AUTH, f"{host} rejected the service key"
        hint = "create a new key in the Nexla UI and set NEXLA_SERVICE_KEY"
    elif exchange.status == 429:
        code, text = Exit.THROTTLED, f"login at {host} returned 429"
    elif exchange.status in (404, 405, 301, 302, 307, 308):
        code, text = Exit.CONFIG, f"no Nexla API at {settings.api_url}: /token returned {exchange.status}"
        hint = f"check NEXLA_API_URL; the default is {DEFAULT_URL}"
    elif exchange.status >= 400:
        text = f"login at {host} returned {exchange.status}: {_message(exchange)}"
        code = Exit.UPSTREAM if exchange.status >= 500 else Exit.AUTH
    else:
        text = f"login at {host} returned {exchange.status} without a token, but with {excerpt(exchange.text)}"
        hint = "a proxy or sign-in page may be in between; check NEXLA_API_URL"
    error = ApiError(code, text, exchange=exchange, sent=False, known_not_applied=True, retryable=retryable, hint=hint)
    if exchange.status not in (401, 429) and exchange.status < 500:
        error.http_status = None
    return error


def network_failure(settings: Settings, exchange: Exchange) -> ApiError:
    """The error for a request that got no response."""
    error = exchange.error or RuntimeError("nothing was sent")
    names = " ".join(type(item).__name__ + " " + str(item) for item in _causes(error))
    host, where = settings.host, f"{exchange.method} {exchange.path}"
    hint, sent = "check the network and NEXLA_API_URL", True
    if "SSLError" in names or "CERTIFICATE" in names:
        sent = not any(word in names.upper() for word in HANDSHAKE_FAULTS)
        text, hint = f"TLS to {host} failed: {excerpt(str(error))}", "check the certificate and the URL"
    elif "NameResolutionError" in names or "gaierror" in names:
        text, sent, hint = f"cannot resolve the host {host} (DNS)", False, "check NEXLA_API_URL"
    elif "ConnectionRefusedError" in names or "NewConnectionError" in names:
        text, sent = f"nothing is listening at {host} (connection refused)", False
    elif "ProxyError" in names:
        text, sent = f"the proxy rejected {where}", False
    elif "ConnectTimeout" in names:
        text, sent = f"{host} did not accept a connection in time", False
    elif "Timeout" in names or "timed out" in names:
        text = f"{where} timed out without a response"
    else:
        text = f"{where}: the connection was lost ({type(error).__name__})"
    return ApiError(
        Exit.UPSTREAM,
        text,
        exchange=exchange,
        sent=sent,
        known_not_applied=not sent,
        retryable=is_network_error(error),
        hint=hint,
    )


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    item: BaseException | None = error
    while item is not None and item not in found:
        found.append(item)
        reason = getattr(item, "reason", None) or next(iter(item.args[:1]), None)
        item = reason if isinstance(reason, BaseException) else item.__cause__ or item.__context__
    return found


def _message(exchange: Exchange) -> str:
    try:
        body = json.loads(exchange.text)
    except ValueError:
        return excerpt(exchange.text) or "no message"
    if isinstance(body, dict):
        return excerpt(str(body.get("message") or body.get("error") or exchange.text))
    return excerpt(exchange.text)


def _is_by_the_api(exchange: Exchange) -> bool:
    """Whether a 404 can come from the API: its own has no body, or a JSON object (public server sources)."""
    try:
        return not exchange.text.strip() or isinstance(json.loads(exchange.text), dict)
    except ValueError:
        return False


def _gateway_failure(exchange: Exchange) -> ApiError:
    """The error for a 404 by a gateway: whether the resource exists is unknown, so that ``http_status`` is None."""
    error = content_failure(exchange, "a page that is not from the API (a proxy or gateway?)")
    error.http_status, error.retryable = None, True
    return error


def status_failure(settings: Settings, exchange: Exchange) -> ApiError:
    """The error for a response with a status of 300 or above."""
    status = exchange.status or 0
    where = f"{exchange.method} {exchange.path}"
    if status == 404 and not _is_by_the_api(exchange):
        return _gateway_failure(exchange)
    text = f"{where} returned {status}: {_message(exchange)}"
    code, hint = Exit.ERROR, ""
    if status < 400:
        code, text = Exit.CONFIG, f"{where} was redirected ({status}); redirects are not followed"
        hint = f"set NEXLA_API_URL to the final URL; it is {settings.api_url}"
    elif status == 401:
        code, text = Exit.AUTH, f"{where} returned 401: the session token is invalid or has expired"
        hint = "get a new NEXLA_ACCESS_TOKEN, or use NEXLA_SERVICE_KEY, which renews tokens automatically"
    elif status == 403:
        code, hint = Exit.AUTH, "your role on this resource is not sufficient, or its credential was rejected"
    elif status == 404:
        code, hint = Exit.NOT_FOUND, f"check the id and your access: {command_line('list_resources', '--help')}"
    elif status == 429:
        wait = parse_retry_after(exchange.headers.get("Retry-After"))
        requested = f"; the server asks you to wait {wait:g} s" if wait is not None else ""
        code, text, hint = Exit.THROTTLED, f"{where} returned 429{requested}", "wait, or use a lower --rps"
    elif status >= 500:
        code = Exit.UPSTREAM
    retryable = status in RETRYABLE_STATUSES or status == 500
    unchanged = exchange.method == "GET" or status < 500
    return ApiError(
        code, text, exchange=exchange, sent=True, known_not_applied=unchanged, retryable=retryable, hint=hint
    )
