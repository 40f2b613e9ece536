"""The runbook as one command: ranked causes with evidence and the commands to confirm and repair each."""

from __future__ import annotations

from typing import Any

from helpers.api.flow_lookup import find_flow_target
from helpers.api.session import Session
from helpers.command.context import Context
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError
from helpers.core.redact import without_quotes, without_values
from helpers.monitor.causes import Cause, find_causes
from helpers.monitor.compare_runs import difference, runs_to_compare
from helpers.monitor.evidence import Evidence, add_log, collect, quarantine
from helpers.monitor.flow_graph import draw
from helpers.monitor.member_rules import MEMBER_RULES
from helpers.monitor.request import DiagnoseRequest
from helpers.monitor.source_rules import SOURCE_RULES

COLUMNS = ("fault", "type", "id", "cause", "evidence", "by_hand", "repair")
RULES = sorted((*SOURCE_RULES, *MEMBER_RULES), key=lambda rule: rule.rank)
CHECKED = [rule.fault for rule in RULES]


def run(request: DiagnoseRequest, context: Context) -> Result:
    """Diagnose a flow.

    Returns:
        Ranked causes. The exit code is FINDINGS if there is one, UPSTREAM if there is none but something could not be
        read, otherwise OK.

    Raises:
        OperatorError: NOT_FOUND, for the resource; the runs could not be read at all.
    """
    session, selector = context.session, request.resource
    target = find_flow_target(session, selector.kind, selector.id, selector.name)
    evidence = collect(session, target, workers=context.workers, probe=request.probe, show_values=request.show_values)
    causes, elsewhere = find_causes(RULES, evidence, target.member)
    data: dict[str, Any] = {
        "verdict": "",
        "flow": target.flow.origin.node_id,
        "latest_run": evidence.latest,
        "causes": [cause.as_row() for cause in causes],
        "elsewhere": [cause.as_row() for cause in elsewhere],
        "difference": _difference(session, evidence),
        "quarantine": _quarantine(session, evidence),
        "checked": CHECKED,
        "could_not_be_read": evidence.unread,
    }
    data["verdict"] = _verdict(causes, evidence)  # last: reading the quarantine may have failed
    code = Exit.FINDINGS if causes else Exit.UPSTREAM if evidence.unread else Exit.OK
    warnings = [f"could not be read: {text}" for text in evidence.unread]
    result = Result(data, {"verdict": data["verdict"], "checked": len(CHECKED)}, warnings, code, COLUMNS, "causes")
    faults = {cause.member.key: cause.fault for cause in reversed([*causes, *elsewhere])}
    result.text = _markdown(data, draw(target.flow, faults, "mermaid"))
    if request.graph:
        result.text, result.only_text = draw(target.flow, faults, request.graph), request.graph_only
        data["graph"] = result.text
    return result


def _verdict(causes: list[Cause], evidence: Evidence) -> str:
    if causes:
        return f"fault found: {causes[0].fault}"
    return "no fault seen, but not all could be read" if evidence.unread else "no fault found"


def _difference(session: Session, evidence: Evidence) -> dict[str, Any] | None:
    """The difference between the newest failed run and the last good one; None without two such runs."""
    try:
        failed, good = runs_to_compare(evidence.flow, evidence.runs, None)
    except OperatorError:
        return None
    for run_id in (failed, good):
        if not any(line.run_id == run_id for line in evidence.lines):
            add_log(session, evidence, run_id)
    shown = (line._replace(text=evidence.visible_text(line)) for line in evidence.lines)
    return difference(evidence.flow, evidence.runs, shown, failed, good)


def _quarantine(session: Session, evidence: Evidence) -> list[dict[str, Any]]:
    """Quarantined records of the members whose newest run had errors."""
    found = []
    for member in evidence.flow.origin.walk():
        newest = evidence.newest(member)
        if not newest or not newest.errors:
            continue
        try:
            rows = quarantine(session, member, newest.id)
        except OperatorError as error:
            if error.code in (Exit.INTERRUPTED, Exit.TIMEOUT):
                raise
            evidence.unread.append(f"quarantine of {member.label}: {error.message}")
            continue
        for row in rows:
            hidden = {"error": without_quotes(row["error"]), "record": without_values(row["record"])}
            found.append({"type": member.kind, "id": member.id, **(row if evidence.show_values else hidden)})
    return found


def _markdown(data: dict[str, Any], graph: str) -> str:
    lines = [f"### {data['verdict']}", ""]
    for number, cause in enumerate(data["causes"], 1):
        lines += [f"{number}. **{cause['fault']}**, {cause['type']} {cause['id']}: {_flat(cause['cause'])}"]
        lines += [f"   - {_flat(text)}" for text in cause["evidence"]]
        lines += [f"   - by hand: {_flat(cause['by_hand'])}"] if cause["by_hand"] else []
        lines += [f"   - confirm: `{cause['confirm']}`", f"   - repair: `{cause['repair']}`"]
    lines += [f"- elsewhere in the flow: {row['fault']}, {row['type']} {row['id']}" for row in data["elsewhere"]]
    lines += [f"- **could not be read**: {_flat(text)}" for text in data["could_not_be_read"]]
    lines += ["", f"Checked: {', '.join(data['checked'])}.", "", "```mermaid", graph.rstrip(), "```", ""]
    return "\n".join(lines)


def _flat(text: str) -> str:
    """Text from the API in one line, with Markdown's special characters escaped."""
    return "".join(f"\\{char}" if char in "\\`*_<>[]|" else char for char in " ".join(text.split()))
