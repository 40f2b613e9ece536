"""Proving a transform: on the input that is there, before anything is written; and on the nexset's samples after."""

from __future__ import annotations

from collections import Counter

from helpers.api.samples import Sample, read_samples
from helpers.change.journal import Entry
from helpers.change.model import SKIPPED, UNCHANGED, Applied, ChangeRun, Found, Step
from helpers.change.set_status import ACTIVE, PAUSED, SetStatusStep
from helpers.core.commands import command_line
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import ResourceRef
from helpers.core.redact import without_quotes
from helpers.transforms.attach import AttachStep
from helpers.transforms.code import Code
from helpers.transforms.local_run import RecordResult, run_locally
from helpers.transforms.proof import failures
from helpers.transforms.request import Demands
from helpers.transforms.schemas import drift, infer
from helpers.transforms.steps import TransformFacts, TransformStep

PROOF_SAMPLES = 30


class LocalTrialStep(Step):
    """Run the code here on what would go into it, and check the outcome against the demands. Nothing is written yet.

    Args:
        nexset_id: the nexset whose samples are read.
        parent: whether its output goes into the code, as of a parent; else its own input does.
        attached: the nexset that has the transform already, if one has.
    """

    writes = False
    kind = "nexsets"

    def __init__(
        self, nexset_id: int, code: Code, demands: Demands, *, parent: bool, attached: int | None = None
    ) -> None:
        super().__init__(f"rehearsal:{nexset_id}", f"local trial on samples of nexset {nexset_id}")
        self.nexset_id, self.code, self.demands, self.parent = nexset_id, code, demands, parent
        self.attached, self.name = attached, str(nexset_id)

    def find(self, run: ChangeRun) -> Found:
        inputs = self._inputs(run)
        if len(inputs) < self.demands.min_samples:
            return Found(SKIPPED, self.nexset_id)  # the proof will have to wait for more
        with run.session.deadline.alarm():
            results = run_locally(self.code, inputs)
        pairs = [Sample(before, result.output) for before, result in zip(inputs, results, strict=True)]
        why = [*errors_in(results), *failures(pairs, self.demands)]
        dropped = sum(result.output is None and result.error is None for result in results)
        if dropped:
            run.warnings.append(f"{dropped} of {len(inputs)} samples are dropped by the transform")
        if not why:
            return Found("check", self.nexset_id)
        text = f"run here on {len(inputs)} samples of nexset {self.nexset_id}, it fails: {'; '.join(why[:5])}"
        if run.dry:
            run.warnings.append(text)
            return Found("would fail", self.nexset_id)
        raise OperatorError(
            Exit.ROLLED_BACK, f"{text}; {still_attached(self.attached) or 'it was not attached'}",
            hint="see it: --operation test --file FILE --nexset ID",
            resource={"type": "nexsets", "id": self.nexset_id}, data={"failures": why},
        )  # fmt: skip

    def _inputs(self, run: ChangeRun) -> list[object]:
        samples = read_samples(run.session, self.nexset_id, max(PROOF_SAMPLES, self.demands.min_samples), live=True)
        if self.parent:
            return [sample.output for sample in samples]
        return [sample.input for sample in samples if sample.has_input]

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        return Applied(self.nexset_id)


def still_attached(nexset_id: int | None) -> str:
    """What to say of a transform that was attached before and now fails; nothing when there is no such nexset."""
    if not nexset_id:
        return ""
    stop = command_line(
        "operate_flow", "--operation", "pause", "--resource-type", "nexsets", "--resource-id", nexset_id
    )
    return f"nexset {nexset_id} HAS IT ALREADY and keeps it; to stop it: {stop}"


def errors_in(results: list[RecordResult]) -> list[str]:
    """What the code raised, the most frequent first."""
    found = Counter((result.error, result.line) for result in results if result.error is not None)
    return [
        f"{without_quotes(error)}{f' in line {line}' if line else ''} ({count} of {len(results)} samples)"
        for (error, line), count in found.most_common(3)
    ]


class PauseUntilProven(SetStatusStep):
    """Pause an ACTIVE nexset while its transform is changed and not proven yet: nothing unproven is passed on.

    Args:
        change: the step that changes the transform.
    """

    def __init__(self, nexset_id: int, name: str, change: AttachStep | TransformStep) -> None:
        super().__init__(ResourceRef("nexsets", nexset_id, name), PAUSED, phase="hold", once=True)
        self.change = change

    def find(self, run: ChangeRun) -> Found:
        if not run.entry(self.key) and self.change.find(run).action == UNCHANGED:
            return Found(SKIPPED, self.resource.id)
        return super().find(run)

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        if run.entry(self.change.key):
            raise OperatorError(Exit.LEFT_BEHIND, "it is left paused, as its former transform could not be put back")
        super().undo(run, entry)


