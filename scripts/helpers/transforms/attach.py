"""Attaching a transform to a nexset: a new derived nexset, or an existing one."""

from __future__ import annotations

from helpers.api.resources import everyones_by_name, get, get_or_none, require_unique
from helpers.api.transport import call
from helpers.change.creating import CreateStep, journalled_row, wait_until_unique
from helpers.change.journal import Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.change.stored_values import is_lost, to_stored
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path
from helpers.transforms.steps import NEXSETS

VALIDATOR = "nexla.schema.validator"


class DerivedNexsetStep(CreateStep):
    """Create a nexset derived from a parent by a reusable transform: the safe way to attach one.

    Args:
        parent_id: Id of the parent nexset.
        name: Name of the derived nexset.
        transform_key: Key of the step that creates the transform; empty if it exists.
        transform_id: Id of the transform; None if a step creates it.
    """

    kind, api = "nexsets", NEXSETS

    def __init__(self, parent_id: int, name: str, transform_key: str, transform_id: int | None) -> None:
        super().__init__(f"nexset:{name}", f"nexset {name}")
        self.parent_id, self.name = parent_id, name
        self.transform_key, self.transform_id = transform_key, transform_id

    def wanted(self, run: ChangeRun) -> int | None:
        """Id of the transform to attach; None while it is not created yet."""
        return self.transform_id or run.results.get(self.transform_key)

    def find(self, run: ChangeRun) -> Found:
        row = self._existing(run)
        if row is None:
            return Found("create")
        wanted = self.wanted(run)
        if wanted is not None and row.get("transform_id") == wanted:
            return Found(UNCHANGED, row["id"])
        raise OperatorError(
            Exit.ERROR,
            f"nexset {self.name!r} (id {row['id']}) exists below nexset {self.parent_id} with another transform",
            hint=f"attach to it instead: --operation attach --nexset {row['id']}",
            resource={"type": "nexsets", "id": row["id"]},
        )

    def namesakes(self, run: ChangeRun) -> list[Row]:
        ids = sorted(row["id"] for row in everyones_by_name(run.session, NEXSETS, self.name))
        full = [get_or_none(run.session, NEXSETS, nexset_id, expand=1) for nexset_id in ids]
        return [row for row in full if row and _parent_of(row) == self.parent_id]

    def desired(self, run: ChangeRun) -> Row:
        return {"name": self.name, "parent_data_set_id": self.parent_id, "has_custom_transform": True,
                "transform_id": self.wanted(run)}  # fmt: skip

    def differing(self, run: ChangeRun, row: Row) -> list[str]:
        return [] if row.get("transform_id") == self.wanted(run) else ["transform_id"]

    def _existing(self, run: ChangeRun) -> Row | None:
        row = journalled_row(run, self.key, NEXSETS)
        return row or require_unique(NEXSETS, self.name, wait_until_unique(run, lambda: self.namesakes(run)))

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        return self.create(run)

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        return self.keep_one(run, applied) if applied.created else applied

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        if entry.created:
            self.undo_create(run, entry)


def _parent_of(row: Row) -> int | None:
    parents = row.get("parent_data_sets") or []
    first = parents[0].get("id") if parents and isinstance(parents[0], dict) else None
    parent_id = row.get("parent_data_set_id", first)
    return parent_id if isinstance(parent_id, int) else None


def _inline_transform(row: Row) -> Row:
    """The transform in an expanded nexset, without the output validator that the server adds to it."""
    shown = dict(row.get("transform") or {})
    operations = shown.get("transforms")
    if isinstance(operations, list):
        shown["transforms"] = [op for op in operations if not isinstance(op, dict) or op.get("operation") != VALIDATOR]
    return shown


