"""A gateway in this process between the scripts and the real sandbox, which plays a schedule on a virtual clock."""

from __future__ import annotations

import errno
import heapq
import io
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from support.chaos.lists import LISTS, Lists, nfc
from support.chaos.schedules import HTML, ON, READ_TIMEOUT, Edit, Schedule, Trouble
from support.clocks import VirtualClock

KINDS = {"data_sources": "sources", "data_sets": "nexsets", "data_sinks": "sinks", "transforms": "code",
         "attribute_transforms": "code", "code_containers": "code", "data_credentials": "credentials"}  # fmt: skip
CREATE = re.compile(rf"/({'|'.join(KINDS)})")
ITEM = re.compile(rf"/({'|'.join(KINDS)})/(\d+)(?:/(activate|pause|accessors|flow|samples))?")
FRAMING = ("content-length", "content-encoding", "transfer-encoding")
TOO_MANY, TOO_LONG = 1500, 4000.0  # requests and seconds of one run: it does not end by itself


class NeverEndsError(BaseException):
    """A run sends request after request, or waits and waits."""


@dataclass
class Event:
    """A request of ours, its late effect, or an act of another person."""

    index: int
    at: float
    run: int
    who: str  # us, late, other
    method: str
    path: str
    body: Any = None
    status: int | None = None  # what the server answered; None: it never got there
    answer: str = ""  # what the client saw
    created: list[tuple[str, int]] = field(default_factory=list)
    row: tuple[str, int] | None = None
    shown: set[tuple[str, int]] = field(default_factory=set)  # the rows that the answer showed
    note: str = ""
    by_gateway: bool = False  # the client saw a page of a gateway, which does not know what became of the request
    seen_at: float = 0.0  # when the client had its answer, or its failure

    @property
    def is_create(self) -> bool:
        return self.method == "POST" and CREATE.fullmatch(self.path) is not None

    @property
    def took_effect(self) -> bool:
        return self.status is not None and self.status < 300

    def line(self) -> str:
        name = self.body.get("name", "") if isinstance(self.body, dict) else ""
        made = " ".join(f"made {kind} {row}" for kind, row in self.created)
        server = "" if self.who == "other" else "never arrived" if self.status is None else f"server {self.status}"
        said = [
            f"{self.index:4} {self.at:7.1f}s run {self.run} {self.who:5} {self.method:6} {self.path} {name}",
            server,
        ]
        return " | ".join(
            part for part in [*said, self.answer and f"client saw {self.answer}", made, self.note] if part
        )


