"""Flows as rows: what the list shows of their members, and which members a filter looks at."""

from __future__ import annotations

from typing import Any

from helpers.api.flows import Member, flow_summary, parse_members
from helpers.core.kinds import Row
from helpers.core.times import iso, to_ms

MEMBERS = "_members"  # the key of a flow's members in a row, which is not shown


def flow_row(node: Row, body: Row, *, full: bool) -> Row:
    """A flow with its counts and, when the response includes the resources, its origin's tags, owner and times.

    ``updated_at`` is that of the member that was changed last: a flow has no time of its own.
    """
    row = flow_summary(node)
    origin = parse_members(node, body)
    members = list(origin.walk()) if origin else []
    if origin is not None and "owner_id" in origin.row:
        emails = {user.get("id"): user.get("email") for user in body.get("users") or []}
        owner_id = origin.row.get("owner_id")
        row |= {"tags": origin.row.get("tags"), "owner": {"id": owner_id, "email": emails.get(owner_id)}}
        times = [time for member in members if (time := time_of(member.row)) is not None]
        row["updated_at"] = iso(max(times)) if times else None
    row[MEMBERS] = members
    return {**row, "tree": _tree(origin) if origin else None} if full else row


def time_of(row: Row) -> int | None:
    """When a row was changed last, in epoch milliseconds; None when it does not say, or not readably."""
    try:
        return to_ms(row["updated_at"])
    except (KeyError, ValueError):
        return None


def brief_members(members: list[Member]) -> list[Row]:
    """Members as a list row shows them."""
    keys = ("status", "updated_at")
    return [
        {"type": member.kind, "id": member.id, "name": member.name, **{key: member.row.get(key) for key in keys}}
        for member in members
    ]


def _tree(member: Member) -> dict[str, Any]:
    row = {"type": member.kind, "id": member.id, "name": member.name, "status": member.status}
    return {**row, "node_id": member.node_id, "children": [_tree(child) for child in member.children]}
