"""Turning a request into the steps of a transform change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from helpers.api.resources import get_or_none
from helpers.api.session import Session
from helpers.change.model import Step
from helpers.change.set_status import ACTIVE, PAUSED
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.kinds import Row
from helpers.transforms.attach import AttachStep, DerivedNexsetStep
from helpers.transforms.code import Code, code_from_row, difference
from helpers.transforms.proof_steps import ActivateProven, LocalTrialStep, PauseUntilProven, ProofStep, Reactivate
from helpers.transforms.request import TransformRequest
from helpers.transforms.steps import (
    NEXSETS,
    DeleteStep,
    TransformFacts,
    TransformStep,
    by_exact_name,
    names_of,
    users_of,
)


@dataclass
class TransformPlan:
    """The steps of a change.

    Attributes:
        steps: In the order in which they run.
        users: Nexsets to report, under ``used_by``, ``shared_with`` and ``former_shared_with``.
        warnings: What the change does not cover.
        facts: What the steps find out.
    """

    steps: list[Step] = field(default_factory=list)
    users: dict[str, list[Row]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    facts: TransformFacts = field(default_factory=TransformFacts)


def plan_change(request: TransformRequest, session: Session, code: Code | None, row: Row | None) -> TransformPlan:
    """Plan create, update, copy or delete.

    Args:
        request: The request.
        session: The API session.
        code: The new code; None for delete.
        row: The transform to change, copy or delete; None for create.

    Raises:
        OperatorError: USAGE, if nexsets use the transform and ``--yes`` was not passed, or the name does not match.
    """
    if request.operation == "delete":
        assert row is not None
        return TransformPlan([DeleteStep(request.api, row)])
    assert code is not None
    if request.operation == "update":
        assert row is not None
        return _plan_update(request, session, code, row)
    plan = TransformPlan()
    fields = _description(request) | {"reusable": request.operation == "copy" or request.reusable is not False}
    plan.steps.append(TransformStep(code, str(request.name), fields, plan.facts))
    return plan


def _description(request: TransformRequest) -> Row:
    return {"description": request.description} if request.description is not None else {}


def _plan_update(request: TransformRequest, session: Session, code: Code, row: Row) -> TransformPlan:
    """Plan new code for a transform. If there are requirements, the code is proven for each nexset that uses it."""
    users, old = users_of(session, row), code_from_row(row)
    if users and old != code and not (request.confirmed or request.change.dry_run):
        raise OperatorError(
            Exit.USAGE,
            f"transform {row['id']} is used by nexsets {names_of(users)}: all of them would get the new code",
            hint="run with --dry-run first, then add --yes; or create another transform and attach it",
            data={"diff": difference(old, code) if old else None, "used_by": users},
        )
    if request.transform_id is not None and request.name not in (None, row.get("name")):
        text = f"transform {row['id']} is named {row.get('name')!r}, not {request.name!r}"
        raise usage(text, "update cannot rename a transform")
    plan = TransformPlan(users={"used_by": users})
    step = TransformStep(code, str(row.get("name")), _description(request), plan.facts, row["id"])
    plan.steps.append(step)
    if request.kind == "attribute":
        return plan
    if not request.requirements.has_field_requirements:
        if old != code and users:
            ids = ", ".join(str(user["id"]) for user in users)
            plan.warnings.append(f"nexsets {ids} get unproven code: see --must-not-contain, --must-mask, --must-keep")
    elif users:
        plan.steps = _proven_for_users(request, step, code, users, plan.facts)
    else:
        plan.warnings.append(f"no nexset uses transform {row['id']}: nothing is proven until it is attached")
    return plan


def _proven_for_users(
    request: TransformRequest, step: TransformStep, code: Code, users: list[Row], facts: TransformFacts
) -> list[Step]:
    """The steps that try the code locally for each nexset, pause those that are ACTIVE, and prove the code."""
    requirements = request.requirements
    trials = [LocalTrialStep(user["id"], code, requirements, parent=False, attached=user["id"]) for user in users]
    pauses = [PauseUntilProven(user["id"], str(user["name"]), step) for user in users]
    proofs = [
        ProofStep(user["id"], str(user["name"]), code, requirements, facts, request.proof_seconds) for user in users
    ]
    return [*trials, *pauses, step, *proofs, *map(Reactivate, pauses)]


def plan_attach(request: TransformRequest, session: Session, code: Code, row: Row | None) -> TransformPlan:
    """Plan an attach with its proof. An ACTIVE nexset is paused until the transform is proven.

    Args:
        request: The request.
        session: The API session.
        code: The transform's code.
        row: The transform to attach; None if it is created from a file.

    Raises:
        OperatorError: USAGE, if the transform is not reusable; NOT_FOUND, if the nexset does not exist.
    """
    if row is not None and not row.get("reusable"):
        raise usage(f"transform {row['id']} is not reusable", "only reusable transforms can be attached by id")
    known = [row] if row else by_exact_name(session, code.api, str(request.name))
    users = [user for one in known for user in users_of(session, one)]
    if request.parent_id is not None:
        plan, own = _to_derived_nexset(request, session, code, row, users)
    else:
        plan, own = _to_existing_nexset(request, session, code, row, users, known)
    if not request.requirements.has_field_requirements:
        plan.warnings.insert(
            0,
            "nothing is required of the output except that it differs from the input: "
            "see --must-not-contain, --must-mask, --must-keep",
        )
    plan.users = {"shared_with": [user for user in users if user["id"] not in own], **plan.users}
    return plan


def _to_derived_nexset(
    request: TransformRequest, session: Session, code: Code, row: Row | None, users: list[Row]
) -> tuple[TransformPlan, list[int]]:
    """The plan, and the ids of those users that are the nexset itself."""
    base, name = _nexset(session, request.parent_id, "--parent"), str(request.nexset_name)
    own = [user["id"] for user in users if user["name"] == name]
    plan = TransformPlan()
    plan.steps.append(
        LocalTrialStep(base["id"], code, request.requirements, parent=True, attached=own[0] if own else None)
    )
    transform_key = _add_transform(plan, request, code, row)
    child = DerivedNexsetStep(base["id"], name, transform_key, row["id"] if row else None)
    proof = ProofStep(child.key, name, code, request.requirements, plan.facts, request.proof_seconds)
    plan.steps += [child, proof]
    plan.steps += [ActivateProven(child.key, name)] if request.activate else []
    return plan, own


def _to_existing_nexset(
    request: TransformRequest, session: Session, code: Code, row: Row | None, users: list[Row], known: list[Row]
) -> tuple[TransformPlan, list[int]]:
    """The plan, and the ids of those users that are the nexset itself."""
    base = _nexset(session, request.nexset_id, "--nexset")
    own, name = [user["id"] for user in users if user["id"] == base["id"]], str(base.get("name"))
    plan = TransformPlan()
    plan.steps.append(
        LocalTrialStep(base["id"], code, request.requirements, parent=False, attached=own[0] if own else None)
    )
    transform_key = _add_transform(plan, request, code, row)
    attach = AttachStep(base["id"], name, transform_key, row["id"] if row else None)
    pause = PauseUntilProven(base["id"], name, attach)
    proof = ProofStep(attach.key, name, code, request.requirements, plan.facts, request.proof_seconds)
    plan.steps += [pause, attach, proof, Reactivate(pause)]
    plan.steps += [ActivateProven(attach.key, name)] if request.activate else []
    former = base.get("transform_id")
    if isinstance(former, int) and former not in [one["id"] for one in known]:
        others = [user for user in users_of(session, {"id": former}) if user["id"] != base["id"]]
        plan.users["former_shared_with"] = others
    if base.get("status") == PAUSED and not request.activate:
        text = f"nexset {base['id']} is PAUSED and remains PAUSED; to activate it once it is proven: --activate"
        plan.warnings.append(text)
    return plan, own


def _add_transform(plan: TransformPlan, request: TransformRequest, code: Code, row: Row | None) -> str:
    """Add the step that creates the transform if it comes from a file; returns the step's key, or an empty text."""
    if row is not None:
        return ""
    step = TransformStep(code, str(request.name), {"reusable": True}, plan.facts)
    plan.steps.append(step)
    return step.key


def plan_detach(request: TransformRequest, session: Session) -> TransformPlan:
    """Plan to leave a nexset without a transform.

    Raises:
        OperatorError: USAGE, if the nexset is ACTIVE and ``--yes`` was not passed; NOT_FOUND.
    """
    row = _nexset(session, request.nexset_id, "--nexset")
    if row.get("status") == ACTIVE and not (request.confirmed or request.change.dry_run):
        raise usage(
            f"nexset {row['id']} {row.get('name')!r} is ACTIVE: without a transform, records pass through unchanged",
            "pause it first, or add --yes",
        )
    step = AttachStep(row["id"], str(row.get("name")), "", None, detach=True)
    warning = f"without a transform, records pass through nexset {row['id']} unchanged"
    return TransformPlan([step], warnings=[warning])


def _nexset(session: Session, nexset_id: Any, flag: str) -> Row:
    row = get_or_none(session, NEXSETS, int(nexset_id), expand=1)
    if row is None:
        hint = f"see {command_line('list_resources', '--type', 'nexsets', '--all')}"
        raise OperatorError(Exit.NOT_FOUND, f"nexset {nexset_id} ({flag}) does not exist", hint=hint)
    return row
