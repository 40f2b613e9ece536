"""From a flow's config to the steps that deploy it or tear it down."""

from __future__ import annotations

import argparse
from typing import Any

from helpers.api.flows import Flow, Member
from helpers.api.resources import by_name, one_of
from helpers.api.transport import ApiError
from helpers.change.changes import FINE, SKIPPED, UNCHANGED, Found, Run, Step
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Kind
from helpers.deploy.checks import (
    ActivateStep,
    DiscoverStep,
    FreeNamesStep,
    LookupStep,
    ProbeStep,
    ProveStep,
)
from helpers.deploy.delivery import DeliverStep, SourceErrorsStep
from helpers.deploy.members import NexsetStep, SinkStep
from helpers.deploy.model import Credential, DerivedNexset, Destination, FlowConfig
from helpers.deploy.project import ProjectStep
from helpers.deploy.resource_steps import CredentialStep, SourceStep, remove
from helpers.deploy.state import SOURCE_STEP, FlowState

DETECTED = "nexset:"


def deploy_steps(config: FlowConfig, args: argparse.Namespace) -> list[Step]:
    """The deployment in order: look and test first, then make, then activate, then watch the data arrive.

    Args:
        args: ``verify_timeout`` (seconds) and ``no_verify``.
    """
    state = FlowState(config)
    sinks = [SinkStep(sink, _nexset_key(sink, config), state) for sink in config.all_destinations]
    steps: list[Step] = _lookups(config)
    steps.append(FreeNamesStep(sinks, state))
    steps += _credential_steps(config, state)
    steps.append(SourceStep(state))
    steps.append(ActivateStep(SOURCE_STEP, "sources", config.source.name, state))
    steps.append(DiscoverStep(state, args.verify_timeout))
    parent = DETECTED
    for nexset in config.nexsets:
        key = f"nexset:{nexset.parent}" if nexset.parent else parent
        steps += [NexsetStep(nexset, key, state), ProveStep(nexset, args.verify_timeout)]
        parent = f"nexset:{nexset.name}"
    steps += sinks
    steps += [ActivateStep(f"nexset:{nexset.name}", "nexsets", nexset.name, state) for nexset in config.nexsets]
    for sink in sinks:
        steps.append(ActivateStep(sink.key, "destinations", sink.name, state))
    if config.project is not None:
        steps.append(ProjectStep(config.project, state))
    steps.append(ConfirmStep(state, [step for step in steps if isinstance(step, ActivateStep)]))
    if not args.no_verify:
        for target in config.all_destinations:
            upstream = _upstream(_nexset_key(target, config), config)
            steps.append(DeliverStep(target, config.verify, args.verify_timeout, upstream))
        steps.append(SourceErrorsStep())
    return steps


def _lookups(config: FlowConfig) -> list[Step]:
    names = dict.fromkeys(nexset.transform_name for nexset in config.nexsets if nexset.transform_name)
    steps: list[Step] = [LookupStep("transforms", name) for name in names]
    if isinstance(config.project, str):
        steps.append(LookupStep("projects", config.project))
    return steps


def _nexset_key(sink: Destination, config: FlowConfig) -> str:
    if sink.nexset:
        return f"nexset:{sink.nexset}"
    return f"nexset:{config.nexsets[-1].name}" if config.nexsets else DETECTED


def _upstream(key: str, config: FlowConfig) -> set[str]:
    """The steps above a nexset, itself included, whose changes show below it."""
    keys = {SOURCE_STEP, f"activate:{SOURCE_STEP}"}
    names = [nexset.name for nexset in config.nexsets]
    while key != DETECTED:
        keys |= {key, f"activate:{key}"}
        place = names.index(key.removeprefix("nexset:"))
        parent = config.nexsets[place].parent or (names[place - 1] if place else None)
        key = f"nexset:{parent}" if parent else DETECTED
    return keys


def _users(config: FlowConfig) -> list[tuple[str, Credential | None, int | None]]:
    """Everyone who uses a credential: role, inline credential, id."""
    source = config.source
    users = [("source", source.credential, source.data_credentials_id or config.credential_id)]
    for sink in config.all_destinations:
        users.append((sink.name, sink.credential, sink.data_credentials_id or config.credential_id))
    return users


def _credential_steps(config: FlowConfig, state: FlowState) -> list[Step]:
    """Make inline credentials and probe every one that is used, each once."""
    steps: list[Step] = []
    probed: set[Any] = set()
    for role, inline, number in _users(config):
        identity = (inline.name, inline.credentials_type) if inline else number
        if inline:
            steps.append(CredentialStep(role, inline, state))
        if identity is not None and identity not in probed:
            steps.append(ProbeStep(role, None if inline else number))
        probed.add(identity)
    return steps


