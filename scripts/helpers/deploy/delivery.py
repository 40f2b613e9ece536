"""Verifying a deployment: records must arrive at each destination after its activation."""

from __future__ import annotations

from typing import Any

from helpers.api.flows import run_rows
from helpers.change.model import SKIPPED, Applied, ChangeRun, Found
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row
from helpers.deploy import model
from helpers.deploy.checks import CheckStep
from helpers.deploy.state import SOURCE_STEP, Delivery, FlowState

STEADY_POLLS = 2  # identical readings in a row after which a delivery counts as complete


class DeliverStep(CheckStep):
    """Wait until a destination has received at least ``min_records`` since its activation.

    An activation returns 200 whatever happens next, so only new records prove that data moves. The step does not wait
    for a destination that this change neither created nor activated; a warning says so.

    Args:
        timeout: how long to wait, in seconds.
        upstream: the keys of the steps whose changes affect this destination.
    """

    def __init__(self, config: model.Destination, state: FlowState, timeout: float, upstream: set[str]) -> None:
        super().__init__(f"deliver:{config.key}", f"first run of destination {config.name}")
        self.target, self.activation = f"destination:{config.key}", f"activate:destination:{config.key}"
        self.state, self.rule, self.timeout = state, state.config.verify, timeout
        self.upstream = {*upstream, self.target}
        self.name, self.kind, self.config = config.name, "destinations", config
        self._arrived = 0

    def find(self, run: ChangeRun) -> Found:
        resource_id = run.results.get(self.target)
        if run.has_changed(self.activation) or run.entry(self.activation):
            return Found("verify", resource_id)
        self._warn_of_unverified_changes(run)
        return Found(SKIPPED, resource_id)

    def _warn_of_unverified_changes(self, run: ChangeRun) -> None:
        changed = [outcome.key for outcome in run.outcomes if outcome.changed and outcome.key in self.upstream]
        if changed and not run.dry:
            run.warnings.append(
                f"destination {self.name!r} was already active: the changes ({', '.join(changed)}) take effect with "
                "its next run, which this command did not wait for"
            )

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        assert found.id is not None
        entry = run.entry(self.activation)
        baseline: dict[str, Any] = (entry.resume_data.get("runs") if entry else None) or {}
        enough, last, steady = False, None, 0
        for _ in run.session.deadline.poll(self.timeout):
            fresh = _added(run_rows(run.session, KINDS["destinations"], found.id), baseline)
            self._arrived = fresh.records
            if fresh.errors > self.rule.max_errors:
                raise self._failed(found.id, fresh)
            enough = bool(fresh.runs) and fresh.records >= self.rule.min_records
            steady = steady + 1 if enough and fresh == last else int(enough)
            if steady >= STEADY_POLLS:
                break
            last = fresh
        if not enough:
            raise self._missing(found.id, fresh)
        self.state.facts.delivered[self.config.key] = fresh
        return Applied(found.id)

    def lasting_effects(self) -> list[str]:
        text = f"{self._arrived} records were already delivered to {self.name} and stay there"
        return [text] if self._arrived else []

    def _failed(self, destination_id: int, fresh: Delivery) -> OperatorError:
        return OperatorError(
            Exit.ERROR,
            f"destination {self.name!r} (id {destination_id}): {fresh.errors} errors in its first run, "
            f"{fresh.records} records; {self.rule.max_errors} errors are allowed",
            hint="see the flow's log in Nexla; to allow more errors, set verify.max_errors in the config",
            resource={"type": "destinations", "id": destination_id},
        )

    def _missing(self, destination_id: int, fresh: Delivery) -> OperatorError:
        return OperatorError(
            Exit.TIMEOUT,
            f"destination {self.name!r} (id {destination_id}): {fresh.records} records after {self.timeout:g} s, "
            f"expected at least {self.rule.min_records}",
            hint="raise --verify-timeout, or deploy with --no-verify if the first run starts on a schedule",
            retryable=True,
            resource={"type": "destinations", "id": destination_id},
        )


def _added(rows: list[Row], baseline: dict[str, Any]) -> Delivery:
    """The runs, records and errors that run rows contain beyond a baseline."""
    runs, total_records, total_errors = [], 0, 0
    for row in rows:
        had_records, had_errors = baseline.get(str(row.get("runId")), [0, 0])
        records = (row.get("records") or 0) - (had_records or 0)
        errors = (row.get("errors") or 0) - (had_errors or 0)
        if records > 0 or errors > 0 or str(row.get("runId")) not in baseline:
            runs.append(row.get("runId"))
            total_records += records
            total_errors += errors
    return Delivery(runs, total_records, total_errors)


class SourceErrorsStep(CheckStep):
    """Report how many records the source itself could not read; they never reach a destination."""

    def __init__(self, state: FlowState) -> None:
        super().__init__("source-errors", "records that the source could not read")
        self.state, self.kind = state, "sources"

    def find(self, run: ChangeRun) -> Found:
        return Found("check" if self.state.facts.delivered else SKIPPED, run.results.get(SOURCE_STEP))

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        assert found.id is not None
        run_ids = {run_id for delivery in self.state.facts.delivered.values() for run_id in delivery.runs}
        rows = run_rows(run.session, KINDS["sources"], found.id)
        errors = sum(row.get("errors") or 0 for row in rows if row.get("runId") in run_ids)
        if errors:
            run.warnings.append(f"source {found.id} could not read {errors} records of this run; they are quarantined")
        self.state.facts.source_errors = errors
        return Applied(found.id)
