"""One token per process, shared by all threads, and never anything else than a token."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from helpers.api.failures import ApiError
from helpers.api.resources import get, get_or_none
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core import limits
from helpers.core.errors import Exit
from helpers.core.kinds import KINDS
from helpers.core.settings import load_settings
from support import Sandbox
from support.clocks import VirtualClock
from support.requesting import ends_with, hits


@pytest.mark.parametrize("seconds", [3600, 3599, 1800])
def test_hazard_c_one_token_per_process(sandbox: Sandbox, seconds: int) -> None:
    sandbox.control("POST", "settings", {"token_seconds": seconds})
    fresh = Session(load_settings(sandbox.env), limits.Deadline(None), limits.RateLimiter(unlimited=True))
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


@pytest.mark.parametrize(
    ("method", "fault"),
    [("GET", {"action": "status", "status": 503}), ("GET", {"action": "reset"}), ("POST", {"action": "reset"})],
)
def test_a_login_that_fails_between_two_requests_is_tried_again(
    sandbox: Sandbox, live: Session, method: str, fault: dict[str, Any]
) -> None:
    """The request that needs the new token was refused with 401 and had no effect, so that it may be sent again."""
    get(live, KINDS["sources"], 123)
    sandbox.control("POST", "clock", {"advance_seconds": 7200})
    sandbox.clear_journal()
    sandbox.faults({"path": "/token", **fault})
    before = len(sandbox.snapshot()["sources"])
    if method == "GET":
        assert get(live, KINDS["sources"], 123)["name"] == "orders"
    else:
        assert call(live, "POST", "/data_sources", body={"name": "fresh", "source_type": "s3"}).data["name"] == "fresh"
    assert hits(sandbox, "POST", "/token") == 2
    assert len(sandbox.snapshot()["sources"]) - before == (method == "POST")


@pytest.mark.parametrize("status", [302, 403, 404, 405, 409])
def test_a_login_that_is_refused_says_nothing_about_the_resource(sandbox: Sandbox, live: Session, status: int) -> None:
    """Else the 404 of a gateway that has lost the way to the login would mean that a resource is gone."""
    get(live, KINDS["sources"], 123)
    sandbox.control("POST", "clock", {"advance_seconds": 7200})
    sandbox.faults({"path": "/token", "action": "status", "status": status, "times": 99})
    with pytest.raises(ApiError) as caught:
        get_or_none(live, KINDS["sources"], 123)
    assert (str(status) in caught.value.message, caught.value.http_status) == (True, None)


def test_a_key_that_was_withdrawn_meanwhile_is_reported_as_such(sandbox: Sandbox, live: Session) -> None:
    get(live, KINDS["sources"], 123)
    sandbox.control("POST", "clock", {"advance_seconds": 7200})
    sandbox.faults({"path": "/token", "action": "status", "status": 401, "times": 9})
    error = ends_with(Exit.AUTH, lambda: get(live, KINDS["sources"], 123))
    assert ("rejected the service key" in error.message, error.http_status) == (True, 401)


def test_a_sign_in_page_instead_of_a_login_is_not_taken_for_the_resources_answer(
    sandbox: Sandbox, live: Session
) -> None:
    get(live, KINDS["sources"], 123)
    sandbox.control("POST", "clock", {"advance_seconds": 7200})
    sandbox.faults({"path": "/token", "action": "html", "times": 9})
    error = ends_with(Exit.UPSTREAM, lambda: get(live, KINDS["sources"], 123))
    assert "without a token" in error.message


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("code", [Exit.TIMEOUT, Exit.INTERRUPTED])
def test_a_command_that_must_end_between_login_and_request_says_why(
    sandbox: Sandbox, live: Session, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, code: Exit, expired: bool
) -> None:
    live.deadline = limits.Deadline(5)
    if expired:
        get(live, KINDS["sources"], 123)
        sandbox.control("POST", "clock", {"advance_seconds": 7200})
    monkeypatch.setattr(limits, "STOP", threading.Event())
    note_user = Session.note_user

    def noting(session: Session, response: str) -> None:
        note_user(session, response)
        limits.STOP.set() if code is Exit.INTERRUPTED else clock.sleep(5)

    monkeypatch.setattr(Session, "note_user", noting)
    ends_with(code, lambda: get(live, KINDS["sources"], 123))
    assert sandbox.journal()[-1]["path"] == "/token"


@pytest.mark.parametrize("body", [{}, {"access_token": None}, {"access_token": ""}, {"access_token": 7}, [], "x"])
def test_hazard_c_a_token_response_without_a_token_is_never_used(sandbox: Sandbox, live: Session, body: Any) -> None:
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
    fresh = Session(load_settings(sandbox.env), limits.Deadline(None), limits.RateLimiter(unlimited=True))
    fresh.client.http_client.session.trust_env = True  # as for any host that is not this machine
    assert get(fresh, KINDS["sources"], 123)["id"] == 123
