"""From the flags of manage_transforms.py to the steps of its change."""

from __future__ import annotations

import argparse
from typing import Any

from .changes import Found, Run, Step
from .errors import Exit, OperatorError, usage
from .flows import Member
from .journal import Entry
from .kinds import KINDS, Kind, Row
from .resources import get
from .session import Session
from .switches import ACTIVE, SwitchStep
from .transform_code import Code, difference, of_row
from .transform_proof import Demands
from .transform_steps import AttachStep, ChildStep, ProofStep, TransformStep, by_exact_name, users_of
from .writes import delete


class DeleteStep(Step):
    """Delete a transform that nothing uses. It cannot be undone."""

    def __init__(self, kind: Kind, row: Row) -> None:
        super().__init__(f"delete:{row['id']}", f"delete {kind.singular} {row['id']} {row.get('name')!r}")
        self.api, self.row, self.kind, self.name = kind, row, kind.name, str(row.get("name"))

    def find(self, run: Run) -> Found:
        users = users_of(run.session, self.row)
        if users:
            names = ", ".join(f"{user['id']} {user['name']!r}" for user in users)
            raise OperatorError(
                Exit.ERROR, f"{self.api.singular} {self.row['id']} is in use by nexsets {names}",
                hint="detach it from them first: --operation detach --nexset ID",
                resource={"type": self.kind, "id": self.row["id"]}, data={"used_by": users},
            )  # fmt: skip
        return Found("delete", self.row["id"])

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        delete(run.session, self.api, self.row["id"], run.say)
        return self.row["id"], False

    def undo(self, run: Run, entry: Entry) -> None:
        raise OperatorError(Exit.LEFT_BEHIND, "a deleted transform cannot be brought back")


def change_steps(
    args: argparse.Namespace, session: Session, code: Code | None, row: Row | None
) -> tuple[list[Step], dict[str, Any]]:
    """Create, update, copy, delete."""
    kind = KINDS["transforms" if args.kind == "record" else "attribute_transforms"]
    if args.operation == "delete":
        assert row is not None
        return [DeleteStep(kind, row)], {}
    assert code is not None
    fields: Row = {"description": args.description} if args.description is not None else {}
    if args.operation in ("create", "copy"):
        reusable = {"reusable": args.reusable} if args.operation == "create" else {"reusable": True}
        return [TransformStep(code, args.name, {**fields, **reusable})], {}
    assert row is not None
    users = users_of(session, row)
    if users and of_row(row) != code and not (args.yes or args.dry_run):
        names = ", ".join(f"{user['id']} {user['name']!r}" for user in users)
        old = of_row(row)
        raise OperatorError(
            Exit.USAGE, f"transform {row['id']} is used by nexsets {names}: all of them would get the new code",
            hint="look with --dry-run, then add --yes; or create another one and attach that",
            data={"diff": difference(old, code) if old else None, "used_by": users},
        )  # fmt: skip
    name = args.name if args.id is not None and args.name else str(row.get("name"))
    return [TransformStep(code, name, fields, row["id"])], {"used_by": users}


def attach_steps(
    args: argparse.Namespace, session: Session, code: Code | None, row: Row | None
) -> tuple[list[Step], dict[str, Any]]:
    """Attach with its proof, or detach."""
    if args.operation == "detach":
        nexset = int(args.nexset)
        name = str(get(session, KINDS["nexsets"], nexset).get("name"))
        return [AttachStep(nexset, name, "", None, detach=True)], {}
    assert code is not None
    if row is not None and not row.get("reusable"):
        raise usage(f"transform {row['id']} is not reusable", "only reusable transforms can be attached by id")
    steps: list[Step] = []
    key = f"transform:{args.name}"
    if row is None:
        steps.append(TransformStep(code, args.name, {"reusable": True}))
    number = row["id"] if row else None
    demands = Demands(_names(args.must_not_contain), _names(args.must_mask), _names(args.must_keep), args.min_samples)
    if args.parent is not None:
        steps.append(ChildStep(int(args.parent), args.nexset_name, key, number))
        target, name = f"nexset:{args.nexset_name}", args.nexset_name
    else:
        nexset = int(args.nexset)
        name = str(get(session, KINDS["nexsets"], nexset).get("name"))
        steps.append(AttachStep(nexset, name, key, number))
        target = f"attach:{nexset}"
    steps.append(ProofStep(target, name, code, demands, args.proof_timeout))
    if args.activate:
        steps.append(_ActivateStep(target, name))
    known = [row] if row else by_exact_name(session, code.api, args.name)
    return steps, {"shared_with": [user for one in known for user in users_of(session, one)]}


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


class _ActivateStep(SwitchStep):
    """Activate the nexset that an earlier step made or changed."""

    def __init__(self, target: str, name: str) -> None:
        super().__init__(Member("nexsets", 0, 0, {"name": name}), ACTIVE)
        self.key, self.title, self.target = f"activate:{name}", f"activate nexset {name}", target

    def find(self, run: Run) -> Found:
        number = run.results.get(self.target)
        if number is None:
            return Found("activate")
        self.member.id = number
        return super().find(run)

    def undo(self, run: Run, entry: Entry) -> None:
        if entry.id is not None:
            self.member.id = entry.id
            super().undo(run, entry)
