"""Tearing down a flow: check that the config covers all of it, then delete it from the destinations up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.api.failures import ApiError
from helpers.api.flows import Flow
from helpers.api.resources import by_name, get_or_none, require_unique
from helpers.change.creating import remove_resource
from helpers.change.journal import SNAPSHOT
from helpers.change.model import PASSED, SKIPPED, UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind, Row
from helpers.core.names import same_name
from helpers.deploy.activation import describe_members, unconfigured_members
from helpers.deploy.checks import CheckStep
from helpers.deploy.connectors import credential_users
from helpers.deploy.destination_only import TargetNexsetStep, nexset_states
from helpers.deploy.leftovers import way_out
from helpers.deploy.model import Destination, FlowConfig
from helpers.deploy.state import SOURCE_STEP, FlowState, nexset_key

SOURCE_SNAPSHOT = "before"  # the key of its step


class UnconfiguredMembersStep(CheckStep):
    """Check, before anything is deleted, that the flow has no members that are not in the config."""

    def __init__(self, state: FlowState) -> None:
        super().__init__("nothing-else", "nothing else depends on the flow")
        self.state, self.kind = state, "flows"

    def find(self, run: ChangeRun) -> Found:
        before = run.entry(SOURCE_SNAPSHOT)
        if before is not None:
            run.results[SOURCE_STEP] = int(before.resume_data["source"])
        source = current_source(self.state, run)
        if source is None and before is not None:
            return Found(SKIPPED)
        if source is None:
            run.warnings.append("you own no source with this name and type")
            return Found(SKIPPED)
        run.results[SOURCE_STEP] = source["id"]
        flow = refuse_unconfigured_members(self.state, run)
        return Found(PASSED, flow.origin.node_id if flow else None)


def refuse_unconfigured_members(state: FlowState, run: ChangeRun) -> Flow | None:
    """The flow, which has no members that are not in the config: they would go with its source.

    Raises:
        OperatorError: ERROR, with these members.
    """
    flow = state.flow(run)
    others = unconfigured_members(flow, state.config) if flow else []
    listed = ", ".join(filter(None, [describe_members(others), *(flow.unknown if flow else [])]))
    if listed:
        raise OperatorError(
            Exit.ERROR,
            f"the flow has members that are not in the config: {listed}",
            hint=way_out(others) or "remove them first",
            resource={"type": "flows", "id": flow.origin.node_id if flow else None},
        )
    return flow


def current_source(state: FlowState, run: ChangeRun) -> Row | None:
    """The source, by its id once that is known: under a new name it would seem to be gone.

    Raises:
        OperatorError: ERROR, when somebody has given it another name.
    """
    known = run.results.get(SOURCE_STEP)
    if known is None:
        return state.source(run)
    row = get_or_none(run.session, KINDS["sources"], known)
    if row is not None and not same_name(row.get("name"), state.config.flow_source.name):
        raise OperatorError(
            Exit.ERROR,
            f"source {known} is called {row.get('name')!r} by now, so it and what is below it were not deleted",
            hint="if it is to be deleted, give it its former name again",
            resource={"type": "sources", "id": known},
        )
    return row


class SourceSnapshotStep(Step):
    """Record which source is torn down, so that a resumed run does not look for it by a name that may be another."""

    def __init__(self) -> None:
        super().__init__(SOURCE_SNAPSHOT, "record which source is deleted")

    def find(self, run: ChangeRun) -> Found:
        source_id = run.results.get(SOURCE_STEP)
        if source_id is None or run.entry(self.key):
            return Found(UNCHANGED)
        return Found(SNAPSHOT, resume_data={"source": source_id})

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        return Applied()


class RemoveStep(Step):
    """Delete one resource of the config, if it exists.

    Args:
        key: the key of the step that deploys it.
        config: its entry in the config.
    """

    def __init__(self, key: str, kind: Kind, state: FlowState, config: Any) -> None:
        super().__init__(f"remove:{key}", f"delete {kind.singular} {config.name}")
        self.api, self.kind, self.name, self.state, self.config = kind, kind.name, config.name, state, config

    def _id(self, run: ChangeRun) -> int | None:
        if self.kind == "credentials":
            rows = by_name(run.session, self.api, self.name)
            rows = [row for row in rows if row.get("credentials_type") == self.config.credentials_type]
            row = require_unique(self.api, self.name, rows)
            return row["id"] if row else None
        if self.state.config.source is not None:
            source = current_source(self.state, run)
            if source is None:
                return None
            run.results[SOURCE_STEP] = source["id"]
            refuse_unconfigured_members(self.state, run)  # also of what has come since the first step
            if self.kind == "sources":
                return int(source["id"])
        return self._member_id(run)

    def _member_id(self, run: ChangeRun) -> int | None:
        flow = self.state.flow(run)
        if isinstance(self.config, Destination):
            members = self.state.destinations(run, self.name, self.config.sink_type)
        else:  # a derived nexset
            named = [member for member in flow.of_kind(self.kind) if same_name(member.name, self.name)] if flow else []
            members = [member for member in named if not member.row.get("data_source_id")]
        row = require_unique(self.api, self.name, [{"id": m.id, "status": m.status} for m in members])
        return row["id"] if row else None

    def find(self, run: ChangeRun) -> Found:
        before = run.entry(self.key)
        if before is not None and before.done:
            return Found(UNCHANGED, before.id)  # one that has the name by now is somebody else's
        resource_id = self._id(run)
        return Found("delete", resource_id) if resource_id is not None else Found(UNCHANGED)

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        assert found.id is not None
        try:
            remove_resource(run, self.api, found.id, self.name)
        except ApiError as error:
            if self.kind != "credentials" or error.http_status != 405:
                raise
            run.warnings.append(f"credential {self.name!r} (id {found.id}) is used elsewhere and was kept")
            found.action = "kept"
        self.state.forget()
        return Applied(found.id)


class UniqueStep(CheckStep):
    """Check, before anything is deleted, that no name is ambiguous: a teardown is not undone when it stops halfway.

    Args:
        removals: the steps that delete something.
    """

    def __init__(self, removals: Sequence[RemoveStep]) -> None:
        super().__init__("unique", "one resource of each name")
        self.removals = removals

    def find(self, run: ChangeRun) -> Found:
        for removal in self.removals:
            removal.find(run)
        return Found(PASSED)


def teardown_steps(config: FlowConfig) -> list[Step]:
    """Steps that delete destinations, derived nexsets, the source with its detected nexsets, and inline credentials."""
    state = FlowState(config)
    steps: list[Step] = []
    removals: list[RemoveStep] = []
    states: dict[str, FlowState] = {entry.key: state for entry in config.all_destinations}
    if config.source is None:
        nexsets = nexset_states(config, state.facts)
        steps += [TargetNexsetStep(nexset, deploys=False, verify=False) for nexset in dict.fromkeys(nexsets.values())]
        states = dict(nexsets)
    else:
        steps.append(UnconfiguredMembersStep(state))
    for entry in config.all_destinations:
        removals.append(RemoveStep(f"destination:{entry.key}", KINDS["destinations"], states[entry.key], entry))
    for nexset in reversed(config.nexsets):
        removals.append(RemoveStep(nexset_key(nexset.name), KINDS["nexsets"], state, nexset))
    if config.source is not None:
        removals.append(RemoveStep(SOURCE_STEP, KINDS["sources"], state, config.source))
    inline = {(user.inline.name, user.inline.credentials_type): user.inline
              for user in credential_users(config) if user.inline}  # fmt: skip
    names = [name for name, _ in inline]
    for (name, connector), credential in inline.items():
        key = f"credential:{name}" if names.count(name) == 1 else f"credential:{name} ({connector})"
        removals.append(RemoveStep(key, KINDS["credentials"], state, credential))
    before = [SourceSnapshotStep()] if config.source is not None else []
    return [*steps, UniqueStep(removals), *before, *removals]
