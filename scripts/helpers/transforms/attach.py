"""Attaching a transform to a nexset: a derived one that is made for it, or one that is there."""

from __future__ import annotations

import json

from helpers.api.resources import Pages, exists, get, one_of
from helpers.api.transport import call
from helpers.api.writes import create, delete
from helpers.change.changes import UNCHANGED, Found, Run, Step
from helpers.change.journal import Entry
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path
from helpers.core.redact import MARK, redact
from helpers.transforms.steps import NEXSETS, settled

VALIDATOR = "nexla.schema.validator"


class ChildStep(Step):
    """A nexset derived from a parent by a reusable transform; the safe way to attach one."""

    kind = "nexsets"

    def __init__(self, parent: int, name: str, transform_key: str, transform_id: int | None) -> None:
        super().__init__(f"nexset:{name}", f"nexset {name}")
        self.parent, self.name = parent, name
        self.transform_key, self.transform_id = transform_key, transform_id

    def wanted(self, run: Run) -> int | None:
        return self.transform_id or run.results.get(self.transform_key)

    def find(self, run: Run) -> Found:
        row = self._look(run)
        if row is None:
            return Found("create")
        wanted = self.wanted(run)
        if wanted is not None and row.get("transform_id") == wanted:
            return Found(UNCHANGED, row["id"])
        raise OperatorError(
            Exit.ERROR,
            f"nexset {self.name!r} (id {row['id']}) exists below nexset {self.parent} with another transform",
            hint=f"attach to it: --operation attach --nexset {row['id']}",
            resource={"type": "nexsets", "id": row["id"]},
        )

    def _all(self, run: Run) -> list[Row]:
        params = {"name": self.name, "access_role": "collaborator"}
        rows = [row for row in Pages(run.session, NEXSETS, params) if row.get("name") == self.name]
        full = [exists(run.session, NEXSETS, row["id"], expand=1) for row in rows]
        return [row for row in full if row and _parent_of(row) == self.parent]

    def _look(self, run: Run) -> Row | None:
        return one_of(NEXSETS, self.name, settled(run, lambda: self._all(run)))

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        body = {"name": self.name, "parent_data_set_id": self.parent, "has_custom_transform": True,
                "transform_id": self.wanted(run)}  # fmt: skip
        row, adopted = create(run.session, NEXSETS.path, body, lambda: self._look(run), run.say)
        if adopted and not _is_own(run, row):
            return int(row["id"]), False  # somebody else made it meanwhile, so it is not ours to undo
        return self._only(run, int(row["id"]))

    def _only(self, run: Run, number: int) -> tuple[int, bool]:
        """Of two that two runs made at once, the younger goes."""
        same = [row for row in self._all(run) if row.get("transform_id") == self.wanted(run)]
        oldest = min((int(row["id"]) for row in same), default=number)
        if oldest >= number:
            return number, True
        delete(run.session, NEXSETS, number, run.say)
        run.warnings.append(f"another run made {self.name!r} (id {oldest}) at the same time: that one is used")
        return oldest, False

    def undo(self, run: Run, entry: Entry) -> None:
        if not entry.made:
            return
        row = exists(run.session, NEXSETS, entry.id) if entry.id else self._look(run)
        if row is not None and _is_own(run, row):
            delete(run.session, NEXSETS, int(row["id"]), run.say)


def _is_own(run: Run, row: Row) -> bool:
    """Whether the caller owns it, or it cannot be told."""
    owner = (row.get("owner") or {}).get("id")
    return owner is None or run.session.user_id is None or owner == run.session.user_id


def _parent_of(row: Row) -> int | None:
    parents = row.get("parent_data_sets") or []
    first = parents[0].get("id") if parents and isinstance(parents[0], dict) else None
    number = row.get("parent_data_set_id", first)
    return number if isinstance(number, int) else None


