"""Tearing down a flow: check that the config covers all of it, then delete it from the destinations up."""

from __future__ import annotations

from typing import Any

from helpers.api.failures import ApiError
from helpers.api.resources import by_name, require_unique
from helpers.change.creating import remove_resource
from helpers.change.model import PASSED, SKIPPED, UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind
from helpers.core.marks import same_name
from helpers.deploy.activation import describe_members, unconfigured_members
from helpers.deploy.checks import CheckStep
from helpers.deploy.model import DerivedNexset, Destination, FlowConfig
from helpers.deploy.state import SOURCE_STEP, FlowState, nexset_key


class UnconfiguredMembersStep(CheckStep):
    """Check, before anything is deleted, that the flow has no members that are not in the config."""

    def __init__(self, state: FlowState) -> None:
        super().__init__("nothing-else", "nothing else depends on the flow")
        self.state, self.kind = state, "flows"

    def find(self, run: ChangeRun) -> Found:
        source = self.state.source(run)
        if source is None:
            run.warnings.append("you own no source with this name and type")
            return Found(SKIPPED)
        run.results[SOURCE_STEP] = source["id"]
        flow = self.state.flow(run)
        others = describe_members(unconfigured_members(flow, self.state.config)) if flow else ""
        listed = ", ".join(filter(None, [others, *(flow.unknown if flow else [])]))
        if listed:
            raise OperatorError(
                Exit.ERROR,
                f"the flow has members that are not in the config: {listed}",
                hint="nothing was deleted; add them to the config, or delete them first",
                resource={"type": "flows", "id": flow.origin.node_id if flow else None},
            )
        return Found(PASSED, flow.origin.node_id if flow else None)


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
        source = self.state.source(run)
        if source is None:
            return None
        run.results[SOURCE_STEP] = source["id"]
        return int(source["id"]) if self.kind == "sources" else self._member_id(run)

    def _member_id(self, run: ChangeRun) -> int | None:
        flow = self.state.flow(run)
        members = [member for member in flow.of_kind(self.kind) if same_name(member.name, self.name)] if flow else []
        if isinstance(self.config, Destination):
            members = [member for member in members if member.row.get("sink_type") == self.config.sink_type]
        if isinstance(self.config, DerivedNexset):
            members = [member for member in members if not member.row.get("data_source_id")]
        row = require_unique(self.api, self.name, [{"id": m.id, "status": m.status} for m in members])
        return row["id"] if row else None

    def find(self, run: ChangeRun) -> Found:
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


def teardown_steps(config: FlowConfig) -> list[Step]:
    """Steps that delete destinations, derived nexsets, the source with its detected nexsets, and inline credentials."""
    state = FlowState(config)
    steps: list[Step] = [UnconfiguredMembersStep(state)]
    for destination in config.all_destinations:
        steps.append(RemoveStep(f"destination:{destination.name}", KINDS["destinations"], state, destination))
    for nexset in reversed(config.nexsets):
        steps.append(RemoveStep(nexset_key(nexset.name), KINDS["nexsets"], state, nexset))
    steps.append(RemoveStep("source", KINDS["sources"], state, config.source))
    credentials = [config.source.credential, *(destination.credential for destination in config.all_destinations)]
    inline = {credential.name: credential for credential in credentials if credential}
    for name, credential in inline.items():
        steps.append(RemoveStep(f"credential:{name}", KINDS["credentials"], state, credential))
    return steps
