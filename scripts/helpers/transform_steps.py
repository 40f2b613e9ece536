"""Creating, changing, attaching and proving transforms as steps of a change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .changes import UNCHANGED, Found, Run, Step
from .errors import Exit, OperatorError
from .journal import Entry
from .kinds import KINDS, Kind, Row, item_path
from .redact import MARK, redact
from .resources import Pages, exists, get, one_of
from .session import Session
from .transform_code import Code, difference, of_row
from .transport import call
from .writes import create, delete

NEXSETS = KINDS["nexsets"]
RACE_SECONDS = 2.0
VALIDATOR = "nexla.schema.validator"


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


def _settled(run: Run, read: Callable[[], list[Row]]) -> list[Row]:
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
        rows = _settled(run, lambda: by_exact_name(run.session, self.code.api, self.name))
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
        return one_of(NEXSETS, self.name, _settled(run, lambda: self._all(run)))

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
