"""Creating and changing transforms as steps of a change, and who uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from helpers.api.resources import Pages, exists, get
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.api.writes import create, delete
from helpers.change.changes import UNCHANGED, Found, Run, Step
from helpers.change.journal import Entry
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row, item_path
from helpers.core.redact import MARK
from helpers.transforms.code import Code, difference, of_row

NEXSETS = KINDS["nexsets"]
RACE_SECONDS = 2.0


def by_exact_name(session: Session, kind: Kind, name: str) -> list[Row]:
    """Transforms of exactly this name, reusable or not."""
    return [row for row in Pages(session, kind, {"reusable": "all"}) if row.get("name") == name]


def users_of(session: Session, row: Row) -> list[Row]:
    """The nexsets that a transform is attached to: by its own list, and by every nexset that names it."""
    listed = [number for number in row.get("data_sets") or [] if isinstance(number, int)]
    rows = {
        r["id"]: r
        for r in Pages(session, NEXSETS, {"access_role": "collaborator"})
        if r.get("transform_id") == row["id"]
    }
    for number in listed:
        if number not in rows:
            rows[number] = exists(session, NEXSETS, number) or {"id": number, "name": None}
    return [
        {"id": number, "name": rows[number].get("name"), "status": rows[number].get("status")}
        for number in sorted(rows)
    ]


def settled(run: Run, read: Callable[[], list[Row]]) -> list[Row]:
    """Those of one name. Of two that two runs made at once, the younger is about to go."""
    rows: list[Row] = []
    for _ in run.session.deadline.looks(RACE_SECONDS):
        rows = read()
        if len(rows) < 2:
            break
    return rows


class TransformStep(Step):
    """One transform with this name and code: made when there is none, unchanged when it is the same.

    Args:
        number: of the transform to change; None to make one.
    """

    def __init__(self, code: Code, name: str, fields: Row, number: int | None = None) -> None:
        word = "change" if number else "create"
        super().__init__(f"transform:{name}", f"{word} transform {name}")
        self.code, self.name, self.fields, self.number = code, name, fields, number
        self.kind = code.api.name

    def find(self, run: Run) -> Found:
        row = get(run.session, self.code.api, self.number) if self.number else self._of_name(run)
        if row is None:
            return Found("create")
        changes: dict[str, list[Any]] = {}
        old = of_row(row)
        if old is None or old != self.code:
            changes["code"] = ["on the server", "in the file"]
            run.facts["diff"] = difference(old, self.code) if old else ["the server's code is in an unknown form"]
        for key, value in self.fields.items():
            if row.get(key) != value:
                changes[key] = [row.get(key), value]
        if not changes:
            return Found(UNCHANGED, row["id"])
        before = {key: row.get(key) for key in ("code", "code_type", "code_encoding", "output_type")}
        before |= {key: row.get(key) for key in self.fields}
        refused = "code" in changes and self.number is None and not run.made(self.key)  # as only a dry run gets to see
        return Found("refused" if refused else "update", row["id"], changes, before)

    def _of_name(self, run: Run) -> Row | None:
        """The one of this name. Other code under it is refused: its users would get it unasked."""
        rows = settled(run, lambda: by_exact_name(run.session, self.code.api, self.name))
        if len(rows) > 1:
            ids = [row["id"] for row in rows]
            raise OperatorError(
                Exit.NOT_FOUND,
                f"{len(rows)} {self.kind} are named {self.name!r}: ids {', '.join(map(str, ids))}",
                hint="use --operation update with --id, or delete all but one",
                resource={"type": self.kind, "name": self.name, "candidates": ids},
            )
        row = exists(run.session, self.code.api, rows[0]["id"]) if rows else None
        if row is None:
            return None
        if of_row(row) != self.code and not run.made(self.key):
            old = of_row(row)
            if run.dry:
                users = ", ".join(f"{user['id']} {user['name']!r}" for user in users_of(run.session, row)) or "none"
                run.warnings.append(f"{self.name!r} exists (id {row['id']}) with other code, used by nexsets: {users}; "
                                    "a real run refuses it: see --operation update")  # fmt: skip
                return row
            raise OperatorError(
                Exit.ERROR,
                f"{self.name!r} exists (id {row['id']}) with other code",
                hint=f"look at data.diff and data.used_by, then: --operation update --id {row['id']} --file …",
                resource={"type": self.kind, "id": row["id"]},
                data={"diff": difference(old, self.code) if old else None, "used_by": users_of(run.session, row)},
            )
        return row

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        body = {"name": self.name, **self.fields, **self.code.as_body()}
        if found.action == "create":
            row, _ = create(run.session, self.code.api.path, body, lambda: self._of_name(run), run.say)
            return self._only(run, int(row["id"]))
        call(run.session, "PUT", item_path(self.code.api, found.id), body=body, say=run.say)
        return found.id, False

    def _only(self, run: Run, number: int) -> tuple[int, bool]:
        """Of two that two runs made at once, the younger goes."""
        oldest = min((row["id"] for row in by_exact_name(run.session, self.code.api, self.name)), default=number)
        if oldest >= number or of_row(get(run.session, self.code.api, oldest)) != self.code:
            return number, True
        delete(run.session, self.code.api, number, run.say)
        run.warnings.append(f"another run made {self.name!r} (id {oldest}) at the same time: that one is used")
        return oldest, False

    def verify(self, run: Run, number: int | None, *, made: bool) -> None:
        row = get(run.session, self.code.api, number)
        if of_row(row) != self.code:
            text = f"{self.title}: the server holds other code than was sent"
            raise OperatorError(Exit.ERROR, text, resource={"type": self.kind, "id": number})

    def undo(self, run: Run, entry: Entry) -> None:
        if entry.made:
            number = entry.id or next((row["id"] for row in by_exact_name(run.session, self.code.api, self.name)), None)
            if number is not None:
                delete(run.session, self.code.api, number, run.say)
        elif MARK in json.dumps(entry.before):
            raise OperatorError(Exit.LEFT_BEHIND, "the former code holds a secret, which the journal does not keep")
        elif of_row(get(run.session, self.code.api, entry.id)) not in (self.code, of_row(entry.before)):
            raise OperatorError(Exit.LEFT_BEHIND, "somebody else has changed the code since, and it was left so")
        else:
            call(run.session, "PUT", item_path(self.code.api, entry.id), body=entry.before, say=run.say)
            now = get(run.session, self.code.api, entry.id)
            wrong = [key for key, value in entry.before.items() if now.get(key) != value]
            if wrong:
                raise OperatorError(Exit.LEFT_BEHIND, f"the server does not show the former {', '.join(wrong)}")
