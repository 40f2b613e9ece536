"""Rules that find faults at a flow's source, with credentials, and with inactive members."""

from __future__ import annotations

from collections.abc import Iterator

from helpers.api.flows import Member
from helpers.api.probes import ProbeResult
from helpers.core.times import age_text, iso
from helpers.monitor.causes import (
    Symptom,
    command_for,
    describe_run,
    logs_command,
    operate_command,
    quote_line,
    rule,
    run_now_command,
)
from helpers.monitor.evidence import Evidence
from helpers.monitor.patterns import NO_FILE, REFUSED

RESTING = ("PAUSED", "INIT")
OVERDUE_SECONDS = 1800.0  # a scheduled run that is this late counts as missed
MAX_ERROR_SHARE = 0.2  # of a run that read some records


@rule("rate_limited", rank=10)
def rate_limited(evidence: Evidence) -> Iterator[Symptom]:
    """The platform has rate-limited the source."""
    source = evidence.flow.origin
    if source.status == "RATE_LIMITED":
        yield Symptom(
            source, "the platform has rate-limited the source: it reads nothing until the limit is lifted",
            ["status RATE_LIMITED"], operate_command(source, "status"), operate_command(source, "activate", "--wait"),
            "wait until the limit is lifted, or ask Nexla to raise it",
        )  # fmt: skip


@rule("paused_source", rank=12)
def paused_source(evidence: Evidence) -> Iterator[Symptom]:
    """The source is PAUSED or INIT, which explains every fault below it."""
    yield from _resting(evidence, "sources")


@rule("paused_nexset", rank=35)
def paused_nexset(evidence: Evidence) -> Iterator[Symptom]:
    """A nexset is PAUSED or INIT. This may be on purpose, so it ranks after real faults."""
    yield from _resting(evidence, "nexsets")


@rule("paused_destination", rank=35)
def paused_destination(evidence: Evidence) -> Iterator[Symptom]:
    """A destination is PAUSED or INIT."""
    yield from _resting(evidence, "destinations")


def _resting(evidence: Evidence, kind: str) -> Iterator[Symptom]:
    """Members that are PAUSED or INIT: one that was never activated is as good a cause as one that was paused."""
    for member in evidence.flow.of_kind(kind):
        if member.status in RESTING:
            newest = evidence.newest(member)
            last = f"; its last run was {iso(newest.id)}" if newest else ""
            yield Symptom(
                member, f"the {kind.removesuffix('s')} is {member.status}", [f"status {member.status}{last}"],
                operate_command(member, "status"), operate_command(member, "activate"),
                rank=60 if _follows_from_above(evidence, member) else None,
            )  # fmt: skip


def _follows_from_above(evidence: Evidence, member: Member) -> bool:
    above = evidence.flow.path_to(member)[:-1]
    return any(other.status in (*RESTING, "RATE_LIMITED") for other in above)


@rule("bad_credential", rank=14)
def bad_credential(evidence: Evidence) -> Iterator[Symptom]:
    """A log line or a probe shows that a system refuses a member's credential."""
    for member in evidence.flow.origin.walk():
        credential_id = member.credential_id
        if credential_id is None:
            continue
        line = next((line for line in evidence.problems_of(member) if REFUSED.search(str(line.text))), None)
        probed = evidence.probed.get(credential_id, ProbeResult(""))
        current = line is not None and _newest_run_id(evidence, member) <= (line.run_id or 0)
        if not (current or probed.verdict == "failed") or probed.verdict == "ok":
            continue
        proof = [quote_line(evidence, line)] if line else []
        proof += [f"probe of credential {credential_id}: {probed.reason}"] if probed.verdict == "failed" else []
        yield Symptom(
            member, f"credential {credential_id} is refused by its system", proof,
            command_for("diagnose_flow", member, "--probe"), run_now_command(evidence),
            f"put a valid secret into credential {credential_id} (Nexla UI, or PUT /data_credentials/{credential_id})",
        )  # fmt: skip


