"""Deploying the flow in a config, or tearing it down."""

from __future__ import annotations

from typing import Any

from helpers.change.changes import apply, plan
from helpers.change.identity import identity_of
from helpers.change.journal import Journal, open_journal
from helpers.change.model import UNCHANGED, ChangeRun, RecoveryCommands, Step
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.core.commands import command_line
from helpers.deploy.model import FlowConfig, parse
from helpers.deploy.plan import deploy_steps
from helpers.deploy.request import DeployRequest
from helpers.deploy.state import FlowState, nexset_name
from helpers.deploy.teardown import SOURCE_SNAPSHOT, teardown_steps

COLUMNS = ("step", "action", "type", "name", "id")
PLAN_COLUMNS = (*COLUMNS, "changes")


def run(request: DeployRequest, context: Context) -> Result:
    """Deploy or tear down the configured flow.

    Returns:
        For a deployment, the ids of the flow and its members, what each step did, and what arrived at each
        destination; for a teardown or a dry run, the steps.

    Raises:
        OperatorError: as ``changes.apply``.
    """
    config = parse(request.config)
    change = ChangeRun(context.session, context.report, dry=request.change.dry_run, marking=request.change.mark)
    state = FlowState(config)
    steps: list[Step]
    if request.teardown:
        steps = teardown_steps(config)
    else:
        steps = deploy_steps(state, verify=request.verify, timeout=request.verify_seconds)
    if change.dry:
        return _planned(change, steps, context)
    change.journal = _open_journal(request, context, config)
    context.report(f"journal: {change.journal.path}")
    try:
        apply(change, steps, rollback=request.rollback, recovery=_recovery(request, context))
    finally:
        change.journal.close()
    if request.teardown:
        return _torn_down(change, context)
    return _deployed(context, state, change)


def _planned(change: ChangeRun, steps: list[Step], context: Context) -> Result:
    plan(change, steps)
    _warn_of_delivered_rows(change)
    data = {"outcome": "planned", "to_do": change.changed, "steps": _rows(change)}
    meta = {"api": context.host, "outcome": "planned", "to_do": change.changed}
    return Result(data, meta, change.warnings, columns=PLAN_COLUMNS, table="steps")


def _open_journal(request: DeployRequest, context: Context, config: FlowConfig) -> Journal:
    command = "deploy_flow-teardown" if request.teardown else "deploy_flow"
    subject = _subject(config)
    options = request.change
    identity = identity_of(context.session, command, subject)
    return open_journal(identity, path=options.journal, resume=options.resume, config=request.config.digest)


def _subject(config: FlowConfig) -> str:
    """What a change is about: the flow of a source, or destinations of existing nexsets."""
    if config.source is not None:
        return f"{config.source.source_type} {config.source.name}"
    return "; ".join(sorted(f"{d.sink_type} {d.name} on nexset {d.data_set_id}" for d in config.all_destinations))


def _recovery(request: DeployRequest, context: Context) -> RecoveryCommands:
    """The commands that continue after a failure, or remove what was created."""
    resume = context.invocation.resumed()
    if request.teardown:
        return RecoveryCommands(resume)
    return RecoveryCommands(resume, context.invocation.with_only(("config", "env_file"), "--teardown", "--yes"))


def _torn_down(change: ChangeRun, context: Context) -> Result:
    deleted = sum(outcome.action == "delete" for outcome in change.outcomes)
    _warn_of_delivered_rows(change)
    outcome = "torn down" if deleted else "nothing to do"
    data = {"outcome": outcome, "deleted": deleted, "steps": _rows(change)}
    meta = {"api": context.host, "outcome": outcome}
    return Result(data, meta, change.warnings, columns=COLUMNS, table="steps")


def _rows(change: ChangeRun) -> list[dict[str, Any]]:
    return [outcome.as_row() for outcome in change.outcomes if outcome.key != SOURCE_SNAPSHOT]


def _warn_of_delivered_rows(change: ChangeRun) -> None:
    """Say what a teardown does not delete."""
    sinks = [o for o in change.outcomes if o.kind == "destinations" and o.action == "delete"]
    if sinks:
        names = ", ".join(f"{outcome.name!r} (id {outcome.id})" for outcome in sinks)
        change.warnings.append(
            f"rows that were already delivered stay in the systems behind {names}: a teardown deletes resources of "
            "Nexla, and no data; delete the rows there if nobody needs them"
        )


def _deployed(context: Context, state: FlowState, change: ChangeRun) -> Result:
    facts, outcome = state.facts, "deployed" if change.changed else "unchanged"
    destinations, kept = _destinations(state, change), _kept_secrets(change)
    connection = context.invocation.flags("env_file")
    watch = command_line("list_resources", "--type", "flows", "--id", facts.flow_id, "--full", *connection)
    data = {
        "outcome": outcome,
        "flow": facts.flow_id,
        "source": change.results.get("source"),
        "nexsets": {
            name or "detected": resource_id
            for key, resource_id in change.results.items()
            if (name := nexset_name(key)) is not None
        },
        "destinations": destinations,
        "source_errors": facts.source_errors,
        "secrets_not_changed": kept,
        "steps": _rows(change),
        "watch": watch,
        "remove": context.invocation.with_only(("config", "env_file"), "--teardown", "--dry-run"),
    }
    meta: dict[str, Any] = {"api": context.host, "outcome": outcome, "flow": facts.flow_id}
    meta |= {"delivered": _summary(destinations)}
    meta |= {"secrets_not_changed": kept} if kept else {}
    return Result(data, meta, change.warnings, columns=COLUMNS, table="steps")


def _kept_secrets(change: ChangeRun) -> list[int]:
    """The ids of inline credentials that existed before, so that their secrets were not written."""
    found = (o for o in change.outcomes if o.kind == "credentials" and o.writes and o.action == UNCHANGED)
    return sorted({o.id for o in found if o.id is not None and not change.created(o.key)})


def _destinations(state: FlowState, change: ChangeRun) -> list[dict[str, Any]]:
    rows = []
    for entry in state.config.all_destinations:
        delivery = state.facts.delivered.get(entry.key)
        row = {
            "name": entry.name,
            "id": change.results.get(f"destination:{entry.key}"),
            "verified": delivery is not None,
            "records": delivery.records if delivery else None,
            "errors": delivery.errors if delivery else None,
            "runs": delivery.runs if delivery else [],
        }
        rows.append(row)
    return rows


def _summary(destinations: list[dict[str, Any]]) -> dict[str, str]:
    """One line per destination, for the footer of a table."""
    return {
        row["name"]: f"{row['records']} records, {row['errors']} errors" if row["verified"] else "not verified"
        for row in destinations
    }
