"""The proof of a deployment: records that arrived at a destination after it was activated."""

from __future__ import annotations

from typing import Any

from helpers.api.flows import run_rows
from helpers.change.model import SKIPPED, Applied, ChangeRun, Found
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row
from helpers.deploy import model
from helpers.deploy.checks import CheckStep
from helpers.deploy.state import SOURCE_STEP, Delivery, FlowState

STEADY_POLLS = 2  # equal readings in a row after which a delivery counts as ended


class DeliverStep(CheckStep):
    """Wait until a destination has taken at least ``min_records`` in run rows that were not there before.

    An activation answers 200 whatever happens next, so only new records prove that data moves. A destination that
    was neither created nor activated by this change is not waited for; the report says so.

    Args:
        timeout: seconds.
        upstream: keys of the steps whose changes this destination will see.
    """

    def __init__(self, config: model.Destination, state: FlowState, timeout: float, upstream: set[str]) -> None:
        super().__init__(f"deliver:{config.name}", f"first run of destination {config.name}")
        self.target, self.activation = f"destination:{config.name}", f"activate:destination:{config.name}"
        self.state, self.rule, self.timeout = state, state.config.verify, timeout
        self.upstream = {*upstream, self.target}
        self.name, self.kind = config.name, "destinations"
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
                f"destination {self.name!r} was active already: what changed ({', '.join(changed)}) shows with its "
                "next run, which was not waited for"
            )

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        assert found.id is not None
        entry = run.entry(self.activation)
        baseline: dict[str, Any] = (entry.resume_data.get("runs") if entry else None) or {}
        enough, last, alike = False, None, 0
        for _ in run.session.deadline.poll(self.timeout):
            fresh = _added(run_rows(run.session, KINDS["destinations"], found.id), baseline)
            self._arrived = fresh.records
            if fresh.errors > self.rule.max_errors:
                raise self._failed(found.id, fresh)
            enough = bool(fresh.runs) and fresh.records >= self.rule.min_records
            alike = alike + 1 if enough and fresh == last else int(enough)
            if alike >= STEADY_POLLS:
                break
            last = fresh
        if not enough:
            raise self._missing(found.id, fresh)
        self.state.facts.delivered[self.name] = fresh
        return Applied(found.id)

    def lasting_effects(self) -> list[str]:
        text = f"{self._arrived} records were delivered to {self.name} before this and stay there"
        return [text] if self._arrived else []

    def _failed(self, destination_id: int, fresh: Delivery) -> OperatorError:
        return OperatorError(
            Exit.ERROR,
            f"destination {self.name!r} (id {destination_id}): {fresh.errors} errors in its first run, "
            f"{fresh.records} records; {self.rule.max_errors} errors are allowed",
            hint="see the flow's log in Nexla; allow more with verify.max_errors in the config",
            resource={"type": "destinations", "id": destination_id},
        )

    def _missing(self, destination_id: int, fresh: Delivery) -> OperatorError:
        return OperatorError(
            Exit.TIMEOUT,
            f"destination {self.name!r} (id {destination_id}): {fresh.records} records after {self.timeout:g} s, "
            f"{self.rule.min_records} are wanted",
            hint="raise --verify-timeout, or deploy with --no-verify when the first run comes by schedule",
            retryable=True,
            resource={"type": "destinations", "id": destination_id},
        )


def _added(rows: list[Row], baseline: dict[str, Any]) -> Delivery:
    """What run rows hold beyond a baseline."""
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
    """Say how many records the source itself could not read; they never reach a destination."""

    def __init__(self, state: FlowState) -> None:
        super().__init__("source-errors", "records that the source refused")
        self.state, self.kind = state, "sources"

    def find(self, run: ChangeRun) -> Found:
        return Found("check" if self.state.facts.delivered else SKIPPED, run.results.get(SOURCE_STEP))

    def apply(self, run: ChangeRun, found: Found) -> Applied:
        assert found.id is not None
        wanted = {run_id for delivery in self.state.facts.delivered.values() for run_id in delivery.runs}
        rows = run_rows(run.session, KINDS["sources"], found.id)
        errors = sum(row.get("errors") or 0 for row in rows if row.get("runId") in wanted)
        if errors:
            run.warnings.append(f"source {found.id} could not read {errors} records of this run: they are quarantined")
        self.state.facts.source_errors = errors
        return Applied(found.id)
