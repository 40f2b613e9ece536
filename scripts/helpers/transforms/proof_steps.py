"""Proving a transform: locally before anything is written, and on the nexset's samples afterwards."""

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
from helpers.transforms.local_run import RecordResult, is_foreign, run_locally
from helpers.transforms.proof import failures
from helpers.transforms.request import Requirements
from helpers.transforms.schemas import drift, infer
from helpers.transforms.steps import TransformFacts, TransformStep

PROOF_SAMPLES = 30


class LocalTrialStep(Step):
    """Run the code locally on its future input, and check the results against the requirements. Writes nothing.

    Args:
        nexset_id: The nexset whose samples are read.
        code: The code to try.
        requirements: What every sample must satisfy.
        parent: Use the nexset's output as the input of the code, because it is the parent; otherwise its own input.
        attached: The nexset that already has the transform; None if there is none.
    """

    writes = False
    kind = "nexsets"

    def __init__(
        self, nexset_id: int, code: Code, requirements: Requirements, *, parent: bool, attached: int | None = None
    ) -> None:
        super().__init__(f"rehearsal:{nexset_id}", f"local trial on samples of nexset {nexset_id}")
        self.nexset_id, self.code, self.requirements, self.parent = nexset_id, code, requirements, parent
        self.attached, self.name = attached, str(nexset_id)

    def find(self, run: ChangeRun) -> Found:
        if run.dry and is_foreign(self.code):
            run.warnings.append("the transform is a Python script from Nexla and was not tried locally; without "
                                "--dry-run, this is refused: see --run-remote-code")  # fmt: skip
            return Found(SKIPPED, self.nexset_id)
        inputs = self._inputs(run)
        if len(inputs) < self.requirements.min_samples:
            return Found(SKIPPED, self.nexset_id)  # the proof waits for more
        with run.session.deadline.alarm():
            results = run_locally(self.code, inputs, warned=run.warnings)
        pairs = [Sample(before, result.output) for before, result in zip(inputs, results, strict=True)]
        reasons = [*errors_in(results), *failures(pairs, self.requirements)]
        dropped = sum(result.output is None and result.error is None for result in results)
        if dropped:
            run.warnings.append(f"the transform drops {dropped} of {len(inputs)} samples")
        if not reasons:
            return Found("check", self.nexset_id)
        text = f"run locally on {len(inputs)} samples of nexset {self.nexset_id}, it fails: {'; '.join(reasons[:5])}"
        if run.dry:
            run.warnings.append(text)
            return Found("would fail", self.nexset_id)
        raise OperatorError(
            Exit.ROLLED_BACK, f"{text}; {still_attached(self.attached) or 'it was not attached'}",
            hint="reproduce it: --operation test --file FILE --nexset ID",
            resource={"type": "nexsets", "id": self.nexset_id}, data={"failures": reasons},
        )  # fmt: skip

    def _inputs(self, run: ChangeRun) -> list[object]:
        samples = read_samples(
            run.session, self.nexset_id, max(PROOF_SAMPLES, self.requirements.min_samples), live=True
        )
        if self.parent:
            return [sample.output for sample in samples]
        return [sample.input for sample in samples if sample.has_input]

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        return Applied(self.nexset_id)


def still_attached(nexset_id: int | None) -> str:
    """A warning that a failing transform is already attached to a nexset; empty without such a nexset."""
    if not nexset_id:
        return ""
    stop = command_line(
        "operate_flow", "--operation", "pause", "--resource-type", "nexsets", "--resource-id", nexset_id
    )
    return f"nexset {nexset_id} ALREADY USES IT and still does; to pause the nexset: {stop}"


def errors_in(results: list[RecordResult]) -> list[str]:
    """The errors that the code raised, most frequent first, without values of records."""
    found = Counter((result.error, result.line) for result in results if result.error is not None)
    return [
        f"{without_quotes(error)}{f' in line {line}' if line else ''} ({count} of {len(results)} samples)"
        for (error, line), count in found.most_common(3)
    ]