def _newest_run_id(evidence: Evidence, member: Member) -> int:
    """The newest run that reached a member; for the source, the newest run of the flow."""
    newest = evidence.newest(member)
    return (evidence.latest or 0) if member is evidence.flow.origin else newest.id if newest else 0


@rule("schedule_never_fires", rank=16)
def schedule_never_fires(evidence: Evidence) -> Iterator[Symptom]:
    """The source's schedule never fires, or its last scheduled run was missed."""
    source, schedule = evidence.flow.origin, evidence.schedule
    if source.status != "ACTIVE" or schedule is None:
        return
    proof = f"start.cron is {schedule.expression!r}"
    if schedule.never_fires(evidence.now):
        text = "the source's schedule never fires: it is in the past, or not a Quartz expression with seconds"
    else:
        due = schedule.last_before(evidence.now - OVERDUE_SECONDS)
        newest = (evidence.latest or 0) / 1000
        if due is None or newest >= due:
            return
        text = f"the source missed the scheduled run at {iso(int(due * 1000))}"
        age = f"the last run was {age_text(evidence.now - newest)} ago" if newest else "it has never run"
        proof += f"; {age}"
    yield Symptom(
        source, text, [proof], operate_command(source, "status"), run_now_command(evidence),
        "correct the schedule in the flow's config and deploy it, or in the Nexla UI",
    )  # fmt: skip


@rule("never_ran", rank=17)
def never_ran(evidence: Evidence) -> Iterator[Symptom]:
    """An ACTIVE source without a schedule has never run."""
    source = evidence.flow.origin
    if source.status == "ACTIVE" and not evidence.run_ids and not evidence.schedule:
        yield Symptom(
            source, "the source is ACTIVE, has no schedule, and has never run", ["no known run"],
            operate_command(source, "status"), run_now_command(evidence),
        )  # fmt: skip


@rule("upstream_file_gone", rank=18)
def upstream_file_gone(evidence: Evidence) -> Iterator[Symptom]:
    """The latest log of the source says that there is no file."""
    source = evidence.flow.origin
    line = next((line for line in evidence.problems_of(source) if NO_FILE.search(str(line.text))), None)
    if line and line.run_id == evidence.latest:
        yield Symptom(
            source, "the source finds no file at its path", [quote_line(evidence, line)],
            logs_command(source, evidence.latest), run_now_command(evidence),
            "restore the files, or correct the path in source_config",
        )  # fmt: skip


@rule("empty_file", rank=20)
def empty_file(evidence: Evidence) -> Iterator[Symptom]:
    """The latest run of the source read no records."""
    source = evidence.flow.origin
    run = evidence.run_of(source, evidence.latest)
    if run and not run.records and not run.errors:
        yield Symptom(
            source, "the source read input without any records", [describe_run(run)],
            logs_command(source, run.id), run_now_command(evidence),
            "ask the provider of the input for a file with records",
        )  # fmt: skip


@rule("read_errors", rank=30)
def read_errors(evidence: Evidence) -> Iterator[Symptom]:
    """The latest run of the source could not read too many of its records."""
    source = evidence.flow.origin
    run = evidence.run_of(source, evidence.latest)
    lines = [line for line in evidence.problems_of(source) if line.type != "SUMMARY"][:1]
    explained = any(REFUSED.search(str(line.text)) or NO_FILE.search(str(line.text)) for line in lines)
    if run and run.errors and not explained and (not run.records or run.error_share > MAX_ERROR_SHARE):
        yield Symptom(
            source, f"the source could not read {run.errors} of {run.errors + run.records} records",
            [describe_run(run), *(quote_line(evidence, line) for line in lines)],
            logs_command(source, run.id), run_now_command(evidence),
            "have the input corrected, or set its format in source_config",
        )  # fmt: skip


SOURCE_RULES = (rate_limited, paused_source, bad_credential, schedule_never_fires, never_ran, upstream_file_gone,
                empty_file, read_errors, paused_nexset, paused_destination)  # fmt: skip
