"""Proving a transform: on the input that is there, before anything is written; and on the nexset's samples after."""

from __future__ import annotations

from collections import Counter

from helpers.api.flows import Member
from helpers.api.samples import Sample, read_samples
from helpers.change.changes import SKIPPED, UNCHANGED, Found, Run, Step
from helpers.change.journal import Entry
from helpers.change.set_status import ACTIVE, PAUSED, SwitchStep
from helpers.core.errors import Exit, OperatorError
from helpers.core.redact import without_quotes
from helpers.transforms.attach import AttachStep
from helpers.transforms.code import Code
from helpers.transforms.local_run import Outcome
from helpers.transforms.local_run import run as run_code
from helpers.transforms.proof import Demands, failures
from helpers.transforms.schemas import drift, infer
from helpers.transforms.steps import TransformStep

PROOF_SAMPLES = 30


class RehearsalStep(Step):
    """Run the code here on what would go into it, and hold the outcome against the demands. Nothing is written yet.

    Args:
        nexset: the nexset whose samples are read: the parent's output, or the input of the nexset itself.
        attached: the nexset that has the transform already, if one has.
    """

    writes = False
    kind = "nexsets"

    def __init__(self, nexset: int, code: Code, demands: Demands, *, parent: bool, attached: int | None = None) -> None:
        super().__init__(f"rehearsal:{nexset}", f"rehearsal on samples of nexset {nexset}")
        self.attached = attached
        self.nexset, self.code, self.demands, self.parent, self.name = nexset, code, demands, parent, str(nexset)

    def find(self, run: Run) -> Found:
        samples = read_samples(run.session, self.nexset, max(PROOF_SAMPLES, self.demands.least), live=True)
        inputs = [sample.output if self.parent else sample.input for sample in samples]
        if not self.parent:
            inputs = [sample.input for sample in samples if sample.has_input]
        if len(inputs) < self.demands.least:
            return Found(SKIPPED, self.nexset)  # the proof will have to wait for more
        with run.session.deadline.alarm():
            outcomes = run_code(self.code, inputs)
        pairs = [Sample(before, outcome.output) for before, outcome in zip(inputs, outcomes, strict=True)]
        why = [*errors_of(outcomes), *failures(pairs, self.demands)]
        dropped = sum(outcome.output is None and outcome.error is None for outcome in outcomes)
        if dropped:
            run.warnings.append(f"{dropped} of {len(inputs)} samples are dropped by the transform")
        if not why:
            return Found("check", self.nexset)
        text = f"run here on {len(inputs)} samples of nexset {self.nexset}, it fails: {'; '.join(why[:5])}"
        if run.dry:
            run.warnings.append(text)
            return Found("would fail", self.nexset)
        raise OperatorError(
            Exit.ROLLED_BACK, f"{text}; {stays(self.attached) or 'it was not attached'}",
            hint="see it: --operation test --file FILE --nexset ID",
            resource={"type": "nexsets", "id": self.nexset}, data={"failures": why},
        )  # fmt: skip

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        return self.nexset, False


def stays(nexset: int | None) -> str:
    """What to say of a transform that was attached before and is found wanting."""
    stop = f"python scripts/operate_flow.py --operation pause --resource-type nexsets --resource-id {nexset}"
    return f"nexset {nexset} HAS IT ALREADY and keeps it; to stop it: {stop}" if nexset else ""


def errors_of(outcomes: list[Outcome]) -> list[str]:
    """What the code raised, the most frequent first."""
    found = Counter((o.error, o.line) for o in outcomes if o.error is not None)
    return [
        f"{without_quotes(error)}{f' in line {line}' if line else ''} ({count} of {len(outcomes)} samples)"
        for (error, line), count in found.most_common(3)
    ]


class HoldStep(SwitchStep):
    """Pause an ACTIVE nexset while its transform is changed and not proven yet: nothing unproven is passed on."""

    def __init__(self, nexset: int, name: str, change: AttachStep | TransformStep) -> None:
        super().__init__(Member("nexsets", nexset, 0, {"name": name}), PAUSED, phase="hold", once=True)
        self.change = change

    def find(self, run: Run) -> Found:
        if not run.entry(self.key) and self.change.find(run).action == UNCHANGED:
            return Found(SKIPPED, self.member.id)
        return super().find(run)

    def undo(self, run: Run, entry: Entry) -> None:
        if run.entry(self.change.key):
            raise OperatorError(Exit.LEFT_BEHIND, "it is left paused, as its former transform could not be put back")
        super().undo(run, entry)


class ReleaseStep(SwitchStep):
    """Activate again what was held."""

    def __init__(self, hold: HoldStep) -> None:
        super().__init__(hold.member, ACTIVE, phase="release")
        self.hold = hold

    def find(self, run: Run) -> Found:
        held = run.entry(self.hold.key) or any(o.key == self.hold.key and o.changed for o in run.outcomes)
        return super().find(run) if held and not run.dry else Found("activate" if held else SKIPPED, self.member.id)


class ProofStep(Step):
    """Show on fresh samples that the attached transform does what is demanded.

    Fresh means: what comes out of the nexset is what the code makes, run here, of what goes in. Samples from before
    the change do not pass for that.
    """

    writes = False
    kind = "nexsets"

    def __init__(self, target: str | int, name: str, code: Code, demands: Demands, timeout: float) -> None:
        key = f"proof:{target}" if isinstance(target, int) else "proof"
        super().__init__(key, f"samples of nexset {name}")
        self.target, self.name, self.code, self.demands, self.timeout = target, name, code, demands, timeout

    def find(self, run: Run) -> Found:
        return Found("check", self.target if isinstance(self.target, int) else run.results.get(self.target))

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        if found.id is None:
            raise OperatorError(Exit.ERROR, f"{self.title}: the nexset is not known")
        for _ in run.session.deadline.looks(self.timeout):
            why, settled = self._look(run, found.id)
            if not why:
                return found.id, False
            if settled:
                break
        before = any(o.key == self.target and not o.changed for o in run.outcomes) and not run.made(str(self.target))
        text = f"nexset {self.name!r} (id {found.id}) is not proven: {'; '.join(why[:5])}"
        text += f"; {stays(found.id)}" if before else ""
        hint = "try it first: --operation test --file FILE --nexset PARENT"
        resource = {"type": "nexsets", "id": found.id}
        raise OperatorError(Exit.ERROR, text, hint=hint, resource=resource, data={"failures": why})

    def _look(self, run: Run, number: int) -> tuple[list[str], bool]:
        """Why it is not proven; and whether that is final, because the samples are enough and fresh."""
        samples = read_samples(run.session, number, max(PROOF_SAMPLES, self.demands.least), live=True)
        pairs = [sample for sample in samples if sample.has_input]
        with run.session.deadline.alarm():
            here = run_code(self.code, [sample.input for sample in pairs])
        stale = [n for n, (s, o) in enumerate(zip(pairs, here, strict=True), 1) if s.output != o.output]
        run.facts["proof"] = {"samples": len(pairs), "fresh": len(pairs) - len(stale)}
        outputs = [sample.output for sample in pairs if sample.output is not None]
        run.facts["schema_changes"] = drift(infer([sample.input for sample in pairs]), infer(outputs))
        why = [*errors_of(here), *failures(pairs, self.demands)]
        if stale:
            why.append(f"samples {', '.join(map(str, stale[:5]))} are not what the code makes of their input here: "
                       "they are from before the change, or the server runs it differently")  # fmt: skip
        return why, not stale and len(pairs) >= self.demands.least
