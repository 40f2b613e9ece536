"""Reading lists, flows and probes: all rows, whatever one row or the server's page cap does, and no answer is none."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from helpers.api.failures import ApiError
from helpers.api.flows import Flow, parse_flow, read_flow
from helpers.api.paging import Pages
from helpers.api.probes import probe
from helpers.api.resources import by_name, count, newest
from helpers.api.session import Session
from helpers.core.errors import Exit
from helpers.core.kinds import KINDS
from support import Sandbox
from support.clocks import VirtualClock
from support.requesting import ends_with
from support.scripted import SINK, Asked, Reply, ScriptedSession, flow_body

SOURCES = KINDS["sources"]


def test_hazard_d_one_malformed_row_does_not_hide_the_others(sandbox: Sandbox, live: Session) -> None:

    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": None, "status": None}, None, {"id": 3, "tags": None}]
    sandbox.faults({"action": "status", "status": 200, "body": rows, "path": "/data_sources"},
                   {"action": "status", "status": 200, "body": [], "path": "/data_sources", "nth": 2})  # fmt: skip
    assert [row["id"] for row in Pages(live, KINDS["sources"])] == [1, 2, 3]


def test_hazard_e_probe_is_only_ok_when_it_says_so(sandbox: Sandbox, live: Session) -> None:

    assert probe(live, 123) == ("ok", "")
    assert probe(live, 789)[0] == "failed"
    for body, verdict in (("Access denied", "unknown"), ({"status": "ok"}, "ok"), ({"status": "error"}, "unknown"),
                          ({}, "unknown"), ([], "unknown"), ({"status": 200}, "ok")):  # fmt: skip
        sandbox.faults({"action": "status", "status": 200, "body": body, "path": "/data_credentials/123/probe"})
        assert probe(live, 123)[0] == verdict, body
    sandbox.faults({"action": "html", "path": "/data_credentials/123/probe"})
    assert probe(live, 123)[0] == "unknown"


def test_hazard_e_the_pager_is_not_cut_by_a_server_cap(sandbox: Sandbox, live: Session) -> None:

    sandbox.control("POST", "bulk", {"count": 246})
    sandbox.control("POST", "settings", {"max_per_page": 50})
    assert len(list(Pages(live, KINDS["sources"]))) == 250
    assert len(list(Pages(live, KINDS["sources"], workers=4))) == 250


def test_hazard_e_a_cap_that_answers_400_is_taken(sandbox: Sandbox, live: Session) -> None:

    sandbox.control("POST", "bulk", {"count": 96})
    sandbox.faults({"action": "status", "status": 400, "path": "/data_sources"})
    assert len(list(Pages(live, KINDS["sources"]))) == 100


@pytest.mark.parametrize("body", [{}, {"message": "try again later"}, {"data": []}, {"flows": {}}, {"flows": "none"}])
@pytest.mark.parametrize(
    "read",
    [
        lambda session: list(Pages(session, SOURCES)),
        lambda session: by_name(session, SOURCES, "orders"),
        lambda session: newest(session, SOURCES),
        lambda session: count(session, SOURCES),
    ],
    ids=["pages", "by_name", "newest", "count"],
)
def test_an_object_without_a_list_is_no_empty_list(
    clock: VirtualClock, read: Callable[[Session], object], body: Any
) -> None:
    error = ends_with(Exit.UPSTREAM, lambda: read(ScriptedSession(lambda asked: body)))
    assert "an object without a list" in error.message


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("wanted", ["NFC", "NFD"])
def test_a_name_is_found_in_every_unicode_form(stored: Any, wanted: Any) -> None:
    """The server compares bytes, as its filter of names."""
    row = {"id": 1, "name": unicodedata.normalize(stored, "Bestände")}

    def answer(asked: Asked) -> Reply:
        rows = [row] if asked.params["name"] in row["name"] else []
        return Reply(200, rows, {"X-Total-Count": str(len(rows))})

    assert by_name(ScriptedSession(answer), SOURCES, unicodedata.normalize(wanted, "Bestände")) == [row]


@pytest.mark.parametrize("status", [400, 401, 403, 405, 429, 500, 503])
def test_a_flow_that_cannot_be_read_is_not_taken_for_absent(clock: VirtualClock, status: int) -> None:
    for kind in ("sources", "flows"):
        with pytest.raises(ApiError) as caught:
            read_flow(ScriptedSession(lambda asked: Reply(status, {})), KINDS[kind], 1)
        assert caught.value.http_status == status


@pytest.mark.parametrize("answer", ["404 page not found", ConnectionResetError()])
def test_a_gateway_that_has_lost_the_way_does_not_mean_that_there_is_no_flow(clock: VirtualClock, answer: Any) -> None:
    reply = Reply(404, answer) if isinstance(answer, str) else answer
    ends_with(Exit.UPSTREAM, lambda: read_flow(ScriptedSession(lambda asked: reply), SOURCES, 1))
    assert read_flow(ScriptedSession(lambda asked: Reply(404, {})), SOURCES, 1) is None, "the API's own 404"


@pytest.mark.parametrize("place", ["data_sources", "data_sets", "data_sinks"])
@pytest.mark.parametrize("status", ["PAUSED", "INIT", "RATE_LIMITED", None])
def test_a_member_is_active_only_when_it_and_everything_above_it_is(place: str, status: str | None) -> None:
    def is_active(body: dict[str, Any]) -> bool:
        flow = parse_flow(body)
        assert isinstance(flow, Flow)
        (sink,) = flow.of_kind("destinations")
        return sink.id == SINK and flow.is_active_from_origin(sink)

    body = flow_body()
    assert is_active(body)
    body[place][0]["status"] = status
    assert not is_active(body)
