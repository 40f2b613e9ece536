"""Deploying destinations to nexsets that exist already: a config without a source.

The nexset and everything else in its flow may belong to others. Nothing of it is ever changed or deleted. A destination
is identified by its name, its type and its nexset.
"""

from __future__ import annotations

from collections.abc import Sequence

from helpers.api.failures import ApiError
from helpers.api.flows import Flow, Member, read_flow
from helpers.api.resources import by_name, get, get_or_none
from helpers.change.model import PASSED, SKIPPED, ChangeRun, Found, Step
from helpers.change.set_status import ACTIVE
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row
from helpers.core.names import same_name
from helpers.deploy.activation import ActivateStep, ConfirmStep
from helpers.deploy.checks import CheckStep
from helpers.deploy.connectors import ConnectorsStep
from helpers.deploy.delivery import DeliverStep
from helpers.deploy.leftovers import removal_by_config
from helpers.deploy.members import DestinationStep
from helpers.deploy.model import Destination, FlowConfig
from helpers.deploy.state import DeployFacts, FlowState

ANY_ROLE = {"access_role": "all"}  # whatever the caller may see, whoever owns it


class NexsetState(FlowState):
    """The flow around an existing nexset, as far as the caller may see it.

    Attributes:
        nexset_id: the nexset.
        partial: whether the flow may not be read, so that only the caller's part of it is known.
    """

    def __init__(self, config: FlowConfig, nexset_id: int, facts: DeployFacts) -> None:
        super().__init__(config)
        self.nexset_id, self.facts, self.partial = nexset_id, facts, False

    def source(self, run: ChangeRun) -> Row | None:
        return None

    def flow(self, run: ChangeRun) -> Flow | None:
        """The flow of the nexset; None when the nexset does not exist."""
        if self._flow is None:
            try:
                self._flow = read_flow(run.session, KINDS["nexsets"], self.nexset_id)
            except ApiError as error:
                if error.http_status != 403:
                    raise
                self._flow = self._visible_part(run)
        return self._flow

    def _visible_part(self, run: ChangeRun) -> Flow | None:
        """The nexset, and those of its destinations with a configured name that the caller may see.

        A role on a nexset alone does not allow to read its flow (public server sources).
        """
        row = get_or_none(run.session, KINDS["nexsets"], self.nexset_id)
        if row is None:
            return None
        self.partial = True
        origin = Member("nexsets", self.nexset_id, row.get("origin_node_id") or row.get("flow_node_id") or 0, row)
        for name in dict.fromkeys(entry.name for entry in self.config.all_destinations):
            for sink in by_name(run.session, KINDS["destinations"], name, expand=1, **ANY_ROLE):
                if sink.get("data_set_id") == self.nexset_id:
                    member = Member("destinations", sink["id"], sink.get("flow_node_id") or 0, sink)
                    member.row = {**sink, "data_credentials_id": member.credential_id}
                    origin.children.append(member)
        return Flow(origin, None, {})

    def nexset(self, run: ChangeRun) -> Member | None:
        """The nexset within its flow; None when it does not exist."""
        flow = self.flow(run)
        return flow.find("nexsets", self.nexset_id) if flow else None

    def destinations(self, run: ChangeRun, name: str, sink_type: str) -> list[Member]:
        """The destinations with this name and type on this nexset, oldest first."""
        nexset = self.nexset(run)
        below = [member for member in nexset.children if member.kind == "destinations"] if nexset else []
        matching = [m for m in below if same_name(m.name, name) and m.row.get("sink_type") == sink_type]
        return sorted(matching, key=lambda member: member.id)


def nexset_states(config: FlowConfig, facts: DeployFacts) -> dict[str, NexsetState]:
    """The state of the nexset of every destination, by the destination's key. Destinations of one nexset share it."""
    states: dict[int, NexsetState] = {}
    by_key: dict[str, NexsetState] = {}
    for entry in config.all_destinations:
        assert entry.data_set_id is not None, "config.structure requires it"
        state = states.setdefault(entry.data_set_id, NexsetState(config, entry.data_set_id, facts))
        by_key[entry.key] = state
    return by_key


