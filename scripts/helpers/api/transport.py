"""``call()``: the one way to the API, with the retry policy of each verb.

Errors are classified by HTTP status and by what happened on the wire, never by the SDK's exception class.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import tenacity

from helpers.api.session import Exchange, Session
from helpers.core.errors import Exit, OperatorError
from helpers.core.limits import DEFAULT_RATES
from helpers.core.redact import excerpt
from helpers.core.settings import DEFAULT_URL
from retry_helpers import RETRYABLE_STATUSES, is_network_error, parse_retry_after, stop_when_told_too_long, wait_as_told

HANDSHAKE_FAULTS = ("CERTIFICATE", "WRONG_VERSION", "UNSUPPORTED_PROTOCOL", "HANDSHAKE", "UNKNOWN_CA", "HOSTNAME")
MAX_TRIES = 4
LONGEST_WAIT = 60.0  # seconds; a server that asks for more ends the retries, unless the deadline allows less anyway
BACKOFF = wait_as_told(base=0.5, cap=8.0)


Effect = Literal["read", "repeat", "once"]  # repeat: doing it twice is doing it once
DEFAULT_EFFECTS: dict[str, Effect] = {"GET": "read", "POST": "once"}


@dataclass(frozen=True)
class Answer:
    """A good answer: parsed JSON (None when the body was empty) and headers."""

    data: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int | None:
        """``X-Total-Count``, the number of all matching rows."""
        value = self.headers.get("X-Total-Count")
        return int(value) if value and value.isdigit() else None


class ApiError(OperatorError):
    """A request that failed.

    Attributes:
        method, path: the request.
        sent: whether the server may have seen it. False only when that is certain.
        settled: whether the answer proves that nothing was changed.
        headers: of the answer.
    """

    def __init__(self, code: Exit, message: str, *, exchange: Exchange, sent: bool, settled: bool, **more: Any) -> None:
        request_id = exchange.headers.get("X-Request-Id") or exchange.headers.get("X-Request-ID")
        super().__init__(code, message, http_status=exchange.status, request_id=request_id, **more)
        self.method, self.path = exchange.method, exchange.path
        self.headers = exchange.headers
        self.sent, self.settled = sent, settled


def _silent(text: str) -> None:
    """Say nothing."""


def refuse_if_read_only(session: Session, what: str) -> None:
    """Raises: OperatorError (CONFIG) while NEXLA_READ_ONLY is set, in the environment or the env file."""
    if session.settings.read_only:
        text = f"NEXLA_READ_ONLY is set: {what} was not sent"
        raise OperatorError(Exit.CONFIG, text, hint="unset NEXLA_READ_ONLY to write")


def call(
    session: Session,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    body: Any = None,
    expect: type | tuple[type, ...] = dict,
    effect: Effect | None = None,
    say: Callable[[str], None] = _silent,
) -> Answer:
    """One API call with retries.

    GET, PUT and DELETE are repeated on 429, 502, 503, 504 and network faults, up to four tries, and once on 500. A
    POST is repeated only when it certainly did not run: refused connection, 429, or a token that could not be had.

    Args:
        path: below the API URL, with ids checked by the caller.
        effect: what the request does, where its method does not tell: a POST that only reads, a PUT that must not be
            sent twice.
        expect: the JSON types that count as an answer; ``type(None)`` among them allows an empty body.
        say: told about every wait.

    Raises:
        ApiError: with the exit code that fits; UPSTREAM and a false ``settled`` when a write may have happened.
        OperatorError: TIMEOUT when the deadline passes; CONFIG when NEXLA_READ_ONLY forbids the write.
    """
    effect = effect or DEFAULT_EFFECTS.get(method, "repeat")
    if effect != "read":
        refuse_if_read_only(session, f"{method} {path}")

    def once() -> Answer:
        return _answer(session, session.send(method, path, params, body), path, expect)

    def announce(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        _slow_down(session, error, state.attempt_number)
        pause = state.next_action.sleep if state.next_action else 0.0
        say(f"{method} {path}: {error}; trying again in {pause:.1f} s")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: _may_repeat(error, once=effect == "once")),
        wait=BACKOFF,
        stop=tenacity.stop_any(_Enough(), stop_when_told_too_long(min(LONGEST_WAIT, session.deadline.left()))),
        sleep=session.deadline.sleep,
        before_sleep=announce,
        reraise=True,
    )
    return retrying(once)


class _Enough(tenacity.stop.stop_base):
    """Four tries, but only two when the answer is a 500, which is often a permanent fault."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        tries = 2 if isinstance(error, ApiError) and error.http_status == 500 else MAX_TRIES
        return retry_state.attempt_number >= tries