class Gateway:
    """What stands in for ``HTTPAdapter.send``.

    Args:
        act: carries out another person's edit, and returns what was done.
    """

    def __init__(self, schedule: Schedule, clock: VirtualClock, tools: Any, act: Callable[[Edit], str]) -> None:
        self.schedule, self.clock, self.tools, self._act = schedule, clock, tools, act
        self.log: list[Event] = []
        self.run, self.troubled = 0, True
        self._count = Counter[str]()
        self._late: list[tuple[float, int, requests.PreparedRequest, Event]] = []
        self._order = itertools.count()
        self._edits = list(schedule.edits)
        self._began = (0, 0.0)
        self._real = HTTPAdapter(max_retries=0)
        self._real_send = HTTPAdapter.send
        self.lists = Lists(schedule.traits, schedule.seed, tools.fetch, tools.wall)

    def begin(self, *, troubled: bool) -> None:
        """Another run of a command."""
        self.run += 1
        self.troubled = troubled
        self._began = (len(self.log), self.clock.now())

    @property
    def pending(self) -> list[Event]:
        """The creates that are yet to take effect."""
        return [event for *_, event in sorted(self._late, key=lambda entry: entry[:2])]

    def pass_time(self) -> None:
        """What the world does while time passes: late creates take effect, and the engine works."""
        while self._late and self._late[0][0] <= self.clock.now():
            at, _, request, event = heapq.heappop(self._late)
            late = Event(len(self.log), at, self.run, "late", event.method, event.path, event.body)
            late.note = f"the effect of request {event.index}"
            self.log.append(late)
            self._forward(request, late)
            event.created += late.created
        self.tools.idle()

    def take_effect_later(self, path: str, body: Any, seconds: float) -> None:
        """A create of a process that is dead by now takes effect so many seconds from now."""
        url, token = self.tools.sandbox.url + path, self.tools.sandbox.token
        request = requests.Request("POST", url, json=body, headers={"Authorization": f"Bearer {token}"}).prepare()
        event = Event(
            len(self.log), self.clock.now(), self.run, "us", "POST", path, body, note="its process was killed"
        )
        self.log.append(event)
        heapq.heappush(self._late, (self.clock.now() + seconds, next(self._order), request, event))

    def send(self, adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """One request of the scripts."""
        parts = urlsplit(request.url or "")
        path, method = parts.path.removeprefix("/nexla-api"), request.method or ""
        if path == "/token":
            self.tools.sync()
            return self._real_send(self._real, request, timeout=READ_TIMEOUT)
        if len(self.log) - self._began[0] > TOO_MANY or self.clock.now() - self._began[1] > TOO_LONG:
            raise NeverEndsError
        trouble = self._next(method)
        body = json.loads(request.body) if request.body else None
        event = Event(len(self.log), self.clock.now(), self.run, "us", method, path, body)
        self.log.append(event)
        event.row = _row_of(path)
        event.note = parts.query if method == "GET" else ""
        timeout = float(options.get("timeout") or READ_TIMEOUT)
        try:
            if trouble is None:
                return self._answer(event, self._forward(request, event))
            event.note = (event.note + " " + trouble.words()).strip()
            return self._play(trouble, request, event, timeout)
        finally:
            event.seen_at = self.clock.now()

    def _next(self, method: str) -> Trouble | None:
        """Count a request; let another person act first; the trouble that it meets, if any."""
        for on, methods in ON.items():
            self._count[on] += method in methods
        if not self.troubled:
            return None
        for edit in list(self._edits):
            if method in ON[edit.on] and self._count[edit.on] == edit.nth:
                self._edits.remove(edit)
                self.tools.sync()
                self._act(edit)
        for trouble in self.schedule.troubles:
            if method in ON[trouble.on] and trouble.nth <= self._count[trouble.on] < trouble.nth + trouble.times:
                return trouble
        return None

    def _play(
        self, trouble: Trouble, request: requests.PreparedRequest, event: Event, timeout: float
    ) -> requests.Response:
        if trouble.kind == "slow":
            response = self._forward(request, event)
            if trouble.seconds >= timeout:
                raise self._failure(event, timeout)
            self.clock.sleep(trouble.seconds)
            return self._answer(event, response)
        if trouble.kind == "twice":
            response = self._forward(request, event)
            if event.method != "GET":
                self._forward(request, event)
            return self._answer(event, response)
        if trouble.effect == "taken" and event.method != "GET":
            self._forward(request, event)
        if trouble.kind == "answer" and trouble.seconds < timeout:
            self.clock.sleep(trouble.seconds)
            self._perhaps_later(trouble, request, event)
            event.by_gateway = trouble.html
            return self._answer(event, self._substitute(trouble))
        if trouble.kind == "reset":
            self._perhaps_later(trouble, request, event)
            raise self._failure(event, 0.0)
        self._perhaps_later(trouble, request, event, timeout)
        raise self._failure(event, timeout)

    def _perhaps_later(
        self, trouble: Trouble, request: requests.PreparedRequest, event: Event, wait: float = 0.0
    ) -> None:
        if trouble.effect == "late" and event.is_create:
            due = self.clock.now() + wait + trouble.late
            heapq.heappush(self._late, (due, next(self._order), request.copy(), event))

    def _failure(self, event: Event, seconds: float) -> Exception:
        """A time-out after so many seconds, or a reset at once, as requests raises them."""
        event.answer = "a time-out" if seconds else "a reset"
        self.clock.sleep(seconds)
        if seconds:
            return requests.ReadTimeout("Read timed out.")
        cause = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        return requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", cause))

    def _substitute(self, trouble: Trouble) -> requests.Response:
        headers = {"Content-Type": "text/html" if trouble.html else "application/json"}
        if trouble.retry_after:
            date = formatdate(self.tools.wall() + 5.0, usegmt=True)
            headers["Retry-After"] = date if trouble.retry_after == "date" else trouble.retry_after
        return response_of(trouble.status, HTML.format(status=trouble.status) if trouble.html else "", headers)

    def _answer(self, event: Event, response: requests.Response) -> requests.Response:
        event.answer = str(response.status_code)
        return response

    def _forward(self, request: requests.PreparedRequest, event: Event) -> requests.Response:
        """Let a request take effect now; the server's answer."""
        self.tools.sync(event.at if event.who == "late" else None)
        parts = urlsplit(request.url or "")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if event.method == "GET" and event.path in LISTS:
            response = self._list(event, query)
        else:
            response = self._item(request, event)
        event.status = response.status_code
        return response

    def _list(self, event: Event, query: dict[str, str]) -> requests.Response:
        rows, headers = self.lists.page(event.path, query)
        event.shown = {(KINDS[event.path[1:]], row["id"]) for row in rows}
        return response_of(200, json.dumps(rows), {"Content-Type": "application/json", **headers}, self.tools.wall())

    def _item(self, request: requests.PreparedRequest, event: Event) -> requests.Response:
        sent = request.copy()
        if isinstance(event.body, dict):
            sent.prepare_body(data=None, files=None, json=self._stored(event.body))
        doomed = None
        if event.method == "DELETE" and event.row and event.path.count("/") == 2:
            doomed = self.lists.before_delete("/" + event.path.split("/")[1], event.row[1])
        real = self._real_send(self._real, sent, timeout=READ_TIMEOUT)
        data = _json(real)
        headers = {key: value for key, value in real.headers.items() if key.lower() not in FRAMING}
        response = response_of(real.status_code, real.text, headers)
        if response.status_code < 300 and event.is_create and isinstance(data, dict):
            event.created.append((KINDS[event.path[1:]], int(data["id"])))
        if response.status_code < 300 and doomed:
            self.lists.deleted("/" + event.path.split("/")[1], doomed)
        if event.method == "GET" and response.status_code < 300:
            event.shown = _rows_in(data) | ({event.row} if event.row else set())
        return response

    def _stored(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body as this server takes it."""
        traits = self.schedule.traits
        if traits.no_tags:
            body = {key: value for key, value in body.items() if key != "tags"}
        return {**body, "name": nfc(body["name"])} if traits.nfc and "name" in body else body


def _row_of(path: str) -> tuple[str, int] | None:
    found = ITEM.fullmatch(path)
    return (KINDS[found[1]], int(found[2])) if found else None


def _rows_in(data: Any) -> set[tuple[str, int]]:
    """The rows that a flow's answer shows."""
    if not isinstance(data, dict) or "flows" not in data:
        return set()
    return {(KINDS[key], row["id"]) for key in data if key in KINDS for row in data[key]}


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def response_of(status: int, text: str, headers: dict[str, str], wall: float | None = None) -> requests.Response:
    """A response as requests builds it from the wire."""
    response = requests.Response()
    response.status_code = status
    date = formatdate(time.time() if wall is None else wall, usegmt=True)
    response.headers.update({"Date": date, **headers})
    raw = urllib3.HTTPResponse(io.BytesIO(text.encode()), response.headers, status, preload_content=False)
    response.raw = raw
    response.encoding = "utf-8"
    return response
