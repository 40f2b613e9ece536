"""Turning a request into the steps of an access change."""

from __future__ import annotations

from collections.abc import Callable

from helpers.access import edits
from helpers.access.accessors import find_accessor
from helpers.access.confirmation import Caller
from helpers.access.declaration import HINT, expiry
from helpers.access.declared import Declared, resolve_declaration, rule_resolver
from helpers.access.edits import RuleEdit
from helpers.access.request import AccessorName, AccessRequest
from helpers.access.roles import SHARER, access_kind
from helpers.access.rules import AccessRule, AccessRules, in_force, read_rules
from helpers.access.steps import AccessStep
from helpers.access.targets import find_targets
from helpers.api.session import Session
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.times import iso

REREAD_LIMIT = 100  # up to this many resources, each list is read again before and after a write that is harmless
Report = Callable[[str], None]
Matches = Callable[[AccessRule], bool]
SEE_AUDIT = "see audit_access.py --accessor"


def plan_access(
    request: AccessRequest, session: Session, caller: Caller, report: Report, recorded: list[Declared] | None = None
) -> list[AccessStep]:
    """One step per resource.

    Args:
        request: The request.
        session: The API session.
        caller: The user who runs the command.
        report: Called with a line for what an edit leaves as it is.
        recorded: The resources of the interrupted run that is resumed, if it recorded them; None to select them.

    Raises:
        OperatorError: USAGE; NOT_FOUND for a resource or accessor that does not exist.
    """
    reported: set[str] = set()

    def report_once(text: str) -> None:
        """Report each line once: an edit runs several times, for the plan and for the change."""
        if text not in reported:
            reported.add(text)
            report(text)

    plan = _declared if request.operation == "sync" else _edited
    planned = plan(request, session, report_once, recorded)
    few = len(planned) <= REREAD_LIMIT
    return [_step(each, edit, caller, exact=request.exact, reread=few) for each, edit in planned]


def _step(each: Declared, edit: RuleEdit, caller: Caller, *, exact: bool, reread: bool) -> AccessStep:
    def applies_to_caller(rule: AccessRule) -> bool:
        return caller.is_covered_by(rule) and not caller.owns(each.target)

    return AccessStep(each.target, edit, applies_to_caller, declared=each.rules, exact=exact, reread=reread)


def _declared(
    request: AccessRequest, session: Session, report: Report, recorded: list[Declared] | None
) -> list[tuple[Declared, RuleEdit]]:
    found = resolve_declaration(session, request.declared) if recorded is None else recorded
    if request.prune:
        return [(each, edits.replace(each.rules)) for each in found]
    return [(each, edits.declare(each.rules, now_of(session), report)) for each in found]


def _edited(
    request: AccessRequest, session: Session, report: Report, recorded: list[Declared] | None
) -> list[tuple[Declared, RuleEdit]]:
    edit, grants_sharer = _edit(request, session, report)
    if recorded is not None:
        return [(each, edit) for each in recorded]
    targets = find_targets(session, request.selection)
    if grants_sharer:
        if request.selection.pipeline_of:
            targets = [target for target in targets if target.kind.name != "flows"]
        wrong = [target.title for target in targets if target.kind.name != "nexsets"]
        if wrong:
            raise usage(f"the role sharer exists only for nexsets, not for {', '.join(wrong[:5])}")
    return [(Declared(target, {}), edit) for target in targets]


def _edit(request: AccessRequest, session: Session, report: Report) -> tuple[RuleEdit, bool]:
    """The edit, and whether it concerns the role sharer. Accessors are looked up first, except for a revoke."""
    if request.operation == "copy-from":
        rules = _copied_rules(request, session)
        sharer = any(rule.role == SHARER for rule in rules.values())
        return edits.declare(rules, now_of(session), report), sharer
    if request.accessors_file is not None:
        return edits.replace(_listed_rules(request, session)), False
    assert request.accessor is not None
    sharer = request.role == SHARER
    if request.operation == "revoke":
        return edits.revoke(matcher(request.accessor), request.role), sharer
    rule = find_accessor(session, request.accessor)
    rule = rule._replace(role=str(request.role), expires_at=expiry(request.expires_at))
    if request.operation == "replace":
        return edits.replace({rule.key: rule}), sharer
    return edits.grant(rule, now_of(session), report), sharer


