"""Builds the steps of a deployment from a flow's config."""

from __future__ import annotations

from typing import Any

from helpers.change.model import Step
from helpers.deploy.activation import ActivateStep, ConfirmStep
from helpers.deploy.checks import DiscoverStep, LookupStep, NameConflictStep, ProbeStep, ProveStep
from helpers.deploy.connectors import ConnectorsStep, credential_users
from helpers.deploy.credential_step import CredentialStep
from helpers.deploy.delivery import DeliverStep, SourceErrorsStep
from helpers.deploy.destination_only import destination_only_steps
from helpers.deploy.members import DestinationStep, NexsetStep
from helpers.deploy.model import Destination, FlowConfig
from helpers.deploy.project import ProjectStep
from helpers.deploy.resource_steps import SourceStep
from helpers.deploy.state import SOURCE_STEP, FlowState, nexset_key, nexset_name


def deploy_steps(state: FlowState, *, verify: bool, timeout: float) -> list[Step]:
    """The steps of a deployment in order: check, create, activate, then wait for the data to arrive.

    Args:
        verify: whether to wait for the records of the first run.
        timeout: how long to wait for detection, and again for each delivery, in seconds.
    """
    config = state.config
    if config.source is None:
        return destination_only_steps(state, credential_steps(state), verify=verify, timeout=timeout)
    destinations = [DestinationStep(entry, _nexset_key(entry, config), state) for entry in config.all_destinations]
    roles = ["source", *(entry.key for entry in config.all_destinations)]
    steps: list[Step] = _lookups(config)
    steps.append(NameConflictStep(destinations, state))
    steps.append(ConnectorsStep(config, dict.fromkeys(roles, state)))
    steps += credential_steps(state)
    steps.append(SourceStep(state))
    steps.append(ActivateStep(SOURCE_STEP, "sources", config.source.name, state))
    steps.append(DiscoverStep(state, timeout))
    for nexset in config.nexsets:
        above = nexset_key(config.nexset_parents[nexset.name])
        steps += [NexsetStep(nexset, above, state), ProveStep(nexset, timeout)]
    steps += destinations
    steps += [ActivateStep(nexset_key(nexset.name), "nexsets", nexset.name, state) for nexset in config.nexsets]
    steps += [ActivateStep(step.key, "destinations", step.name, state) for step in destinations]
    if config.project is not None:
        steps.append(ProjectStep(config.project, state))
    confirm = ConfirmStep(state, [step for step in steps if isinstance(step, ActivateStep)])
    if verify:
        for entry in config.all_destinations:
            steps.append(DeliverStep(entry, state, timeout, _upstream(_nexset_key(entry, config), config)))
        steps.append(SourceErrorsStep(state))
    return [*steps, confirm]


def _lookups(config: FlowConfig) -> list[Step]:
    names = dict.fromkeys(nexset.transform_name for nexset in config.nexsets if nexset.transform_name)
    steps: list[Step] = [LookupStep("transforms", name) for name in names]
    if isinstance(config.project, str):
        steps.append(LookupStep("projects", config.project))
    return steps


def _nexset_key(destination: Destination, config: FlowConfig) -> str:
    return nexset_key(destination.nexset or (config.nexsets[-1].name if config.nexsets else None))


def _upstream(key: str, config: FlowConfig) -> set[str]:
    """The keys of the steps whose changes affect what a nexset delivers, including its own."""
    keys = {SOURCE_STEP, f"activate:{SOURCE_STEP}"}
    name = nexset_name(key)
    while name:
        keys |= {nexset_key(name), f"activate:{nexset_key(name)}"}
        name = config.nexset_parents[name]
    return keys


def credential_steps(state: FlowState) -> list[Step]:
    """Steps that create inline credentials and probe every credential that is used once."""
    steps: list[Step] = []
    probed: set[Any] = set()
    for user in credential_users(state.config):
        inline = user.inline
        identity = (inline.name, inline.credentials_type) if inline else user.credential_id
        if inline:
            steps.append(CredentialStep(user.role, inline, state))
        if identity is not None and identity not in probed:
            steps.append(ProbeStep(user.role, None if inline else user.credential_id, state))
        probed.add(identity)
    return steps
