"""Reading the facts for health checks: one flow response for all members of a flow, and one run summary each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.api.flows import Flow, Member, MemberKey, parse_flows, parse_members, read_flow
from helpers.api.paging import Pages
from helpers.api.runs import PAGE, read_runs
from helpers.api.session import Session
from helpers.api.transport import call
from helpers.core.errors import Exit, OperatorError
from helpers.core.kinds import KINDS, Row, item_path
from helpers.core.schedule import schedule_of
from helpers.monitor.health import HealthFacts

MALFORMED = (KeyError, TypeError, AttributeError, ValueError, OverflowError)  # what a malformed response can raise
MAX_ROWS_PER_RUN = 4  # assumed; with several nexsets, a page of rows contains fewer runs


def flows_of(
    session: Session, wanted: Iterable[MemberKey], workers: int
) -> dict[MemberKey, Flow | OperatorError | None]:
    """Read the flow of each resource.

    A flow response covers all members of the flow, so further resources of the same flow need no request.

    Args:
        session: The API session.
        wanted: Kind and id of each resource.
        workers: How many flows to read at a time.

    Returns:
        The flow by resource; None if there is none, the error if it could not be read.

    Raises:
        OperatorError: INTERRUPTED; AUTH.
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
    except MALFORMED as error:
        return OperatorError(Exit.UPSTREAM, f"the flow response is malformed ({type(error).__name__})")
    if flow is not None and key[0] != "flows" and flow.find(*key) is None:
        return OperatorError(Exit.UPSTREAM, "the flow response does not contain the resource")
    return flow


def all_flows(session: Session, params: dict[str, Any], report: Callable[[str], None]) -> Iterator[Flow]:
    """Read every flow that the caller can see, with its members, in pages.

    Args:
        session: The API session.
        params: Additional query parameters, such as ``access_role``.
        report: Called with progress lines.

    Raises:
        OperatorError: A page could not be read, or the list is incomplete: it must not be taken for all flows.
    """
    pages = Pages(session, KINDS["flows"], params, report=report)
    for node in pages:
        origin = parse_members(node, pages.body)
        if origin is not None:
            yield Flow(origin, node.get("project_id"), pages.body)
    if pages.missing or pages.malformed:
        text = f"the list of flows is incomplete: {pages.problem or f'{pages.malformed} entries cannot be read'}"
        raise OperatorError(Exit.UPSTREAM, text, hint="run again", retryable=True)


def project_flows(session: Session, project: int) -> list[Flow]:
    """Read the flows of a project from its own list: the server ignores a project filter on other lists.

    Raises:
        ApiError: The list could not be read.
    """
    return parse_flows(call(session, "GET", item_path(KINDS["projects"], project, "flows")).data)


def facts_of(session: Session, flow: Flow, member: Member) -> HealthFacts:
    """Collect the facts about one member. If its run summary cannot be read, ``runs_problem`` explains why.

    Raises:
        OperatorError: INTERRUPTED; AUTH.
    """
    facts = HealthFacts(
        member.kind,
        member.id,
        member.name,
        flow.origin.node_id,
        member.status,
        member.runtime_status,
        schedule_of(flow.origin.row.get("source_config")),
        _int_or_zero(flow.origin.row.get("last_run_id")),
        _verified_status(flow, member),
    )
    try:
        facts.runs, facts.unreadable = read_runs(session, KINDS[member.kind], member.id)
        facts.cut = len(facts.runs) >= PAGE // MAX_ROWS_PER_RUN
    except MALFORMED as error:
        facts.runs_problem = f"the response is malformed ({type(error).__name__})"
    except OperatorError as error:
        if _ends_all(error):
            raise
        facts.runs_problem = error.message
    return facts


def _ends_all(error: OperatorError) -> bool:
    """Whether an error ends the command. A deadline does not: what could not be read is unknown."""
    return error.code is Exit.INTERRUPTED or error.http_status == 401


def _int_or_zero(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _verified_status(flow: Flow, member: Member) -> str | None:
    credential_id = member.credential_id
    listed = flow.body.get("data_credentials")
    rows: list[Row] = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    status = next((row.get("verified_status") for row in rows if row.get("id") == credential_id), None)
    return status if isinstance(status, str) and credential_id is not None else None
