"""From the flags of manage_transforms.py to the steps of its change."""

from __future__ import annotations

import argparse
from typing import Any

from helpers.api.flows import Member
from helpers.api.resources import exists
from helpers.api.session import Session
from helpers.api.writes import delete
from helpers.change.changes import UNCHANGED, Found, Run, Step
from helpers.change.journal import Entry
from helpers.change.set_status import ACTIVE, PAUSED, SwitchStep
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.kinds import KINDS, Kind, Row
from helpers.transforms.attach import AttachStep, ChildStep
from helpers.transforms.code import Code, difference, of_row
from helpers.transforms.flags import names_in
from helpers.transforms.proof import Demands
from helpers.transforms.proof_steps import HoldStep, ProofStep, RehearsalStep, ReleaseStep
from helpers.transforms.steps import TransformStep, by_exact_name, users_of

MIN_SAMPLES = 5
PROOF_SECONDS = 60.0


class DeleteStep(Step):
    """Delete a transform that nothing uses. It cannot be undone."""

    def __init__(self, kind: Kind, row: Row) -> None:
        super().__init__(f"delete:{row['id']}", f"delete {kind.singular} {row['id']} {row.get('name')!r}")
        self.api, self.row, self.kind, self.name = kind, row, kind.name, str(row.get("name"))

    def find(self, run: Run) -> Found:
        if self.row.get("gone"):
            return Found(UNCHANGED, self.row["id"])
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
        reusable = {"reusable": args.operation == "copy" or args.reusable is not False}
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
    if args.id is not None and args.name not in (None, row.get("name")):
        raise usage(f"transform {row['id']} is named {row.get('name')!r}, not {args.name!r}", "update does not rename")
    step = TransformStep(code, str(row.get("name")), fields, row["id"])
    if args.kind == "attribute":
        return [step], {"used_by": users}
    demands = demands_of(args)
    if not (demands.gone or demands.masked or demands.kept):
        return [step], {"used_by": users, "unproven": [u["id"] for u in users] if of_row(row) != code else []}
    if not users:
        return [step], {"used_by": users, "unused": row["id"]}
    return _proven_for_users(step, code, users, demands, args), {"used_by": users}


def _proven_for_users(
    step: TransformStep, code: Code, users: list[Row], demands: Demands, args: argparse.Namespace
) -> list[Step]:
    """Tried here for each nexset that uses it; those that are ACTIVE are held until the new code is proven."""
    seconds = args.proof_timeout or PROOF_SECONDS
    tries: list[Step] = [RehearsalStep(user["id"], code, demands, parent=False, attached=user["id"]) for user in users]
    holds = [HoldStep(user["id"], str(user["name"]), step) for user in users]
    proofs = [ProofStep(user["id"], str(user["name"]), code, demands, seconds) for user in users]
    return [*tries, *holds, step, *proofs, *(ReleaseStep(hold) for hold in holds)]


def attach_steps(
    args: argparse.Namespace, session: Session, code: Code | None, row: Row | None
) -> tuple[list[Step], dict[str, Any]]:
    """Attach with its proof, or detach. What is ACTIVE is held meanwhile, and released when it is proven."""
    if args.operation == "detach":
        return _detach_steps(args, session)
    assert code is not None
    if row is not None and not row.get("reusable"):
        raise usage(f"transform {row['id']} is not reusable", "only reusable transforms can be attached by id")
    key, number, demands = f"transform:{args.name}", row["id"] if row else None, demands_of(args)
    base = _nexset(session, args.parent or args.nexset, "--parent" if args.parent else "--nexset")
    known = [row] if row else by_exact_name(session, code.api, args.name)
    everyone = [user for one in known for user in users_of(session, one)]
    own = [user["id"] for user in everyone
           if user["id"] == int(args.nexset or 0) or (args.parent and user["name"] == args.nexset_name)]  # fmt: skip
    parent, has = args.parent is not None, own[0] if own else None
    steps: list[Step] = [RehearsalStep(base["id"], code, demands, parent=parent, attached=has)]
    if row is None:
        steps.append(TransformStep(code, args.name, {"reusable": True}))
    after: list[Step] = []
    if args.parent is not None:
        steps.append(ChildStep(base["id"], args.nexset_name, key, number))
        target, name = f"nexset:{args.nexset_name}", args.nexset_name
    else:
        target, name = f"attach:{base['id']}", str(base.get("name"))
        attach = AttachStep(base["id"], name, key, number)
        hold = HoldStep(base["id"], name, attach)
        steps += [hold, attach]
        after = [ReleaseStep(hold)]
    steps += [ProofStep(target, name, code, demands, args.proof_timeout or PROOF_SECONDS), *after]
    if args.activate:
        steps.append(_ActivateStep(target, name))
    facts: dict[str, Any] = {"shared_with": [user for user in everyone if user["id"] not in own]}
    former = base.get("transform_id") if args.nexset else None
    if isinstance(former, int) and former not in [one["id"] for one in known]:
        facts["former_shared_with"] = [u for u in users_of(session, {"id": former}) if u["id"] != base["id"]]
    if args.nexset and base.get("status") == PAUSED and not args.activate:
        facts["rests"] = base["id"]
    bare = not (demands.gone or demands.masked or demands.kept)
    return steps, facts | ({"nothing_demanded": True} if bare else {})


def _detach_steps(args: argparse.Namespace, session: Session) -> tuple[list[Step], dict[str, Any]]:
    row = _nexset(session, args.nexset, "--nexset")
    if row.get("status") == ACTIVE and not (args.yes or args.dry_run):
        raise usage(
            f"nexset {row['id']} {row.get('name')!r} is ACTIVE: without a transform, all that comes in passes as it is",
            "pause it first, or add --yes",
        )
    return [AttachStep(row["id"], str(row.get("name")), "", None, detach=True)], {"passes_as_it_is": [row["id"]]}


def _nexset(session: Session, number: str, flag: str) -> Row:
    row = exists(session, KINDS["nexsets"], int(number), expand=1)
    if row is None:
        hint = "see python scripts/list_resources.py --type nexsets --all"
        raise OperatorError(Exit.NOT_FOUND, f"there is no nexset {number} ({flag})", hint=hint)
    return row


def demands_of(args: argparse.Namespace) -> Demands:
    """What the flags want of every sample."""
    fields = (names_in(args.must_not_contain), names_in(args.must_mask), names_in(args.must_keep))
    return Demands(*fields, args.min_samples or MIN_SAMPLES, args.may_change_nothing)


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
