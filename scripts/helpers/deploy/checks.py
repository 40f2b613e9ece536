"""The steps of a deployment that only check: credentials, names, detected nexsets, samples."""

from __future__ import annotations

from helpers.api.probes import probe
from helpers.api.resources import require_by_name
from helpers.api.samples import read_samples
from helpers.change.model import PASSED, SKIPPED, Applied, ChangeRun, Found, Step
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS
from helpers.deploy import model
from helpers.deploy.members import DestinationStep
from helpers.deploy.resource_steps import lookup_key
from helpers.deploy.state import DETECTED, SOURCE_STEP, FlowState, nexset_key

SAMPLE_COUNT = 10


class CheckStep(Step):
    """A step that writes nothing."""

    writes = False


class ProbeStep(CheckStep):
    """Probe an existing credential, or the inline credential that was just created.

    Args:
        role: what uses the credential: ``source``, or the name of a destination.
        credential_id: None for an inline credential.
    """

    def __init__(self, role: str, credential_id: int | None, state: FlowState) -> None:
        super().__init__(f"probe:{role}", f"probe credential of {role}")
        self.role, self.credential_id, self.state = role, credential_id, state
        self.kind = "credentials"

    def find(self, run: ChangeRun) -> Found:
        credential_id = run.results.get(f"credential:{self.role}", self.credential_id)
        if credential_id is None:
            return Found("check")
        if run.dry or run.session.settings.read_only:
            why = "this is a dry run" if run.dry else "NEXLA_READ_ONLY is set"
            run.warnings.append(
                f"credential {credential_id} was not probed, so its login was not checked: a probe stores its result "
                f"on the server, and {why}"
            )
            return Found(SKIPPED, credential_id)
        probed = self.state.facts.probed
        if credential_id not in probed:
            probed[credential_id] = probe(run.session, credential_id)
        verdict, reason = probed[credential_id]
        if verdict == "failed":
            raise OperatorError(
                Exit.AUTH,
                f"credential {credential_id} was rejected by its system: {reason}",
                hint="correct the credential in Nexla, then run again",
                resource={"type": "credentials", "id": credential_id},
            )
        if verdict == "unknown":
            run.warnings.append(f"credential {credential_id} could not be tested: {reason}")
        return Found(PASSED, credential_id)

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        return Applied(self.find(run).id)


class LookupStep(CheckStep):
    """Find an existing resource by its exact name: a reusable transform or a project."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(lookup_key(kind, name), f"{KINDS[kind].singular} {name}")
        self.name, self.kind = name, kind

    def find(self, run: ChangeRun) -> Found:
        return Found(PASSED, require_by_name(run.session, KINDS[self.kind], self.name)["id"])


class NameConflictStep(CheckStep):
    """Check, before anything is created, that no destination of the config belongs to another flow."""

    def __init__(self, destinations: list[DestinationStep], state: FlowState) -> None:
        super().__init__("names", "destination names")
        self.destinations, self.state, self.kind = destinations, state, "destinations"

    def find(self, run: ChangeRun) -> Found:
        if self.state.source(run) is None:
            for destination in self.destinations:
                destination.refuse_foreign(run)
                destination.refuse_foreign_nexset(run)
        return Found(PASSED)


class DiscoverStep(CheckStep):
    """Wait until Nexla has detected the nexset that the config selects.

    Without a selection, the wait ends after two identical readings in a row.

    Args:
        timeout: how long to wait, in seconds.
    """

    def __init__(self, state: FlowState, timeout: float) -> None:
        super().__init__(DETECTED, "detected nexset")
        self.state, self.timeout, self.kind = state, timeout, "nexsets"

    def find(self, run: ChangeRun) -> Found:
        activated = run.has_changed(f"activate:{SOURCE_STEP}")
        member = self.state.selected(run, self.state.detected(run)) if not activated else None
        if member is None:
            return Found("wait")
        self.name = member.name or ""
        return Found(PASSED, member.id)

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        before: list[int] | None = None
        for _ in run.session.deadline.poll(self.timeout):
            self.state.forget_flow()
            members = self.state.detected(run)
            ids = [member.id for member in members]
            if ids and (ids == before or self.state.config.nexset is not None):
                member = self.state.selected(run, members)
                if member is not None:
                    self.name = member.name or ""
                    return Applied(member.id)
            before = ids
        raise self._timed_out(run)

    def _timed_out(self, run: ChangeRun) -> OperatorError:
        found = ", ".join(f"{member.id} {member.name!r}" for member in self.state.detected(run)) or "none"
        source_id = run.results.get(SOURCE_STEP)
        return OperatorError(
            Exit.TIMEOUT,
            f"no matching nexset was detected in source {source_id} within {self.timeout:g} s (detected: {found})",
            hint="check the path in source_config and that the source has data; or raise --verify-timeout",
            retryable=True,
            resource={"type": "sources", "id": source_id},
        )


class ProveStep(CheckStep):
    """Verify with samples that a new or changed derived nexset produces output. Having no sample is a failure.

    Args:
        timeout: how long to wait for a sample, in seconds.
    """

    def __init__(self, config: model.DerivedNexset, timeout: float) -> None:
        super().__init__(f"prove:{config.name}", f"samples of nexset {config.name}")
        self.target, self.timeout = nexset_key(config.name), timeout
        self.name, self.kind = config.name, "nexsets"

    def find(self, run: ChangeRun) -> Found:
        resumed = run.created(self.target) and not run.dry
        action = "check" if run.has_changed(self.target) or resumed else SKIPPED
        return Found(action, run.results.get(self.target))

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        if found.id is None:
            raise OperatorError(Exit.ERROR, f"{self.title}: the id of the nexset is not known")
        for _ in run.session.deadline.poll(self.timeout):
            samples = read_samples(run.session, found.id, SAMPLE_COUNT)
            outputs = [sample for sample in samples if sample.output is not None]
            if outputs:
                break
        else:
            raise OperatorError(
                Exit.TIMEOUT,
                f"nexset {self.name!r} (id {found.id}) produced no output sample within {self.timeout:g} s",
                hint="the transform may drop every record or fail on it; try it on one record first",
                resource={"type": "nexsets", "id": found.id},
            )
        pairs = [sample for sample in outputs if sample.has_input]
        if pairs and all(sample.input == sample.output for sample in pairs):
            run.warnings.append(f"nexset {self.name!r}: the transform changed nothing in {len(outputs)} samples")
        return Applied(found.id)
