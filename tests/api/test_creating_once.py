"""A create happens once, or is reported as unknown, whatever became of the response."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.api.failures import ApiError
from helpers.api.resources import by_name
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.api.writes import Search, Sighting, create
from helpers.core.errors import Exit
from helpers.core.kinds import KINDS
from helpers.core.limits import Deadline
from support import Sandbox
from support.clocks import VirtualClock
from support.requesting import NOTHING_TO_FIND, ends_with, hits


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
        ({"action": "status", "status": 504, "when": "before"}, 1, 0, Exit.UNKNOWN_OUTCOME),
        ({"action": "status", "status": 504, "when": "after"}, 1, 1, None),
        ({"action": "status", "status": 429, "when": "before"}, 2, 1, None),
        ({"action": "status", "status": 401, "when": "before"}, 2, 1, None),
        ({"action": "reset", "when": "before"}, 1, 0, Exit.UNKNOWN_OUTCOME),
        ({"action": "status", "status": 500, "when": "before"}, 1, 0, Exit.UPSTREAM),
        ({"action": "status", "status": 400, "when": "before"}, 1, 0, Exit.ERROR),
        ({"action": "status", "status": 409, "when": "after"}, 1, 1, None),
        ({"action": "status", "status": 409, "when": "before"}, 1, 0, Exit.ERROR),
        ({"action": "redirect", "when": "before", "headers": {"location": "/elsewhere"}}, 1, 0, Exit.CONFIG),
    ],
)
def test_a_create_happens_once_or_is_reported_unknown(
    sandbox: Sandbox,
    live: Session,
    clock: VirtualClock,
    rule: dict[str, Any],
    posts: int,
    rows: int,
    code: Exit | None,
) -> None:
    sandbox.faults({"method": "POST", "path": "/data_sources", **rule})
    body = {"name": "fresh", "source_type": "s3"}

    def find() -> Sighting | None:
        return next(map(Sighting, by_name(live, KINDS["sources"], "fresh")), None)

    def make() -> Sighting:
        return create(live, "/data_sources", body, Search(find, lambda: None), lambda text: None)

    if code is None:
        assert make().row["name"] == "fresh"
    else:
        error = ends_with(code, make)
        assert "data_sources" in error.message
    assert hits(sandbox, "POST", "/data_sources") == posts
    assert len([s for s in sandbox.snapshot()["sources"] if s["name"] == "fresh"]) == rows


def test_a_search_that_the_deadline_cuts_short_leaves_the_outcome_unknown(
    sandbox: Sandbox, live: Session, clock: VirtualClock
) -> None:
    live.deadline = Deadline(5)
    sandbox.faults({"action": "reset", "when": "before", "method": "POST", "path": "/data_sources"})
    body = {"name": "fresh", "source_type": "s3"}
    error = ends_with(
        Exit.UNKNOWN_OUTCOME, lambda: create(live, "/data_sources", body, NOTHING_TO_FIND, lambda text: None)
    )
    assert "cut short" in error.message
    assert hits(sandbox, "POST", "/data_sources") == 1


def test_a_lost_create_that_cannot_be_looked_for_is_unknown_and_not_sent_again(
    sandbox: Sandbox, live: Session, clock: VirtualClock
) -> None:
    """Each look fails in a way that may pass, until the time is up."""
    sandbox.faults(
        {"action": "status", "status": 503, "when": "after", "method": "POST", "path": "/data_sources"},
        {"action": "status", "status": 503, "method": "GET", "path": "/data_sources", "times": 99},
    )
    body = {"name": "fresh", "source_type": "s3"}
    search = Search(lambda: next(map(Sighting, by_name(live, KINDS["sources"], "fresh")), None), lambda: None)
    error = ends_with(Exit.UNKNOWN_OUTCOME, lambda: create(live, "/data_sources", body, search, lambda text: None))
    assert "cannot look for it" in error.message
    assert hits(sandbox, "POST", "/data_sources") == 1
    assert [row["name"] for row in sandbox.snapshot()["sources"]].count("fresh") == 1


def test_hazard_a_no_hidden_retries(sandbox: Sandbox, live: Session) -> None:
    sandbox.faults({"action": "status", "status": 503, "method": "POST", "path": "/projects", "times": 9})
    with pytest.raises(ApiError):
        call(live, "POST", "/projects", body={"name": "x"})
    assert hits(sandbox, "POST", "/projects") == 1


def test_hazard_d_a_create_whose_response_fits_no_model_keeps_its_id(sandbox: Sandbox, live: Session) -> None:
    malformed = {"id": 77, "name": "x", "status": None, "source_type": None, "access_roles": [None]}
    sandbox.faults({"action": "status", "status": 200, "body": malformed, "method": "POST", "path": "/data_sources"})
    body = {"name": "x", "source_type": "s3"}
    row = create(live, "/data_sources", body, NOTHING_TO_FIND, lambda text: None).row
    assert row["id"] == 77
