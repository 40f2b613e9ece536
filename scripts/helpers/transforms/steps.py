"""Creating, changing and deleting transforms as steps of a change, and who uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpers.api.resources import Pages, get, get_or_none
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.api.writes import create, delete
from helpers.change.journal import Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, item_path
from helpers.core.redact import MARK
from helpers.transforms.code import Code, difference, of_row

NEXSETS = KINDS["nexsets"]
RACE_SECONDS = 2.0
CODE_FIELDS = ("code", "code_type", "code_encoding", "output_type")


@dataclass
class TransformFacts:
    """What the steps find out for the report.

    Attributes:
        diff: of the code, line by line; None when nothing was compared.
        proof: how many samples were read after the change, and how many of them were fresh.
        schema_changes: between the input and the output of the proven nexset.
    """

    diff: list[str] | None = None
    proof: dict[str, int] | None = None
    schema_changes: list[Row] | None = None


def by_exact_name(session: Session, kind: Kind, name: str) -> list[Row]:
    """Transforms of exactly this name, reusable or not."""
    return [row for row in Pages(session, kind, {"reusable": "all"}) if row.get("name") == name]


def users_of(session: Session, transform: Row) -> list[Row]:
    """The nexsets that a transform is attached to: by its own list, and by every nexset that names it.

    Returns:
        ``id``, ``name`` and ``status`` of each, by id.
    """
    listed = [nexset_id for nexset_id in transform.get("data_sets") or [] if isinstance(nexset_id, int)]
    rows = {
        row["id"]: row
        for row in Pages(session, NEXSETS, {"access_role": "collaborator"})
        if row.get("transform_id") == transform["id"]
    }
    for nexset_id in listed:
        if nexset_id not in rows:
            rows[nexset_id] = get_or_none(session, NEXSETS, nexset_id) or {"id": nexset_id, "name": None}
    return [
        {"id": nexset_id, "name": rows[nexset_id].get("name"), "status": rows[nexset_id].get("status")}
        for nexset_id in sorted(rows)
    ]


def names_of(users: list[Row]) -> str:
    """Nexsets for messages."""
    return ", ".join(f"{user['id']} {user['name']!r}" for user in users)


def wait_until_unique(run: ChangeRun, read: Callable[[], list[Row]]) -> list[Row]:
    """Those of one name. Of two that two runs created at once, the younger is about to go."""
    rows: list[Row] = []
    for _ in run.session.deadline.poll(RACE_SECONDS):
        rows = read()
        if len(rows) < 2:
            break
    return rows


class TransformStep(Step):
    """One transform with this name and code: created when there is none, unchanged when it is the same.

    Args:
        fields: besides the code.
        transform_id: of the transform to change; None to create one.
        facts: takes the difference of the code.
    """

    def __init__(
        self, code: Code, name: str, fields: Row, facts: TransformFacts, transform_id: int | None = None
    ) -> None:
        super().__init__(f"transform:{name}", f"{'change' if transform_id else 'create'} transform {name}")
        self.code, self.name, self.fields, self.facts, self.transform_id = code, name, fields, facts, transform_id
        self.api, self.kind = code.api, code.api.name

    def find(self, run: ChangeRun) -> Found:
        row = get(run.session, self.api, self.transform_id) if self.transform_id else self._of_name(run)
        if row is None:
            return Found("create")
        changes: dict[str, list[Any]] = {}
        old = of_row(row)
        if old is None or old != self.code:
            changes["code"] = ["on the server", "in the file"]
            self.facts.diff = difference(old, self.code) if old else ["the server's code is in an unknown form"]
        for key, value in self.fields.items():
            if row.get(key) != value:
                changes[key] = [row.get(key), value]
        if not changes:
            return Found(UNCHANGED, row["id"])
        before = {key: row.get(key) for key in (*CODE_FIELDS, *self.fields)}
        only_planned = "code" in changes and self.transform_id is None and not run.created(self.key)
        return Found("refused" if only_planned else "update", row["id"], changes, before)

    def _of_name(self, run: ChangeRun) -> Row | None:
        """The one of this name; in a dry run also one with other code, of which it warns.

        Raises:
            OperatorError: NOT_FOUND, when several have the name; ERROR, when it has other code, which its users would
                get unasked.
        """
        rows = wait_until_unique(run, lambda: by_exact_name(run.session, self.api, self.name))
        if len(rows) > 1:
            ids = [row["id"] for row in rows]
            raise OperatorError(
                Exit.NOT_FOUND,
                f"{len(rows)} {self.kind} are named {self.name!r}: ids {', '.join(map(str, ids))}",
                hint="use --operation update with --id, or delete all but one",
                resource={"type": self.kind, "name": self.name, "candidates": ids},
            )
        row = get_or_none(run.session, self.api, rows[0]["id"]) if rows else None
        if row is not None and of_row(row) != self.code and not run.created(self.key):
            self._refuse_other_code(run, row)
        return row

    def _refuse_other_code(self, run: ChangeRun, row: Row) -> None:
        old, users = of_row(row), users_of(run.session, row)
        if run.dry:
            run.warnings.append(
                f"{self.name!r} exists (id {row['id']}) with other code, used by nexsets: {names_of(users) or 'none'}; "
                "a real run refuses it: see --operation update"
            )
            return
        raise OperatorError(
            Exit.ERROR,
            f"{self.name!r} exists (id {row['id']}) with other code",
            hint=f"look at data.diff and data.used_by, then: --operation update --id {row['id']} --file …",
            resource={"type": self.kind, "id": row["id"]},
            data={"diff": difference(old, self.code) if old else None, "used_by": users},
        )

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        body = {"name": self.name, **self.fields, **self.code.as_body()}
        if found.action == "create":
            row = create(run.session, self.api.path, body, lambda: self._of_name(run), run.report).row
            return self._only(run, int(row["id"]))
        call(run.session, "PUT", item_path(self.api, found.id), body=body, report=run.report)
        return Applied(found.id)

    def _only(self, run: ChangeRun, created_id: int) -> Applied:
        """Of two that two runs created at once, the younger goes."""
        oldest = min((row["id"] for row in by_exact_name(run.session, self.api, self.name)), default=created_id)
        if oldest >= created_id or of_row(get(run.session, self.api, oldest)) != self.code:
            return Applied(created_id, created=True)
        delete(run.session, self.api, created_id, run.report)
        run.warnings.append(f"another run created {self.name!r} (id {oldest}) at the same time: that one is used")
        return Applied(oldest)

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        row = get(run.session, self.api, applied.id)
        if of_row(row) != self.code:
            text = f"{self.title}: the server holds other code than was sent"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": applied.id})
        return applied

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        if entry.created:
            found = by_exact_name(run.session, self.api, self.name) if entry.id is None else []
            transform_id = entry.id or next((row["id"] for row in found), None)
            if transform_id is not None:
                delete(run.session, self.api, transform_id, run.report)
        elif MARK in json.dumps(entry.before):
            raise OperatorError(Exit.LEFT_BEHIND, "the former code holds a secret, which the journal does not keep")
        elif of_row(get(run.session, self.api, entry.id)) not in (self.code, of_row(entry.before)):
            raise OperatorError(Exit.LEFT_BEHIND, "somebody else has changed the code since, and it was left so")
        else:
            self._restore(run, entry)

    def _restore(self, run: ChangeRun, entry: Entry) -> None:
        call(run.session, "PUT", item_path(self.api, entry.id), body=entry.before, report=run.report)
        now = get(run.session, self.api, entry.id)
        wrong = [key for key, value in entry.before.items() if now.get(key) != value]
        if wrong:
            raise OperatorError(Exit.LEFT_BEHIND, f"the server does not show the former {', '.join(wrong)}")


class DeleteStep(Step):
    """Delete a transform that nothing uses. It cannot be undone.

    Args:
        row: the transform; only its id is known when a run that was cut off had deleted it (``gone``).
    """

    def __init__(self, kind: Kind, row: Row) -> None:
        super().__init__(f"delete:{row['id']}", f"delete {kind.singular} {row['id']} {row.get('name')!r}")
        self.api, self.row, self.kind, self.name = kind, row, kind.name, str(row.get("name"))

    def find(self, run: ChangeRun) -> Found:
        if self.row.get("gone"):
            return Found(UNCHANGED, self.row["id"])
        users = users_of(run.session, self.row)
        if users:
            raise OperatorError(
                Exit.ERROR,
                f"{self.api.singular} {self.row['id']} is in use by nexsets {names_of(users)}",
                hint="detach it from them first: --operation detach --nexset ID",
                resource={"type": self.kind, "id": self.row["id"]},
                data={"used_by": users},
            )
        return Found("delete", self.row["id"])

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        delete(run.session, self.api, self.row["id"], run.report)
        return Applied(self.row["id"])

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        raise OperatorError(Exit.LEFT_BEHIND, "a deleted transform cannot be brought back")
