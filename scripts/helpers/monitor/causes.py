"""A cause of a failing flow, and the commands that confirm and repair it."""

from __future__ import annotations

from dataclasses import dataclass, field

from helpers.api.flows import Member
from helpers.core.kinds import Row
from helpers.monitor.evidence import Evidence


@dataclass
class Cause:
    """One possible cause.

    Attributes:
        rank: lower is more decisive.
        fault: its short name, the same for every flow.
        evidence: what was seen: ids, runs, log lines.
        confirm, repair: exact command lines.
        by_hand: what no command of ours can do, to be done before ``repair``.
    """

    rank: int
    fault: str
    member: Member
    text: str
    evidence: list[str] = field(default_factory=list)
    confirm: str = ""
    repair: str = ""
    by_hand: str = ""

    def as_row(self) -> Row:
        return {
            "fault": self.fault,
            "type": self.member.kind,
            "id": self.member.id,
            "name": self.member.name,
            "cause": self.text,
            "evidence": self.evidence,
            "confirm": self.confirm,
            "by_hand": self.by_hand or None,
            "repair": self.repair,
        }


def command(script: str, member: Member, *words: str) -> str:
    return " ".join(
        ["python", f"scripts/{script}.py", *words, "--resource-type", member.kind, "--resource-id", str(member.id)]
    )


def operate(member: Member, operation: str, *more: str) -> str:
    return " ".join([command("operate_flow", member, "--operation", operation), *more])


def logs(member: Member, run: int | None) -> str:
    return command("get_resource_logs", member) + (f" --run-id {run}" if run else "")


def run_again(seen: Evidence) -> str:
    return operate(seen.flow.origin, "run-now", "--wait")
