"""Looking up the accessors and resources of a file of declared access."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from helpers.access.accessors import find_accessor
from helpers.access.declaration import accessor_of, any_expiry, expiry
from helpers.access.request import AccessorName
from helpers.access.roles import SHARER, access_kind
from helpers.access.rules import AccessRule, AccessRules
from helpers.access.targets import AccessTarget, origin_target, pipeline_targets, project_targets
from helpers.api.session import Session
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.kinds import kind_of


class Declared(NamedTuple):
    """One resource and the access that it should have."""

    target: AccessTarget
    rules: AccessRules


def rule_resolver(session: Session, *, lenient: bool = False) -> Callable[[dict[str, Any]], AccessRule]:
    """A function that turns an entry of a file into a rule. It looks up each accessor once.

    Args:
        session: The API session.
        lenient: An accessor that does not exist becomes a rule that nobody has, instead of an error; an expiry time
            may be in the past.

    Returns:
        A function from entry to rule, which raises OperatorError: USAGE; NOT_FOUND.
    """
    known: dict[AccessorName, AccessRule] = {}

    def resolve(entry: dict[str, Any]) -> AccessRule:
        named = accessor_of(entry, "accessor")
        if named not in known:
            try:
                known[named] = find_accessor(session, named)
            except OperatorError as error:
                if not lenient or error.code is not Exit.NOT_FOUND:
                    raise
                placeholder = named.value if named.identifier == "id" else -len(known) - 1  # no real id is negative
                known[named] = AccessRule(named.type, placeholder, "", f"{named.value} (not found)")
        expires_at = entry.get("expires_at")
        checked = any_expiry(expires_at) if lenient else expiry(expires_at)
        return known[named]._replace(role=entry["role"], expires_at=checked)

    return resolve


def resolve_declaration(session: Session, entries: list[dict[str, Any]], *, lenient: bool = False) -> list[Declared]:
    """The access that a file declares, one entry per resource.

    Args:
        session: The API session.
        entries: The entries of the file.
        lenient: See ``rule_resolver``.

    Raises:
        OperatorError: USAGE when two entries grant one accessor different access to one resource; NOT_FOUND.
    """
    resolve = rule_resolver(session, lenient=lenient)
    found: dict[tuple[str, int], Declared] = {}
    for entry in entries:
        rules = [resolve(accessor) for accessor in entry["accessors"]]
        for target in _targets(session, entry):
            known = found.setdefault(target.key, Declared(target, {}))
            for rule in rules:
                _refuse_contradiction(known, rule)
                known.rules[rule.key] = rule
    return list(found.values())


def _refuse_contradiction(known: Declared, rule: AccessRule) -> None:
    """An accessor has one role on a resource, and may also be a sharer."""
    for other in known.rules.values():
        comparable = other.accessor == rule.accessor and (other.role == SHARER) == (rule.role == SHARER)
        if comparable and (other.role, other.expires_at) != (rule.role, rule.expires_at):
            text = f"the file grants {rule.title} both {other.as_text()} and {rule.as_text()} on {known.target.title}"
            raise usage(text)


def _targets(session: Session, entry: dict[str, Any]) -> Iterator[AccessTarget]:
    credentials = bool(entry.get("with_credentials"))
    if "project" in entry:
        yield from project_targets(session, entry["project"], credentials=credentials)
    elif "pipeline_of" in entry:
        member = entry["pipeline_of"]
        yield from pipeline_targets(session, kind_of(member["type"]), member["id"], credentials=credentials)
    else:
        yield origin_target(session, AccessTarget(access_kind(entry["type"]), entry["id"]))
