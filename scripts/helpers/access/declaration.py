"""The file of declared access: which resources, who, in which role. manage_access syncs it, audit_access checks it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.access.flags import ROLES, SHARER, WAYS, access_kind, checked
from helpers.core import config_file
from helpers.core.errors import Exit, OperatorError, usage
from helpers.core.kinds import kind_of
from helpers.core.times import iso, to_ms

if TYPE_CHECKING:
    from helpers.access.rules import Rule, Rules
    from helpers.access.targets import Target
    from helpers.api.session import Session

HINT = "see ACCESS_CONTROL.md, Declared access"
_ID: dict[str, Any] = {"type": "integer", "exclusiveMinimum": 0}
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
ACCESSORS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "role"],
        "properties": {
            "type": {"type": "string", "enum": ["USER", "TEAM", "ORG"]}, "id": _ID, "email": _TEXT, "name": _TEXT,
            "domain": _TEXT, "role": {"type": "string", "enum": [*ROLES, SHARER]}, "expires_at": _TEXT,
        },
    },
}  # fmt: skip
_RESOURCE = {"type": "object", "additionalProperties": False, "required": ["type", "id"],
             "properties": {"type": _TEXT, "id": _ID}}  # fmt: skip
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["resources"],
    "properties": {
        "resources": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["accessors"],
                "properties": {
                    "type": _TEXT, "id": _ID, "pipeline_of": _RESOURCE, "project": _ID,
                    "with_credentials": {"type": "boolean"}, "accessors": ACCESSORS,
                },
            },
        }
    },
}  # fmt: skip
LIST_SCHEMA = {"type": "object", "additionalProperties": False, "required": ["accessors"],
               "properties": {"accessors": ACCESSORS}}  # fmt: skip


class Declared(NamedTuple):
    """One resource with the access that it shall have."""

    target: Target
    rules: Rules


def load(path: str) -> dict[str, Any]:
    """The file, checked as far as it can be without asking Nexla.

    Raises:
        OperatorError: USAGE, naming the file and the key.
    """
    config, _ = config_file.read(path, SCHEMA, HINT)
    if not config["resources"]:
        raise usage(f"{path} names no resource", HINT)
    for number, entry in enumerate(config["resources"]):
        where = f"{path}: resources.{number}"
        ways = [("id" in entry) or ("type" in entry), "pipeline_of" in entry, "project" in entry]
        if sum(ways) != 1 or (ways[0] and not ("id" in entry and "type" in entry)):
            raise usage(f"{where}: give type and id, or pipeline_of, or project", HINT)
        if ways[0]:
            access_kind(entry["type"])
            _check_sharer(entry["accessors"], access_kind(entry["type"]).name == "nexsets", where)
        else:
            _check_sharer(entry["accessors"], False, where)
        check_accessors(entry["accessors"], f"{where}.accessors")
    return config


def load_accessors(path: str) -> list[dict[str, Any]]:
    """The accessors of a file with nothing else in it. Raises: OperatorError, USAGE; also for an empty list."""
    config, _ = config_file.read(path, LIST_SCHEMA, HINT)
    entries: list[dict[str, Any]] = config["accessors"]
    if not entries:
        raise usage(f"{path} lists no accessor: that would remove everybody", "use --operation revoke for each")
    check_accessors(entries, f"{path}: accessors")
    return entries


def _check_sharer(entries: list[dict[str, Any]], nexset: bool, where: str) -> None:
    if not nexset and any(entry["role"] == SHARER for entry in entries):
        raise usage(f"{where}: sharer is a role of nexsets only", HINT)


def check_accessors(entries: list[dict[str, Any]], where: str) -> None:
    """Raises: OperatorError, USAGE."""
    for number, entry in enumerate(entries):
        _named(entry, f"{where}.{number}")
        if "expires_at" in entry:
            _any_end(entry["expires_at"])


def _named(entry: dict[str, Any], where: str) -> tuple[str, str, Any]:
    ways = {way for names in WAYS.values() for way in names}
    return checked(entry["type"], {way: entry.get(way) for way in ways}, where)


def resolver(session: Session, *, lenient: bool = False) -> Callable[[dict[str, Any]], Rule]:
    """From an entry of a file to a rule; each accessor is looked up once.

    Args:
        lenient: an accessor that is not there becomes a rule that nobody has, instead of an error.
    """
    from helpers.access.accessors import find_accessor  # late, like the other reading: a refusal does without
    from helpers.access.rules import Rule

    known: dict[tuple[str, str, Any], Rule] = {}

    def resolve(entry: dict[str, Any]) -> Rule:
        named = _named(entry, "accessor")
        if named not in known:
            try:
                known[named] = find_accessor(session, *named)
            except OperatorError as error:
                if not lenient or error.code is not Exit.NOT_FOUND:
                    raise
                kind, way, value = named  # no real id is negative
                known[named] = Rule(kind, value if way == "id" else -len(known) - 1, "", f"{value} (not found)")
        until = expiry(entry.get("expires_at")) if not lenient else _any_end(entry.get("expires_at"))
        return known[named]._replace(role=entry["role"], until=until)

    return resolve


def expiry(text: str | None) -> str | None:
    """An end as the API writes it; None is for ever.

    Raises:
        OperatorError: USAGE, for an age, and for what is past or further away than can be written.
    """
    if text is None:
        return None
    import time

    if re.fullmatch(r"\d+\s*[a-z]", text.strip()):
        raise usage(f"{text!r} is an age, not an end", "give a date (2027-06-30) or an ISO 8601 time")
    milliseconds = to_ms(text, 0)
    moment = iso(milliseconds)
    if moment is None or milliseconds <= time.time() * 1000:
        raise usage(f"the end {text!r} is not in the future")
    return moment


def _any_end(text: str | None) -> str | None:
    """As ``expiry``, for a file that is only compared: an end may have passed. Raises: OperatorError, USAGE."""
    moment = iso(to_ms(text, 0)) if text else None
    if text and moment is None:
        raise usage(f"the end {text!r} is not a date or ISO 8601 time", HINT)
    return moment


def declared(session: Session, config: dict[str, Any], *, lenient: bool = False) -> list[Declared]:
    """What the file says of each resource, each once. ``lenient``: see ``resolver``.

    Raises:
        OperatorError: USAGE when two entries give one accessor different access to one resource; NOT_FOUND.
    """
    resolve = resolver(session, lenient=lenient)
    found: dict[tuple[str, int], Declared] = {}
    for entry in config["resources"]:
        rules = [resolve(accessor) for accessor in entry["accessors"]]
        for target in _targets(session, entry):
            known = found.setdefault(target.key, Declared(target, {}))
            for rule in rules:
                alike = [
                    r for r in known.rules.values() if r.who == rule.who and (r.role == SHARER) == (rule.role == SHARER)
                ]
                other = next((r for r in alike if (r.role, r.until) != (rule.role, rule.until)), None)
                if other is not None:
                    raise usage(f"the file gives {rule.title} both {other.as_text()} and {rule.as_text()} "
                                f"on {target.title}")  # fmt: skip
                known.rules[rule.key] = rule
    return list(found.values())


def _targets(session: Session, entry: dict[str, Any]) -> Iterator[Target]:
    from helpers.access.targets import Target, of_pipeline, of_project, origin_of

    credentials = bool(entry.get("with_credentials"))
    if "project" in entry:
        yield from of_project(session, entry["project"], credentials=credentials)
    elif "pipeline_of" in entry:
        named = entry["pipeline_of"]
        yield from of_pipeline(session, kind_of(named["type"]), named["id"], credentials=credentials)
    else:
        yield origin_of(session, Target(access_kind(entry["type"]), entry["id"]))