def _own(row: Row) -> Row:
    """The transform of an expanded nexset, without the output validator that is shown in it."""
    shown = dict(row.get("transform") or {})
    operations = shown.get("transforms")
    if isinstance(operations, list):
        shown["transforms"] = [op for op in operations if not isinstance(op, dict) or op.get("operation") != VALIDATOR]
    return shown


class AttachStep(Step):
    """Point an existing derived nexset at a transform, or (None) at none. No container is ever edited."""

    kind = "nexsets"

    def __init__(
        self, nexset: int, name: str, transform_key: str, transform_id: int | None, *, detach: bool = False
    ) -> None:
        super().__init__(f"attach:{nexset}", f"{'detach from' if detach else 'attach to'} nexset {nexset}")
        self.nexset, self.name, self.detach = nexset, name, detach
        self.transform_key, self.transform_id = transform_key, transform_id

    def wanted(self, run: Run) -> int | None:
        return None if self.detach else self.transform_id or run.results.get(self.transform_key)

    def find(self, run: Run) -> Found:
        row = self._look(run)
        if _parent_of(row) is None:
            raise OperatorError(
                Exit.ERROR,
                f"nexset {self.nexset} is detected in a source; its data is what everything below it gets",
                hint=f"make a derived nexset instead: --operation attach --parent {self.nexset} --nexset-name NAME",
                resource={"type": "nexsets", "id": self.nexset},
            )
        now, wanted = row.get("transform_id"), self.wanted(run)
        if now == wanted and (wanted is not None or self.detach):  # one that is yet to be made is never there
            return Found(UNCHANGED, self.nexset)
        before = {"transform_id": now, "transform": _own(row), "reusable": self._reusable(run, now)}
        if not before["reusable"] and MARK in json.dumps(redact(before)):
            raise OperatorError(
                Exit.ERROR, f"the own transform of nexset {self.nexset} holds what looks like a secret: it could not "
                "be put back, as a journal keeps no secrets", hint="make a derived nexset instead: --parent",
            )  # fmt: skip
        word = "detach" if self.detach else "attach"
        to = None if self.detach else wanted or "(new)"
        return Found(word, self.nexset, {"transform_id": [now, to]}, before)

    def _look(self, run: Run) -> Row:
        return get(run.session, NEXSETS, self.nexset, expand=1)

    def _reusable(self, run: Run, number: int | None) -> bool:
        row = exists(run.session, KINDS["transforms"], number) if number else None
        return bool(row and row.get("reusable"))

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        self._put(run, {"transform_id": self.wanted(run)})
        return self.nexset, False

    def _put(self, run: Run, body: Row) -> None:
        call(run.session, "PUT", item_path(NEXSETS, self.nexset), body=body, say=run.say)

    def verify(self, run: Run, number: int | None, *, made: bool) -> None:
        now = self._look(run).get("transform_id")
        if now != self.wanted(run):
            text = f"{self.title}: its transform is {now} after it was set to {self.wanted(run)}"
            raise OperatorError(Exit.ERROR, text, resource={"type": "nexsets", "id": self.nexset})

    def undo(self, run: Run, entry: Entry) -> None:
        """Back to the former transform. One that was the nexset's own is gone from the server, and is made anew."""
        before = entry.before
        if MARK in json.dumps(before):
            raise OperatorError(
                Exit.LEFT_BEHIND, "the former transform holds a secret, which the journal does not keep"
            )
        if before.get("reusable") or before.get("transform_id") is None:
            self._put(run, {"transform_id": before.get("transform_id")})
            if self._look(run).get("transform_id") != before.get("transform_id"):
                raise OperatorError(Exit.LEFT_BEHIND, "the server does not show the former transform")
        else:
            self._put(run, {"transform_id": None, "transform": before.get("transform")})
            if _own(self._look(run)).get("transforms") != before["transform"].get("transforms"):
                raise OperatorError(Exit.LEFT_BEHIND, "the server does not show the former transform")
            run.warnings.append(f"nexset {self.nexset} has its own former transform again, under a new id")
