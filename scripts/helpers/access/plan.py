"""From the flags of manage_access.py to the steps of its change."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from helpers.access import declaration as access_file
from helpers.access import edits as access_wishes
from helpers.access.accessors import find_accessor
from helpers.access.confirmation import Caller
from helpers.access.edits import Wish
from helpers.access.flags import SHARER, access_kind, named, pipeline
from helpers.access.rules import Rule, in_force, read_rules
from helpers.access.steps import AccessStep
from helpers.access.targets import Target, find_targets
from helpers.api.session import Session
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.times import iso

REREAD = 100  # up to so many resources the list is read again after each write
Say = Callable[[str], None]


def access_steps(args: argparse.Namespace, session: Session, caller: Caller, say: Say) -> list[AccessStep]:
    """One step for each resource.

    Raises:
        OperatorError: USAGE; NOT_FOUND for a resource or accessor that is not there.
    """
    told: set[str] = set()

    def once(text: str) -> None:
        """A wish is asked several times, for the plan and for the change; what it has to say is said once."""
        if text not in told:
            told.add(text)
            say(text)

    pairs = _declared(args, session, once) if args.operation == "sync" else _wished(args, session, once)
    exact, few = args.operation == "replace" or args.prune, len(pairs) <= REREAD

    def step(target: Target, wish: Wish) -> AccessStep:
        def acts_by(rule: Rule) -> bool:
            return caller.is_meant_by(rule) and not caller.owns(target)

        return AccessStep(target, wish, acts_by, exact=exact, reread=few)

    return [step(target, wish) for target, wish in pairs]


def _declared(args: argparse.Namespace, session: Session, say: Say) -> list[tuple[Target, Wish]]:
    found = access_file.declared(session, access_file.load(args.file))
    if args.prune:
        return [(each.target, access_wishes.replace(each.rules)) for each in found]
    return [(each.target, access_wishes.declare(each.rules, now_of(session), say)) for each in found]


def _wished(args: argparse.Namespace, session: Session, say: Say) -> list[tuple[Target, Wish]]:
    wish, targets = _wish(args, session, say), find_targets(session, args)
    if args.role == SHARER:
        targets = [target for target in targets if target.kind.name != "flows"] if args.pipeline_of else targets
        wrong = [target.title for target in targets if target.kind.name != "nexsets"]
        if wrong:
            raise usage(f"sharer is a role of nexsets only, not of {', '.join(wrong[:5])}")
    return [(target, wish) for target in targets]


def _wish(args: argparse.Namespace, session: Session, say: Say) -> Wish:
    """What is to become of each resource's rules; accessors are looked up first, but for what is only taken away."""
    if args.operation == "copy-from":
        kind, number = pipeline(args.source, "--from")
        rules = in_force(read_rules(session, access_kind(kind.name), number), now_of(session))
        if not rules:
            raise usage(f"{kind.singular} {number} has no access rule to copy", "nothing was changed")
        args.role = SHARER if any(rule.role == SHARER for rule in rules.values()) else None
        return access_wishes.declare(rules, now_of(session), say)
    if args.operation == "revoke":
        return access_wishes.revoke(_matcher(*named(args)), args.role)
    if args.operation == "replace" and args.accessors is not None:
        resolve = access_file.resolver(session)
        found = [resolve(entry) for entry in access_file.load_accessors(args.accessors)]
        if len({rule.who for rule in found}) < len(found):
            raise usage(f"{args.accessors} names an accessor twice", access_file.HINT)
        return access_wishes.replace({rule.key: rule for rule in found})
    rule = find_accessor(session, *named(args))._replace(role=args.role, until=access_file.expiry(args.expires_at))
    if args.operation == "replace":
        return access_wishes.replace({rule.key: rule})
    return access_wishes.grant(rule, now_of(session), say)


def _matcher(kind: str, way: str, value: Any) -> Callable[[Rule], bool]:
    """Type and identity, exactly: a user and a team may have the same id."""

    def matches(rule: Rule) -> bool:
        same = rule.id == value if way == "id" else rule.label.casefold() == str(value).casefold()
        return rule.type == kind and same

    return matches


def unmatched(args: argparse.Namespace, session: Session, steps: list[AccessStep]) -> list[str]:
    """A revoke that concerns nobody must not look like one that is done; and one name must not mean two.

    Raises:
        OperatorError: NOT_FOUND, when there is nobody of the name, or several.
    """
    if args.operation != "revoke":
        return []
    kind, way, value = named(args)
    matches = _matcher(kind, way, value)
    everybody = [rule for step in steps for rule in (step.seen or {}).values()]
    if way != "id" and any(rule.type == kind and not rule.label for rule in everybody):  # whose name is not told
        number = find_accessor(session, kind, way, value).id
        matches, by_label = (lambda rule: by_label(rule) or rule.who == (kind, number)), matches
        for step in steps:
            step.wish = access_wishes.revoke(matches, args.role)
    who = {rule.who for rule in everybody if matches(rule)}
    if len(who) > 1:
        ids = ", ".join(str(number) for _, number in sorted(who))
        text = f"several have the {way} {value!r}: ids {ids}"
        raise OperatorError(Exit.NOT_FOUND, text, hint="give --accessor-id; nothing was changed")
    if who:
        return [*_only_other_roles(args, everybody, matches), *_other_ways(kind, args.role, everybody)]
    if way != "id":
        find_accessor(session, kind, way, value)
    return [f"{kind} {value} has no rule on any of the {len(steps)} resources; teams, orgs and ownership may still "
            "give access: see audit_access.py --accessor"]  # fmt: skip


def _only_other_roles(args: argparse.Namespace, rules: list[Rule], matches: Callable[[Rule], bool]) -> list[str]:
    """A role that nobody of the name has is likely to be the wrong one."""
    roles = sorted({rule.role for rule in rules if matches(rule)})
    return [] if args.role in (None, *roles) else [f"nobody has the role {args.role} to lose, but {', '.join(roles)}"]


def _other_ways(kind: str, role: str | None, rules: list[Rule]) -> list[str]:
    """A person who loses their own rules may keep the access of a team or org."""
    others = sorted({rule.title for rule in rules if rule.type != "USER"})
    if kind != "USER" or role is not None or not others:
        return []
    return [f"{', '.join(others[:5])} also have access here, by which this person may keep theirs: see audit_access.py "
            "--accessor"]  # fmt: skip


def now_of(session: Session) -> str:
    """By the server's clock, which is known after its first answer."""
    return str(iso(int(session.server_time() * 1000)))
