"""What the resource modules share: who may see what, checks of bodies, and the fields that every view has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.server.routing import ApiError, Request
from sandbox.state.store import Doc
from sandbox.state.world import ROLES, is_at_least

MISSING_FIELD = "Invalid resource. Are you missing a required field?"
MAX_TEXT = 255


def visible(request: Request, kind: str) -> list[Doc]:
    """The documents of a kind that the caller owns, or on which the caller has the query's ``access_role``.

    Raises:
        ApiError: 400, there is no such role.
    """
    asked = request.query.get("access_role", "owner")
    if asked not in (*ROLES, "all"):
        raise ApiError(400, f"The property '#/access_role' value {asked!r} did not match one of the following values")
    world = request.world
    rows = []
    for doc in world.store.all(kind):
        role = world.role(request.user, doc)
        if role is not None and (asked == "all" or is_at_least(role, asked)):
            rows.append(doc)
    return rows


def fetch(request: Request, kind: str, resource_id: int | None, needed: str = "collaborator") -> Doc:
    """One document, on which the caller has at least the needed role.

    Raises:
        ApiError: 404, there is none; then 403 with an empty body, the caller's role is too weak. The server checks in
            this order (public server sources).
    """
    doc = request.world.store.get(kind, resource_id)
    if doc is None:
        raise ApiError(404)
    if not is_at_least(request.world.role(request.user, doc), needed):
        raise ApiError(403)
    return doc


def check_text(body: Doc) -> None:
    """Check the lengths of name and description.

    Raises:
        ApiError: 400, one is longer than 255 characters.
    """
    for key in ("name", "description"):
        if isinstance(body.get(key), str) and len(body[key]) > MAX_TEXT:
            raise ApiError(400, f"The property '#/{key}' was not of a maximum string length of {MAX_TEXT}")


def changes(body: Doc, mutable: Iterable[str]) -> Doc:
    """The fields that an update changes. An empty name is ignored, as on the server (public server sources)."""
    return {key: body[key] for key in mutable if key in body and not (key == "name" and not body[key])}


def copy_of(request: Request, doc: Doc, **changed: Any) -> Doc:
    """A copy of a document that belongs to the caller, without id, times and the batch that it took last."""
    dropped = ("id", "created_at", "updated_at", "taken")
    duplicate = {key: value for key, value in doc.items() if key not in dropped}
    return duplicate | {"copied_from_id": doc["id"], "owner_id": request.user["id"]} | changed


def base_view(request: Request, doc: Doc) -> Doc:
    """The fields that every resource view begins with."""
    world = request.world
    return {
        "id": doc["id"],
        "name": doc.get("name"),
        "description": doc.get("description"),
        "owner": world.brief_user(doc["owner_id"]),
        "org": world.brief_org(doc.get("org_id")),
        "access_roles": [world.role(request.user, doc)],
        "copied_from_id": doc.get("copied_from_id"),
        "updated_at": doc["updated_at"],
        "created_at": doc["created_at"],
    }
