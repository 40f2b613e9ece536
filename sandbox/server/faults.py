"""Faults on demand: the nth request that matches fails in a chosen way, before or after its effect."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

ACTIONS = ("status", "reset", "hang", "late", "drip", "cut", "html", "kill", "redirect")
_TRANSPORTS: dict[tuple[str, int], asyncio.Transport] = {}


class Protocol(H11Protocol):
    """uvicorn's HTTP protocol, which also remembers the connection so that a fault can break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        super().connection_made(transport)
        # asyncio does this only for sockets that name their protocol; without it every answer waits 40 ms
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.client:
            _TRANSPORTS[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client:
            _TRANSPORTS.pop(self.client, None)


@dataclass
class Fault:
    """One rule. ``path`` is a regular expression for the whole path, ``nth`` counts its matches from 1."""

    action: str
    method: str = ".*"
    path: str = ".*"
    nth: int = 1
    times: int = 1
    when: str = "before"
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    seconds: float = 60.0
    pid: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"action is one of {', '.join(ACTIONS)}")
        if self.when not in ("before", "after"):
            raise ValueError("when is before or after (the effect)")

    def due(self, method: str, path: str) -> bool:
        """Count a matching request; true while this rule's turn lasts."""
        if not (re.fullmatch(self.method, method) and re.fullmatch(self.path, path)):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


class Faults:
    """The active rules; the first one that is due wins, and every rule counts every request it matches."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def pick(self, method: str, path: str) -> Fault | None:
        due = [rule for rule in self.rules if rule.due(method, path)]
        return due[0] if due else None


def _reset(scope: Scope) -> None:
    transport = _TRANSPORTS.get(tuple(scope["client"]))
    if transport is None:
        return
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def misbehave(fault: Fault, scope: Scope, send: Send, body: bytes, headers: dict[str, str]) -> None:
    """Answer as the fault says; ``body`` and ``headers`` are what the honest answer would have been."""
    import json

    if fault.action == "kill":
        os.kill(fault.pid, signal.SIGKILL)
        _reset(scope)
    elif fault.action in ("reset", "late"):
        _reset(scope)
    elif fault.action == "hang":
        await asyncio.sleep(fault.seconds)
        _reset(scope)
    elif fault.action in ("drip", "cut"):
        body = body or b'{"id": 1, "name": "dripping"}'
        await _start(send, 200, headers | {"content-length": str(len(body)), "content-type": "application/json"})
        sent = body[: len(body) // 2] if fault.action == "cut" else body
        for byte in sent:
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            if fault.action == "drip":
                await asyncio.sleep(fault.seconds / len(body))
        if fault.action == "cut":
            _reset(scope)
        else:
            await send({"type": "http.response.body", "body": b""})
    else:
        kind = "application/json"
        payload = b"" if fault.body is None else json.dumps(fault.body).encode()
        status = fault.status
        if fault.action == "html":
            text = fault.body or "<html><body><h1>Sign in</h1></body></html>"
            payload, kind, status = str(text).encode(), "text/html", fault.status if fault.status != 503 else 200
        if fault.action == "redirect":
            status = fault.status if 300 <= fault.status < 400 else 301
        await _start(send, status, fault.headers | {"content-type": kind, "content-length": str(len(payload))})
        await send({"type": "http.response.body", "body": payload})
