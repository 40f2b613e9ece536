"""/notifications: list, count, read marks."""

from __future__ import annotations

from typing import Any

from sandbox.resources.base import base_view
from sandbox.server.routing import Answer, ApiError, Request, page, route
from sandbox.state.store import Doc

KIND = "notifications"


def _visible(request: Request) -> list[Doc]:
    rows = [row for row in request.world.store.all(KIND) if row["owner_id"] == request.user["id"]]
    read = request.query.get("read")
    tests: dict[str, Any] = {"level": str, "resource_type": str, "resource_id": int}
    for name, kind in tests.items():
        if name in request.query:
            rows = [row for row in rows if row[name] == kind(request.query[name])]
    first, last = request.number("from"), request.number("to")
    return [
        row
        for row in rows
        if (read is None or (row["read_at"] is not None) == (read == "1"))
        and (first is None or row["ts"] >= first)
        and (last is None or row["ts"] <= last)
    ]


def _view(request: Request, row: Doc) -> Doc:
    base = base_view(request, row)
    keys = ("level", "resource_id", "resource_type", "message_id", "message", "read_at", "ts")
    names = ("id", "owner", "org", "access_roles", "updated_at", "created_at")
    return {**{name: base[name] for name in names}, **{key: row[key] for key in keys}}


@route("GET", "/notifications")
def index(request: Request) -> Answer:
    rows = sorted(_visible(request), key=lambda row: (row["ts"], row["id"]), reverse=True)
    part, headers = page(request, rows)
    return Answer([_view(request, row) for row in part], headers)


@route("GET", "/notifications/count")
def count(request: Request) -> Doc:
    return {"count": len(_visible(request))}


def _one(request: Request) -> Doc:
    row = request.world.store.get(KIND, request.ids["notification_id"])
    if row is None or row["owner_id"] != request.user["id"]:
        raise ApiError(404)
    return row


@route("GET", "/notifications/{notification_id}")
def show(request: Request) -> Doc:
    return _view(request, _one(request))


@route("DELETE", "/notifications/{notification_id}")
def delete(request: Request) -> Answer:
    request.world.store.delete(KIND, _one(request)["id"])
    return Answer()


def _mark(request: Request, read_at: str | None) -> Answer:
    """Ids stand in the query, or in the body as a list, ``ids`` or ``notification_ids``; unknown ones are skipped."""
    asked = request.query.get("notification_id")
    body = request.body
    if asked is None and isinstance(body, dict):
        body = body.get("ids", body.get("notification_ids"))
    if asked is None and not body:
        raise ApiError(404)
    for row in _visible(request):
        if asked == "all" or str(row["id"]) == asked or row["id"] in (body or ()):
            row["read_at"] = read_at
            request.world.store.put(KIND, request.world.stamp(row))
    return Answer()


@route("PUT", "/notifications/mark_read")
def mark_read(request: Request) -> Answer:
    return _mark(request, request.world.clock.iso())


@route("PUT", "/notifications/mark_unread")
def mark_unread(request: Request) -> Answer:
    return _mark(request, None)