class Reactivate(SetStatusStep):
    """Activate again what was paused until it was proven."""

    def __init__(self, pause: PauseUntilProven) -> None:
        super().__init__(pause.resource, ACTIVE, phase="release")
        self.pause = pause

    def find(self, run: ChangeRun) -> Found:
        paused = run.entry(self.pause.key) or run.has_changed(self.pause.key)
        if paused and not run.dry:
            return super().find(run)
        return Found("activate" if paused else SKIPPED, self.resource.id)


class ActivateProven(Step):
    """Activate the nexset that an earlier step created or changed, once it is proven.

    Args:
        target: key of that step.
    """

    kind = "nexsets"

    def __init__(self, target: str, name: str) -> None:
        super().__init__(f"activate:{name}", f"activate nexset {name}")
        self.target, self.name = target, name

    def _step(self, nexset_id: int | None) -> SetStatusStep:
        return SetStatusStep(ResourceRef("nexsets", int(nexset_id or 0), self.name), ACTIVE)

    def find(self, run: ChangeRun) -> Found:
        nexset_id = run.results.get(self.target)
        return Found("activate") if nexset_id is None else self._step(nexset_id).find(run)

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        return self._step(found.id).apply(run, found)

    def verify(self, run: ChangeRun, applied: Applied) -> Applied:
        return self._step(applied.id).verify(run, applied)

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        if entry.id is not None:
            self._step(entry.id).undo(run, entry)


class ProofStep(Step):
    """Show on fresh samples that the attached transform does what is demanded.

    Fresh means: what comes out of the nexset is what the code makes, run here, of what goes in. Samples from before
    the change do not pass for that.

    Args:
        target: id of the nexset, or the key of the step that creates or changes it.
        timeout: seconds to wait for fresh samples.
    """

    writes = False
    kind = "nexsets"

    def __init__(
        self, target: str | int, name: str, code: Code, demands: Demands, facts: TransformFacts, timeout: float
    ) -> None:
        super().__init__(f"proof:{target}" if isinstance(target, int) else "proof", f"samples of nexset {name}")
        self.target, self.name, self.code, self.demands = target, name, code, demands
        self.facts, self.timeout = facts, timeout

    def find(self, run: ChangeRun) -> Found:
        return Found("check", self.target if isinstance(self.target, int) else run.results.get(self.target))

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        if found.id is None:
            raise OperatorError(Exit.ERROR, f"{self.title}: the nexset is not known")
        for _ in run.session.deadline.poll(self.timeout):
            why, final = self._judge(run, found.id)
            if not why:
                return Applied(found.id)
            if final:
                break
        text = f"nexset {self.name!r} (id {found.id}) is not proven: {'; '.join(why[:5])}"
        text += f"; {still_attached(found.id)}" if self._was_attached_before(run) else ""
        hint = "try it first: --operation test --file FILE --nexset PARENT"
        resource = {"type": "nexsets", "id": found.id}
        raise OperatorError(Exit.ERROR, text, hint=hint, resource=resource, data={"failures": why})

    def _was_attached_before(self, run: ChangeRun) -> bool:
        unchanged = any(outcome.key == self.target and not outcome.changed for outcome in run.outcomes)
        return unchanged and not run.created(str(self.target))

    def _judge(self, run: ChangeRun, nexset_id: int) -> tuple[list[str], bool]:
        """Why it is not proven; and whether that is final, because the samples are enough and fresh."""
        samples = read_samples(run.session, nexset_id, max(PROOF_SAMPLES, self.demands.min_samples), live=True)
        pairs = [sample for sample in samples if sample.has_input]
        with run.session.deadline.alarm():
            here = run_locally(self.code, [sample.input for sample in pairs])
        stale = [n for n, (s, r) in enumerate(zip(pairs, here, strict=True), 1) if s.output != r.output]
        self.facts.proof = {"samples": len(pairs), "fresh": len(pairs) - len(stale)}
        outputs = [sample.output for sample in pairs if sample.output is not None]
        self.facts.schema_changes = drift(infer([sample.input for sample in pairs]), infer(outputs))
        why = [*errors_in(here), *failures(pairs, self.demands)]
        if stale:
            why.append(f"samples {', '.join(map(str, stale[:5]))} are not what the code makes of their input here: "
                       "they are from before the change, or the server runs it differently")  # fmt: skip
        return why, not stale and len(pairs) >= self.demands.min_samples
