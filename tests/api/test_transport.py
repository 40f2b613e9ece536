"""The retry policy, verb by verb: how many requests reach the server, and what the command ends with."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.api.resources import get
from helpers.api.session import Session
from helpers.api.transport import ApiError, call
from helpers.api.writes import create, delete
from helpers.core import limits, redact
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS
from helpers.core.settings import Settings, load_settings
from support import Sandbox


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeps are counted, not slept; time stands still but for them."""
    slept: list[float] = []
    monkeypatch.setattr(limits.Clock, "sleep", staticmethod(slept.append))
    monkeypatch.setattr(limits.Clock, "now", staticmethod(lambda: sum(slept)))
    return slept


@pytest.fixture
def live(sandbox: Sandbox) -> Session:
    """A session on the sandbox."""
    found = load_settings(environ=sandbox.env)
    return Session(found, limits.Deadline(600), limits.RateLimiter(unlimited=True))


def hits(sandbox: Sandbox, method: str, path: str) -> int:
    return sum((r["method"], r["path"]) == (method, path) for r in sandbox.journal())


def ends_with(code: Exit, action: Callable[[], Any]) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        action()
    assert caught.value.code is code, caught.value.message
    return caught.value


# -- reads


@pytest.mark.parametrize(
    ("status", "requests", "code"),
    [(429, 4, Exit.THROTTLED), (502, 4, Exit.UPSTREAM), (503, 4, Exit.UPSTREAM), (504, 4, Exit.UPSTREAM),
     (500, 2, Exit.UPSTREAM), (400, 1, Exit.ERROR), (401, 2, Exit.AUTH), (403, 1, Exit.AUTH),
     (404, 1, Exit.NOT_FOUND), (405, 1, Exit.ERROR), (409, 1, Exit.ERROR), (410, 1, Exit.ERROR),
     (422, 1, Exit.ERROR), (501, 1, Exit.UPSTREAM)],
)  # fmt: skip
def test_a_get_is_repeated_by_status(sandbox: Sandbox, live: Session, status: int, requests: int, code: Exit) -> None:
    sandbox.faults({"action": "status", "status": status, "path": "/data_sources/123", "times": 99})
    error = ends_with(code, lambda: get(live, KINDS["sources"], 123))
    assert hits(sandbox, "GET", "/data_sources/123") == requests
    assert error.http_status == status
    assert error.resource == {"type": "sources", "id": 123}


@pytest.mark.parametrize("action", ["reset", "cut"])
def test_a_get_survives_three_network_faults_but_not_four(sandbox: Sandbox, live: Session, action: str) -> None:
    sandbox.faults({"action": action, "path": "/data_sources/123", "times": 3})
    assert get(live, KINDS["sources"], 123)["name"] == "orders"
    sandbox.clear_journal()
    sandbox.faults({"action": action, "path": "/data_sources/123", "times": 4})
    error = ends_with(Exit.UPSTREAM, lambda: get(live, KINDS["sources"], 123))
    assert error.retryable
    assert hits(sandbox, "GET", "/data_sources/123") == 4


@pytest.mark.parametrize(("header", "expected"), [("3", 3.0), ("1.5", 1.5), ("0", 0.0), ("-1", 0.0), ("soon", None)])
def test_retry_after_is_obeyed_in_every_form(
    sandbox: Sandbox, live: Session, no_waiting: list[float], header: str, expected: float | None
) -> None:
    rule = {"action": "status", "status": 503, "path": "/data_sources/123", "headers": {"retry-after": header}}
    sandbox.faults(rule)
    get(live, KINDS["sources"], 123)
    assert len(no_waiting) == 1
    assert no_waiting[0] == expected if expected is not None else 0 <= no_waiting[0] <= 0.5


def test_retry_after_as_a_date(sandbox: Sandbox, live: Session, no_waiting: list[float]) -> None:
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 20))
    rule = {"action": "status", "status": 429, "path": "/data_sources/123", "headers": {"retry-after": later}}
    sandbox.faults(rule)
    get(live, KINDS["sources"], 123)
    assert 15 < no_waiting[-1] <= 20


