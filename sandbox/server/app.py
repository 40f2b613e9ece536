"""The HTTP side: one ASGI application that finds the handler, applies faults, checks the contract, keeps a journal."""

from __future__ import annotations

import asyncio
import json
import re
import time
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from sandbox.resources import audit
from sandbox.server import contract, control, tokens
from sandbox.server.faults import Fault, Faults, misbehave
from sandbox.server.limits import Throttle
from sandbox.server.routing import ROUTES, Answer, ApiError, Request
from sandbox.state.world import OutsideDataFolderError, World

SERVER = "nexla-sandbox (rehearsal only, not Nexla)"
HIDDEN_KEYS = {"credentials", "template_config"}


class App:
    """The sandbox as an ASGI application."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults = Faults()
        self.throttle = Throttle(world)
        self.journal: list[dict[str, Any]] = []
        self.prefix = "/nexla-api"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        http = HttpRequest(scope, receive)
        raw = await http.body()
        path, method = scope["path"], scope["method"]
        if path.startswith("/__sandbox/"):
            answer = await run_in_threadpool(control.handle, self, method, path, http.query_params, raw)
            await _reply(send, answer.status, _encode(answer.body), answer.headers)
            return
        path = path.removeprefix(self.prefix)
        entry = {"n": len(self.journal) + 1, "method": method, "path": path, "query": dict(http.query_params)}
        self.journal.append(entry)
        fault = self.faults.pick(method, path)
        if fault and fault.action == "late":  # the effect comes when the caller has long given up
            await asyncio.sleep(fault.seconds)
        elif fault and fault.when == "before":
            entry |= {"fault": fault.action, "status": None, "committed": False}
            self._note_lost(entry, scope, raw)
            await misbehave(fault, scope, send, b"", {"server": SERVER})
            return
        started = time.perf_counter()
        answer = await run_in_threadpool(self._handle, entry, http.headers.get("authorization", ""), scope, raw)
        entry |= {"status": answer.status, "ms": round((time.perf_counter() - started) * 1000, 1)}
        answer.headers.setdefault("Date", formatdate(self.world.clock.now(), usegmt=True))
        await self._finish(fault, entry, answer, scope, send)

    async def _finish(
        self, fault: Fault | None, entry: dict[str, Any], answer: Answer, scope: Scope, send: Send
    ) -> None:
        body = _encode(answer.body)
        if fault:
            entry |= {"fault": fault.action, "committed": True}
            await misbehave(fault, scope, send, body, {"server": SERVER})
            return
        await _reply(send, answer.status, body, answer.headers)

    def _handle(self, entry: dict[str, Any], authorization: str, scope: Scope, raw: bytes) -> Answer:
        method, path = entry["method"], entry["path"]
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            return Answer({"message": "Cannot parse JSON request body"}, status=400)
        entry["body"] = _without_secrets(body)
        with self.world.lock:
            answer = self._dispatch(Request(self.world, method, path, query, body, {}, {}, authorization))
            self.world.store.commit()
        self._check(entry, method, path, query, body, answer)
        return answer

    def _note_lost(self, entry: dict[str, Any], scope: Scope, raw: bytes) -> None:
        """Hold a request that a fault keeps from its handler against the contract all the same."""
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        self._check(entry, entry["method"], entry["path"], query, json.loads(raw) if raw else None, None)

    def _dispatch(self, request: Request) -> Answer:
        try:
            handler, public = self._find(request)
            if not public:
                request.user = tokens.user_of(request)
            self.throttle.check(request)
            result = handler(request)
            if request.method != "GET" and not public:
                audit.note_change(request, result)
        except ApiError as error:
            return Answer(error.body, status=error.status, headers=error.headers)
        except OutsideDataFolderError as error:
            return Answer({"message": str(error)}, status=400)
        return result if isinstance(result, Answer) else Answer(result)

    def _find(self, request: Request) -> tuple[Any, bool]:
        for known in ROUTES:
            match = known.pattern.fullmatch(request.path) if known.method == request.method else None
            if match:
                for name, value in match.groupdict().items():
                    if name.endswith("_id") and value.isdigit():
                        request.ids[name] = int(value)
                    else:
                        request.text[name] = value
                return known.handler, known.public
        if contract.is_not_built(request.method, request.path):
            raise ApiError(501, f"The sandbox has not built {request.method} {request.path} yet")
        raise ApiError(404)

    def _check(
        self, entry: dict[str, Any], method: str, path: str, query: dict[str, str], body: Any, answer: Answer | None
    ) -> None:
        operation = contract.operation(method, path)
        if operation is None:
            entry["contract"] = "unknown"
            return
        problems = operation.problems_of_request(query, body)
        if answer is not None:
            problems += operation.problems_of_answer(answer.status, answer.body)
        entry["contract"] = problems or "ok"


def _without_secrets(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: "[hidden]" if key in HIDDEN_KEYS else value for key, value in body.items()}
    return body


def _encode(body: Any) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    return json.dumps(body, ensure_ascii=False).encode()


async def _reply(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
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
