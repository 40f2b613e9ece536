"""A verdict for every resource, and the report, page and alerts based on the verdicts."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from helpers.api.flows import Flow, Member, MemberKey
from helpers.api.probes import ProbeResult, try_probe
from helpers.api.session import Session
from helpers.change.identity import identity_of
from helpers.command import html_page
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.core.commands import command_line
from helpers.core.env_file import read_env_file
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Row
from helpers.core.times import iso
from helpers.monitor.alerts import NO_WEBHOOK, alert, webhook
from helpers.monitor.health import HEALTHY, UNHEALTHY, UNKNOWN, HealthFacts, as_row, judge
from helpers.monitor.health_config import Watched
from helpers.monitor.health_facts import all_flows, facts_of, flows_of, project_flows
from helpers.monitor.health_report import counts, markdown, page
from helpers.monitor.request import AlertOptions, HealthRequest

COLUMNS = ("verdict", "type", "id", "name", "status", "last_run", "records", "errors", "issues")
RESTING = ("PAUSED", "INIT")


class Checkup(NamedTuple):
    """A resource to check.

    Attributes:
        watched: The resource and its limits.
        flow: Its flow; None if there is none; the error if it could not be read.
        member: The resource within the flow; None if unknown.
    """

    watched: Watched
    flow: Flow | OperatorError | None
    member: Member | None


def run(request: HealthRequest, context: Context) -> Result:
    """Check every resource.

    Returns:
        One row per resource. The exit code is FINDINGS if one is unhealthy, else UPSTREAM if one is unknown, else OK.

    Raises:
        OperatorError: NOT_FOUND when there is nothing to check; CONFIG for the webhook; AUTH; INTERRUPTED.
    """
    url, warnings = _webhook(request)
    session = context.session
    checkups, left_out = _checkups(request, context)
    facts = _facts(context, checkups)
    if request.probe:
        _probe(session, checkups, facts)
    now = session.server_time()
    rows = [
        as_row(fact, judge(fact, checkup.watched.limits, now)) for fact, checkup in zip(facts, checkups, strict=True)
    ]
    rows.sort(key=lambda row: (row["verdict"] != UNHEALTHY, row["verdict"] == HEALTHY, row["type"], row["id"]))
    found = counts(rows)
    meta: dict[str, Any] = {"api": session.settings.host, "total": len(rows), **found}
    if request.watched is None:
        meta |= {"access_role": request.access_role or "owner", "paused_left_out": left_out}
    code = Exit.FINDINGS if found[UNHEALTHY] else Exit.UPSTREAM if found[UNKNOWN] else Exit.OK
    result = Result(rows, meta, warnings, code, COLUMNS)
    _publish(request, context, result, url, now)
    return result


def _webhook(request: HealthRequest) -> tuple[str | None, list[str]]:
    if request.alert is None:
        return None, []
    values = read_env_file(request.env_file)[0] if request.env_file else {}
    return webhook(request.alert.url, request.alert.url_file, {**os.environ, **values})


def _checkups(request: HealthRequest, context: Context) -> tuple[list[Checkup], int]:
    """The resources to check, and how many PAUSED or INIT ones were skipped."""
    checkups = (
        _checkups_of_all_flows(request, context)
        if request.watched is None
        else _checkups_of_watched(context, request.watched)
    )
    kept = [
        checkup
        for checkup in checkups
        if not (request.ignore_paused and checkup.member and checkup.member.status in RESTING)
    ]
    if not kept:
        hint = f"see {command_line('list_resources', '--type', 'flows', '--all')}"
        raise OperatorError(Exit.NOT_FOUND, "no resource to check was found", hint=hint)
    return kept, len(checkups) - len(kept)


def _checkups_of_all_flows(request: HealthRequest, context: Context) -> list[Checkup]:
    params = {"access_role": request.access_role} if request.access_role else {}
    if request.project is not None:
        flows = project_flows(context.session, request.project)
    else:
        flows = list(all_flows(context.session, params, context.report))
    return [
        Checkup(Watched(member.kind, member.id, request.limits), flow, member)
        for flow in flows
        for member in flow.origin.walk()
        if not request.tag or request.tag in {*_tags(member), *_tags(flow.origin)}
    ]


def _tags(member: Member) -> list[str]:
    tags = member.row.get("tags")
    return tags if isinstance(tags, list) else []


def _checkups_of_watched(context: Context, watched: tuple[Watched, ...]) -> list[Checkup]:
    """The resources that the user named. A flow stands for its members, except those that are named themselves."""
    flows = flows_of(context.session, [(entry.kind, entry.id) for entry in watched], context.workers)
    checkups: dict[MemberKey, Checkup] = {}
    for entry in watched:
        key = (entry.kind, entry.id)
        flow = flows[key]
        members = list(flow.origin.walk()) if isinstance(flow, Flow) else []
        if entry.kind != "flows" or not members:
            checkups[key] = Checkup(entry, flow, next((member for member in members if member.key == key), None))
            continue
        for member in members:
            checkups.setdefault(member.key, Checkup(entry._replace(kind=member.kind, id=member.id), flow, member))
    return list(checkups.values())


def _facts(context: Context, checkups: list[Checkup]) -> list[HealthFacts]:
    session, facts = context.session, list[HealthFacts]()
    with context.progress("health", len(checkups)) as show, ThreadPoolExecutor(context.workers) as pool:
        for fact in pool.map(lambda checkup: _facts_of(session, checkup), checkups):
            facts.append(fact)
            show(len(facts))
    return facts


def _facts_of(session: Session, checkup: Checkup) -> HealthFacts:
    if isinstance(checkup.flow, OperatorError):
        return HealthFacts(checkup.watched.kind, checkup.watched.id, problem=checkup.flow.message)
    if checkup.flow is None or checkup.member is None:
        return HealthFacts(checkup.watched.kind, checkup.watched.id, missing=True)
    return facts_of(session, checkup.flow, checkup.member)


def _probe(session: Session, checkups: list[Checkup], facts: list[HealthFacts]) -> None:
    """Replace each ``verified_status`` with the result of a live probe, one per credential."""
    probed: dict[int, ProbeResult] = {}
    for checkup, fact in zip(checkups, facts, strict=True):
        credential_id = checkup.member.credential_id if checkup.member else None
        if credential_id is None:
            continue
        if credential_id not in probed:
            probed[credential_id] = try_probe(session, credential_id)
        outcome, reason = probed[credential_id]
        fact.credential = "200 Ok" if outcome == "ok" else reason if outcome == "failed" else fact.credential
        if outcome == "unknown":
            fact.probe_problem = f"credential {credential_id} could not be probed: {reason}"


def _publish(request: HealthRequest, context: Context, result: Result, url: str | None, now: float) -> None:
    """Write the Markdown and the page and send the alerts. A failure here never changes the verdicts or exit code."""
    rows: list[Row] = result.data
    host, at = context.host, str(iso(int(now * 1000)))
    result.text = markdown(rows, host, at)
    try:
        if request.alert is not None:
            _alert(request.alert, context, result, url, now)
        if request.report_file is not None:
            html_page.write_page(request.report_file, page(rows, host, at))
            result.meta["report"] = request.report_file
    except OperatorError as error:  # the verdicts matter more than reports and alerts
        result.warnings.append(f"{error.message}; no alert was sent, or the report is missing")
    for row in rows:
        del row["history"]


def _alert(options: AlertOptions, context: Context, result: Result, url: str | None, now: float) -> None:
    outcome = alert(
        options.state_file,
        identity_of(context.session, "health_check", "alerts").digest,
        result.data,
        options.policy,
        url=url,
        form=options.form,
        host=context.host,
        now=now,
        report=context.report,
    )
    result.meta["alert"] = outcome.as_meta()
    if outcome.failure not in (None, NO_WEBHOOK):
        result.warnings.append(f"the alert was not delivered: {outcome.failure}; the next run will try again")