def test_a_longer_wait_than_the_budget_ends_at_once(sandbox: Sandbox, live: Session, no_waiting: list[float]) -> None:
    rule = {"action": "status", "status": 429, "path": "/data_sources/123", "headers": {"retry-after": "3600"}}
    sandbox.faults(rule)
    error = ends_with(Exit.THROTTLED, lambda: get(live, KINDS["sources"], 123))
    assert "3600" in error.message
    assert no_waiting == []
    assert hits(sandbox, "GET", "/data_sources/123") == 1


def test_after_a_429_the_limits_are_asked_for_and_kept(sandbox: Sandbox) -> None:
    sandbox.control("POST", "settings", {"limits": {"light": 4}})
    live = Session(load_settings(environ=sandbox.env), limits.Deadline(600), limits.RateLimiter())
    sandbox.faults({"action": "status", "status": 429, "path": "/data_sources/123"})
    get(live, KINDS["sources"], 123)
    assert hits(sandbox, "GET", "/limits") == 1
    assert live.limiter.rates["light"] == 3.0
    sandbox.faults({"action": "status", "status": 429, "path": "/data_sources/123", "times": 2})
    get(live, KINDS["sources"], 123)
    assert set(live.limiter.rates.values()) == {1.0}


@pytest.mark.parametrize(("rate", "most"), [(None, 9), (50.0, 50), (3.75, 4), (0.5, 1)])
def test_the_rate_limiter_keeps_the_rate_in_every_second(rate: float | None, most: int) -> None:
    """Also when the caller is held up now and then: lost turns are made up for, but never above the rate."""
    limiter, deadline, sent = limits.RateLimiter(rate), limits.Deadline(None), []
    for number in range(200):
        limiter.wait("GET", "/data_sources", deadline)
        sent.append(limits.Clock.now())
        if number % 7 == 0:
            limits.Clock.sleep(0.3 / (rate or 9))  # the process had to wait for a processor
    span = most / (rate or 9)  # of so many requests
    assert all(later - earlier >= span - 1e-6 for earlier, later in zip(sent, sent[most:], strict=False))
    assert sent[-1] == pytest.approx(199 / (rate or 9), abs=span), "what was lost was made up for"


def test_the_first_requests_do_not_wait() -> None:
    limiter, deadline = limits.RateLimiter(), limits.Deadline(None)
    for _ in range(9):
        limiter.wait("GET", "/data_sources", deadline)
    assert limits.Clock.now() == 0
    limiter.crawl()
    limiter.wait("GET", "/data_sources", deadline)
    assert limits.Clock.now() == 1, "a lower rate holds at once"


# -- what must never be repeated blindly


@pytest.mark.parametrize(
    ("rule", "posts", "rows", "code"),
    [
        ({"action": "status", "status": 503, "when": "after"}, 1, 1, None),
        ({"action": "reset", "when": "after"}, 1, 1, None),
        ({"action": "cut", "when": "after"}, 1, 1, None),
        ({"action": "html", "when": "after"}, 1, 1, None),
        ({"action": "status", "status": 200, "body": None, "when": "after"}, 1, 1, None),
        ({"action": "status", "status": 200, "body": {"name": "no id"}, "when": "after"}, 1, 1, None),
        ({"action": "status", "status": 500, "when": "after"}, 1, 1, None),
        ({"action": "status", "status": 503, "when": "before"}, 2, 1, None),
        ({"action": "status", "status": 503, "when": "before", "times": 9}, 2, 0, Exit.UNKNOWN_OUTCOME),
        ({"action": "status", "status": 429, "when": "before"}, 2, 1, None),
        ({"action": "status", "status": 401, "when": "before"}, 2, 1, None),
        ({"action": "reset", "when": "before"}, 1, 0, Exit.UNKNOWN_OUTCOME),
        ({"action": "status", "status": 500, "when": "before"}, 1, 0, Exit.UPSTREAM),
        ({"action": "status", "status": 400, "when": "before"}, 1, 0, Exit.ERROR),
        ({"action": "redirect", "when": "before", "headers": {"location": "/elsewhere"}}, 1, 0, Exit.CONFIG),
    ],
)
def test_a_create_happens_once_or_is_reported_unknown(
    sandbox: Sandbox, live: Session, rule: dict[str, Any], posts: int, rows: int, code: Exit | None
) -> None:
    from helpers.api.resources import by_name

    sandbox.faults({"method": "POST", "path": "/data_sources", **rule})
    body = {"name": "fresh", "source_type": "s3"}

    def find() -> Any:
        return next(iter(by_name(live, KINDS["sources"], "fresh")), None)

    def make() -> Any:
        return create(live, "/data_sources", body, find, lambda text: None)

    if code is None:
        row, _ = make()
        assert row["name"] == "fresh"
    else:
        error = ends_with(code, make)
        assert "data_sources" in error.message
    assert hits(sandbox, "POST", "/data_sources") == posts
    assert len([s for s in sandbox.snapshot()["sources"] if s["name"] == "fresh"]) == rows


