"""Faults on demand: the nth matching request fails in a chosen way, before or after it takes effect."""

from __future__ import annotations

import asyncio
import json
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
TRANSPORT = "sandbox.transport"  # its key in the ASGI scope's state
JSON_TYPE = "application/json"


class Protocol(H11Protocol):
    """uvicorn's HTTP protocol, which also hands the connection to the application, so that a fault can break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        super().connection_made(transport)
        # asyncio does this only for sockets that name their protocol; without it every response waits 40 ms
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, TRANSPORT: transport}


@dataclass
class Fault:
    """One rule: which requests it applies to, and what happens to them.

    ``method`` and ``path`` are regular expressions for the complete method and path. ``nth`` counts the matches from 1,
    ``times`` is how many of them from there on fail. ``when`` is before or after the request takes effect.
    """

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
    matches: int = 0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"action must be one of {', '.join(ACTIONS)}")
        if self.when not in ("before", "after"):
            raise ValueError("when must be before or after (the effect)")

    def is_due(self, method: str, path: str) -> bool:
        """Count a request if it matches; whether the rule applies to it."""
        if not (re.fullmatch(self.method, method) and re.fullmatch(self.path, path)):
            return False
        self.matches += 1
        return self.nth <= self.matches < self.nth + self.times


class Faults:
    """The active rules. The first one that is due wins; every rule counts every request that it matches."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def pick(self, method: str, path: str) -> Fault | None:
        """The rule that applies to a request, if any."""
        due = [rule for rule in self.rules if rule.is_due(method, path)]
        return due[0] if due else None


async def misbehave(fault: Fault, scope: Scope, send: Send, body: bytes, headers: dict[str, str]) -> None:
    """Respond as the fault demands. ``body`` and ``headers`` are those of the response that it replaces."""
    if fault.action == "kill":
        os.kill(fault.pid, signal.SIGKILL)
        _reset(scope)
    elif fault.action in ("reset", "late"):
        _reset(scope)
    elif fault.action == "hang":
        await asyncio.sleep(fault.seconds)
        _reset(scope)
    elif fault.action in ("drip", "cut"):
        await _send_bytewise(fault, scope, send, body, headers)
    else:
        await _send_substitute(fault, send)


def _reset(scope: Scope) -> None:
    """Break the connection with a TCP reset."""
    transport: asyncio.Transport = scope["state"][TRANSPORT]
    if transport.is_closing():
        return
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _send_bytewise(fault: Fault, scope: Scope, send: Send, body: bytes, headers: dict[str, str]) -> None:
    """Send the body byte by byte: slowly (drip), or only its first half and then a reset (cut)."""
    body = body or b'{"id": 1, "name": "dripping"}'
    await _start(send, 200, headers | {"content-length": str(len(body)), "content-type": JSON_TYPE})
    sent = body[: len(body) // 2] if fault.action == "cut" else body
    for byte in sent:
        await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        if fault.action == "drip":
            await asyncio.sleep(fault.seconds / len(body))
    if fault.action == "cut":
        _reset(scope)
    else:
        await send({"type": "http.response.body", "body": b""})


async def _send_substitute(fault: Fault, send: Send) -> None:
    """Send the rule's own status and body, as JSON or as a gateway's HTML page."""
    content_type, status = JSON_TYPE, fault.status
    payload = b"" if fault.body is None else json.dumps(fault.body).encode()
    if fault.action == "html":
        text = fault.body or "<html><body><h1>Sign in</h1></body></html>"
        payload, content_type = str(text).encode(), "text/html"
        status = fault.status if fault.status != 503 else 200
    if fault.action == "redirect":
        status = fault.status if 300 <= fault.status < 400 else 301
    await _start(send, status, fault.headers | {"content-type": content_type, "content-length": str(len(payload))})
    await send({"type": "http.response.body", "body": payload})


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
