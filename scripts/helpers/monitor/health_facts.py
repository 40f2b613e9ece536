"""Reading what health is judged by: one flow answer for all members of a flow, and one run summary for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.api.flows import Flow, Member, MemberKey, parse_flows, read_flow
from helpers.api.runs import PAGE, read_runs
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path
from helpers.core.schedule import schedule_of
from helpers.monitor.health import HealthFacts

PER_PAGE = 100
NONSENSE = (KeyError, TypeError, AttributeError, ValueError, OverflowError)  # what an odd answer can lead to
CUT_SHARE = 4  # rows of one run; with several nexsets a page of rows holds fewer runs


def flows_of(
    session: Session, wanted: Iterable[MemberKey], workers: int
) -> dict[MemberKey, Flow | OperatorError | None]:
    """The flow of each resource; None where there is none, the error where it could not be read.

    A flow's answer covers all of its members, so that further resources of the same flow cost nothing.
    """
    found: dict[MemberKey, Flow | OperatorError | None] = {}
    waiting = list(dict.fromkeys(wanted))
    with ThreadPoolExecutor(workers) as pool:
        while waiting:
            batch, waiting = waiting[:workers], waiting[workers:]
            for key, flow in zip(batch, pool.map(lambda key: _flow(session, key), batch), strict=True):
                found[key] = flow
                if isinstance(flow, Flow):
                    known = {member.key: flow for member in flow.origin.walk()}
                    known[("flows", flow.origin.node_id)] = flow
                    found |= {other: f for other, f in known.items() if not isinstance(found.get(other), Flow)}
            waiting = [key for key in waiting if key not in found]
    return found


def _flow(session: Session, key: MemberKey) -> Flow | OperatorError | None:
    try:
        flow = read_flow(session, KINDS[key[0]], key[1])
    except OperatorError as error:
        if _ends_all(error):
            raise
        return error
    except NONSENSE as error:
        return OperatorError(Exit.UPSTREAM, f"the flow's answer makes no sense ({type(error).__name__})")
    if flow is not None and key[0] != "flows" and flow.find(*key) is None:
        return OperatorError(Exit.UPSTREAM, "the flow's answer does not hold the resource")
    return flow


def all_flows(session: Session, params: dict[str, Any], report: Callable[[str], None]) -> Iterator[Flow]:
    """Every flow that the caller sees, with its members' rows, in pages.

    Raises:
        OperatorError: a page could not be read; a list that is cut short must not pass for all.
    """
    page, seen = 1, set[int]()
    while True:
        answer = call(session, "GET", "/flows", params={**params, "page": page, "per_page": PER_PAGE}, report=report)
        nodes, flows = answer.data.get("flows") or [], parse_flows(answer.data)
        fresh = [flow for flow in flows if flow.origin.node_id not in seen]
        seen |= {flow.origin.node_id for flow in fresh}
        yield from fresh
        if answer.total is not None and len(seen) >= answer.total:
            return
        if not nodes and len(seen) < (answer.total or 0):
            text = f"the list of flows shifted while it was read: {len(seen)} of {answer.total} were seen"
            raise OperatorError(Exit.UPSTREAM, text, hint="run again", retryable=True)
        if not nodes or not fresh:  # no fresh ones: a server that knows no pages sends all of them every time
            return
        page += 1


def project_flows(session: Session, project: int) -> list[Flow]:
    """The flows of a project, by the project's own list (a filter on other lists is ignored by the server)."""
    return parse_flows(call(session, "GET", item_path(KINDS["projects"], project, "flows")).data)


def facts_of(session: Session, flow: Flow, member: Member) -> HealthFacts:
    """What is known of one member. A run summary that cannot be read leaves ``runs`` None, and says why."""
    facts = HealthFacts(
        member.kind,
        member.id,
        member.name,
        flow.origin.node_id,
        member.status,
        member.runtime_status,
        schedule_of(flow.origin.row.get("source_config")),
        _number(flow.origin.row.get("last_run_id")),
        _verified_status(flow, member),
    )
    try:
        facts.runs, facts.unreadable = read_runs(session, KINDS[member.kind], member.id)
        facts.cut = len(facts.runs) >= PAGE // CUT_SHARE
    except NONSENSE as error:
        facts.runs_problem = f"the answer makes no sense ({type(error).__name__})"
    except OperatorError as error:
        if _ends_all(error):
            raise
        facts.runs_problem = error.message
    return facts


def _ends_all(error: OperatorError) -> bool:
    """Whether no verdict can follow. At the deadline one can: what could not be read is unknown."""
    return error.code is Exit.INTERRUPTED or error.http_status == 401


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _verified_status(flow: Flow, member: Member) -> str | None:
    number = member.credential_id
    listed = flow.body.get("data_credentials")
    rows: list[Row] = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    status = next((row.get("verified_status") for row in rows if row.get("id") == number), None)
    return status if isinstance(status, str) and number is not None else None
