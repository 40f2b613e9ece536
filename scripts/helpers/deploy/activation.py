"""The steps of a deployment that activate its resources, and verify at the end that they are still ACTIVE."""

from __future__ import annotations

from typing import Any

from helpers.api.failures import ApiError
from helpers.api.flows import Flow, Member, run_rows
from helpers.change.journal import Entry
from helpers.change.model import PASSED, UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.change.set_status import ACTIVE, INIT, PAUSED, set_status
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS
from helpers.core.names import nfc
from helpers.deploy.checks import CheckStep
from helpers.deploy.leftovers import leftover_warnings
from helpers.deploy.model import FlowConfig
from helpers.deploy.state import FlowState


class ActivateStep(Step):
    """Activate one resource of the flow. Other branches stay as they are, because a user may have paused them.

    Args:
        target: the key of the step that deploys the resource.
        kind: the kind of the resource.
        name: its name.
    """

    def __init__(self, target: str, kind: str, name: str, state: FlowState) -> None:
        super().__init__(f"activate:{target}", f"activate {KINDS[kind].singular} {name}")
        self.target, self.kind, self.name, self.state = target, kind, name, state

    def _member(self, run: ChangeRun) -> Member | None:
        flow, resource_id = self.state.flow(run), run.results.get(self.target)
        return flow.find(self.kind, resource_id) if flow and resource_id else None

    def find(self, run: ChangeRun) -> Found:
        member = self._member(run)
        if member is None:
            return Found("activate")
        if member.status == ACTIVE:
            return Found(UNCHANGED, member.id)
        changes, before = {"status": [member.status, ACTIVE]}, {"status": member.status}
        return Found("activate", member.id, changes, before, self._baseline(run, member))

    def _baseline(self, run: ChangeRun, member: Member) -> dict[str, Any]:
        """The run rows of an existing destination before its activation; later records are due to the activation."""
        if self.kind != "destinations" or run.dry or run.created(self.target):
            return {}
        rows = run_rows(run.session, KINDS[self.kind], member.id)
        return {"runs": {str(row.get("runId")): [row.get("records"), row.get("errors")] for row in rows}}

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        if found.id is None:
            raise OperatorError(Exit.ERROR, f"{self.title}: the resource is no longer in the flow")
        row = set_status(run, KINDS[self.kind], found.id, ACTIVE)
        self.state.forget_flow()
        if row.get("status") != ACTIVE:
            raise OperatorError(
                Exit.ERROR,
                f"{self.title} (id {found.id}) returned 200, but the status is {row.get('status')}",
                resource={"type": self.kind, "id": found.id},
            )
        return Applied(found.id)

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        resource_id = entry.id or run.results.get(self.target)
        if run.created(self.target):
            return  # undo pauses and deletes the resource itself
        if resource_id is not None and entry.before.get("status") != ACTIVE:
            try:
                set_status(run, KINDS[self.kind], resource_id, PAUSED)
            except ApiError as error:
                if error.http_status != 404:
                    raise
            if entry.before.get("status") == INIT:
                run.warnings.append(f"{self.title}: it was INIT before and is PAUSED now; INIT cannot be restored")
        self.state.forget_flow()


class ConfirmStep(CheckStep):
    """Read the flow again and verify that every activated member is still ACTIVE."""

    def __init__(self, state: FlowState, activations: list[ActivateStep]) -> None:
        super().__init__("confirm", "status of every member")
        self.state, self.activations, self.kind = state, activations, "flows"

    def find(self, run: ChangeRun) -> Found:
        flow = self.state.flow(run)
        if flow is None and run.dry:
            return Found("check")
        if flow is None:
            raise OperatorError(Exit.ERROR, "the flow no longer exists")
        self.state.facts.flow_id = flow.origin.node_id
        for step in self.activations:
            member = flow.find(step.kind, run.results.get(step.target, 0))
            if member is not None and member.status != ACTIVE and not run.dry:
                raise OperatorError(
                    Exit.ERROR, f"{member.label} is {member.status}, not {ACTIVE}",
                    resource={"type": step.kind, "id": member.id},
                )  # fmt: skip
        if self.state.config.source is not None:  # otherwise, the rest of the flow is not the config's
            self._warn_of_others(run, flow)
        return Found(PASSED, flow.origin.node_id)

    def _warn_of_others(self, run: ChangeRun, flow: Flow) -> None:
        config = self.state.config
        detected = self.state.detected(run)
        if config.nexset is None and len(detected) > 1:
            names = "; ".join(f"{member.id} {member.name!r}" for member in detected)
            run.warnings.append(f"the source now has {len(detected)} nexsets: {names}")
        others = unconfigured_members(flow, config)
        listed = ", ".join(filter(None, [describe_members(others), *flow.unknown]))
        if listed:
            run.warnings.append(f"the flow also has members that are not in the config: {listed}")
        run.warnings += leftover_warnings(flow, others, config)


def unconfigured_members(flow: Flow, config: FlowConfig) -> list[Member]:
    """The derived nexsets and destinations of a flow that are not in its config; a nexset is its name and parent."""
    nexsets = {(nfc(name), above and nfc(above)) for name, above in config.nexset_parents.items()}
    destinations = {(nfc(destination.name), destination.sink_type) for destination in config.all_destinations}

    def below(parent: Member) -> list[Member]:
        above = nfc(parent.name or "") if parent.kind == "nexsets" and not _is_detected(parent) else None
        found = []
        for member in parent.children:
            name = nfc(member.name or "")
            is_nexset = member.kind == "nexsets" and not _is_detected(member) and (name, above) not in nexsets
            is_sink = member.kind == "destinations" and (name, member.row.get("sink_type")) not in destinations
            found += [*([member] if is_nexset or is_sink else []), *below(member)]
        return found

    return below(flow.origin)


def _is_detected(nexset: Member) -> bool:
    return bool(nexset.row.get("data_source_id"))


def describe_members(members: list[Member]) -> str:
    """The members with their status, for messages."""
    return ", ".join(f"{member.label} ({member.status})" for member in members)
