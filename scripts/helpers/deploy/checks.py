"""The steps of a deployment that look things up, wait, prove, activate and verify."""

from __future__ import annotations

from typing import Any

from helpers.api.flows import Member, run_rows
from helpers.api.probes import probe
from helpers.api.resources import by_name, one_of
from helpers.api.samples import read_samples
from helpers.api.transport import ApiError
from helpers.change.changes import FINE, SKIPPED, UNCHANGED, Found, Run, Step
from helpers.change.journal import Entry
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS
from helpers.deploy import model as flow_model
from helpers.deploy.members import SinkStep
from helpers.deploy.resource_steps import lookup_key, set_status
from helpers.deploy.state import SOURCE_STEP, FlowState

SAMPLE_COUNT = 10


class _Check(Step):
    """A step that writes nothing."""

    writes = False


class ProbeStep(_Check):
    """Probe an existing credential, or the inline one that was just made."""

    def __init__(self, role: str, number: int | None) -> None:
        super().__init__(f"probe:{role}", f"probe credential of {role}")
        self.role, self.number = role, number
        self.kind = "credentials"

    def find(self, run: Run) -> Found:
        number = run.results.get(f"credential:{self.role}", self.number)
        done: dict[int, tuple[str, str]] = run.facts.setdefault("probed", {})
        if number is None:
            return Found("check")
        if number not in done:
            done[number] = probe(run.session, number)
        verdict, reason = done[number]
        if verdict == "failed":
            raise OperatorError(
                Exit.AUTH,
                f"credential {number} was refused by its system: {reason}",
                hint="correct the credential in Nexla, then run again",
                resource={"type": "credentials", "id": number},
            )
        if verdict == "unknown":
            run.warnings.append(f"credential {number} could not be tested: {reason}")
        return Found(FINE, number)

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        return self.find(run).id, False


class LookupStep(_Check):
    """Find something that must exist already by its exact name: a reusable transform, a project."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(lookup_key(kind, name), f"{KINDS[kind].singular} {name}")
        self.name, self.kind = name, kind

    def find(self, run: Run) -> Found:
        kind = KINDS[self.kind]
        row = one_of(kind, self.name, by_name(run.session, kind, self.name))
        if row is None:
            raise OperatorError(
                Exit.NOT_FOUND,
                f"no {kind.singular} is named {self.name!r}",
                hint=f"see python scripts/list_resources.py --type {self.kind} --all",
            )
        return Found(FINE, row["id"])


class FreeNamesStep(_Check):
    """Before anything is made: no destination of the config may belong to another flow."""

    def __init__(self, sinks: list[SinkStep], state: FlowState) -> None:
        super().__init__("names", "destination names")
        self.sinks, self.state, self.kind = sinks, state, "destinations"

    def find(self, run: Run) -> Found:
        if self.state.source(run) is None:
            for sink in self.sinks:
                sink.refuse_foreign(run)
                sink.refuse_foreign_nexset(run)
        return Found(FINE)


class ActivateStep(Step):
    """Activate one resource of the flow, and only that one: never a branch that someone paused on purpose."""

    def __init__(self, target: str, kind: str, name: str, state: FlowState) -> None:
        super().__init__(f"activate:{target}", f"activate {KINDS[kind].singular} {name}")
        self.target, self.kind, self.name, self.state = target, kind, name, state

    def _member(self, run: Run) -> Member | None:
        flow, number = self.state.flow(run), run.results.get(self.target)
        return flow.find(self.kind, number) if flow and number else None

    def find(self, run: Run) -> Found:
        member = self._member(run)
        if member is None:
            return Found("activate")
        if member.status == "ACTIVE":
            return Found(UNCHANGED, member.id)
        memo = self._baseline(run, member)
        return Found("activate", member.id, {"status": [member.status, "ACTIVE"]}, {"status": member.status}, memo)

    def _baseline(self, run: Run, member: Member) -> dict[str, Any]:
        """The run rows that a destination had before; what comes on top of them is this activation's doing."""
        if self.kind != "destinations" or run.dry or run.made(self.target):
            return {}
        rows = run_rows(run.session, KINDS[self.kind], member.id)
        return {"runs": {str(row.get("runId")): [row.get("records"), row.get("errors")] for row in rows}}

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        if found.id is None:
            raise OperatorError(Exit.ERROR, f"{self.title}: it is not in the flow, although it was there before")
        row = set_status(run, KINDS[self.kind], found.id, active=True)
        self.state.forget_flow()
        if row.get("status") != "ACTIVE":
            raise OperatorError(
                Exit.ERROR,
                f"{self.title} (id {found.id}) answered 200 but its status is {row.get('status')}",
                resource={"type": self.kind, "id": found.id},
            )
        return found.id, False

    def undo(self, run: Run, entry: Entry) -> None:
        number = entry.id or run.results.get(self.target)
        if run.made(self.target):
            return  # it goes altogether, and is paused on the way
        if number is not None and entry.before.get("status") != "ACTIVE":
            try:
                set_status(run, KINDS[self.kind], number, active=False)
            except ApiError as error:
                if error.http_status != 404:
                    raise
            if entry.before.get("status") == "INIT":
                run.warnings.append(f"{self.title}: it was INIT before and is PAUSED now; there is no way back")
        self.state.forget_flow()


