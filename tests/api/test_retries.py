"""The retries of reads and repeatable writes: how many requests, with which pauses, and with which end."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest

from helpers.api.probes import probe
from helpers.api.resources import get
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.api.writes import delete
from helpers.core import limits
from helpers.core.errors import Exit
from helpers.core.kinds import KINDS
from helpers.core.settings import load_settings
from support import Sandbox, answers
from support.clocks import VirtualClock
from support.requesting import ends_with, hits


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
    sandbox: Sandbox, live: Session, clock: VirtualClock, header: str, expected: float | None
) -> None:
    rule = {"action": "status", "status": 503, "path": "/data_sources/123", "headers": {"retry-after": header}}
    sandbox.faults(rule)
    get(live, KINDS["sources"], 123)
    (slept,) = clock.slept
    assert slept == expected if expected is not None else 0 <= slept <= 0.5


def test_retry_after_as_a_date(sandbox: Sandbox, live: Session, clock: VirtualClock) -> None:
    later = formatdate(time.time() + 50, usegmt=True)
    rule = {"action": "status", "status": 429, "path": "/data_sources/123", "headers": {"retry-after": later}}
    sandbox.faults(rule)
    get(live, KINDS["sources"], 123)
    assert 20 < clock.slept[-1] <= 50


def test_a_longer_wait_than_the_budget_ends_at_once(sandbox: Sandbox, live: Session, clock: VirtualClock) -> None:
    rule = {"action": "status", "status": 429, "path": "/data_sources/123", "headers": {"retry-after": "3600"}}
    sandbox.faults(rule)
    error = ends_with(Exit.THROTTLED, lambda: get(live, KINDS["sources"], 123))
    assert "3600" in error.message
    assert clock.slept == []
    assert hits(sandbox, "GET", "/data_sources/123") == 1


def test_hazard_b_a_429_with_a_malformed_retry_after_stays_a_429(sandbox: Sandbox, live: Session) -> None:
    rule = {"action": "status", "status": 429, "path": "/data_sources/123", "headers": {"retry-after": "soon"}}
    sandbox.faults({**rule, "times": 99})
    assert ends_with(Exit.THROTTLED, lambda: get(live, KINDS["sources"], 123)).http_status == 429


def test_an_update_is_repeated_and_ends_in_the_wanted_state(sandbox: Sandbox, live: Session) -> None:
    sandbox.faults({"action": "reset", "when": "after", "method": "PUT", "times": 2})
    call(live, "PUT", "/data_sources/456", body={"description": "changed"})
    assert hits(sandbox, "PUT", "/data_sources/456") == 3
    assert get(live, KINDS["sources"], 456)["description"] == "changed"


def test_a_404_on_the_second_delete_is_success(sandbox: Sandbox, live: Session) -> None:
    _, row = sandbox.api("POST", "/data_sources", {"name": "short-lived", "source_type": "s3"})
    sandbox.faults({"action": "status", "status": 503, "when": "after", "method": "DELETE"})
    delete(live, KINDS["sources"], row["id"], row["name"], lambda text: None)
    assert sandbox.api("GET", f"/data_sources/{row['id']}")[0] == 404


@pytest.mark.parametrize(
    ("listed", "code", "words"),
    [
        ({"times": 2}, None, ""),
        ({"times": 99}, Exit.UNKNOWN_OUTCOME, "is still in the list after DELETE"),
        ({"times": 99, "status": 503}, Exit.UPSTREAM, "GET /data_sources returned 503"),
    ],
)
def test_what_a_list_still_has_or_cannot_say_is_not_called_deleted(
    sandbox: Sandbox, live: Session, clock: VirtualClock, listed: dict[str, Any], code: Exit | None, words: str
) -> None:
    """Lists may lag, and the 404 for the item may be a mistake."""
    _, row = sandbox.api("POST", "/data_sources", {"name": "short-lived", "source_type": "s3"})
    sandbox.faults(answers([row], "/data_sources", **{"headers": {"x-total-count": "1"}, **listed}))
    action = partial(delete, live, KINDS["sources"], row["id"], row["name"], lambda text: None)
    if code is None:
        action()
        assert hits(sandbox, "GET", "/data_sources") == 3
    else:
        assert words in ends_with(code, action).message


def test_what_is_still_there_is_not_deleted_although_no_list_has_it(
    sandbox: Sandbox, live: Session, clock: VirtualClock
) -> None:
    """Somebody renamed it in the same moment, so that the list by name does not show it."""
    _, row = sandbox.api("POST", "/data_sources", {"name": "renamed", "source_type": "s3"})
    sandbox.faults({"action": "status", "status": 200, "body": None, "when": "before", "method": "DELETE"})
    error = ends_with(
        Exit.UNKNOWN_OUTCOME, lambda: delete(live, KINDS["sources"], row["id"], "former", lambda text: None)
    )
    assert "still exists" in error.message


def test_read_only_blocks_every_write(sandbox: Sandbox, live: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXLA_READ_ONLY", "1")
    live = Session(load_settings(sandbox.env), limits.Deadline(600), limits.RateLimiter(unlimited=True))
    for method in ("POST", "PUT", "DELETE"):
        ends_with(Exit.CONFIG, lambda method=method: call(live, method, "/data_sources/123", body={}))
    assert sandbox.writes() == []
    assert get(live, KINDS["sources"], 123)["id"] == 123


def test_a_dry_run_writes_nothing_even_by_a_defect(sandbox: Sandbox, live: Session) -> None:
    live.settings = live.settings._replace(dry_run=True)
    for method in ("POST", "PUT", "DELETE"):
        ends_with(Exit.ERROR, lambda method=method: call(live, method, "/data_sources/123", body={}))
    ends_with(Exit.ERROR, lambda: probe(live, 123))
    assert sandbox.journal() == []
    assert get(live, KINDS["sources"], 123)["id"] == 123


@pytest.mark.parametrize("number", [None, "", "0", -1, "1/../2", "..", True, 1.5, "12x", "１２"])
def test_only_positive_numbers_become_paths(live: Session, sandbox: Sandbox, number: Any) -> None:
    ends_with(Exit.USAGE, lambda: get(live, KINDS["sources"], number))
    assert sandbox.journal() == []


@pytest.mark.parametrize("readable", [True, False])
def test_a_delete_whose_responses_are_all_lost_is_verified(
    sandbox: Sandbox, live: Session, clock: VirtualClock, readable: bool
) -> None:
    _, row = sandbox.api("POST", "/data_sources", {"name": "short-lived", "source_type": "s3"})
    place = f"/data_sources/{row['id']}"
    sandbox.faults({"action": "reset", "when": "after", "method": "DELETE", "times": 9})
    if readable:
        delete(live, KINDS["sources"], row["id"], row["name"], lambda text: None)
    else:
        sandbox.faults(
            {"action": "reset", "when": "after", "method": "DELETE", "times": 9},
            {"action": "status", "status": 503, "method": "GET", "path": place, "times": 9},
        )
        action = partial(delete, live, KINDS["sources"], row["id"], row["name"], lambda text: None)
        ends_with(Exit.UNKNOWN_OUTCOME, action)
        sandbox.faults()
    assert sandbox.api("GET", place)[0] == 404
