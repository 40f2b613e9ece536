"""A change that takes the caller's own access: what it takes from the caller goes last, and can be resumed without it.

Once the caller's own access is gone, neither the resource nor the pipeline, project or tag that selected it may be
readable. The plan is therefore written to the journal before anything changes.
"""

from __future__ import annotations

from helpers.access.declared import Declared
from helpers.access.roles import access_kind
from helpers.access.rules import as_rows, from_rows
from helpers.access.steps import AccessStep
from helpers.access.targets import AccessTarget
from helpers.change.journal import SNAPSHOT, Entry
from helpers.change.model import UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.core.kinds import Row

TARGETS = "targets"


class RecordTargetsStep(Step):
    """Record the resources of a change, so that a resumed run need not select them again.

    Args:
        steps: The steps of the change, one per resource.
    """

    def __init__(self, steps: list[AccessStep]) -> None:
        super().__init__(TARGETS, "record the selected resources")
        self.steps = steps

    def find(self, run: ChangeRun) -> Found:
        if run.entry(self.key):
            return Found(UNCHANGED)
        return Found(SNAPSHOT, resume_data={"targets": [_as_row(step) for step in self.steps]})

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        return Applied()

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        """Nothing to undo."""


def recorded_targets(run: ChangeRun) -> list[Declared] | None:
    """The resources that an interrupted run recorded; None if it recorded none."""
    entry = run.entry(TARGETS)
    return [_from_row(row) for row in entry.resume_data["targets"]] if entry else None


def own_access_last(steps: list[AccessStep]) -> tuple[list[AccessStep], bool]:
    """The steps in the order in which they are applied, and whether any takes access from the caller.

    Sources come last of all: access to a source is access to its flow, which may be what selects the resources.
    """
    losses = {step.key for step in steps if step.ended or step.lost_by_caller()}
    ordered = sorted(steps, key=lambda step: (step.key in losses, step.key in losses and step.kind == "sources"))
    return ordered, bool(losses)


def _as_row(step: AccessStep) -> Row:
    target = step.target
    row = {"kind": target.kind.name, "id": target.id, "name": target.name, "owner_id": target.owner_id}
    return row | {"parent": target.parent_key, "public": target.public, "rules": as_rows(step.declared)}


def _from_row(row: Row) -> Declared:
    parent = (str(row["parent"][0]), int(row["parent"][1])) if row["parent"] else None
    target = AccessTarget(
        access_kind(row["kind"]), row["id"], row["name"], row["owner_id"], parent, public=row["public"]
    )
    return Declared(target, from_rows(row["rules"]))
