"""Causes of a failing flow, the rules that find them, and the commands that confirm and repair one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from helpers.api.flows import Member
from helpers.api.logs import LogLine
from helpers.api.runs import ResourceRun
from helpers.core.commands import command_line
from helpers.core.kinds import Row
from helpers.monitor.evidence import Evidence


@dataclass(frozen=True)
class Symptom:
    """What a rule finds at a member.

    Attributes:
        member: The member at fault.
        text: The cause in one sentence.
        proof: The evidence: ids, runs, log lines.
        confirm: Command line that confirms the cause.
        repair: Command line that repairs it.
        by_hand: What must be done manually before ``repair``; empty if nothing.
        rank: Overrides the rule's rank where the same fault is less decisive.
    """

    member: Member
    text: str
    proof: list[str] = field(default_factory=list)
    confirm: str = ""
    repair: str = ""
    by_hand: str = ""
    rank: int | None = None


@dataclass(frozen=True)
class Cause:
    """One possible cause: a fault, and the symptom that revealed it. A lower rank is more decisive."""

    fault: str
    rank: int
    symptom: Symptom

    @property
    def member(self) -> Member:
        """The member at fault."""
        return self.symptom.member

    def as_row(self) -> Row:
        """The cause as a row of the report."""
        return {
            "fault": self.fault,
            "type": self.member.kind,
            "id": self.member.id,
            "name": self.member.name,
            "cause": self.symptom.text,
            "evidence": self.symptom.proof,
            "confirm": self.symptom.confirm,
            "by_hand": self.symptom.by_hand or None,
            "repair": self.symptom.repair,
        }


Find = Callable[[Evidence], Iterator[Symptom]]


class Rule(NamedTuple):
    """A rule of the diagnosis.

    Attributes:
        fault: Name of the fault that it finds, the same for every flow.
        rank: The lower, the more decisive.
        find: Yields a symptom for each member at fault.
    """

    fault: str
    rank: int
    find: Find

    def causes(self, evidence: Evidence) -> Iterator[Cause]:
        """The causes that the rule finds in the evidence."""
        for symptom in self.find(evidence):
            yield Cause(self.fault, self.rank if symptom.rank is None else symptom.rank, symptom)


def rule(fault: str, *, rank: int) -> Callable[[Find], Rule]:
    """Decorator that turns a function into a rule. The function yields nothing if it does not find its fault.

    Args:
        fault: Name of the fault.
        rank: The lower, the more other faults it explains: what stops a flow at its source ranks first.
    """
    return lambda find: Rule(fault, rank, find)


def find_causes(rules: Sequence[Rule], evidence: Evidence, selected: Member) -> tuple[list[Cause], list[Cause]]:
    """The causes that the evidence shows, most decisive first.

    Args:
        rules: The rules to apply.
        evidence: What was read.
        selected: The member to diagnose.

    Returns:
        Causes that concern the member (above it, at it or below it), and those in other branches of the flow.
    """
    found = [cause for rule in rules for cause in rule.causes(evidence)]
    concerned = {member.key for member in (*evidence.flow.path_to(selected), *selected.walk())}
    depth = {member.key: position for position, member in enumerate(evidence.flow.origin.walk())}
    found.sort(key=lambda cause: (cause.rank, depth[cause.member.key]))
    own = [cause for cause in found if cause.fault == "schema_drift" or cause.member.key in concerned]
    return own, [cause for cause in found if cause not in own]


def command_for(script: str, member: Member, *words: str) -> str:
    """A command line for a member; ``words`` come before the flags that select it."""
    return command_line(script, *words, "--resource-type", member.kind, "--resource-id", member.id)


def operate_command(member: Member, operation: str, *more: str) -> str:
    """A command line of operate_flow for a member."""
    return " ".join([command_for("operate_flow", member, "--operation", operation), *more])


def logs_command(member: Member, run_id: int | None) -> str:
    """A command line that shows a member's log, of one run or (None) the latest."""
    return command_for("get_resource_logs", member) + (f" --run-id {run_id}" if run_id else "")


def run_now_command(evidence: Evidence) -> str:
    """A command line that runs the flow now and waits for the result."""
    return operate_command(evidence.flow.origin, "run-now", "--wait")


def quote_line(evidence: Evidence, line: LogLine) -> str:
    """A log line as evidence, without values unless they are to be shown."""
    return f"run {line.run_id}, {line.time}, {line.resource}: {evidence.visible_text(line)}"


def describe_run(run: ResourceRun) -> str:
    """The counts of a run as evidence."""
    return f"run {run.id}: {run.records} records, {run.errors} errors"
