"""The HTTP side, as one ASGI application.

It keeps a journal of the requests, applies faults, dispatches to the handlers, and checks both requests and responses
against the contract.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from sandbox.resources import audit
from sandbox.server import contract, tokens
from sandbox.server.faults import Fault, Faults, misbehave
from sandbox.server.limits import Throttle
from sandbox.server.routing import ApiError, Request, Response, Route, find_route
from sandbox.state.world import OutsideDataFolderError, World

API_PREFIX = "/nexla-api"
CONTROL_PREFIX = "/__sandbox/"
SERVER = "nexla-sandbox (rehearsal only, not Nexla)"
HIDDEN_KEYS = {"credentials", "template_config"}  # not even the journal of a sandbox shows secrets

JournalEntry = dict[str, Any]
ControlHandler = Callable[[str, str, Mapping[str, str], bytes], Response]  # method, command, query, body


class App:
    """The sandbox as an ASGI application. ``control`` handles the requests below ``/__sandbox/``."""

    def __init__(self, world: World, faults: Faults, journal: list[JournalEntry], control: ControlHandler) -> None:
        self.world = world
        self.faults = faults
        self.journal = journal
        self.control = control
        self.throttle = Throttle(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        http = HttpRequest(scope, receive)
        raw = await http.body()
        path, method = scope["path"], scope["method"]
        if path.startswith(CONTROL_PREFIX):
            command = path.removeprefix(CONTROL_PREFIX)
            response = await run_in_threadpool(self.control, method, command, http.query_params, raw)
            await _send(send, response.status, _encode(response.body), response.headers)
        else:
            await self._serve(http, path.removeprefix(API_PREFIX), raw, send)

    async def _serve(self, http: HttpRequest, path: str, raw: bytes, send: Send) -> None:
        """Serve one API request, or apply the fault that picks it."""
        scope, method = http.scope, http.method
        entry = {"n": len(self.journal) + 1, "method": method, "path": path, "query": dict(http.query_params)}
        entry["user_agent"] = http.headers.get("user-agent", "")
        self.journal.append(entry)
        fault = self.faults.pick(method, path)
        if fault and fault.action == "late":  # it takes effect long after the caller has given up
            await asyncio.sleep(fault.seconds)
        elif fault and fault.when == "before":
            entry |= {"fault": fault.action, "status": None, "committed": False}
            self._check_request(entry, scope, raw)
            await misbehave(fault, scope, send, b"", {"server": SERVER})
            return
        started = time.perf_counter()
        response = await run_in_threadpool(self._handle, entry, http.headers.get("authorization", ""), scope, raw)
        entry |= {"status": response.status, "ms": round((time.perf_counter() - started) * 1000, 1)}
        response.headers.setdefault("Date", formatdate(self.world.clock.now(), usegmt=True))
        await self._finish(fault, entry, response, scope, send)

    async def _finish(
        self, fault: Fault | None, entry: JournalEntry, response: Response, scope: Scope, send: Send
    ) -> None:
        body = _encode(response.body)
        if fault:
            entry |= {"fault": fault.action, "committed": True}
            await misbehave(fault, scope, send, body, {"server": SERVER})
            return
        await _send(send, response.status, body, response.headers)

    def _handle(self, entry: JournalEntry, authorization: str, scope: Scope, raw: bytes) -> Response:
        query = _query(scope)
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            return Response({"message": "Cannot parse JSON request body"}, status=400)
        entry["body"] = _without_secrets(body)
        with self.world.lock:
            response = self._dispatch(Request(self.world, entry["method"], entry["path"], query, body, authorization))
            self.world.store.commit()
        _check(entry, query, body, response)
        return response

    def _check_request(self, entry: JournalEntry, scope: Scope, raw: bytes) -> None:
        """Note the body of a request, and check it against the contract, although a fault keeps it from its handler."""
        body = json.loads(raw) if raw else None
        entry["body"] = _without_secrets(body)
        _check(entry, _query(scope), body, None)

    def _dispatch(self, request: Request) -> Response:
        try:
            found = _route_of(request)
            if not found.public:
                request.user = tokens.user_of(request)
            self.throttle.check(request)
            result = found.handler(request)
            if request.method != "GET" and not found.public:
                audit.record_change(request, result)
        except ApiError as error:
            return Response(error.body, status=error.status, headers=error.headers)
        except OutsideDataFolderError as error:
            return Response({"message": str(error)}, status=400)
        return result if isinstance(result, Response) else Response(result)


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))


def _route_of(request: Request) -> Route:
    found = find_route(request)
    if found:
        return found
    if contract.is_not_built(request.method, request.path):
        raise ApiError(501, f"The sandbox has not built {request.method} {request.path} yet")
    raise ApiError(404)


def _check(entry: JournalEntry, query: dict[str, str], body: Any, response: Response | None) -> None:
    """Note in the journal how a request, and its response if it has one, fit the contract."""
    operation = contract.operation(entry["method"], entry["path"])
    if operation is None:
        entry["contract"] = "unknown"
        return
    problems = operation.problems_of_request(query, body)
    if response is not None:
        problems += operation.problems_of_response(response.status, response.body)
    entry["contract"] = problems or "ok"


def _without_secrets(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: "[hidden]" if key in HIDDEN_KEYS else value for key, value in body.items()}
    return body


def _encode(body: Any) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    return json.dumps(body, ensure_ascii=False).encode()


async def _send(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    lines = {"server": SERVER, "content-length": str(len(body)), "x-request-id": f"sbx-{time.time_ns():x}"}
    if body:
        lines["content-type"] = "application/json; charset=utf-8"
    raw = [(re.sub(r"\s", "", k).lower().encode(), v.encode()) for k, v in (lines | headers).items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