def test_an_update_is_repeated_and_ends_in_the_wanted_state(sandbox: Sandbox, live: Session) -> None:
    sandbox.faults({"action": "reset", "when": "after", "method": "PUT", "times": 2})
    call(live, "PUT", "/data_sources/456", body={"description": "changed"})
    assert hits(sandbox, "PUT", "/data_sources/456") == 3
    assert get(live, KINDS["sources"], 456)["description"] == "changed"


def test_a_404_on_the_second_delete_is_success(sandbox: Sandbox, live: Session) -> None:
    _, row = sandbox.api("POST", "/data_sources", {"name": "short-lived", "source_type": "s3"})
    sandbox.faults({"action": "status", "status": 503, "when": "after", "method": "DELETE"})
    delete(live, KINDS["sources"], row["id"], lambda text: None)
    assert sandbox.api("GET", f"/data_sources/{row['id']}")[0] == 404


def test_read_only_blocks_every_write(sandbox: Sandbox, live: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXLA_READ_ONLY", "1")
    live = Session(load_settings(environ=sandbox.env), limits.Deadline(600), limits.RateLimiter(unlimited=True))
    for method in ("POST", "PUT", "DELETE"):
        ends_with(Exit.CONFIG, lambda method=method: call(live, method, "/data_sources/123", body={}))
    assert sandbox.writes() == []
    assert get(live, KINDS["sources"], 123)["id"] == 123


@pytest.mark.parametrize("number", [None, "", "0", -1, "1/../2", "..", True, 1.5, "12x", "１２"])
def test_only_positive_numbers_become_paths(live: Session, sandbox: Sandbox, number: Any) -> None:
    ends_with(Exit.USAGE, lambda: get(live, KINDS["sources"], number))
    assert sandbox.journal() == []


# -- answers that are none


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"action": "html"}, "HTML, not JSON"),
        ({"action": "status", "status": 200, "body": None}, "empty answer"),
        ({"action": "status", "status": 200, "body": [1]}, "a list where an object"),
        ({"action": "status", "status": 200, "body": "password=hunter2hunter2"}, "a str where an object"),
        ({"action": "redirect", "status": 302, "headers": {"location": "https://example.com/"}}, "redirected"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_an_error(
    sandbox: Sandbox, live: Session, rule: dict[str, Any], words: str
) -> None:
    sandbox.faults({"path": "/data_sources/123", "times": 9, **rule})
    with pytest.raises(ApiError) as caught:
        get(live, KINDS["sources"], 123)
    assert words in caught.value.message
    assert "hunter2" not in redact.redact_text(caught.value.message)


# -- hazards of the SDK (facts of nexla-sdk 1.0.8), each guarded in helpers/session.py


def test_hazard_a_no_hidden_retries(sandbox: Sandbox, live: Session) -> None:
    sandbox.faults({"action": "status", "status": 503, "method": "POST", "path": "/projects", "times": 9})
    with pytest.raises(ApiError):
        call(live, "POST", "/projects", body={"name": "x"})
    assert hits(sandbox, "POST", "/projects") == 1


def test_hazard_a_a_dripping_answer_ends_at_the_deadline(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.Clock, "now", staticmethod(time.monotonic))
    slow = Session(load_settings(environ=sandbox.env), limits.Deadline(1.5), limits.RateLimiter(unlimited=True))
    sandbox.faults({"action": "drip", "path": "/data_sources/123", "when": "after", "seconds": 30, "times": 9})
    started = time.monotonic()
    with pytest.raises(OperatorError):
        get(slow, KINDS["sources"], 123)
    assert time.monotonic() - started < 5


def test_hazard_b_a_429_with_an_odd_retry_after_stays_a_429(sandbox: Sandbox, live: Session) -> None:
    rule = {"action": "status", "status": 429, "path": "/data_sources/123", "headers": {"retry-after": "soon"}}
    sandbox.faults({**rule, "times": 99})
    assert ends_with(Exit.THROTTLED, lambda: get(live, KINDS["sources"], 123)).http_status == 429


@pytest.mark.parametrize("seconds", [3600, 3599, 1800])
def test_hazard_c_one_token_per_process(sandbox: Sandbox, seconds: int) -> None:
    sandbox.control("POST", "settings", {"token_seconds": seconds})
    fresh = Session(load_settings(environ=sandbox.env), limits.Deadline(None), limits.RateLimiter(unlimited=True))
    for _ in range(5):
        get(fresh, KINDS["sources"], 123)
    assert hits(sandbox, "POST", "/token") == 1


def test_hazard_c_threads_share_one_token_even_when_it_expires(sandbox: Sandbox, live: Session) -> None:
    def read() -> None:
        for _ in range(5):
            get(live, KINDS["sources"], 123)

    for tokens in (1, 2):
        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert hits(sandbox, "POST", "/token") == tokens
        sandbox.control("POST", "clock", {"advance_seconds": 7200})


@pytest.mark.parametrize("body", [{}, {"access_token": None}, {"access_token": ""}, {"access_token": 7}, [], "x"])
def test_hazard_c_a_token_answer_without_a_token_is_never_used(sandbox: Sandbox, live: Session, body: Any) -> None:
    sandbox.faults({"action": "status", "status": 200, "body": body, "path": "/token", "times": 9})
    error = ends_with(Exit.UPSTREAM, lambda: get(live, KINDS["sources"], 123))
    assert "login" in error.message
    assert hits(sandbox, "GET", "/data_sources/123") == 0


def test_hazard_c_a_text_expires_in_is_reported(sandbox: Sandbox, live: Session) -> None:
    answer = {"access_token": "t" * 20, "token_type": "Bearer", "expires_in": "3600"}
    sandbox.faults({"action": "status", "status": 200, "body": answer, "path": "/token", "times": 9})
    ends_with(Exit.UPSTREAM, lambda: get(live, KINDS["sources"], 123))


def test_hazard_c_netrc_does_not_replace_the_credentials(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login u password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fresh = Session(load_settings(environ=sandbox.env), limits.Deadline(None), limits.RateLimiter(unlimited=True))
    fresh.client.http_client.session.trust_env = True  # as for any host that is not this machine
    assert get(fresh, KINDS["sources"], 123)["id"] == 123


def test_hazard_d_one_odd_row_does_not_hide_the_others(sandbox: Sandbox, live: Session) -> None:
    from helpers.api.resources import Pages

    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": None, "status": None}, None, {"id": 3, "tags": None}]
    sandbox.faults({"action": "status", "status": 200, "body": rows, "path": "/data_sources"},
                   {"action": "status", "status": 200, "body": [], "path": "/data_sources", "nth": 2})  # fmt: skip
    assert [row["id"] for row in Pages(live, KINDS["sources"])] == [1, 2, 3]


def test_hazard_d_a_create_whose_answer_no_model_fits_keeps_its_id(sandbox: Sandbox, live: Session) -> None:
    odd = {"id": 77, "name": "odd", "status": None, "source_type": None, "access_roles": [None]}
    sandbox.faults({"action": "status", "status": 200, "body": odd, "method": "POST", "path": "/data_sources"})
    row, adopted = create(live, "/data_sources", {"name": "odd", "source_type": "s3"}, lambda: None, lambda text: None)
    assert (row["id"], adopted) == (77, False)


def test_hazard_e_probe_is_only_ok_when_it_says_so(sandbox: Sandbox, live: Session) -> None:
    from helpers.api.probes import probe

    assert probe(live, 123) == ("ok", "")
    assert probe(live, 789)[0] == "failed"
    for body, verdict in (("Access denied", "unknown"), ({"status": "ok"}, "ok"), ({"status": "error"}, "unknown"),
                          ({}, "unknown"), ([], "unknown"), ({"status": 200}, "ok")):  # fmt: skip
        sandbox.faults({"action": "status", "status": 200, "body": body, "path": "/data_credentials/123/probe"})
        assert probe(live, 123)[0] == verdict, body
    sandbox.faults({"action": "html", "path": "/data_credentials/123/probe"})
    assert probe(live, 123)[0] == "unknown"


def test_hazard_e_the_pager_is_not_cut_by_a_server_cap(sandbox: Sandbox, live: Session) -> None:
    from helpers.api.resources import Pages

    sandbox.control("POST", "bulk", {"count": 246})
    sandbox.control("POST", "settings", {"max_per_page": 50})
    assert len(list(Pages(live, KINDS["sources"]))) == 250
    assert len(list(Pages(live, KINDS["sources"], workers=4))) == 250


def test_hazard_e_a_cap_that_answers_400_is_taken(sandbox: Sandbox, live: Session) -> None:
    from helpers.api.resources import Pages

    sandbox.control("POST", "bulk", {"count": 96})
    sandbox.faults({"action": "status", "status": 400, "path": "/data_sources"})
    assert len(list(Pages(live, KINDS["sources"]))) == 100


@pytest.mark.parametrize(
    "url",
    ["http://nexla.example.com/api", "https://user:hunter22@nexla.example.com", "ftp://x", "https://", "nonsense",
     "https://a b", "https://x.example.com/?a=1", "http://[::1"],
)  # fmt: skip
def test_hazard_g_a_bad_url_is_refused_before_anything_is_sent(url: str) -> None:
    error = ends_with(Exit.CONFIG, lambda: load_settings(environ={"NEXLA_SERVICE_KEY": "k" * 9, "NEXLA_API_URL": url}))
    assert "hunter22" not in redact.redact_text(error.message)


def test_hazard_g_keys_and_urls_are_stripped(sandbox: Sandbox) -> None:
    found = load_settings(environ={"NEXLA_SERVICE_KEY": f" {sandbox.key}\n", "NEXLA_API_URL": f" {sandbox.url}/ \n"})
    assert (found.service_key, found.api_url) == (sandbox.key, sandbox.url)
    assert sandbox.key not in repr(found)
    ends_with(Exit.CONFIG, lambda: load_settings(environ={"NEXLA_SERVICE_KEY": "two words"}))


def test_the_key_wins_over_the_token_and_says_so() -> None:
    found = load_settings(environ={"NEXLA_SERVICE_KEY": "k" * 9, "NEXLA_ACCESS_TOKEN": "t" * 9})
    assert (found.service_key, found.access_token) == ("k" * 9, None)
    assert "service key" in found.notes[0]
    assert found.api_url == "https://dataops.nexla.io/nexla-api"


def test_an_env_file_counts_alone(tmp_path: Path, sandbox: Sandbox) -> None:
    file = tmp_path / "prod.env"
    file.write_text(f"NEXLA_ACCESS_TOKEN='{'t' * 9}'\nNEXLA_API_URL={sandbox.url}\nOTHER=$HOME\n")
    file.chmod(0o644)
    found = load_settings(str(file), {"NEXLA_SERVICE_KEY": "k" * 9})
    assert (found.service_key, found.access_token, found.api_url) == (None, "t" * 9, sandbox.url)
    assert "chmod 600" in found.notes[0]
    ends_with(Exit.CONFIG, lambda: load_settings(str(tmp_path / "missing.env")))


# -- faults of the network itself


def _settings(url: str) -> Settings:
    return load_settings(environ={"NEXLA_SERVICE_KEY": "k" * 20, "NEXLA_API_URL": url})


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
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k.pem", "-out",
         tmp_path / "c.pem", "-days", "1", "-subj", "/CN=localhost"],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
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


def test_no_message_of_the_transport_holds_the_key(sandbox: Sandbox, live: Session) -> None:
    key = str(live.settings.service_key)
    echo = {"message": f"bad header Basic {key} and password=correct-horse"}
    sandbox.faults({"action": "status", "status": 422, "body": echo, "path": "/data_sources/123"})
    error = ends_with(Exit.ERROR, lambda: get(live, KINDS["sources"], 123))
    text = json.dumps(redact.redact(error.as_dict()))
    assert key not in text
    assert "correct-horse" not in text
    assert re.search(r"\[redacted\]", text)
