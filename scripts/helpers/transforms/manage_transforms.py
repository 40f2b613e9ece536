"""One operation on a transform: list, show, test, or a change that must prove its effect."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from helpers.api.paging import Pages
from helpers.api.resources import get, require_unique
from helpers.api.similar_names import similar_names
from helpers.change.changes import apply, plan
from helpers.change.identity import identity_of
from helpers.change.journal import Journal, open_journal
from helpers.change.model import ChangeRun, RecoveryCommands
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Kind, Row
from helpers.core.names import same_name
from helpers.transforms.code import Code, code_from_row
from helpers.transforms.local_run import check_jolt, require_runnable
from helpers.transforms.plan import TransformPlan, plan_attach, plan_change, plan_detach
from helpers.transforms.request import TransformRequest
from helpers.transforms.steps import by_exact_name, users_of
from helpers.transforms.trial import run_trial

COLUMNS = ("id", "name", "kind", "code_type", "reusable", "public", "used_by")
PLAN_COLUMNS = ("step", "action", "type", "name", "id", "changes")


def run(request: TransformRequest, context: Context) -> Result:
    """Run one operation.

    Raises:
        OperatorError: USAGE; NOT_FOUND; ERROR; the exit codes of a failed change, such as ROLLED_BACK.
    """
    if request.file and request.code:
        check_jolt(request.file, request.code)
    if request.operation == "test":
        return run_trial(request, context, _code_to_run(request, None if request.code else _find(request, context)))
    if request.operation == "list":
        return _list(request, context)
    if request.operation in ("get", "usage"):
        return _show(request, context)
    return _change(request, context)


def _find(request: TransformRequest, context: Context) -> Row:
    """The transform that ``--id`` or ``--name`` selects, with its code."""
    transform_id = request.transform_id
    if transform_id is None:
        name = str(request.name)
        named = _public(request, context) if request.public else by_exact_name(context.session, request.api, name)
        row = require_unique(request.api, name, named)
        if row is None:
            listing = command_line("manage_transforms", "--operation", "list", "--kind", request.kind)
            text = f"no {request.api.singular} is named {name!r}"
            kind, params = (_public_kind(request.api), {}) if request.public else (request.api, {"reusable": "all"})
            guess = similar_names(context.session, kind, name, **params)
            raise OperatorError(Exit.NOT_FOUND, text, hint=f"{guess}see {listing}")
        transform_id = row["id"]
    return get(context.session, request.api, transform_id)


def _public_kind(kind: Kind) -> Kind:
    return Kind(kind.name, f"{kind.path}/public", kind.api_type, kind.singular, ())


def _public(request: TransformRequest, context: Context) -> list[Row]:
    """The public transforms with the name; anybody may own them."""
    pages = Pages(context.session, _public_kind(request.api))
    return [row for row in pages if same_name(row.get("name"), str(request.name))]


def _code_of(row: Row) -> Code:
    code = code_from_row(row)
    if code is None:
        raise OperatorError(Exit.ERROR, f"the code of transform {row.get('id')} has an unknown form")
    return code


def _code_to_run(request: TransformRequest, row: Row | None) -> Code:
    """The code in the file, or else in the row; a script in the row may run if the user says so."""
    code = request.code or _code_of(row or {})
    return code.isolated() if request.run_remote_code and not request.code else code


def _list(request: TransformRequest, context: Context) -> Result:
    kind = _public_kind(request.api) if request.public else request.api
    pages = Pages(context.session, kind, {} if request.public else {"reusable": "all"})
    wanted = (request.name or "").lower()
    rows = [_brief(request.kind, row) for row in pages if wanted in str(row.get("name")).lower()]
    return Result(rows, {"total": len(rows)}, columns=COLUMNS)


def _brief(kind: str, row: Row) -> Row:
    used = row.get("data_sets")
    brief = {"id": row.get("id"), "name": row.get("name"), "kind": kind, "code_type": row.get("code_type")}
    brief |= {"reusable": row.get("reusable"), "public": row.get("public")}
    return brief | {"used_by": len(used) if isinstance(used, list) else None}


def _show(request: TransformRequest, context: Context) -> Result:
    row = _find(request, context)
    users = users_of(context.session, row)
    if request.operation == "usage":
        return Result(users, {"transform": row["id"], "total": len(users)}, columns=("id", "name", "status"))
    code = _code_of(row)
    data = {**_brief(request.kind, row), "description": row.get("description"), "used_by": users}
    return Result({**data, "code": code.readable() or None, "text": code.as_text()})


def _change(request: TransformRequest, context: Context) -> Result:
    planned = _plan(request, context)
    options, warnings = request.change, list(planned.warnings)
    change = ChangeRun(context.session, context.report, dry=options.dry_run, marking=options.mark, warnings=warnings)
    meta: dict[str, Any] = {"api": context.host}
    if change.dry:
        rows = [outcome.as_row() for outcome in plan(change, planned.steps)]
        data = {"outcome": "planned", "to_do": change.changed, **planned.users, **_diff(planned, context)}
        return Result({**data, "steps": rows}, meta, change.warnings, Exit.OK, PLAN_COLUMNS, "steps")
    change.journal = _open_journal(request, context)
    context.report(f"journal: {change.journal.path}")
    try:
        apply(change, planned.steps, rollback=True, recovery=RecoveryCommands(context.invocation.resumed()))
    finally:
        change.journal.close()
    return _changed(planned, context, change, meta)


def _open_journal(request: TransformRequest, context: Context) -> Journal:
    names = (request.operation, request.kind, request.transform_id, request.name, request.nexset_id, request.parent_id)
    subject = " ".join(str(name) for name in (*names, request.nexset_name))
    options = request.change
    identity = identity_of(context.session, "manage_transforms", subject)
    return open_journal(identity, path=options.journal, resume=options.resume)


def _changed(planned: TransformPlan, context: Context, change: ChangeRun, meta: dict[str, Any]) -> Result:
    facts = planned.facts
    data: dict[str, Any] = {"outcome": "changed" if change.changed else "unchanged", "changed": change.changed}
    data |= {"ids": change.results, **planned.users}
    data |= {"proof": facts.proof} if facts.proof is not None else {}
    data |= {"schema_changes": facts.schema_changes} if facts.schema_changes is not None else {}
    data |= _diff(planned, context)
    meta |= facts.proof or {}
    if "shared_with" in planned.users:
        meta["shared_with"] = len(planned.users["shared_with"])
    rows = [outcome.as_row() for outcome in change.outcomes]
    return Result({**data, "steps": rows}, meta, change.warnings, Exit.OK, PLAN_COLUMNS, "steps")


def _diff(planned: TransformPlan, context: Context) -> dict[str, Any]:
    """The diff of the code, if any; it is also reported line by line."""
    lines = planned.facts.diff
    for line in lines or []:
        context.report(line)
    return {"diff": lines} if lines else {}


def _plan(request: TransformRequest, context: Context) -> TransformPlan:
    session = context.session
    if request.operation == "detach":
        return plan_detach(request, session)
    if request.operation == "attach":
        row = None if request.file else _find(request, context)
        code_to_run = _code_to_run(request, row)
        if not request.change.dry_run:
            require_runnable(code_to_run)
        return plan_attach(request, session, code_to_run, row)
    row = None if request.operation == "create" else _find_for_change(request, context)
    code = request.code
    if row and code is None and request.operation != "delete":
        code = _code_of(row)
    return plan_change(request, session, code, row)


def _find_for_change(request: TransformRequest, context: Context) -> Row:
    if request.operation == "copy":
        request = request._replace(name=None)
    try:
        return _find(request, context)
    except OperatorError as error:
        resumed = request.operation == "delete" and request.change.resume
        transform_id = _deleted_id(request, context) if resumed and error.code is Exit.NOT_FOUND else None
        if transform_id is None:
            raise
        return {"id": transform_id, "name": request.name, "gone": True}


def _deleted_id(request: TransformRequest, context: Context) -> int | None:
    """The transform that an interrupted run was deleting; a name alone no longer leads to it."""
    if request.transform_id is not None:
        return request.transform_id
    with closing(_open_journal(request, context)) as journal:
        return next((entry.id for entry in journal.entries.values() if entry.action == "delete"), None)