def _may_repeat(error: BaseException, *, once: bool) -> bool:
    if not isinstance(error, ApiError) or not error.retryable:
        return False
    return not once or error.path == "/token" or not error.sent or error.http_status == 429


def _slow_down(session: Session, error: BaseException | None, attempt: int) -> None:
    """At the first 429 ask the server for its limits and keep below them; at the second go down to one a second."""
    if not isinstance(error, ApiError) or error.http_status != 429:
        return
    if attempt > 1:
        session.limiter.crawl()
        return
    exchange = session.send("GET", "/limits", None, None)
    try:
        second = json.loads(exchange.text)["second"]
        told = {name: float(second[name]["limit"]) for name in DEFAULT_RATES}
    except (ValueError, KeyError, TypeError):
        return
    session.limiter.lower(told)


def _answer(session: Session, exchange: Exchange, path: str, expect: type | tuple[type, ...]) -> Answer:
    expected = expect if isinstance(expect, tuple) else (expect,)
    if exchange.path != path and exchange.path == "/token":
        raise _token_failure(session, exchange)
    if exchange.error is not None or exchange.status is None:
        raise _network_failure(session, exchange)
    if exchange.status >= 300:
        raise _refusal(session, exchange)
    if not exchange.text.strip():
        if type(None) in expected:
            return Answer(None, exchange.headers)
        raise _unreadable(exchange, "an empty answer")
    try:
        data = json.loads(exchange.text)
    except ValueError:
        what = "HTML, not JSON (a proxy or sign-in page?)" if "<html" in exchange.text.lower() else "not JSON"
        raise _unreadable(exchange, what) from None
    if not isinstance(data, tuple(kind for kind in expected if kind is not type(None)) or dict):
        raise _unreadable(exchange, f"a {type(data).__name__} where {_names(expected)} was expected")
    return Answer(data, exchange.headers)


def _names(kinds: tuple[type, ...]) -> str:
    words = {dict: "an object", list: "a list", type(None): "nothing"}
    return " or ".join(words.get(kind, kind.__name__) for kind in kinds)


def _unreadable(exchange: Exchange, what: str) -> ApiError:
    shown = excerpt(exchange.text)
    return ApiError(
        Exit.UPSTREAM,
        f"{exchange.method} {exchange.path} answered {exchange.status} with {what}" + (f": {shown}" if shown else ""),
        exchange=exchange,
        sent=True,
        settled=exchange.method == "GET",
        hint="check NEXLA_API_URL and any proxy with: python scripts/nexla_quickstart.py",
    )


