"""Compare before restore: undo puts back only what still is as this change wrote it.

An edit is one changed value of a resource, as it stands in the journal: ``path`` (a key, or a key and a key inside its
object), ``before`` (``absent`` when the key did not exist) and ``after``, every value that this change wrote there.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from helpers.change.stored_values import is_lost
from helpers.core.kinds import Row

EDITS = "edits"  # the key of the edits in what the journal keeps of the state before a step


class Restoration(NamedTuple):
    """What undo writes, and what it must leave.

    Attributes:
        body: the body of the PUT, with complete objects; empty when everything is as it was.
        foreign: the paths that somebody else changed since.
        lost: the paths whose former value was a secret, which the journal does not keep.
    """

    body: Row
    foreign: list[str]
    lost: list[str]

    def objections(self) -> str:
        """Why not everything can be restored; empty when it can."""
        parts = []
        if self.foreign:
            parts.append(f"somebody else changed {', '.join(self.foreign)} in the meantime; that was left as it is")
        if self.lost:
            parts.append(f"the former {', '.join(self.lost)} held a secret, which the journal does not keep")
        return "; ".join(parts)


def edits_between(current: Row, body: Row) -> list[Row]:
    """The edits that a PUT body makes to a resource: one for each changed key, or key inside an object."""
    edits: list[Row] = []
    for key, value in body.items():
        have = current.get(key)
        if isinstance(value, dict) and isinstance(have, dict):
            names = [name for name in {**have, **value} if _entry(have, name) != _entry(value, name)]
            edits += [_edit([key, name], have, value) for name in names]
        elif _entry(current, key) != (True, value):
            edits.append(_edit([key], current, body))
    return edits


def _entry(row: Row, name: str) -> tuple[bool, Any]:
    """Whether a key exists, and its value: null is not the same as absent."""
    return name in row, row.get(name)


def _edit(path: list[str], have: Row, wanted: Row) -> Row:
    name = path[-1]
    absent = {} if name in have else {"absent": True}
    return {"path": path, "before": have.get(name), **absent, "after": [wanted.get(name)]}


def with_later_edits(first: Row, later: Row) -> Row:
    """What to restore when a step was applied again: the oldest state, and every value that the change wrote since."""
    if not first:
        return later
    if EDITS not in first or EDITS not in later:
        return first
    merged = {tuple(edit["path"]): dict(edit) for edit in first[EDITS]}
    for edit in later[EDITS]:
        known = merged.setdefault(tuple(edit["path"]), {**edit, "after": []})
        known["after"] = [*known["after"], *edit["after"]]
    return {**first, EDITS: list(merged.values())}


def restoration(edits: list[Row], current: Row) -> Restoration:
    """How to put a resource back.

    Args:
        edits: from the journal.
        current: the resource as it is now.
    """
    body: Row = {}
    foreign, lost = [], []
    for edit in edits:
        path, absent = edit["path"], bool(edit.get("absent"))
        holder = current if len(path) == 1 else current.get(path[0])
        holder = holder if isinstance(holder, dict) else {}
        here, now = path[-1] in holder, holder.get(path[-1])
        if (not here and absent) or (now == edit["before"] and (here or edit["before"] is None)):
            continue
        if now not in edit["after"] and not any(is_lost(value) for value in edit["after"]):
            foreign.append(".".join(path))
        elif is_lost(edit["before"]):
            lost.append(".".join(path))
        else:
            _put_back(body, current, path, edit["before"], absent=absent)
    return Restoration(body, foreign, lost)


def _put_back(body: Row, current: Row, path: list[str], value: Any, *, absent: bool) -> None:
    """Add one former value to the body; a PUT replaces objects entirely, so that the body holds them complete."""
    if len(path) == 1:
        body[path[0]] = None if absent else value
        return
    inner: Row = body.setdefault(path[0], copy.deepcopy(current[path[0]]))
    if absent:
        inner.pop(path[1], None)
    else:
        inner[path[1]] = value