class PauseUntilProven(SetStatusStep):
    """Pause an ACTIVE nexset until its changed transform is proven, so that it passes on nothing unproven.

    Args:
        nexset_id: Id of the nexset.
        name: Its name.
        change: The step that changes the transform.
    """

    def __init__(self, nexset_id: int, name: str, change: AttachStep | TransformStep) -> None:
        super().__init__(ResourceRef("nexsets", nexset_id, name), PAUSED, phase="hold")
        self.change, self.release = change, f"release:nexsets:{nexset_id}"

    def find(self, run: ChangeRun) -> Found:
        if not run.entry(self.key) and self.change.find(run).action == UNCHANGED:
            return Found(SKIPPED, self.resource.id)
        if run.entry(self.release):  # it is proven
            return Found(UNCHANGED, self.resource.id)
        return super().find(run)

    def undo(self, run: ChangeRun, entry: Entry) -> None:
        if run.entry(self.change.key):
            raise OperatorError(
                Exit.LEFT_BEHIND, "it is left paused because its former transform could not be restored"
            )
        super().undo(run, entry)


class Reactivate(SetStatusStep):
    """Activate a nexset again after its transform is proven.

    Args:
        pause: The step that paused it.
    """

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
        target: Key of that step.
        name: Name of the nexset.
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
    """Prove on fresh samples that the attached transform meets the requirements.

    A sample is fresh if its output equals what the code, run locally, makes of its input. Samples from before the
    change are not fresh.

    Args:
        target: Id of the nexset, or the key of the step that creates or changes it.
        name: Name of the nexset.
        code: The transform's code.
        requirements: What every sample must satisfy.
        facts: Receives the proof and the schema changes.
        timeout: Seconds to wait for fresh samples.
    """

    writes = False
    kind = "nexsets"

    def __init__(
        self,
        target: str | int,
        name: str,
        code: Code,
        requirements: Requirements,
        facts: TransformFacts,
        timeout: float,
    ) -> None:
        super().__init__(
            f"proof:{target}" if isinstance(target, int) else "proof", f"proof on samples of nexset {name}"
        )
        self.target, self.name, self.code, self.requirements = target, name, code, requirements
        self.facts, self.timeout = facts, timeout

    def find(self, run: ChangeRun) -> Found:
        return Found("check", self.target if isinstance(self.target, int) else run.results.get(self.target))

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        if found.id is None:
            raise OperatorError(Exit.ERROR, f"{self.title}: the nexset is unknown")
        for _ in run.session.deadline.poll(self.timeout):
            reasons, final = self._judge(run, found.id)
            if not reasons:
                return Applied(found.id)
            if final:
                break
        text = f"nexset {self.name!r} (id {found.id}) is not proven: {'; '.join(reasons[:5])}"
        text += f"; {still_attached(found.id)}" if self._was_attached_before(run) else ""
        hint = "test it first: --operation test --file FILE --nexset PARENT"
        resource = {"type": "nexsets", "id": found.id}
        raise OperatorError(Exit.ERROR, text, hint=hint, resource=resource, data={"failures": reasons})

    def _was_attached_before(self, run: ChangeRun) -> bool:
        unchanged = any(outcome.key == self.target and not outcome.changed for outcome in run.outcomes)
        return unchanged and not run.created(str(self.target))

    def _judge(self, run: ChangeRun, nexset_id: int) -> tuple[list[str], bool]:
        """Why it is not proven; and whether that is final, because there are enough samples and all are fresh."""
        samples = read_samples(run.session, nexset_id, max(PROOF_SAMPLES, self.requirements.min_samples), live=True)
        pairs = [sample for sample in samples if sample.has_input]
        with run.session.deadline.alarm():
            results = run_locally(self.code, [sample.input for sample in pairs], warned=run.warnings)
        stale = [n for n, (s, r) in enumerate(zip(pairs, results, strict=True), 1) if s.output != r.output]
        self.facts.proof = {"samples": len(pairs), "fresh": len(pairs) - len(stale)}
        outputs = [sample.output for sample in pairs if sample.output is not None]
        self.facts.schema_changes = drift(infer([sample.input for sample in pairs]), infer(outputs))
        reasons = [*errors_in(results), *failures(pairs, self.requirements)]
        if stale:
            reasons.append(f"the outputs of samples {', '.join(map(str, stale[:5]))} differ from a local run: they are "
                           "from before the change, or the server runs the code differently")  # fmt: skip
        return reasons, not stale and len(pairs) >= self.requirements.min_samples
