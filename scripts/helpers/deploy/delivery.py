"""The proof of a deployment: records that arrived at a destination after it was activated."""

from __future__ import annotations

from typing import Any

from helpers.api.flows import run_rows
from helpers.change.changes import SKIPPED, Found, Run
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row
from helpers.deploy import model as flow_model
from helpers.deploy.checks import _Check
from helpers.deploy.state import SOURCE_STEP

SETTLED_LOOKS = 2  # equal looks in a row after which a delivery counts as ended


class DeliverStep(_Check):
    """Wait until a destination has taken at least ``min_records`` in run rows that were not there before.

    An activation answers 200 whatever happens next, so only new records prove that data moves. A destination that
    was neither made nor activated by this change is not waited for; the report says so.

    Args:
        upstream: keys of the steps whose changes this destination will see.
    """

    def __init__(
        self, config: flow_model.Destination, verify: flow_model.Verify, timeout: float, upstream: set[str]
    ) -> None:
        super().__init__(f"deliver:{config.name}", f"first run of destination {config.name}")
        self.target, self.activation = f"destination:{config.name}", f"activate:destination:{config.name}"
        self.rule, self.timeout = verify, timeout
        self.upstream = {*upstream, self.target}
        self.name, self.kind = config.name, "destinations"

    def find(self, run: Run) -> Found:
        number = run.results.get(self.target)
        activated = any(o.key == self.activation and o.changed for o in run.outcomes)
        if not (activated or run.entry(self.activation)):
            self._say_unverified(run)
            return Found(SKIPPED, number)
        return Found("verify", number)

    def _say_unverified(self, run: Run) -> None:
        changed = [o.key for o in run.outcomes if o.changed and o.key in self.upstream]
        if changed and not run.dry:
            run.warnings.append(
                f"destination {self.name!r} was active already: what changed ({', '.join(changed)}) shows with its "
                "next run, which was not waited for"
            )

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        assert found.id is not None
        entry = run.entry(self.activation)
        baseline: dict[str, Any] = (entry.memo.get("runs") if entry else None) or {}
        enough, last, alike = False, None, 0
        for _ in run.session.deadline.looks(self.timeout):
            fresh = _on_top(run_rows(run.session, KINDS["destinations"], found.id), baseline)
            run.facts.setdefault("arrived", {})[self.name] = fresh["records"]
            if fresh["errors"] > self.rule.max_errors:
                raise self._failed(found.id, fresh)
            enough = bool(fresh["runs"]) and fresh["records"] >= self.rule.min_records
            alike = alike + 1 if enough and fresh == last else int(enough)
            if alike >= SETTLED_LOOKS:
                break
            last = fresh
        if not enough:
            raise self._missing(found.id, fresh)
        run.facts.setdefault("delivered", {})[self.name] = fresh
        return found.id, False

    def _failed(self, number: int, fresh: Row) -> OperatorError:
        return OperatorError(
            Exit.ERROR,
            f"destination {self.name!r} (id {number}): {fresh['errors']} errors in its first run, "
            f"{fresh['records']} records; {self.rule.max_errors} errors are allowed",
            hint="see the flow's log in Nexla; allow more with verify.max_errors in the config",
            resource={"type": "destinations", "id": number},
        )

    def _missing(self, number: int, fresh: Row) -> OperatorError:
        return OperatorError(
            Exit.TIMEOUT,
            f"destination {self.name!r} (id {number}): {fresh['records']} records after {self.timeout:g} s, "
            f"{self.rule.min_records} are wanted",
            hint="raise --verify-timeout, or deploy with --no-verify when the first run comes by schedule",
            retryable=True,
            resource={"type": "destinations", "id": number},
        )


def _on_top(rows: list[Row], baseline: dict[str, Any]) -> Row:
    """What run rows hold beyond a baseline: run ids, records and errors."""
    total: Row = {"runs": [], "records": 0, "errors": 0}
    for row in rows:
        had_records, had_errors = baseline.get(str(row.get("runId")), [0, 0])
        records = (row.get("records") or 0) - (had_records or 0)
        errors = (row.get("errors") or 0) - (had_errors or 0)
        if records > 0 or errors > 0 or str(row.get("runId")) not in baseline:
            total["runs"].append(row.get("runId"))
            total["records"] += records
            total["errors"] += errors
    return total


class SourceErrorsStep(_Check):
    """Say how many records the source itself could not read; they never reach a destination."""

    def __init__(self) -> None:
        super().__init__("source-errors", "records that the source refused")
        self.kind = "sources"

    def find(self, run: Run) -> Found:
        number = run.results.get(SOURCE_STEP)
        return Found("check" if run.facts.get("delivered") else SKIPPED, number)

    def apply(self, run: Run, found: Found) -> tuple[int | None, bool]:
        assert found.id is not None
        wanted = {number for fresh in run.facts["delivered"].values() for number in fresh["runs"]}
        rows = run_rows(run.session, KINDS["sources"], found.id)
        errors = sum(row.get("errors") or 0 for row in rows if row.get("runId") in wanted)
        if errors:
            run.warnings.append(f"source {found.id} could not read {errors} records of this run: they are quarantined")
        run.facts["source_errors"] = errors
        return found.id, False
