"""The flags of the access commands, checked before anything is sent. Free of heavy imports."""

from __future__ import annotations

import argparse
from typing import Any

from helpers.core.errors import usage
from helpers.core.kinds import KINDS, Kind, checked_id, kind_of

ROLES = ("collaborator", "operator", "admin", "owner")  # the weakest first
SHARER = "sharer"  # nexsets only, outside the order
TYPES = ("USER", "TEAM", "ORG")
WAYS = {"USER": ("id", "email"), "TEAM": ("id", "name"), "ORG": ("id", "domain")}
SHARED = ("sources", "nexsets", "destinations", "credentials", "flows", "projects", "teams", "code_containers")
CONTAINERS = ("transforms", "attribute_transforms")  # their rules are those of the code container
SELECTORS = ("resource_id", "resource_ids", "names", "pipeline_of", "project", "tag")


def access_kind(name: str) -> Kind:
    """The kind under whose path the rules of a resource lie.

    Raises:
        OperatorError: USAGE, for a kind that has none.
    """
    kind = kind_of(name)
    if kind.name in CONTAINERS:
        return KINDS["code_containers"]
    if kind.name not in SHARED:
        raise usage(f"{kind.name} have no access rules", f"known: {', '.join(SHARED)}")
    return kind


def add_flags(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("which resources (one of)")
    what.add_argument("--resource-type", metavar="TYPE", help="sources, nexsets, destinations, credentials, …")
    what.add_argument("--resource-id", metavar="ID")
    what.add_argument("--resource-ids", metavar="ID,ID")
    what.add_argument("--names", metavar="A,B", help="exact names")
    what.add_argument("--pipeline-of", metavar="TYPE:ID",
                      help="its whole flow: source, every nexset, every destination")  # fmt: skip
    what.add_argument("--project", metavar="ID", help="everything in the flows of a project")
    what.add_argument("--tag", metavar="TAG", help="what has this tag; of --resource-type, or of a flow's three types")
    what.add_argument("--with-credentials", action="store_true", help="pipelines and projects: their credentials, too")


def check_flags(args: argparse.Namespace, *more: str) -> None:
    """Exactly one selector (``more`` are a command's own). Raises: OperatorError, USAGE."""
    given = [name for name in (*SELECTORS, *more) if getattr(args, name) not in (None, False)]
    if len(given) != 1:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in (*SELECTORS, *more))
        raise usage("say which resources: exactly one of " + flags)
    if given[0] in ("resource_id", "resource_ids", "names"):
        if args.resource_type is None:
            raise usage(f"--{given[0].replace('_', '-')} needs --resource-type")
        access_kind(args.resource_type)
        if not parts(getattr(args, given[0])):
            raise usage(f"--{given[0].replace('_', '-')} names nothing", "is a variable empty?")
    if given[0] in ("resource_id", "resource_ids"):
        for number in parts(getattr(args, given[0])):
            checked_id(number, f"--{given[0].replace('_', '-')}")
    if args.pipeline_of is not None:
        pipeline(args.pipeline_of)
    if args.project is not None:
        checked_id(args.project, "--project")
    if args.with_credentials and given[0] not in ("pipeline_of", "project", *more):
        raise usage("--with-credentials goes with --pipeline-of and --project")


def named(args: argparse.Namespace) -> tuple[str, str, Any]:
    """The accessor of the flags: type, way, value. Raises: OperatorError, USAGE."""
    ways = ("id", "email", "name", "domain")
    return checked(args.accessor_type, {way: getattr(args, f"accessor_{way}") for way in ways}, "--accessor-…")


def parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def pipeline(text: str, flag: str = "--pipeline-of") -> tuple[Kind, int]:
    """``sources:123`` as kind and id. Raises: OperatorError, USAGE."""
    name, colon, number = text.rpartition(":")
    if not colon:
        raise usage(f"{flag} must be TYPE:ID", f"for example {flag} sources:123")
    return kind_of(name), checked_id(number, flag)


def checked(kind: Any, given: dict[str, Any], where: str) -> tuple[str, str, Any]:
    """The accessor's type, the way it is named, and its id or name.

    Args:
        given: ``id``, ``email``, ``name`` and ``domain``, as far as they are there.
        where: the flags or the entry of a file, for messages.

    Raises:
        OperatorError: USAGE.
    """
    if kind not in TYPES:
        raise usage(f"{where}: the accessor's type must be one of {', '.join(TYPES)}")
    named = {way: value for way, value in given.items() if value not in (None, "")}
    if len(named) != 1 or next(iter(named)) not in WAYS[kind]:
        raise usage(f"{where}: a {kind} is named by either {' or '.join(WAYS[kind])}")
    ((way, value),) = named.items()
    return kind, way, checked_id(value, f"{where}: id") if way == "id" else str(value).strip()
