"""Auditing access: who has it and how they got it, who changed it, and how it differs from the declaration."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.access.access_paths import access_of_person, persons_of, rows_of
from helpers.access.accessors import find_accessor
from helpers.access.audit import AuditedResource, OrgPeople, ends_audit, read_people, read_resources, read_teams
from helpers.access.audit_log import WITHOUT_LOG, Log, newest_first, read_log
from helpers.access.declared import Declared, resolve_declaration
from helpers.access.findings import differences_to, findings_of
from helpers.access.report import page, text
from helpers.access.request import AccessorName, AuditRequest
from helpers.access.roles import SHARED, UNLISTED, access_kind
from helpers.access.rules import AccessRule
from helpers.access.targets import AccessTarget, find_targets, target_from_row
from helpers.api.paging import Pages, read_all_or_fail
from helpers.command.context import Context
from helpers.command.html_page import write_page
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import Row
from helpers.core.times import check_order, iso

OWNED = tuple(name for name in SHARED if name not in UNLISTED)
COLUMNS = ("type", "id", "name", "accessor_type", "accessor_id", "accessor", "role", "via", "expires_at")
CHANGE_COLUMNS = ("time", "who", "impersonator", "type", "id", "event", "accessor", "before", "after")
FINDING_COLUMNS = ("finding", "type", "id", "name", "accessor", "text")
DIFFERENCE_COLUMNS = ("difference", "type", "id", "accessor", "expected", "actual")


def run(request: AuditRequest, context: Context) -> Result:
    """Audit the selected resources.

    Returns:
        Data with ``access`` and ``unread``, plus ``findings``, ``differences`` and ``changes`` if requested. The exit
        code is FINDINGS for findings or differences, PARTIAL if something could not be read, otherwise OK.

    Raises:
        OperatorError: NOT_FOUND when there is nothing to audit; USAGE; any error that ends the audit.
    """
    session = context.session
    people = read_people(session)  # first: its response carries the server's time
    now = session.server_time()
    if request.changes:
        check_order(request.since, request.until, now)
    moment = str(iso(int(now * 1000)))
    declared = resolve_declaration(session, request.declared, lenient=True) if request.declared is not None else []
    targets = _targets(request, context, declared)
    wants_findings = request.findings or request.report_file is not None
    resources = read_resources(session, targets, context.workers, with_public=wants_findings)
    readable = [resource for resource in resources if not resource.problem]
    data: dict[str, Any] = {"access": [], "unread": [_unread(r.target, r.problem) for r in resources if r.problem]}
    if request.expand_teams or request.person or wants_findings:
        data["unread"] += read_teams(session, people, readable)
    if people.problem and (request.expand_teams or request.person or wants_findings or request.declared is not None):
        data["unread"].append({"type": "orgs", "id": people.org_id, "problem": people.problem})
    data["access"] = _access(request, context, readable, people, moment)
    if wants_findings:
        data["findings"] = findings_of(readable, people, moment)
    if request.declared is not None:
        data["differences"] = _differences(readable, declared, people, moment)
    unknown = _add_changes(request, context, data, targets, now) if request.changes else 0
    return _result(request, context, data, len(targets), unknown, moment, domain=people.domain)


def _unread(target: AccessTarget, problem: str) -> Row:
    return {"type": target.kind.name, "id": target.id, "problem": problem}


def _targets(request: AuditRequest, context: Context, declared: list[Declared]) -> list[AccessTarget]:
    """The resources that the flags and the file select, each once."""
    found = {each.target.key: each.target for each in declared}
    if request.everything:
        for name in OWNED:
            kind = access_kind(name)
            for row in read_all_or_fail(Pages(context.session, kind, workers=context.workers), name):
                target = target_from_row(kind, row)
                caller_id = context.session.user_id
                if (
                    None in (caller_id, target.owner_id) or target.owner_id == caller_id
                ):  # teams of others are listed, too
                    found.setdefault(target.key, target)
    elif not request.selection.is_empty:
        for target in find_targets(context.session, request.selection):
            found.setdefault(target.key, target)
    if not found:
        raise OperatorError(
            Exit.NOT_FOUND, "no resource to audit was found", hint="check the flags that select resources"
        )
    return list(found.values())


def _access(
    request: AuditRequest, context: Context, resources: list[AuditedResource], people: OrgPeople, now: str
) -> list[Row]:
    if request.person:
        user = _person(request.person, context, resources)
        rows = [access_of_person(resource, people, user, now) for resource in resources]
        return [row for row in rows if row]
    per_resource = persons_of if request.expand_teams else rows_of
    return [row for resource in resources for row in per_resource(resource, people, now)]


def _person(person: str, context: Context, resources: list[AuditedResource]) -> AccessRule:
    """A user by email or id. They may have left the org and still have rules."""
    if person.isdecimal():
        return find_accessor(context.session, AccessorName("USER", "id", int(person)))
    try:
        return find_accessor(context.session, AccessorName("USER", "email", person))
    except OperatorError as error:
        if error.code is not Exit.NOT_FOUND or (error.resource or {}).get("candidates"):
            raise
        rules = [rule for resource in resources for rule in resource.all_rules() if rule.type == "USER"]
        former = next((rule for rule in rules if rule.label.casefold() == person.casefold()), None)
        if former is None:
            raise
        return former


def _differences(resources: list[AuditedResource], declared: list[Declared], people: OrgPeople, now: str) -> list[Row]:
    rules = {each.target.key: each.rules for each in declared}
    return [
        row
        for resource in resources
        for row in differences_to(resource, rules.get(resource.target.key, {}), people, now)
    ]


def _add_changes(
    request: AuditRequest, context: Context, data: dict[str, Any], targets: list[AccessTarget], now: float
) -> int:
    """Add the changes and unread logs to ``data``; returns how many log entries could not be read."""
    since, until = request.since.at(now), request.until.at(now) if request.until else int(now * 1000)

    def read(target: AccessTarget) -> tuple[AccessTarget, Log | None, str]:
        try:
            return target, read_log(context.session, target, since, until), ""
        except OperatorError as error:
            if ends_audit(error):
                raise
            return target, None, f"cannot read its audit log: {error.message}"

    with ThreadPoolExecutor(context.workers) as pool:
        logs = list(pool.map(read, (target for target in targets if target.kind.name not in WITHOUT_LOG)))
    data["changes"] = list(newest_first([log for _, log, _ in logs if log]))
    data["unread"] += [_unread(target, why) for target, log, why in logs if log is None]
    return sum(log.unknown for _, log, _ in logs if log)


def _result(
    request: AuditRequest,
    context: Context,
    data: dict[str, Any],
    total: int,
    unknown: int,
    at: str,
    *,
    domain: str,
) -> Result:
    warnings = _warnings(request, data, unknown, domain=domain)
    meta: dict[str, Any] = {"resources": total, "unread": len(data["unread"]), "unknown_entries": unknown}
    meta |= {name: len(data[name]) for name in ("access", "findings", "differences", "changes") if name in data}
    if request.report_file:
        write_page(request.report_file, page(data, context.host, at))
        meta["report"] = request.report_file
        if not request.findings:
            data.pop("findings")
    found = data.get("differences") or data.get("findings")
    code = Exit.FINDINGS if found else Exit.PARTIAL if data["unread"] or unknown else Exit.OK
    table, columns = _table(request)
    return Result(data, meta, warnings, code, columns, table, text(data, warnings, context.host, at))


def _warnings(request: AuditRequest, data: dict[str, Any], unknown: int, *, domain: str) -> list[str]:
    warnings = [f"{row['type']} {row['id']}: {row['problem']}" for row in data["unread"][:5]]
    if request.changes and any(row["type"] == "flows" for row in data["access"]):
        warnings.append("the API keeps no audit log for flows: changes to a flow's own rules are not listed")
    if request.everything:
        warnings.append(f"--all leaves out {', '.join(UNLISTED)}: the API has no list of them; audit them by id")
    if request.person and request.everything:
        warnings.append("--all covers only what you own: this person's access to other resources was not checked")
    if any(row["type"] in UNLISTED for row in data["access"]):
        warnings.append(f"the API does not show who owns {', '.join(UNLISTED)}")
    if request.findings and not domain:
        warnings.append("the org has no email domain: outside-domain was not checked")
    if unknown:
        warnings.append(f"{unknown} audit log entries could not be read")
    return warnings


def _table(request: AuditRequest) -> tuple[str, Sequence[str]]:
    """The part of the data that a table or CSV shows: the most specific one requested."""
    if request.changes:
        return "changes", CHANGE_COLUMNS
    if request.declared is not None:
        return "differences", DIFFERENCE_COLUMNS
    if request.findings:
        return "findings", FINDING_COLUMNS
    return "access", COLUMNS
