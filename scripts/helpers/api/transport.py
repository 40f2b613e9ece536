"""``call()``: the one way to the API, with the retry policy of each verb.

Errors are classified by HTTP status and by what happened on the wire, never by the SDK's exception class.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import tenacity

from helpers.api.failures import ApiError, names_of, network_failure, refusal, token_failure, unreadable
from helpers.api.session import Exchange, Session
from helpers.core.errors import Exit, OperatorError
from helpers.core.limits import DEFAULT_RATES
from retry_helpers import stop_when_told_too_long, wait_as_told

MAX_TRIES = 4
LONGEST_WAIT = 60.0  # seconds; a server that asks for more ends the retries, unless the deadline allows less anyway
BACKOFF = wait_as_told(base=0.5, cap=8.0)


Effect = Literal["read", "repeat", "once"]  # repeat: doing it twice is doing it once
DEFAULT_EFFECTS: dict[str, Effect] = {"GET": "read", "POST": "once"}


@dataclass(frozen=True)
class Response:
    """A good answer: parsed JSON (None when the body was empty) and headers."""

    data: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int | None:
        """``X-Total-Count``, the number of all matching rows."""
        value = self.headers.get("X-Total-Count")
        return int(value) if value and value.isdigit() else None


def _silent(text: str) -> None:
    """Report nothing."""


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
    report: Callable[[str], None] = _silent,
) -> Response:
    """One API call with retries.

    GET, PUT and DELETE are repeated on 429, 502, 503, 504 and network faults, up to four tries, and once on 500. A
    POST is repeated only when it certainly did not run: refused connection, 429, or a token that could not be had.

    Args:
        path: below the API URL, with ids checked by the caller.
        effect: what the request does, where its method does not tell: a POST that only reads, a PUT that must not be
            sent twice.
        expect: the JSON types that count as an answer; ``type(None)`` among them allows an empty body.
        report: called with a line before every wait.

    Raises:
        ApiError: with the exit code that fits; UPSTREAM without ``known_not_applied`` when a write may have happened.
        OperatorError: TIMEOUT when the deadline passes; CONFIG when NEXLA_READ_ONLY forbids the write.
    """
    effect = effect or DEFAULT_EFFECTS.get(method, "repeat")
    if effect != "read":
        refuse_if_read_only(session, f"{method} {path}")

    def once() -> Response:
        return _read_response(session, session.send(method, path, params, body), path, expect)

    return _retrying(session, effect, report)(once)


def _retrying(session: Session, effect: Effect, report: Callable[[str], None]) -> tenacity.Retrying:
    def announce(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        _slow_down(session, error, state.attempt_number)
        pause = state.next_action.sleep if state.next_action else 0.0
        report(f"{error}; trying again in {pause:.1f} s")

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: _may_repeat(error, once=effect == "once")),
        wait=BACKOFF,
        stop=tenacity.stop_any(_Enough(), stop_when_told_too_long(min(LONGEST_WAIT, session.deadline.left()))),
        sleep=session.deadline.sleep,
        before_sleep=announce,
        reraise=True,
    )


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


def _read_response(session: Session, exchange: Exchange, path: str, expect: type | tuple[type, ...]) -> Response:
    expected = expect if isinstance(expect, tuple) else (expect,)
    if exchange.path != path and exchange.path == "/token":
        raise token_failure(session.settings, exchange)
    if exchange.error is not None or exchange.status is None:
        raise network_failure(session.settings, exchange)
    if exchange.status >= 300:
        raise refusal(session.settings, exchange)
    if not exchange.text.strip():
        if type(None) in expected:
            return Response(None, exchange.headers)
        raise unreadable(exchange, "an empty answer")
    try:
        data = json.loads(exchange.text)
    except ValueError:
        what = "HTML, not JSON (a proxy or sign-in page?)" if "<html" in exchange.text.lower() else "not JSON"
        raise unreadable(exchange, what) from None
    if not isinstance(data, tuple(kind for kind in expected if kind is not type(None)) or dict):
        raise unreadable(exchange, f"a {type(data).__name__} where {names_of(expected)} was expected")
    return Response(data, exchange.headers)
