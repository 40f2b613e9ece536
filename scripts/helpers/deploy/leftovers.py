"""Destinations that a config has left behind, and how to remove them.

A destination is identified by its name and type. A config that changes the type of a destination makes another one, and
the former one goes on delivering.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from helpers.api.flows import Flow, Member
from helpers.core.commands import command_line
from helpers.core.kinds import Row
from helpers.core.names import nfc
from helpers.deploy.model import FlowConfig

FILE_NAME = "leftover.json"


def leftover_warnings(flow: Flow, others: Iterable[Member], config: FlowConfig) -> list[str]:
    """Warnings about members that have the name of a configured destination, but another type."""
    types = {nfc(entry.name): entry.sink_type for entry in config.all_destinations}
    return [
        f"{member.label} is of type {member.row.get('sink_type')!r} and not {wanted!r}: it stays, is "
        f"{member.status}, and takes the same nexsets' records; {removal(flow, member)}"
        for member in others
        if member.kind == "destinations" and (wanted := types.get(nfc(member.name or "")))
    ]


def removal(flow: Flow, member: Member) -> str:
    """How to remove one destination and nothing else."""
    return removal_by_config(member.row, flow.path_to(member)[-2].id)


def removal_by_config(row: Row, nexset_id: int) -> str:
    """How to remove one destination of a nexset and nothing else.

    Args:
        row: the destination, with its name and type.
    """
    entry = {"name": row.get("name"), "sink_type": row.get("sink_type"), "data_set_id": nexset_id}
    command = command_line("deploy_flow", "--config", FILE_NAME, "--teardown", "--yes")
    config = json.dumps({"destination": entry}, ensure_ascii=False)
    return f"to remove only it, save {config} as {FILE_NAME} and run: {command}"


def way_out(others: list[Member]) -> str:
    """What to do about members that keep a flow from being torn down."""
    ways = []
    sinks = [member for member in others if member.kind == "destinations"]
    if sinks:
        entries = [{"name": sink.name, "sink_type": sink.row.get("sink_type")} for sink in sinks]
        listed = ", ".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        ways.append(f'to delete them too, add to "destinations" of the config: {listed}')
    if len(sinks) < len(others):
        ways.append("delete the nexsets first, or add them to the config")
    return "; ".join(ways)