class DiscoverStep(_Check):
    """Wait until Nexla has detected the nexset that the config means; two equal looks in a row end the wait."""

    def __init__(self, state: FlowState, timeout: float) -> None:
        super().__init__("nexset:", "detected nexset")
        self.state, self.timeout, self.kind = state, timeout, "nexsets"

    def find(self, run: Run) -> Found:
        activated = any(o.key == f"activate:{SOURCE_STEP}" and o.changed for o in run.outcomes)
        member = self.state.chosen(run, self.state.detected(run)) if not activated else None
        if member is None:
            return Found("wait")
        self.name = member.name or ""
        return Found(FINE, member.id)

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        seen: list[int] | None = None
        for _ in run.session.deadline.looks(self.timeout):
            self.state.forget_flow()
            members = self.state.detected(run)
            ids = [member.id for member in members]
            if ids and (ids == seen or self.state.config.nexset is not None):
                member = self.state.chosen(run, members)
                if member is not None:
                    self.name = member.name or ""
                    return member.id, False
            seen = ids
        raise self._timed_out(run)

    def _timed_out(self, run: Run) -> OperatorError:
        members = self.state.detected(run)
        found = ", ".join(f"{m.id} {m.name!r}" for m in members) or "none"
        number = run.results.get(SOURCE_STEP)
        return OperatorError(
            Exit.TIMEOUT,
            f"no fitting nexset was detected in source {number} within {self.timeout:g} s (detected: {found})",
            hint="check the path in source_config and that the source holds data; or raise --verify-timeout",
            retryable=True,
            resource={"type": "sources", "id": number},
        )


class ProveStep(_Check):
    """Show on samples that a new or changed derived nexset gives output. No sample at all is a failure."""

    def __init__(self, config: flow_model.DerivedNexset, timeout: float) -> None:
        super().__init__(f"prove:{config.name}", f"samples of nexset {config.name}")
        self.target, self.timeout = f"nexset:{config.name}", timeout
        self.name, self.kind = config.name, "nexsets"

    def find(self, run: Run) -> Found:
        changed = any(o.key == self.target and o.changed for o in run.outcomes)
        resumed = run.made(self.target) and not run.dry
        if not changed and not resumed:
            return Found(SKIPPED, run.results.get(self.target))
        return Found("check", run.results.get(self.target))

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        if found.id is None:
            raise OperatorError(Exit.ERROR, f"{self.title}: the nexset is not known")
        for _ in run.session.deadline.looks(self.timeout):
            samples = read_samples(run.session, found.id, SAMPLE_COUNT)
            outputs = [sample for sample in samples if sample.output is not None]
            if outputs:
                break
        else:
            raise OperatorError(
                Exit.TIMEOUT,
                f"nexset {self.name!r} (id {found.id}) gave no output sample within {self.timeout:g} s",
                hint="the transform may drop or fail on every record; try it on one record first",
                resource={"type": "nexsets", "id": found.id},
            )
        run.facts.setdefault("samples", {})[self.name] = len(outputs)
        pairs = [sample for sample in outputs if sample.has_input]
        if pairs and all(sample.input == sample.output for sample in pairs):
            run.warnings.append(f"nexset {self.name!r}: the transform changed nothing in {len(outputs)} samples")
        return found.id, False
