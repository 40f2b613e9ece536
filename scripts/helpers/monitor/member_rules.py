"""Rules that find faults at a flow's nexsets and destinations."""

from __future__ import annotations

from collections.abc import Iterator

from helpers.api.flows import Member
from helpers.api.logs import LogLine
from helpers.core.commands import command_line
from helpers.monitor.causes import (
    Symptom,
    describe_run,
    logs_command,
    operate_command,
    quote_line,
    rule,
    run_now_command,
)
from helpers.monitor.evidence import Evidence
from helpers.monitor.patterns import NO_TABLE, REFUSED, UNREACHABLE

MAY_STILL_ARRIVE_SECONDS = 900.0  # a destination may lag this far behind its nexset


@rule("schema_drift", rank=22)
def schema_drift(evidence: Evidence) -> Iterator[Symptom]:
    """The latest records went into a nexset without consumers, while an older one with consumers got none."""
    detected = [child for child in evidence.flow.origin.children if child.kind == "nexsets"]
    for member in detected:
        run = evidence.run_of(member, evidence.latest)
        others = [o for o in detected if o is not member and o.children and not evidence.run_of(o, evidence.latest)]
        if run and run.records and not member.children and others:
            yield Symptom(
                member, f"the source's records have a new schema: they go to {member.label}, which has no consumers, "
                f"and no longer to {others[0].label}",
                [f"run {run.id}: {run.records} records in nexset {member.id}, none in nexset {others[0].id}"],
                operate_command(evidence.flow.origin, "status"), run_now_command(evidence),
                "have the old schema restored at the source, or deploy the flow on the new nexset",
            )  # fmt: skip


@rule("record_errors", rank=24)
def record_errors(evidence: Evidence) -> Iterator[Symptom]:
    """Errors at a detected nexset, which has no transform of its own."""
    for member in evidence.flow.of_kind("nexsets"):
        if member in evidence.flow.origin.children:
            yield from _failing_records(evidence, member, f"{member.label} has errors on")


@rule("transform_raises", rank=24)
def transform_raises(evidence: Evidence) -> Iterator[Symptom]:
    """A derived nexset had errors in its newest run."""
    for member in evidence.flow.of_kind("nexsets"):
        if member not in evidence.flow.origin.children:
            yield from _failing_records(evidence, member, f"the transform of {member.label} fails on")


def _failing_records(evidence: Evidence, member: Member, what: str) -> Iterator[Symptom]:
    run = evidence.newest(member)
    if run and run.errors:
        part = "every record" if not run.records else f"{run.errors} of {run.errors + run.records} records"
        lines = _problem_lines(evidence, member)[:1]
        yield Symptom(
            member, f"{what} {part}", [describe_run(run), *(quote_line(evidence, line) for line in lines)],
            logs_command(member, run.id), run_now_command(evidence),
            "correct the transform in the flow's config and deploy it",
            rank=40 if run.records else None,
        )  # fmt: skip


def _problem_lines(evidence: Evidence, member: Member) -> list[LogLine]:
    return [line for line in evidence.problems_of(member) if line.type != "SUMMARY"]


@rule("missing_table", rank=26)
def missing_table(evidence: Evidence) -> Iterator[Symptom]:
    """The log of a destination says that its table does not exist, and nothing was delivered since."""
    for member in evidence.flow.of_kind("destinations"):
        line = next((line for line in evidence.problems_of(member) if NO_TABLE.search(str(line.text))), None)
        if member.status == "ACTIVE" and line and not _delivered_since(evidence, member, line):
            table = (member.row.get("sink_config") or {}).get("table")
            yield Symptom(
                member, f"the table {table!r} of {member.label} does not exist", [quote_line(evidence, line)],
                logs_command(member, line.run_id), run_now_command(evidence),
                f"create the table {table!r}, or correct sink_config",
            )  # fmt: skip


def _delivered_since(evidence: Evidence, member: Member, line: LogLine) -> bool:
    newest = evidence.newest(member)
    return bool(newest and isinstance(line.run_id, int) and newest.id >= line.run_id and newest.records)


@rule("transform_no_op", rank=50)
def transform_no_op(evidence: Evidence) -> Iterator[Symptom]:
    """Samples are unchanged although a transform is attached: it matches nothing.

    If a destination below it fails, this may well be the reason.
    """
    for member in evidence.flow.of_kind("nexsets"):
        pairs = evidence.pairs.get(member.id) or []
        attached = member.row.get("code_container_id") is not None
        if attached and pairs and all(before == after for before, after in pairs):
            below = [sink for sink in member.walk() if sink.kind == "destinations"]
            failing = any((run := evidence.newest(sink)) and run.errors for sink in below)
            yield Symptom(
                member, f"the transform of {member.label} changes nothing",
                [f"the output equals the input in all {len(pairs)} samples"],
                command_line("list_resources", "--type", member.kind, "--id", member.id, "--full"),
                run_now_command(evidence), "correct the transform (a wrong field name matches nothing) and deploy it",
                rank=27 if failing else None,
            )  # fmt: skip


@rule("partial_write", rank=28)
def partial_write(evidence: Evidence) -> Iterator[Symptom]:
    """A destination refused some records of its newest run."""
    yield from _refused_records(evidence, some_written=True)


@rule("write_fails", rank=28)
def write_fails(evidence: Evidence) -> Iterator[Symptom]:
    """A destination refused all records of its newest run."""
    yield from _refused_records(evidence, some_written=False)


def _refused_records(evidence: Evidence, *, some_written: bool) -> Iterator[Symptom]:
    """Destinations whose newest run had errors that no credential explains."""
    for member in evidence.flow.of_kind("destinations"):
        run, lines = evidence.newest(member), _problem_lines(evidence, member)[:1]
        if not run or not run.errors or bool(run.records) != some_written:
            continue
        if any(REFUSED.search(str(line.text)) for line in lines):
            continue
        yield Symptom(
            member, f"{member.label} refused {run.errors} of {run.errors + run.records} records",
            [describe_run(run), *(quote_line(evidence, line) for line in lines)],
            logs_command(member, run.id), run_now_command(evidence), _remedy(str(lines[0].text) if lines else ""),
        )  # fmt: skip


def _remedy(line: str) -> str:
    what = "correct the records (transform) or the target (column types, constraints)"
    if UNREACHABLE.search(line):
        what = "the target was unreachable: correct the address in its credential, or the network"
    return f"{what}. A run reads only new input: refused records must be delivered to the source again"


@rule("not_delivered", rank=55)
def not_delivered(evidence: Evidence) -> Iterator[Symptom]:
    """An active destination that lacks its nexset's newest records, for a reason that no other rule covers."""
    for sink in evidence.flow.of_kind("destinations"):
        parent = evidence.flow.path_to(sink)[-2]
        above, own = evidence.newest(parent), evidence.newest(sink)
        if above is None or not above.records or (own is not None and own.id >= above.id):
            continue
        if evidence.now - above.id / 1000 > MAY_STILL_ARRIVE_SECONDS and evidence.flow.is_active_from_origin(sink):
            seen = f"{parent.label} has {above.records} records from run {above.id}"
            yield Symptom(
                sink, f"{sink.label} has received nothing from run {above.id}",
                [f"{seen}; runtime status {sink.runtime_status}"],
                logs_command(sink, above.id), operate_command(sink, "restart"),
            )  # fmt: skip


MEMBER_RULES = (schema_drift, record_errors, transform_raises, missing_table, partial_write, write_fails,
                transform_no_op, not_delivered)  # fmt: skip
