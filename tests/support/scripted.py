"""A server that is a function of the request: for what a whole sandbox would be too slow or too honest to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from helpers.api.session import Exchange, Session
from helpers.change.model import ChangeRun
from helpers.core import limits
from helpers.core.settings import Settings

URL = "http://127.0.0.1:1/nexla-api"
SOURCE, NEXSET, SINK = 1, 2, 3  # ids of the flow


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    params: dict[str, Any]
    body: Any


class Reply(NamedTuple):
    """An answer that is not just 200 with a body."""

    status: int
    data: Any = None
    headers: Mapping[str, str] = {}


Answer = Callable[[Asked], Any]


class ScriptedSession(Session):
    """A session whose requests are answered by a function, and kept in ``asked``."""

    def __init__(self, answer: Answer, seconds: float | None = None) -> None:
        settings = Settings(URL, service_key="k" * 20)
        super().__init__(settings, limits.Deadline(seconds), limits.RateLimiter(unlimited=True))
        self.answer, self.asked = answer, list[Asked]()

    def send(self, method: str, path: str, params: Mapping[str, Any] | None, body: Any) -> Exchange:
        self.asked.append(Asked(method, path, dict(params or {}), body))
        answer = self.answer(self.asked[-1])
        if isinstance(answer, Exception):
            return Exchange(method, path, error=answer)
        reply = answer if isinstance(answer, Reply) else Reply(200, answer)
        return Exchange(method, path, reply.status, dict(reply.headers), json.dumps(reply.data))

    def params_of(self, end: str) -> dict[str, Any]:
        """The parameters of the first request whose path ends like this."""
        return next(asked.params for asked in self.asked if asked.path.endswith(end))

    def hits(self, end: str) -> int:
        return sum(asked.path.endswith(end) for asked in self.asked)


def change_run(session: Session) -> ChangeRun:
    """A run of a change without a journal."""
    return ChangeRun(session, lambda text: None)


def flow_body(**source: Any) -> dict[str, Any]:
    """The answer with a flow of a source, a nexset and a destination, all ACTIVE; ``source`` is more of its row."""
    sink = {"id": 13, "data_sink_id": SINK}
    row = {"status": "ACTIVE", "runtime_status": "IDLE"}
    return {
        "flows": [{"id": 11, "data_source_id": SOURCE, "children": [
            {"id": 12, "data_set_id": NEXSET, "children": [sink]}]}],
        "data_sources": [{"id": SOURCE, "name": "in", **row, **source}],
        "data_sets": [{"id": NEXSET, "name": "rows", **row}],
        "data_sinks": [{"id": SINK, "name": "out", **row}],
    }  # fmt: skip


def derived_flow_body() -> dict[str, Any]:
    """The same with a derived nexset between the detected one and the destination."""
    body = flow_body()
    derived = {"id": 14, "data_set_id": 4, "children": [{"id": 13, "data_sink_id": SINK}]}
    body["flows"][0]["children"][0]["children"] = [derived]
    body["data_sets"].append({"id": 4, "name": "derived", "status": "ACTIVE", "runtime_status": "IDLE"})
    return body


def run_row(run_id: int, records: int = 5, errors: int = 0) -> dict[str, Any]:
    return {"runId": run_id, "records": records, "size": 0, "errors": errors}


def log_row(timestamp: int, severity: str = "INFO", text: str = "x", **more: Any) -> dict[str, Any]:
    return {"timestamp": timestamp, "severity": severity, "resource_type": "SOURCE", "resource_id": SOURCE,
            "log_type": "LOG", "log": text, "run_id": timestamp, **more}  # fmt: skip


def paged(rows: list[Any], asked: Asked) -> dict[str, Any]:
    """The page of log rows that was asked for."""
    page, size = asked.params["page"], asked.params["per_page"]
    part = rows[(page - 1) * size : page * size]
    return {"logs": {"data": part, "meta": {"total_count": len(rows), "pages_count": max(1, -(-len(rows) // size))}}}
