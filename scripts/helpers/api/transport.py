"""``call()``: every API request goes through it. It applies the retry policy of each HTTP method.

Errors are classified by HTTP status and by what happened on the wire, never by the SDK's exception class.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import tenacity

from helpers.api.failures import ApiError, content_failure, network_failure, status_failure, token_failure, type_names
from helpers.api.session import Exchange, Session
from helpers.core.errors import Exit, OperatorError
from helpers.core.limits import DEFAULT_RATES, Deadline
from retry_helpers import stop_if_wait_exceeds, wait_as_requested

MAX_ATTEMPTS = 4
MAX_TOTAL_DIGITS = 12  # Python refuses to read a number of thousands of digits
LONGEST_WAIT = 60.0  # seconds; the retries end when the server asks for a longer wait, or the deadline is nearer
BACKOFF = wait_as_requested(base=0.5, cap=8.0)

Effect = Literal["read", "repeat", "once"]  # repeat: an idempotent write; once: a write that must not be repeated
DEFAULT_EFFECTS: dict[str, Effect] = {"GET": "read", "POST": "once"}


@dataclass(frozen=True)
class Response:
    """A successful response: parsed JSON (None for an empty body) and headers."""

    data: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int | None:
        """``X-Total-Count``, the number of all matching rows."""
        value = (self.headers.get("X-Total-Count") or "").strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) <= MAX_TOTAL_DIGITS else None


def _silent(text: str) -> None:
    """The default of ``report``: discard the line."""


def refuse_if_read_only(session: Session, what: str) -> None:
    """Check that writes are allowed.

    Args:
        what: the write, for the message.

    Raises:
        OperatorError: CONFIG, while NEXLA_READ_ONLY is set in the environment or the env file; ERROR, when a step of a
            dry run tries to write, which is a defect.
    """
    if session.settings.dry_run:
        raise OperatorError(Exit.ERROR, f"a dry run must not write: {what} was not sent")
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
    report: Callable[[str], None] = _silent,
) -> Response:
    """Call the API, with retries.

    GET, PUT and DELETE are retried after 429, 502, 503, 504 and network faults, up to four attempts, and once after a
    500. A POST is retried only when it certainly did not run: after a refused connection, a 429 or a failed login.

    Args:
        path: path below the API URL; the caller has checked the ids in it.
        effect: what the request does, when its method does not tell: ``read`` for a POST that only reads, ``once``
            for a PUT that must not be repeated, ``repeat`` for a GET that stores something.
        expect: the JSON types that the response may have; ``type(None)`` allows an empty body.
        report: called with one line before every wait.

    Raises:
        ApiError: the request failed. UPSTREAM without ``known_not_applied`` means that a write may have happened.
        OperatorError: TIMEOUT, when the deadline passes; CONFIG, when NEXLA_READ_ONLY forbids the write.
    """
    effect = effect or DEFAULT_EFFECTS.get(method, "repeat")
    if effect != "read":
        refuse_if_read_only(session, f"{method} {path}")

    def once() -> Response:
        try:
            response = _read_response(session, session.send(method, path, params, body), path, expect)
        except ApiError as error:
            session.has_written |= effect != "read" and not error.known_not_applied
            raise
        session.has_written |= effect != "read"
        return response

    return _retrying(session, effect, report)(once)


def log_in(session: Session, report: Callable[[str], None] = _silent) -> None:
    """Fetch a token with the service key, unless there is a valid one, with the retries of a GET.

    Raises:
        ApiError: the login failed.
    """

    def once() -> None:
        failed = session.log_in()
        if failed is not None:
            raise token_failure(session.settings, failed)

    _retrying(session, "read", report)(once)


def _retrying(session: Session, effect: Effect, report: Callable[[str], None]) -> tenacity.Retrying:
    def announce(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        _lower_rate(session, error, state.attempt_number)
        pause = state.next_action.sleep if state.next_action else 0.0
        report(f"{error}; retrying in {pause:.1f} s")

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: _may_retry(error, once=effect == "once")),
        wait=BACKOFF,
        stop=tenacity.stop_any(_StopAfterAttempts(), _StopIfAskedToWaitLonger(session.deadline)),
        sleep=session.deadline.sleep,
        before_sleep=announce,
        reraise=True,
    )


class _StopAfterAttempts(tenacity.stop.stop_base):
    """Stop after four attempts, or after two when the status is 500, which is often a permanent fault."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        attempts = 2 if isinstance(error, ApiError) and error.http_status == 500 else MAX_ATTEMPTS
        return retry_state.attempt_number >= attempts


class _StopIfAskedToWaitLonger(tenacity.stop.stop_base):
    """Stop when the server asks for a wait of more than a minute, or than the time left."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        left = max(self._deadline.left(), 0.0)  # when none is left, the sleep raises TIMEOUT
        return stop_if_wait_exceeds(min(LONGEST_WAIT, left))(retry_state)


def _may_retry(error: BaseException, *, once: bool) -> bool:
    if not isinstance(error, ApiError) or not error.retryable:
        return False
    return not once or error.path == "/token" or not error.sent or error.http_status == 429


def _lower_rate(session: Session, error: BaseException | None, attempt: int) -> None:
    """At the first 429, ask the server for its limits and stay below them; at the second, go down to 1 request/s."""
    if not isinstance(error, ApiError) or error.http_status != 429:
        return
    if attempt > 1:
        session.limiter.throttle()
        return
    exchange = session.send("GET", "/limits", None, None)
    try:
        second = json.loads(exchange.text)["second"]
        limits = {name: float(second[name]["limit"]) for name in DEFAULT_RATES}
    except (ValueError, KeyError, TypeError):
        return
    session.limiter.lower(limits)


def _read_response(session: Session, exchange: Exchange, path: str, expect: type | tuple[type, ...]) -> Response:
    expected = expect if isinstance(expect, tuple) else (expect,)
    if exchange.path != path and exchange.path == "/token":
        raise token_failure(session.settings, exchange)
    if exchange.error is not None or exchange.status is None:
        raise network_failure(session.settings, exchange)
    if exchange.status >= 300:
        raise status_failure(session.settings, exchange)
    if not exchange.text.strip():
        if type(None) in expected:
            return Response(None, exchange.headers)
        raise content_failure(exchange, "an empty body")
    try:
        data = json.loads(exchange.text)
    except ValueError:
        is_html = "<html" in exchange.text.lower()
        what = "HTML instead of JSON (a proxy or sign-in page?)" if is_html else "a body that is not valid JSON"
        raise content_failure(exchange, what) from None
    if not isinstance(data, tuple(kind for kind in expected if kind is not type(None)) or dict):
        raise content_failure(exchange, f"{type_names((type(data),))} instead of {type_names(expected)}")
    return Response(data, exchange.headers)