class ConfirmStep(Step):
    """Read the flow once more and see that every member that was activated still is."""

    writes = False

    def __init__(self, state: FlowState, activations: list[ActivateStep]) -> None:
        super().__init__("confirm", "status of every member")
        self.state, self.activations, self.kind = state, activations, "flows"

    def find(self, run: Run) -> Found:
        flow = self.state.flow(run)
        if flow is None and run.dry:
            return Found("check")
        if flow is None:
            raise OperatorError(Exit.ERROR, "the flow is gone, although it was there before")
        run.facts["flow_id"] = flow.origin.node_id
        for step in self.activations:
            member = flow.find(step.kind, run.results.get(step.target, 0))
            if member is not None and member.status != "ACTIVE" and not run.dry:
                raise OperatorError(
                    Exit.ERROR,
                    f"{KINDS[step.kind].singular} {member.name!r} (id {member.id}) is {member.status}, not ACTIVE",
                    resource={"type": step.kind, "id": member.id},
                )
        detected = self.state.detected(run)
        if self.state.config.nexset is None and len(detected) > 1:
            names = "; ".join(f"{m.id} {m.name!r}" for m in detected)
            run.warnings.append(f"the source has {len(detected)} nexsets by now: {names}")
        others = strangers(flow, self.state.config)
        if others:
            run.warnings.append("the flow also has what the config does not name: " + listed(others))
        return Found(FINE, flow.origin.node_id)


def strangers(flow: Flow, config: FlowConfig) -> list[Member]:
    """Derived nexsets and destinations of a flow that its config does not name."""
    nexsets = {nexset.name for nexset in config.nexsets}
    sinks = {(sink.name, sink.sink_type) for sink in config.all_destinations}
    return [
        member
        for member in flow.origin.walk()
        if (member.kind == "nexsets" and not member.row.get("data_source_id") and member.name not in nexsets)
        or (member.kind == "destinations" and (member.name, member.row.get("sink_type")) not in sinks)
    ]


def listed(members: list[Member]) -> str:
    return ", ".join(f"{KINDS[m.kind].singular} {m.id} {m.name!r} ({m.status})" for m in members)


class NothingElseStep(Step):
    """Before a teardown deletes anything: nothing that the config does not name may hang on the flow."""

    writes = False

    def __init__(self, state: FlowState) -> None:
        super().__init__("nothing-else", "nothing else hangs on the flow")
        self.state, self.kind = state, "flows"

    def find(self, run: Run) -> Found:
        source = self.state.source(run)
        if source is None:
            run.warnings.append("there is no source of this name and type among those that you own")
            return Found(SKIPPED)
        run.results[SOURCE_STEP] = source["id"]
        flow = self.state.flow(run)
        others = strangers(flow, self.state.config) if flow else []
        if others:
            raise OperatorError(
                Exit.ERROR,
                f"the flow has what the config does not name: {listed(others)}",
                hint="nothing was deleted; add it to the config, or remove it first",
                resource={"type": "flows", "id": flow.origin.node_id if flow else None},
            )
        return Found(FINE, flow.origin.node_id if flow else None)


class RemoveStep(Step):
    """Delete one resource of the config, if it is there."""

    def __init__(self, key: str, kind: Kind, name: str, state: FlowState, model: Any) -> None:
        super().__init__(f"remove:{key}", f"delete {kind.singular} {name}")
        self.api, self.kind, self.name, self.state, self.model = kind, kind.name, name, state, model

    def _id(self, run: Run) -> int | None:
        source = self.state.source(run)
        if self.kind == "credentials":
            rows = by_name(run.session, self.api, self.name)
            rows = [row for row in rows if row.get("credentials_type") == self.model.credentials_type]
            row = one_of(self.api, self.name, rows)
            return row["id"] if row else None
        if source is None:
            return None
        run.results[SOURCE_STEP] = source["id"]
        if self.kind == "sources":
            return int(source["id"])
        flow = self.state.flow(run)
        members = [m for m in flow.of_kind(self.kind) if m.name == self.name] if flow else []
        if isinstance(self.model, Destination):
            members = [m for m in members if m.row.get("sink_type") == self.model.sink_type]
        if isinstance(self.model, DerivedNexset):
            members = [m for m in members if not m.row.get("data_source_id")]
        one_of(self.api, self.name, [{"id": m.id, "status": m.status} for m in members])
        return members[0].id if members else None

    def find(self, run: Run) -> Found:
        number = self._id(run)
        return Found("delete", number) if number is not None else Found(UNCHANGED)

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        assert found.id is not None
        try:
            remove(run, self.api, found.id)
        except ApiError as error:
            if self.kind == "credentials" and error.http_status == 405:
                run.warnings.append(f"credential {self.name!r} (id {found.id}) is used elsewhere and was kept")
                found.action = "kept"
            else:
                raise
        self.state.forget()
        return found.id, False


def teardown_steps(config: FlowConfig) -> list[Step]:
    """Delete destinations, derived nexsets, the source with its detected nexsets, then inline credentials."""
    state = FlowState(config)
    steps: list[Step] = [NothingElseStep(state)]
    steps += [
        RemoveStep(f"destination:{sink.name}", KINDS["destinations"], sink.name, state, sink)
        for sink in config.all_destinations
    ]
    for nexset in reversed(config.nexsets):
        steps.append(RemoveStep(f"nexset:{nexset.name}", KINDS["nexsets"], nexset.name, state, nexset))
    steps.append(RemoveStep("source", KINDS["sources"], config.source.name, state, config.source))
    inline = {credential.name: credential for _, credential, _ in _users(config) if credential}
    for name, credential in inline.items():
        steps.append(RemoveStep(f"credential:{name}", KINDS["credentials"], name, state, credential))
    return steps
