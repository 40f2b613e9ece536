"""From what is asked for to the steps of a change of access."""

from __future__ import annotations

from collections.abc import Callable

from helpers.access import edits
from helpers.access.accessors import find_accessor
from helpers.access.confirmation import Caller
from helpers.access.declaration import HINT, expiry
from helpers.access.declared import resolve_declaration, rule_resolver
from helpers.access.edits import RuleEdit
from helpers.access.request import AccessorName, AccessRequest
from helpers.access.roles import SHARER, access_kind
from helpers.access.rules import AccessRule, AccessRules, in_force, read_rules
from helpers.access.steps import AccessStep
from helpers.access.targets import AccessTarget, find_targets
from helpers.api.session import Session
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.times import iso

REREAD = 100  # up to so many resources the list is read again after each write
Report = Callable[[str], None]
Matches = Callable[[AccessRule], bool]
SEE_AUDIT = "see audit_access.py --accessor"


def plan_access(request: AccessRequest, session: Session, caller: Caller, report: Report) -> list[AccessStep]:
    """One step for each resource.

    Raises:
        OperatorError: USAGE; NOT_FOUND for a resource or accessor that is not there.
    """
    reported: set[str] = set()

    def report_once(text: str) -> None:
        """An edit runs several times, for the plan and for the change; what it has to say is reported once."""
        if text not in reported:
            reported.add(text)
            report(text)

    plan = _declared if request.operation == "sync" else _edited
    planned = plan(request, session, report_once)
    few = len(planned) <= REREAD
    return [_step(target, edit, caller, exact=request.exact, reread=few) for target, edit in planned]


def _step(target: AccessTarget, edit: RuleEdit, caller: Caller, *, exact: bool, reread: bool) -> AccessStep:
    def applies_to_caller(rule: AccessRule) -> bool:
        return caller.is_covered_by(rule) and not caller.owns(target)

    return AccessStep(target, edit, applies_to_caller, exact=exact, reread=reread)


def _declared(request: AccessRequest, session: Session, report: Report) -> list[tuple[AccessTarget, RuleEdit]]:
    found = resolve_declaration(session, request.declared)
    if request.prune:
        return [(each.target, edits.replace(each.rules)) for each in found]
    return [(each.target, edits.declare(each.rules, now_of(session), report)) for each in found]


def _edited(request: AccessRequest, session: Session, report: Report) -> list[tuple[AccessTarget, RuleEdit]]:
    edit, gives_sharer = _edit(request, session, report)
    targets = find_targets(session, request.selection)
    if gives_sharer:
        if request.selection.pipeline_of:
            targets = [target for target in targets if target.kind.name != "flows"]
        wrong = [target.title for target in targets if target.kind.name != "nexsets"]
        if wrong:
            raise usage(f"sharer is a role of nexsets only, not of {', '.join(wrong[:5])}")
    return [(target, edit) for target in targets]


def _edit(request: AccessRequest, session: Session, report: Report) -> tuple[RuleEdit, bool]:
    """The edit, and whether it is about sharers. Accessors are looked up first, but for what is only taken away."""
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
    """Type and identity, exactly: a user and a team may have the same id."""
    kind, way, value = named

    def matches(rule: AccessRule) -> bool:
        same = rule.id == value if way == "id" else rule.label.casefold() == str(value).casefold()
        return rule.type == kind and same

    return matches


def warn_of_unmatched(request: AccessRequest, session: Session, steps: list[AccessStep]) -> list[str]:
    """A revoke that concerns nobody must not look like one that is done; and one name must not mean two.

    Returns:
        Warnings.

    Raises:
        OperatorError: NOT_FOUND, when there is nobody of the name, or several.
    """
    if request.operation != "revoke" or request.accessor is None:
        return []
    kind, way, value = request.accessor
    matches = matcher(request.accessor)
    everybody = [rule for step in steps for rule in (step.rules or {}).values()]
    if way != "id" and any(rule.type == kind and not rule.label for rule in everybody):  # the API left its name out
        matches = _also_by_id(matches, kind, find_accessor(session, request.accessor).id)
        for step in steps:
            step.edit = edits.revoke(matches, request.role)
    found = {rule.accessor for rule in everybody if matches(rule)}
    if len(found) > 1:
        ids = ", ".join(str(accessor_id) for _, accessor_id in sorted(found))
        text = f"several have the {way} {value!r}: ids {ids}"
        raise OperatorError(Exit.NOT_FOUND, text, hint="give --accessor-id; nothing was changed")
    if found:
        return [*_only_other_roles(request.role, everybody, matches), *_other_ways(kind, request.role, everybody)]
    if way != "id":
        find_accessor(session, request.accessor)
    return [f"{kind} {value} has no rule on any of the {len(steps)} resources; teams, orgs and ownership may still "
            f"give access: {SEE_AUDIT}"]  # fmt: skip


def _also_by_id(by_label: Matches, kind: str, accessor_id: int) -> Matches:
    return lambda rule: by_label(rule) or rule.accessor == (kind, accessor_id)


def _only_other_roles(role: str | None, rules: list[AccessRule], matches: Matches) -> list[str]:
    """A role that nobody of the name has is likely to be the wrong one."""
    roles = sorted({rule.role for rule in rules if matches(rule)})
    return [] if role in (None, *roles) else [f"nobody has the role {role} to lose, but {', '.join(roles)}"]


def _other_ways(kind: str, role: str | None, rules: list[AccessRule]) -> list[str]:
    """A person who loses their own rules may keep the access of a team or org."""
    others = sorted({rule.title for rule in rules if rule.type != "USER"})
    if kind != "USER" or role is not None or not others:
        return []
    return [f"{', '.join(others[:5])} also have access here, by which this person may keep theirs: {SEE_AUDIT}"]


def now_of(session: Session) -> str:
    """ISO 8601, by the server's clock, which is known after its first answer."""
    return str(iso(int(session.server_time() * 1000)))
