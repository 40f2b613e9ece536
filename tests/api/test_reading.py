"""Reading lists and probes: all rows, whatever one row or the server's page cap does."""

from __future__ import annotations

from helpers.api.paging import Pages
from helpers.api.probes import probe
from helpers.api.session import Session
from helpers.core.kinds import KINDS
from support import Sandbox


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
