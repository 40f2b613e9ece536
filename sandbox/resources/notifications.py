"""/notifications: list, count, mark as read or unread, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.resources.base import base_view
from sandbox.resources.lists import page
from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc

KIND = "notifications"
FILTERS: dict[str, Callable[[str], Any]] = {"level": str, "resource_type": str, "resource_id": int}


def _own(request: Request) -> list[Doc]:
    """The caller's notifications that pass the query's filters."""
    rows = [row for row in request.world.store.all(KIND) if row["owner_id"] == request.user["id"]]
    read = request.query.get("read")
    for name, parse in FILTERS.items():
        if name in request.query:
            rows = [row for row in rows if row[name] == parse(request.query[name])]
    first, last = request.integer("from"), request.integer("to")
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
def index(request: Request) -> Response:
    rows = sorted(_own(request), key=lambda row: (row["ts"], row["id"]), reverse=True)
    part, headers = page(request, rows)
    return Response([_view(request, row) for row in part], headers)


@route("GET", "/notifications/count")
def count(request: Request) -> Doc:
    return {"count": len(_own(request))}


def _named(request: Request) -> Doc:
    row = request.world.store.get(KIND, request.ids["notification_id"])
    if row is None or row["owner_id"] != request.user["id"]:
        raise ApiError(404)
    return row


@route("GET", "/notifications/{notification_id}")
def show(request: Request) -> Doc:
    return _view(request, _named(request))


@route("DELETE", "/notifications/{notification_id}")
def delete(request: Request) -> Response:
    request.world.store.delete(KIND, _named(request)["id"])
    return Response()


def _mark(request: Request, read_at: str | None) -> Response:
    """Set ``read_at`` of the named notifications; unknown ids are ignored.

    The query names one id, or all, as ``notification_id``. Otherwise the body has a list of ids, bare or under ``ids``
    or ``notification_ids`` (public server sources).

    Raises:
        ApiError: 404, no ids were given.
    """
    asked = request.query.get("notification_id")
    body = request.body
    if asked is None and isinstance(body, dict):
        body = body.get("ids", body.get("notification_ids"))
    if asked is None and not body:
        raise ApiError(404)
    for row in _own(request):
        if asked == "all" or str(row["id"]) == asked or row["id"] in (body or ()):
            row["read_at"] = read_at
            request.world.store.put(KIND, request.world.stamp(row))
    return Response()


@route("PUT", "/notifications/mark_read")
def mark_read(request: Request) -> Response:
    return _mark(request, request.world.clock.iso())


@route("PUT", "/notifications/mark_unread")
def mark_unread(request: Request) -> Response:
    return _mark(request, None)