class TargetNexsetStep(CheckStep):
    """Check that a nexset exists and may get a destination, and that records will arrive from it.

    Args:
        deploys: False for a teardown, which only needs to know whether the nexset exists.
        verify: whether the deployment waits for records.
    """

    def __init__(self, state: NexsetState, *, deploys: bool, verify: bool) -> None:
        super().__init__(f"target:{state.nexset_id}", f"nexset {state.nexset_id}")
        self.state, self.deploys, self.verifies, self.kind = state, deploys, verify, "nexsets"

    def find(self, run: ChangeRun) -> Found:
        member, resource = self.state.nexset(run), {"type": "nexsets", "id": self.state.nexset_id}
        if member is None and not self.deploys:
            run.warnings.append(f"nexset {self.state.nexset_id} does not exist")
            return Found(SKIPPED)
        if member is None:
            hint = f"see {command_line('list_resources', '--type', 'nexsets', '--all')}"
            text = f"nexset {self.state.nexset_id} does not exist"
            raise OperatorError(Exit.NOT_FOUND, text, hint=hint, resource=resource)
        self.name = member.name or ""
        if self.state.partial:
            run.warnings.append(
                f"you may not read the flow of {member.label}: a destination that a colleague added to it and did not "
                "share with you is not seen"
            )
        if self.deploys:
            self._check(run, member)
        return Found(PASSED, member.id)

    def _check(self, run: ChangeRun, member: Member) -> None:
        mine = [entry for entry in self.state.config.all_destinations if entry.data_set_id == member.id]
        found = [self._existing(run, entry) for entry in mine]
        if None in found:
            self._check_role(run, member)
        to_start = [sink for sink in found if sink is None or sink.status != ACTIVE]
        flow = self.state.flow(run)
        if not (self.verifies and to_start and flow):
            return
        resting = [above for above in flow.path_to(member) if above.status != ACTIVE]
        if resting:
            listed = ", ".join(f"{above.label} is {above.status}" for above in resting)
            first = resting[0]
            words = ("--operation", "activate", "--resource-type", first.kind, "--resource-id", first.id)
            raise OperatorError(
                Exit.ERROR,
                f"no records would arrive: {listed}; nothing was written",
                hint=f"deploy with --no-verify, or ask its owner before: {command_line('operate_flow', *words)}",
                resource={"type": first.kind, "id": first.id},
            )

    def _existing(self, run: ChangeRun, entry: Destination) -> Member | None:
        return next(iter(self.state.destinations(run, entry.name, entry.sink_type)), None)

    def _check_role(self, run: ChangeRun, member: Member) -> None:
        """A destination needs admin on its nexset; the server refuses it otherwise (public server sources).

        The roles in a flow are those on its origin, so the nexset itself is read.
        """
        roles = [role for role in get(run.session, KINDS["nexsets"], member.id).get("access_roles") or [] if role]
        if roles and not {"owner", "admin"} & set(roles):
            raise OperatorError(
                Exit.AUTH,
                f"your role on {member.label} is {', '.join(roles)}; a destination of it needs admin",
                hint="ask the nexset's owner for the role admin; nothing was written",
                resource={"type": "nexsets", "id": member.id},
            )


class NexsetDestinationStep(DestinationStep):
    """A destination of an existing nexset. The same name on another nexset is another destination, and is named."""

    def refuse_foreign(self, run: ChangeRun) -> None:
        """Warn, once per run, about other destinations of this name: they go on delivering."""
        if self._no_foreign_one:
            return
        self._no_foreign_one = True
        nexset_id = self.config.data_set_id
        for row in by_name(run.session, self.api, self.name, **ANY_ROLE):
            if (row.get("data_set_id"), row.get("sink_type")) == (nexset_id, self.config.sink_type):
                continue
            place = row.get("data_set_id")
            remedy = f"; {removal_by_config(row, place)}" if isinstance(place, int) else ""
            run.warnings.append(
                f"destination {row['id']} of nexset {place} has the name {self.name!r}, too (type "
                f"{row.get('sink_type')!r}, {row.get('status')}); it stays as it is{remedy}"
            )


def destination_only_steps(
    state: FlowState, credential_steps: Sequence[Step], *, verify: bool, timeout: float
) -> list[Step]:
    """The steps of a deployment without a source.

    Args:
        credential_steps: create and probe the credentials.
        verify: whether to wait for the records of the first run.
        timeout: how long to wait for each delivery, in seconds.
    """
    config = state.config
    states = nexset_states(config, state.facts)
    nexsets = list(dict.fromkeys(states.values()))
    destinations = [NexsetDestinationStep(entry, "", states[entry.key]) for entry in config.all_destinations]
    steps: list[Step] = [TargetNexsetStep(nexset, deploys=True, verify=verify) for nexset in nexsets]
    steps.append(ConnectorsStep(config, dict(states)))
    steps += credential_steps
    steps += destinations
    activations = [ActivateStep(s.key, "destinations", s.name, states[s.config.key]) for s in destinations]
    steps += activations
    if verify:
        for entry in config.all_destinations:
            steps.append(DeliverStep(entry, states[entry.key], timeout, set()))
    for nexset in nexsets:
        confirm = ConfirmStep(nexset, [step for step in activations if step.state is nexset])
        confirm.key = f"confirm:{nexset.nexset_id}"
        steps.append(confirm)
    return steps