def _copied_rules(request: AccessRequest, session: Session) -> AccessRules:
    assert request.copy_from is not None
    kind, resource_id = request.copy_from
    rules = in_force(read_rules(session, access_kind(kind.name), resource_id), now_of(session))
    if not rules:
        raise usage(f"{kind.singular} {resource_id} has no access rule to copy", "nothing was changed")
    return rules


def _listed_rules(request: AccessRequest, session: Session) -> AccessRules:
    resolve = rule_resolver(session)
    rules = [resolve(entry) for entry in request.accessors]
    if len({rule.accessor for rule in rules}) < len(rules):
        raise usage(f"{request.accessors_file} names an accessor twice", HINT)
    return {rule.key: rule for rule in rules}


def matcher(named: AccessorName) -> Matches:
    """A function that tells whether a rule belongs to the accessor.

    Types must match: a user and a team may have the same id.
    """
    kind, identifier, value = named

    def matches(rule: AccessRule) -> bool:
        same = rule.id == value if identifier == "id" else rule.label.casefold() == str(value).casefold()
        return rule.type == kind and same

    return matches


def warn_of_unmatched(request: AccessRequest, session: Session, steps: list[AccessStep]) -> list[str]:
    """Check whom a revoke affects: one that matches nobody must not look like success, and a name must be unique.

    If the API left an accessor's name out, the edits of the steps are changed to match by id as well.

    Args:
        request: The request; anything other than a revoke yields no warnings.
        session: The API session.
        steps: The steps, with their rules already read.

    Returns:
        Warnings.

    Raises:
        OperatorError: NOT_FOUND, if nobody has the name or several do.
    """
    if request.operation != "revoke" or request.accessor is None:
        return []
    kind, identifier, value = request.accessor
    matches = matcher(request.accessor)
    everybody = [rule for step in steps for rule in (step.rules or {}).values()]
    if identifier != "id" and any(
        rule.type == kind and not rule.label for rule in everybody
    ):  # the API left its name out
        matches = _also_by_id(matches, kind, find_accessor(session, request.accessor).id)
        for step in steps:
            step.edit = edits.revoke(matches, request.role)
    found = {rule.accessor for rule in everybody if matches(rule)}
    if len(found) > 1:
        ids = ", ".join(str(accessor_id) for _, accessor_id in sorted(found))
        text = f"several accessors have the {identifier} {value!r}: ids {ids}"
        raise OperatorError(Exit.NOT_FOUND, text, hint="nothing was changed; use --accessor-id")
    if found:
        return [*_only_other_roles(request.role, everybody, matches), *_other_ways(kind, request.role, everybody)]
    if identifier != "id":
        find_accessor(session, request.accessor)
    return [f"{kind} {value} has no rule on any of the {len(steps)} resources, but may still have access through a "
            f"team, an org or ownership: {SEE_AUDIT}"]  # fmt: skip


def _also_by_id(by_label: Matches, kind: str, accessor_id: int) -> Matches:
    return lambda rule: by_label(rule) or rule.accessor == (kind, accessor_id)


def _only_other_roles(role: str | None, rules: list[AccessRule], matches: Matches) -> list[str]:
    """A warning if the accessor does not have the role to revoke: it is probably the wrong one."""
    roles = sorted({rule.role for rule in rules if matches(rule)})
    return [] if role in (None, *roles) else [f"the accessor has no role {role} to revoke, only {', '.join(roles)}"]


def _other_ways(kind: str, role: str | None, rules: list[AccessRule]) -> list[str]:
    """A warning that a person may keep access through a team or org."""
    others = sorted({rule.title for rule in rules if rule.type != "USER"})
    if kind != "USER" or role is not None or not others:
        return []
    return [f"this person may keep access through {', '.join(others[:5])}: {SEE_AUDIT}"]


def now_of(session: Session) -> str:
    """The current time by the server's clock, which is known after its first response: ISO 8601 in UTC."""
    return str(iso(int(session.server_time() * 1000)))
