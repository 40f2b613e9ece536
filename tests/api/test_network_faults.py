"""Faults of the network, and responses that are none: each has its message, and is repeated only if that helps."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from helpers.api.failures import ApiError, network_failure
from helpers.api.resources import get
from helpers.api.session import Exchange, Session
from helpers.api.transport import call
from helpers.core import limits, redact
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS
from helpers.core.settings import Settings, load_settings
from support import CLEAN, FOREVER, Sandbox, run_words
from support.clocks import VirtualClock
from support.requesting import ends_with, hits


def _settings(url: str) -> Settings:
    return load_settings({"NEXLA_SERVICE_KEY": "k" * 20, "NEXLA_API_URL": url})


def _unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _fails(url: str) -> tuple[OperatorError, Session]:
    lost = Session(_settings(url), limits.Deadline(600), limits.RateLimiter(unlimited=True))
    return ends_with(Exit.UPSTREAM, lambda: get(lost, KINDS["sources"], 1)), lost


def test_a_refused_connection_is_tried_four_times() -> None:
    error, lost = _fails(f"http://127.0.0.1:{_unused_port()}/nexla-api")
    assert "connection refused" in error.message
    assert lost.requests == 4


def test_an_unknown_host_fails_at_once() -> None:
    error, lost = _fails("https://no-such-host.invalid/nexla-api")
    assert "DNS" in error.message
    assert lost.requests == 1


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[int]:
    """A server with a certificate that nobody signed."""
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    run_words([*words, "-keyout", tmp_path / "k.pem", "-out", tmp_path / "c.pem"], env=CLEAN).ok()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                context.wrap_socket(connection, server_side=True).close()
            except ssl.SSLError:
                continue
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def test_a_tls_fault_fails_at_once(tls_server: int) -> None:
    error, lost = _fails(f"https://localhost:{tls_server}/nexla-api")
    assert "TLS" in error.message
    assert lost.requests == 1


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]", True), ("EOF occurred in violation of protocol", True),
        ("[SSL: WRONG_VERSION_NUMBER]", False), ("certificate verify failed", False),
    ],
)  # fmt: skip
def test_tls_that_breaks_after_the_handshake_is_not_taken_for_unsent(
    live: Session, monkeypatch: pytest.MonkeyPatch, text: str, sent: bool
) -> None:
    broken = Exchange("POST", "/data_sources", error=requests.exceptions.SSLError(ssl.SSLError(1, text)))
    monkeypatch.setattr(Session, "send", lambda *args: broken)
    with pytest.raises(ApiError, match="TLS") as caught:
        call(live, "POST", "/data_sources", body={"name": "x"})
    assert (caught.value.sent, caught.value.known_not_applied) == (sent, not sent)


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        (requests.ConnectionError(socket.gaierror(-2, "Name or service not known")), False),
        (requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")), False),
        (requests.exceptions.ProxyError("407"), False), (requests.ConnectTimeout(), False),
        (requests.ReadTimeout(), True), (requests.ConnectionError(ConnectionResetError(104, "reset by peer")), True),
    ],
)  # fmt: skip
def test_a_request_that_may_have_arrived_is_not_taken_for_unsent(fault: Exception, sent: bool) -> None:
    lost = network_failure(_settings("https://nexla.test/api"), Exchange("POST", "/data_sources", error=fault))
    assert (lost.sent, lost.known_not_applied) == (sent, not sent)


def test_hazard_a_a_dripping_response_ends_at_the_deadline(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.Clock, "now", staticmethod(time.monotonic))
    slow = Session(load_settings(sandbox.env), limits.Deadline(0.5), limits.RateLimiter(unlimited=True))
    sandbox.faults({"action": "drip", "path": "/data_sources/123", "when": "after", "seconds": FOREVER, "times": 9})
    ends_with(Exit.TIMEOUT, lambda: get(slow, KINDS["sources"], 123))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"action": "html"}, "HTML instead of JSON"),
        ({"action": "status", "status": 200, "body": None}, "empty body"),
        ({"action": "status", "status": 200, "body": [1]}, "a list instead of an object"),
        ({"action": "status", "status": 200, "body": "password=hunter2hunter2"}, "a string instead of an object"),
    ],
)
def test_a_response_of_the_wrong_kind_is_an_error(
    sandbox: Sandbox, live: Session, rule: dict[str, Any], words: str
) -> None:
    sandbox.faults({"path": "/data_sources/123", "times": 9, **rule})
    error = ends_with(Exit.UPSTREAM, lambda: get(live, KINDS["sources"], 123))
    assert words in error.message
    assert "hunter2" not in redact.redact_text(error.message)


@pytest.mark.parametrize(("path", "words"), [("/data_sources/123", "redirected"), ("/token", "no Nexla API at")])
def test_a_redirect_is_a_wrong_url_and_takes_no_key_elsewhere(
    sandbox: Sandbox, live: Session, path: str, words: str
) -> None:
    for status in (301, 302, 307, 308):
        place = {"location": f"{sandbox.url}/data_sources/99999"}  # a 404 there says nothing about source 123
        sandbox.faults({"action": "redirect", "status": status, "path": path, "headers": place})
        error = ends_with(Exit.CONFIG, lambda: get(live, KINDS["sources"], 123))
        assert (words in error.message, str(status) in error.message) == (True, True)
        assert "NEXLA_API_URL" in str(error.hint)
    assert hits(sandbox, "GET", "/data_sources/99999") + hits(sandbox, "POST", "/data_sources/99999") == 0


def test_no_message_of_the_transport_holds_the_key(sandbox: Sandbox, live: Session) -> None:
    key = str(live.settings.service_key)
    echo = {"message": f"bad header Basic {key} and password=correct-horse"}
    sandbox.faults({"action": "status", "status": 422, "body": echo, "path": "/data_sources/123"})
    error = ends_with(Exit.ERROR, lambda: get(live, KINDS["sources"], 123))
    text = json.dumps(redact.redact(error.as_dict()))
    assert key not in text
    assert "correct-horse" not in text
    assert re.search(r"\[redacted\]", text)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (None, 404, Exit.NOT_FOUND),
        ({"message": "no"}, 404, Exit.NOT_FOUND),
        ("<html><h1>404</h1></html>", None, Exit.UPSTREAM),
        ("404 page not found", None, Exit.UPSTREAM),
    ],
)
def test_a_404_counts_as_the_apis_own_only_without_a_page(
    sandbox: Sandbox, live: Session, clock: VirtualClock, body: Any, status: int | None, code: Exit
) -> None:
    sandbox.faults({"action": "status", "status": 404, "body": body, "path": "/data_sources/123", "times": 9})
    error = ends_with(code, lambda: get(live, KINDS["sources"], 123))
    assert error.http_status == status