class AttachStep(Step):
    """Point an existing derived nexset at a transform, or detach it. Code containers are never edited.

    Args:
        nexset_id: Id of the nexset.
        name: Its name.
        transform_key: Key of the step that creates the transform; empty if it exists.
        transform_id: Id of the transform; None if a step creates it.
        detach: Leave the nexset without a transform.
    """

    kind = "nexsets"

    def __init__(
        self, nexset_id: int, name: str, transform_key: str, transform_id: int | None, *, detach: bool = False
    ) -> None:
        super().__init__(f"attach:{nexset_id}", f"{'detach from' if detach else 'attach to'} nexset {nexset_id}")
        self.nexset_id, self.name, self.detach = nexset_id, name, detach
        self.transform_key, self.transform_id = transform_key, transform_id

    def wanted(self, run: ChangeRun) -> int | None:
        """Id of the transform to attach; None to detach, or while it is not created yet."""
        return None if self.detach else self.transform_id or run.results.get(self.transform_key)

    def find(self, run: ChangeRun) -> Found:
        row = self._current(run)
        if _parent_of(row) is None:
            raise OperatorError(
                Exit.ERROR,
                f"nexset {self.nexset_id} was detected in a source: everything below it reads its data unchanged",
                hint=f"derive a nexset instead: --operation attach --parent {self.nexset_id} --nexset-name NAME",
                resource={"type": "nexsets", "id": self.nexset_id},
            )
        now, wanted = row.get("transform_id"), self.wanted(run)
        if now == wanted and (wanted is not None or self.detach):  # None: the transform is yet to be created
            return Found(UNCHANGED, self.nexset_id)
        before = {"transform_id": now, "transform": _inline_transform(row), "reusable": self._reusable(run, now)}
        if not before["reusable"] and is_lost(to_stored(before)):
            raise OperatorError(
                Exit.ERROR,
                f"the inline transform of nexset {self.nexset_id} seems to contain a secret, and could not be "
                "restored, because the journal stores no secrets",
                hint="derive a nexset instead: --parent",
            )
        action = "detach" if self.detach else "attach"
        after = None if self.detach else wanted or "(new)"
        return Found(action, self.nexset_id, {"transform_id": [now, after]}, before)

    def _current(self, run: ChangeRun) -> Row:
        return get(run.session, NEXSETS, self.nexset_id, expand=1)

    def _reusable(self, run: ChangeRun, transform_id: int | None) -> bool:
        row = get_or_none(run.session, KINDS["transforms"], transform_id) if transform_id else None
        return bool(row and row.get("reusable"))

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        self._put(run, {"transform_id": self.wanted(run)})
        return Applied(self.nexset_id)

    def _put(self, run: ChangeRun, body: Row) -> None:
        call(run.session, "PUT", item_path(NEXSETS, self.nexset_id), body=body, report=run.report)

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        now = self._current(run).get("transform_id")
        if now != self.wanted(run):
            text = f"{self.title}: the server shows transform {now} after it was set to {self.wanted(run)}"
            raise OperatorError(Exit.ERROR, text, resource={"type": "nexsets", "id": self.nexset_id})
        return applied

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        """Restore the former transform. An inline one was deleted by the server, and is created again."""
        before, now = entry.before, self._current(run).get("transform_id")
        if now not in (self.wanted(run), before.get("transform_id")):
            raise OperatorError(
                Exit.LEFT_BEHIND, f"somebody else attached transform {now} in the meantime; it was left as it is"
            )
        if now == before.get("transform_id"):
            return
        if is_lost(before):
            raise OperatorError(
                Exit.LEFT_BEHIND, "the former transform contains a secret, which the journal does not store"
            )
        if before.get("reusable") or before.get("transform_id") is None:
            self._put(run, {"transform_id": before.get("transform_id")})
            if self._current(run).get("transform_id") != before.get("transform_id"):
                raise OperatorError(Exit.LEFT_BEHIND, "the server does not show the former transform")
        else:
            self._put(run, {"transform_id": None, "transform": before.get("transform")})
            if _inline_transform(self._current(run)).get("transforms") != before["transform"].get("transforms"):
                raise OperatorError(Exit.LEFT_BEHIND, "the server does not show the former transform")
            run.warnings.append(f"the former inline transform of nexset {self.nexset_id} is restored under a new id")
