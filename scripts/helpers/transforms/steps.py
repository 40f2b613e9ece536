"""Creating, updating and deleting transforms as steps of a change, and finding the nexsets that use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from helpers.api.paging import Pages, read_stable
from helpers.api.resources import get, get_or_none, require_unique
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.api.writes import delete
from helpers.change.creating import CreateStep, journalled_row, wait_until_unique
from helpers.change.journal import Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.change.restore import EDITS, Restoration, edits_between, restoration
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, item_path
from helpers.core.names import same_name
from helpers.transforms.code import Code, code_from_row, difference

NEXSETS = KINDS["nexsets"]
ALL_TRANSFORMS = {"reusable": "all"}  # query parameters; by default, the list leaves out inline transforms
CODE_FIELDS = ("code", "code_type", "code_encoding", "output_type")


@dataclass
class TransformFacts:
    """What the steps find out for the report.

    Attributes:
        diff: Diff of the code, line by line; None if nothing was compared.
        proof: Number of ``samples`` read after the change, and how many of them were ``fresh``.
        schema_changes: Differences between the schemas of the proven nexset's input and output.
    """

    diff: list[str] | None = None
    proof: dict[str, int] | None = None
    schema_changes: list[Row] | None = None


def by_exact_name(session: Session, kind: Kind, name: str) -> list[Row]:
    """The transforms with exactly this name, reusable or not.

    Raises:
        ApiError: The list could not be read.
    """
    rows = read_stable(Pages(session, kind, ALL_TRANSFORMS), kind.name)
    return [row for row in rows if same_name(row.get("name"), name)]


def users_of(session: Session, transform: Row) -> list[Row]:
    """The nexsets that a transform is attached to, from its own list and from every nexset that refers to it.

    Args:
        session: The API session.
        transform: The transform's row; needs ``id``.

    Returns:
        Rows with ``id``, ``name`` and ``status``, sorted by id.

    Raises:
        ApiError: They could not be read.
    """
    listed = [nexset_id for nexset_id in transform.get("data_sets") or [] if isinstance(nexset_id, int)]
    rows = {
        row["id"]: row
        for row in read_stable(Pages(session, NEXSETS, {"access_role": "collaborator"}), "nexsets")
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
    """Ids and names of nexsets, for messages."""
    return ", ".join(f"{user['id']} {user['name']!r}" for user in users)


class TransformStep(CreateStep):
    """Create or update one transform; unchanged if it exists with the same code.

    Args:
        code: The code.
        name: The name.
        fields: Other fields to write.
        facts: Receives the diff of the code.
        transform_id: Id of the transform to update; None to create one.
    """

    def __init__(
        self, code: Code, name: str, fields: Row, facts: TransformFacts, transform_id: int | None = None
    ) -> None:
        super().__init__(f"transform:{name}", f"{'update' if transform_id else 'create'} transform {name}")
        self.code, self.name, self.fields, self.facts, self.transform_id = code, name, fields, facts, transform_id
        self.api, self.kind, self.list_params = code.api, code.api.name, ALL_TRANSFORMS

    def find(self, run: ChangeRun) -> Found:
        row = get(run.session, self.api, self.transform_id) if self.transform_id else self._named(run)
        if row is None:
            return Found("create")
        changes: dict[str, list[Any]] = {}
        old = code_from_row(row)
        if old is None or old != self.code:
            changes["code"] = ["on the server", "in the file"]
            self.facts.diff = difference(old, self.code) if old else ["the code on the server has an unknown form"]
        for key, value in self.fields.items():
            if row.get(key) != value:
                changes[key] = [row.get(key), value]
        if not changes:
            return Found(UNCHANGED, row["id"])
        before = {EDITS: edits_between(row, self._body())}
        only_planned = "code" in changes and self.transform_id is None and not run.created(self.key)
        return Found("refused" if only_planned else "update", row["id"], changes, before)

    def namesakes(self, run: ChangeRun) -> list[Row]:
        rows = by_exact_name(run.session, self.api, self.name)
        return sorted(rows, key=lambda row: row["id"])

    def desired(self, run: ChangeRun) -> Row:
        return {"name": self.name, **self.fields, **self.code.as_body()}

    def differing(self, run: ChangeRun, row: Row) -> list[str]:
        full = get_or_none(run.session, self.api, row["id"]) or row
        code = [] if code_from_row(full) == self.code else ["code"]
        return code + [key for key, value in self.fields.items() if full.get(key) != value]

    def _named(self, run: ChangeRun) -> Row | None:
        """The transform with this name; None if there is none. A dry run warns about different code.

        Raises:
            OperatorError: NOT_FOUND, if several have the name; ERROR, if it has different code: the nexsets that use it
                would get new code without anybody's consent.
        """
        row = journalled_row(run, self.key, self.api)
        if row is None:
            rows = wait_until_unique(run, lambda: self.namesakes(run))
            require_unique(self.api, self.name, rows)
            row = get_or_none(run.session, self.api, rows[0]["id"]) if rows else None
        if row is not None and code_from_row(row) != self.code and not run.created(self.key):
            self._refuse_other_code(run, row)
        return row

    def _refuse_other_code(self, run: ChangeRun, row: Row) -> None:
        old, users = code_from_row(row), users_of(run.session, row)
        if run.dry:
            run.warnings.append(
                f"{self.name!r} already exists (id {row['id']}) with different code, used by nexsets: "
                f"{names_of(users) or 'none'}; without --dry-run this is refused: see --operation update"
            )
            return
        raise OperatorError(
            Exit.ERROR,
            f"{self.name!r} already exists (id {row['id']}) with different code",
            hint=f"review data.diff and data.used_by, then: --operation update --id {row['id']} --file …",
            resource={"type": self.kind, "id": row["id"]},
            data={"diff": difference(old, self.code) if old else None, "used_by": users},
        )

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        if found.action == "create":
            return self.create(run)
        call(run.session, "PUT", item_path(self.api, found.id), body=self._body(), report=run.report)
        return Applied(found.id, created=run.created(self.key))

    def _body(self) -> Row:
        """The body of an update: without the name, which somebody may just have changed."""
        return {**self.fields, **self.code.as_body()}

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        if applied.created:
            applied = self.keep_one(run, applied)
        row = get(run.session, self.api, applied.id)
        if code_from_row(row) != self.code:
            text = f"{self.title}: the code on the server differs from what was sent"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": applied.id})
        return applied

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        if entry.created:
            self.undo_create(run, entry)
        else:
            self._restore(run, entry)

    def _restore(self, run: ChangeRun, entry: Entry) -> None:
        """Restore what still is as this change wrote it, and name the rest; code is one value, in whatever form."""
        row = get(run.session, self.api, entry.id)
        edits = entry.before[EDITS]
        is_ours = code_from_row(row) == self.code
        plan = restoration(edits, {**row, **self.code.as_body()} if is_ours else row)
        if not is_ours and any(key in CODE_FIELDS for key in plan.foreign):
            rest = restoration([edit for edit in edits if edit["path"][0] not in CODE_FIELDS], row)
            plan = Restoration(rest.body, ["the code", *rest.foreign], rest.lost)
        if plan.body:
            call(run.session, "PUT", item_path(self.api, entry.id), body=plan.body, report=run.report)
        now = get(run.session, self.api, entry.id)
        wrong = [key for key, value in plan.body.items() if now.get(key) != value]
        if wrong:
            raise OperatorError(Exit.LEFT_BEHIND, f"the server does not show the former {', '.join(wrong)}")
        if plan.objections():
            raise OperatorError(Exit.LEFT_BEHIND, plan.objections())


class DeleteStep(Step):
    """Delete a transform that no nexset uses. This cannot be rolled back.

    Args:
        kind: The kind of the transform in the API.
        row: The transform; with only ``id`` and ``gone`` set if an interrupted run deleted it.
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
                hint="detach it from each of them first: --operation detach --nexset ID",
                resource={"type": self.kind, "id": self.row["id"]},
                data={"used_by": users},
            )
        return Found("delete", self.row["id"])

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        delete(run.session, self.api, self.row["id"], self.name, run.report, **ALL_TRANSFORMS)
        return Applied(self.row["id"])

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        raise OperatorError(Exit.LEFT_BEHIND, "a deleted transform cannot be restored")
