"""A cause of a failing flow, the rules that find causes, and the commands that confirm and repair one."""

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
    """What a rule sees at a member.

    Attributes:
        proof: what was seen: ids, runs, log lines.
        confirm, repair: exact command lines.
        by_hand: what no command of ours can do, to be done before ``repair``.
        rank: instead of the rule's, where the same fault is less decisive.
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
    """One possible cause: a fault, and the symptom by which it was found. A lower rank is more decisive."""

    fault: str
    rank: int
    symptom: Symptom

    @property
    def member(self) -> Member:
        return self.symptom.member

    def as_row(self) -> Row:
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
    """A rule of the diagnosis: the fault's name, the same for every flow; its rank; and how it is found."""

    fault: str
    rank: int
    find: Find

    def causes(self, evidence: Evidence) -> Iterator[Cause]:
        for symptom in self.find(evidence):
            yield Cause(self.fault, self.rank if symptom.rank is None else symptom.rank, symptom)


def rule(fault: str, *, rank: int) -> Callable[[Find], Rule]:
    """Make a rule of a function that yields nothing when it does not see its fault.

    Args:
        rank: how far the fault explains others: what stops the flow at its source has a lower rank than what follows
            from it.
    """
    return lambda find: Rule(fault, rank, find)


def find_causes(rules: Sequence[Rule], evidence: Evidence, asked: Member) -> tuple[list[Cause], list[Cause]]:
    """What the evidence shows, the most decisive first.

    Returns:
        Causes for the resource that was asked about (above it, at it or below it), and those of other branches.
    """
    found = [cause for rule in rules for cause in rule.causes(evidence)]
    concerned = {member.key for member in (*evidence.flow.path_to(asked), *asked.walk())}
    depth = {member.key: position for position, member in enumerate(evidence.flow.origin.walk())}
    found.sort(key=lambda cause: (cause.rank, depth[cause.member.key]))
    own = [cause for cause in found if cause.fault == "schema_drift" or cause.member.key in concerned]
    return own, [cause for cause in found if cause not in own]


def about(script: str, member: Member, *words: str) -> str:
    """A command about a member; ``words`` come before the flags that name it."""
    return command_line(script, *words, "--resource-type", member.kind, "--resource-id", member.id)


def operate(member: Member, operation: str, *more: str) -> str:
    return " ".join([about("operate_flow", member, "--operation", operation), *more])


def logs(member: Member, run_id: int | None) -> str:
    return about("get_resource_logs", member) + (f" --run-id {run_id}" if run_id else "")


def run_again(evidence: Evidence) -> str:
    return operate(evidence.flow.origin, "run-now", "--wait")


def quoted(evidence: Evidence, line: LogLine) -> str:
    """A log line as proof."""
    return f"run {line.run_id}, {line.time}, {line.resource}: {evidence.shown_text(line)}"


def counted(run: ResourceRun) -> str:
    """A run's numbers as proof."""
    return f"run {run.id}: {run.records} records, {run.errors} errors"
