"""What the resource modules share: visibility, roles, and the fields that every view has."""

from __future__ import annotations

from sandbox.server.routing import ApiError, Request
from sandbox.state.store import Doc
from sandbox.state.world import ROLES, is_at_least


def visible(request: Request, kind: str) -> list[Doc]:
    """The rows of a kind that a list shows: by default those the caller owns, else by ``access_role``."""
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


def fetch(request: Request, kind: str, number: int | None, need: str = "collaborator") -> Doc:
    """One resource: 404 when there is none, then 403 (empty) when the caller's role is too weak."""
    doc = request.world.store.get(kind, number)
    if doc is None:
        raise ApiError(404)
    if not is_at_least(request.world.role(request.user, doc), need):
        raise ApiError(403)
    return doc


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
