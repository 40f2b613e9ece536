#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "nexla-sdk>=1.0.8,<2",
#   "python-dateutil>=2.9",
#   "requests>=2.32",
#   "tenacity>=9",
#   "rich>=13",
#   "jsonschema>=4.23",
#   "jolt-py>=2",
#   "python-dotenv>=1",
#   "croniter>=6",
# ]
# ///
"""Why a flow does not deliver: ranked causes with evidence, each with the command to confirm and the one to repair."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from helpers.command import cli
from helpers.command.output import Result
from helpers.core.errors import Exit, OperatorError

if TYPE_CHECKING:
    from helpers.api.session import Session
    from helpers.monitor.causes import Cause
    from helpers.monitor.evidence import Evidence

COMMAND = "diagnose_flow"
COLUMNS = ("fault", "type", "id", "cause", "evidence", "by_hand", "repair")


def build_parser() -> argparse.ArgumentParser:
    example = "python scripts/diagnose_flow.py --resource-type destinations --resource-id 789"
    parser = cli.build_parser(COMMAND, __doc__ or "", example, formats=("markdown",))
    cli.add_target_flags(parser, default_type="flows")
    add = parser.add_argument
    add("--probe", action="store_true", help="probe the flow's credentials; this writes verified_status on the server")
    add("--show-values", action="store_true", help="show the values of quarantined records, not only their types")
    add("--graph", choices=("mermaid", "dot"), help="print the flow as a graph with the fault marked, and nothing else")
    return parser


def diagnose_flow(args: argparse.Namespace, context: cli.Context) -> Result:
    """Ranked causes. Exit 10 when there is one; 0 when none is seen; 6 when none is seen but not all could be read."""
    from helpers.core.kinds import checked_id, kind_of

    kind_of(args.resource_type)
    if args.resource_id is not None:
        checked_id(args.resource_id, "--resource-id")
    session = context.session
    from helpers.api.flow_lookup import find_target
    from helpers.monitor.cause_rules import CHECKED, find_causes
    from helpers.monitor.evidence import gather
    from helpers.monitor.flow_graph import draw

    target = find_target(session, args)
    seen = gather(session, target, workers=args.workers, probing=args.probe, show=args.show_values)
    causes, elsewhere = find_causes(seen, target.member)
    faults = {(cause.member.kind, cause.member.id): cause.fault for cause in reversed([*causes, *elsewhere])}
    report = {
        "verdict": _verdict(causes, seen),
        "flow": target.flow.origin.node_id,
        "latest_run": seen.latest,
        "causes": [cause.as_row() for cause in causes],
        "elsewhere": [cause.as_row() for cause in elsewhere],
        "difference": _difference(session, seen),
        "quarantine": _quarantine(session, seen, show=args.show_values),
        "checked": CHECKED,
        "could_not_be_read": seen.unread,
    }
    report["verdict"] = _verdict(causes, seen)  # the quarantine may have been unreadable
    code = Exit.FINDINGS if causes else Exit.UPSTREAM if seen.unread else Exit.OK
    warnings = [f"could not be read: {text}" for text in seen.unread]
    result = Result(report, {"verdict": report["verdict"], "checked": len(CHECKED)}, warnings, code, COLUMNS, "causes")
    result.text = _markdown(report, draw(target.flow, faults, "mermaid"))
    if args.graph:
        result.text, result.only_text = draw(target.flow, faults, args.graph), args.format is None
        report["graph"] = result.text
    return result


def _verdict(causes: list[Cause], seen: Evidence) -> str:
    if causes:
        return f"fault found: {causes[0].fault}"
    return "no fault seen, but not all could be read" if seen.unread else "no fault found"


def _difference(session: Session, seen: Evidence) -> dict[str, Any] | None:
    """The newest failed run beside the last good one; None when there are no two such runs."""
    from helpers.monitor.compare_runs import difference, pick
    from helpers.monitor.evidence import read_log

    try:
        bad, good = pick(seen.flow, seen.runs, None)
    except OperatorError:
        return None
    for run in (bad, good):
        if not any(line["run_id"] == run for line in seen.lines):
            read_log(session, seen, run)
    return difference(seen.flow, seen.runs, [{**line, "text": line["shown"]} for line in seen.lines], bad, good)


def _quarantine(session: Session, seen: Evidence, *, show: bool) -> list[dict[str, Any]]:
    """Records in quarantine of the members whose newest run had errors."""
    from helpers.core.redact import without_quotes, without_values
    from helpers.monitor.evidence import quarantine

    found = []
    for member in seen.flow.origin.walk():
        newest = seen.newest(member)
        if not newest or not newest.errors:
            continue
        try:
            rows = quarantine(session, member, newest.id)
        except OperatorError as error:
            if error.code in (Exit.INTERRUPTED, Exit.TIMEOUT):
                raise
            seen.unread.append(f"quarantine of {member.label}: {error.message}")
            continue
        for row in rows:
            hidden = {"error": without_quotes(row["error"]), "record": without_values(row["record"])}
            shown = row if show else hidden
            found.append({"type": member.kind, "id": member.id, **shown})
    return found


def _markdown(report: dict[str, Any], graph: str) -> str:
    lines = [f"### {report['verdict']}", ""]
    for number, cause in enumerate(report["causes"], 1):
        lines += [f"{number}. **{cause['fault']}**, {cause['type']} {cause['id']}: {_flat(cause['cause'])}"]
        lines += [f"   - {_flat(text)}" for text in cause["evidence"]]
        lines += [f"   - by hand: {_flat(cause['by_hand'])}"] if cause["by_hand"] else []
        lines += [f"   - confirm: `{cause['confirm']}`", f"   - repair: `{cause['repair']}`"]
    lines += [f"- elsewhere in the flow: {row['fault']}, {row['type']} {row['id']}" for row in report["elsewhere"]]
    lines += [f"- **could not be read**: {_flat(text)}" for text in report["could_not_be_read"]]
    lines += ["", f"Checked: {', '.join(report['checked'])}.", "", "```mermaid", graph.rstrip(), "```", ""]
    return "\n".join(lines)


def _flat(text: str) -> str:
    """Text of the API in one line that Markdown leaves alone."""
    return "".join(f"\\{char}" if char in "\\`*_<>[]|" else char for char in " ".join(text.split()))


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(COMMAND, build_parser(), diagnose_flow, argv)


if __name__ == "__main__":
    raise SystemExit(main())
