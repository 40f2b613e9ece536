"""The rules that find causes: each looks at the evidence and names what it sees, with proof and a way out.

The rank says how far a cause explains the others: what stops the flow at its source comes before what follows from
it. A rule that does not see its fault says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from helpers.api.flows import Member
from helpers.core.kinds import Row
from helpers.core.times import age_text, iso
from helpers.monitor.causes import Cause, command, logs, operate, run_again
from helpers.monitor.evidence import Evidence
from helpers.monitor.health_facts import credential_id

REFUSED = re.compile(
    r"\b401 unauthori[sz]ed|\b403 forbidden|unauthori[sz]ed|access denied|authentication failed|"
    r"credentials? (was|were) refused|login failed|"
    r"(invalid|wrong|expired) (credential|password|token|access key|api key|secret)",
    re.IGNORECASE,
)
NO_TABLE = re.compile(r"(table|relation)\b.*\b(not exist|not found|missing)|waiting for the table", re.IGNORECASE)
NO_FILE = re.compile(r"no (such )?files?\b|file .*not found|no files found", re.IGNORECASE)
UNREACHABLE = re.compile(
    r"resolve host|name or service not known|connection (refused|reset)|could not connect|unreachable|timed out",
    re.IGNORECASE,
)
DAY = 86_400.0


def _quoted(line: Row) -> str:
    return f"run {line['run_id']}, {line['time']}, {line['resource']}: {line['shown']}"


def rate_limited(seen: Evidence) -> Iterator[Cause]:
    source = seen.flow.origin
    if source.status == "RATE_LIMITED":
        yield Cause(
            10, "rate_limited", source, "the platform has rate-limited the source; it reads nothing until that ends",
            ["status RATE_LIMITED"], operate(source, "status"), operate(source, "activate", "--wait"),
            "wait for the limit to end, or ask Nexla to raise it",
        )  # fmt: skip


def paused(seen: Evidence) -> Iterator[Cause]:
    """Members that rest. One that was never on in a running flow is as good a cause as one that was switched off."""
    for member in seen.flow.origin.walk():
        if member.status in ("PAUSED", "INIT"):
            above = seen.flow.path_to(member)[:-1]
            follows = any(other.status in ("PAUSED", "INIT", "RATE_LIMITED") for other in above)
            newest = seen.newest(member)
            last = f"; its last run was {iso(newest.id)}" if newest else ""
            name = member.kind.removesuffix("s")
            yield Cause(
                _rank_of_rest(seen, member, follows=follows), f"paused_{name}", member,
                f"the {name} is {member.status}",
                [f"status {member.status}{last}"], operate(member, "status"), operate(member, "activate"),
            )  # fmt: skip


def _rank_of_rest(seen: Evidence, member: Member, *, follows: bool) -> int:
    """A source at rest explains everything; a branch at rest may be so on purpose, and comes after real faults."""
    return 60 if follows else 12 if member is seen.flow.origin else 35


def bad_credential(seen: Evidence) -> Iterator[Cause]:
    for member in seen.flow.origin.walk():
        number = credential_id(member)
        line = next((line for line in seen.lines_of(member) if REFUSED.search(str(line["text"]))), None)
        probed = seen.probed.get(number, ("", "")) if number is not None else ("", "")
        current = line is not None and _newest_of(seen, member) <= (line["run_id"] or 0)
        if number is None or not (current or probed[0] == "failed") or probed[0] == "ok":
            continue
        proof = [_quoted(line)] if line else []
        proof += [f"probe of credential {number}: {probed[1]}"] if probed[0] == "failed" else []
        yield Cause(
            14, "bad_credential", member, f"credential {number} is refused by the system that it opens", proof,
            command("diagnose_flow", member, "--probe"), run_again(seen),
            f"put a valid secret into credential {number} (Nexla UI, or PUT /data_credentials/{number})",
        )  # fmt: skip


def _newest_of(seen: Evidence, member: Member) -> int:
    """The newest run that reached a member; of the source, the newest of all."""
    newest = seen.newest(member)
    return (seen.latest or 0) if member is seen.flow.origin else newest.id if newest else 0


def schedule_never_fires(seen: Evidence) -> Iterator[Cause]:
    source, schedule = seen.flow.origin, seen.schedule
    if source.status != "ACTIVE" or schedule is None:
        return
    text = f"start.cron is {schedule.expression!r}"
    if schedule.never_fires(seen.now):
        why = "the source's schedule never fires: it lies in the past or is no Quartz expression with seconds"
    else:
        due = schedule.last_before(seen.now - 1800)
        newest = (seen.latest or 0) / 1000
        if due is None or newest >= due:
            return
        why = f"the source has not run since its schedule was due at {iso(int(due * 1000))}"
        text += f"; the last run was {age_text(seen.now - newest)} ago" if newest else "; it has never run"
    yield Cause(
        16, "schedule_never_fires", source, why, [text], operate(source, "status"), run_again(seen),
        "correct the schedule in the flow's config and deploy it, or in the Nexla UI",
    )  # fmt: skip


def file_gone(seen: Evidence) -> Iterator[Cause]:
    source = seen.flow.origin
    line = next((line for line in seen.lines_of(source) if NO_FILE.search(str(line["text"]))), None)
    if line and line["run_id"] == seen.latest:
        yield Cause(
            18, "upstream_file_gone", source, "the source finds no file where it looks", [_quoted(line)],
            logs(source, seen.latest), run_again(seen), "put the files back, or correct the path in source_config",
        )  # fmt: skip


def empty_input(seen: Evidence) -> Iterator[Cause]:
    source = seen.flow.origin
    run = seen.run_of(source, seen.latest)
    if run and not run.records and not run.errors:
        yield Cause(
            20, "empty_file", source, "the source read something without a single record",
            [f"run {run.id}: 0 records, 0 errors"], logs(source, run.id), run_again(seen),
            "ask whoever delivers the input for a file with records",
        )  # fmt: skip


def schema_drift(seen: Evidence) -> Iterator[Cause]:
    """The latest records went into a nexset that leads nowhere, while an older one that leads somewhere got none."""
    detected = [child for child in seen.flow.origin.children if child.kind == "nexsets"]
    for member in detected:
        run = seen.run_of(member, seen.latest)
        others = [o for o in detected if o is not member and o.children and not seen.run_of(o, seen.latest)]
        if run and run.records and not member.children and others:
            yield Cause(
                22, "schema_drift", member, f"the source's records have a new shape: they are in {member.label}, which "
                f"leads nowhere, and no longer in {others[0].label}",
                [f"run {run.id}: {run.records} records in nexset {member.id}, none in nexset {others[0].id}"],
                operate(seen.flow.origin, "status"), run_again(seen),
                "have the old shape restored at the source, or deploy the flow on the new nexset",
            )  # fmt: skip


def transform_raises(seen: Evidence) -> Iterator[Cause]:
    for member in seen.flow.of_kind("nexsets"):
        run = seen.newest(member)
        if not run or not run.errors:
            continue
        detected = member in seen.flow.origin.children
        what = f"{member.label} has errors on" if detected else f"the transform of {member.label} fails on"
        part = "every record" if not run.records else f"{run.errors} of {run.errors + run.records} records"
        line = next((line for line in seen.lines_of(member) if line["type"] != "SUMMARY"), None)
        yield Cause(
            24 if not run.records else 40, "record_errors" if detected else "transform_raises", member,
            f"{what} {part}",
            [f"run {run.id}: {run.records} records, {run.errors} errors", *([_quoted(line)] if line else [])],
            logs(member, run.id), run_again(seen), "correct the transform in the flow's config and deploy it",
        )  # fmt: skip


def missing_table(seen: Evidence) -> Iterator[Cause]:
    for member in seen.flow.of_kind("destinations"):
        line = next((line for line in seen.lines_of(member) if NO_TABLE.search(str(line["text"]))), None)
        if member.status == "ACTIVE" and line and not _delivered_since(seen, member, line):
            table = (member.row.get("sink_config") or {}).get("table")
            yield Cause(
                26, "missing_table", member, f"the table {table!r} of {member.label} is not there", [_quoted(line)],
                logs(member, line["run_id"]), run_again(seen), f"create the table {table!r}, or correct sink_config",
            )  # fmt: skip


def _delivered_since(seen: Evidence, member: Member, line: Row) -> bool:
    newest = seen.newest(member)
    return bool(newest and isinstance(line["run_id"], int) and newest.id >= line["run_id"] and newest.records)


def partial_write(seen: Evidence) -> Iterator[Cause]:
    for member in seen.flow.of_kind("destinations"):
        run = seen.newest(member)
        lines = [line for line in seen.lines_of(member) if line["type"] != "SUMMARY"]
        if not run or not run.errors or any(REFUSED.search(str(line["text"])) for line in lines[:1]):
            continue
        some = f"{run.errors} of {run.errors + run.records} records"
        yield Cause(
            28, "partial_write" if run.records else "write_fails", member, f"{member.label} refused {some}",
            [f"run {run.id}: {run.records} records, {run.errors} errors", *map(_quoted, lines[:1])],
            logs(member, run.id), run_again(seen), _way_out(str(lines[0]["text"]) if lines else ""),
        )  # fmt: skip


def _way_out(line: str) -> str:
    what = "correct the records (transform) or the target (column types, constraints)"
    if UNREACHABLE.search(line):
        what = "the target was not reached: correct the address in its credential, or the network"
    return f"{what}. A run reads only what is new: what was refused has to come in once more"


def read_errors(seen: Evidence) -> Iterator[Cause]:
    source = seen.flow.origin
    run = seen.run_of(source, seen.latest)
    lines = [line for line in seen.lines_of(source) if line["type"] != "SUMMARY"]
    known = any(REFUSED.search(str(line["text"])) or NO_FILE.search(str(line["text"])) for line in lines[:1])
    if run and run.errors and not known and (not run.records or run.error_share > 0.2):
        yield Cause(
            30, "read_errors", source, f"the source could not read {run.errors} of {run.errors + run.records} records",
            [f"run {run.id}: {run.records} records, {run.errors} errors", *map(_quoted, lines[:1])],
            logs(source, run.id), run_again(seen), "have the input corrected, or the format set in source_config",
        )  # fmt: skip


def transform_no_op(seen: Evidence) -> Iterator[Cause]:
    """Samples come out as they went in although a transform is attached: it matches nothing. When what is below it
    fails, it may well be the reason."""
    for member in seen.flow.of_kind("nexsets"):
        pairs = seen.pairs.get(member.id) or []
        attached = member.row.get("code_container_id") is not None
        if attached and pairs and all(before == after for before, after in pairs):
            below = [sink for sink in member.walk() if sink.kind == "destinations"]
            failing = any((run := seen.newest(sink)) and run.errors for sink in below)
            yield Cause(
                27 if failing else 50, "transform_no_op", member, f"the transform of {member.label} changes nothing",
                [f"{len(pairs)} of {len(pairs)} samples come out as they went in"],
                command("list_resources", member).replace("--resource-type", "--type").replace("--resource-id", "--id")
                + " --full",
                run_again(seen), "correct the transform (a wrong field name matches nothing) and deploy it",
            )  # fmt: skip


def never_ran(seen: Evidence) -> Iterator[Cause]:
    source = seen.flow.origin
    if source.status == "ACTIVE" and not seen.run_ids and not seen.schedule:
        yield Cause(
            17, "never_ran", source, "the source is ACTIVE, has no schedule, and has never run", ["no run is known"],
            operate(source, "status"), run_again(seen),
        )  # fmt: skip


def nothing_delivered(seen: Evidence) -> Iterator[Cause]:
    """A destination that is on, whose nexset has newer records than it, for no reason that another rule knows."""
    for sink in seen.flow.of_kind("destinations"):
        parent = seen.flow.path_to(sink)[-2]
        above, own = seen.newest(parent), seen.newest(sink)
        waits = above and above.records and (own is None or own.id < above.id) and seen.now - above.id / 1000 > 900
        if waits and above and seen.is_on(sink):
            yield Cause(
                55, "not_delivered", sink, f"{sink.label} has taken nothing of run {above.id}",
                [f"{parent.label} has {above.records} records of run {above.id}; runtime status {sink.runtime_status}"],
                logs(sink, above.id), operate(sink, "restart"),
            )  # fmt: skip


RULES: tuple[Callable[[Evidence], Iterator[Cause]], ...] = (
    rate_limited, paused, bad_credential, schedule_never_fires, file_gone, empty_input, schema_drift, transform_raises,
    missing_table, partial_write, read_errors, transform_no_op, never_ran, nothing_delivered,
)  # fmt: skip
CHECKED = [rule.__name__ for rule in RULES]


def find_causes(seen: Evidence, asked: Member) -> tuple[list[Cause], list[Cause]]:
    """What the evidence shows, the most decisive first: causes for the resource that was asked about (above it, at it
    or below it), and those of other branches."""
    found = [cause for rule in RULES for cause in rule(seen)]
    concerned = [(m.kind, m.id) for m in (*seen.flow.path_to(asked), *asked.walk())]
    depth = {(m.kind, m.id): n for n, m in enumerate(seen.flow.origin.walk())}
    found.sort(key=lambda cause: (cause.rank, depth[cause.member.kind, cause.member.id]))
    own = [
        cause for cause in found if cause.fault == "schema_drift" or (cause.member.kind, cause.member.id) in concerned
    ]
    return own, [cause for cause in found if cause not in own]