def _token_failure(session: Session, exchange: Exchange) -> ApiError:
    """Login failed, so the request itself was never sent."""
    host = session.settings.host
    if exchange.error is not None or exchange.status is None:
        error = _network_failure(session, exchange)
        error.sent, error.settled = False, True
        return error
    code, retryable, hint = Exit.UPSTREAM, exchange.status in RETRYABLE_STATUSES | {500}, ""
    if exchange.status == 401:
        code, text = Exit.AUTH, f"{host} refused the service key"
        hint = "make a new key in the Nexla UI and set NEXLA_SERVICE_KEY"
    elif exchange.status == 429:
        code, text = Exit.THROTTLED, f"{host} answered 429 to the login"
    elif exchange.status in (404, 405, 301, 302, 307, 308):
        code, text = Exit.CONFIG, f"no Nexla API at {session.settings.api_url}: /token answered {exchange.status}"
        hint = f"check NEXLA_API_URL; the default is {DEFAULT_URL}"
    elif exchange.status >= 400:
        text = f"login at {host} answered {exchange.status}: {_message(exchange)}"
        code = Exit.UPSTREAM if exchange.status >= 500 else Exit.AUTH
    else:
        text = f"login at {host} answered {exchange.status} without a token: {excerpt(exchange.text)}"
        hint = "a proxy or sign-in page may stand in between; check NEXLA_API_URL"
    return ApiError(code, text, exchange=exchange, sent=False, settled=True, retryable=retryable, hint=hint)


def _network_failure(session: Session, exchange: Exchange) -> ApiError:
    error = exchange.error or RuntimeError("nothing was sent")
    names = " ".join(type(item).__name__ + " " + str(item) for item in _causes(error))
    host, where = session.settings.host, f"{exchange.method} {exchange.path}"
    hint, sent = "check the network and NEXLA_API_URL", True
    if "SSLError" in names or "CERTIFICATE" in names:
        sent = not any(word in names.upper() for word in HANDSHAKE_FAULTS)
        text, hint = f"TLS to {host} failed: {excerpt(str(error))}", "check the certificate and the URL"
    elif "NameResolutionError" in names or "gaierror" in names:
        text, sent, hint = f"the host {host} cannot be found (DNS)", False, "check NEXLA_API_URL"
    elif "ConnectionRefusedError" in names or "NewConnectionError" in names:
        text, sent = f"nothing listens at {host} (connection refused)", False
    elif "ProxyError" in names:
        text, sent = f"the proxy did not let {where} through", False
    elif "ConnectTimeout" in names:
        text, sent = f"{host} did not accept a connection in time", False
    elif "Timeout" in names or "timed out" in names:
        text = f"{where} got no answer in time"
    else:
        text = f"{where}: the connection broke ({type(error).__name__})"
    return ApiError(
        Exit.UPSTREAM,
        text,
        exchange=exchange,
        sent=sent,
        settled=not sent,
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


def _refusal(session: Session, exchange: Exchange) -> ApiError:
    status = exchange.status or 0
    where = f"{exchange.method} {exchange.path}"
    text = f"{where} answered {status}: {_message(exchange)}"
    code, hint = Exit.ERROR, ""
    if status < 400:
        code, text = Exit.CONFIG, f"{where} was redirected ({status}); redirects are not followed"
        hint = f"set NEXLA_API_URL to the final address; now {session.settings.api_url}"
    elif status == 401:
        code, text = Exit.AUTH, f"{where} answered 401: the session token is wrong or has expired"
        hint = "get a new NEXLA_ACCESS_TOKEN, or use NEXLA_SERVICE_KEY, which renews tokens by itself"
    elif status == 403:
        code, hint = Exit.AUTH, "your role on this resource is too weak, or its credential was refused"
    elif status == 404:
        code, hint = Exit.NOT_FOUND, "check the id and that you may see it: python scripts/list_resources.py --help"
    elif status == 429:
        wait = parse_retry_after(exchange.headers.get("Retry-After"))
        told = f"; the server asks to wait {wait:g} s" if wait is not None else ""
        code, text, hint = Exit.THROTTLED, f"{where} answered 429{told}", "wait, or use a lower --rps"
    elif status >= 500:
        code = Exit.UPSTREAM
    retryable = status in RETRYABLE_STATUSES or status == 500
    settled = exchange.method == "GET" or status < 500
    return ApiError(code, text, exchange=exchange, sent=True, settled=settled, retryable=retryable, hint=hint)
