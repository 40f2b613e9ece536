"""Accessors: who else than the owner may use a resource, in which role, for how long.

PUT merges, POST replaces, DELETE removes what matches by type and identity, and an empty DELETE removes everybody. Each
answers with the whole list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.resources import audit, flows
from sandbox.resources.base import fetch
from sandbox.server.routing import ApiError, Request, route
from sandbox.state.store import Doc
from sandbox.state.world import ROLES, World

PATHS = {
    "data_sources": ("sources", "data_source_id"),
    "data_sets": ("nexsets", "data_set_id"),
    "data_sinks": ("sinks", "data_sink_id"),
    "data_credentials": ("credentials", "data_credential_id"),
    "code_containers": ("code", "code_container_id"),
    "projects": ("projects", "project_id"),
    "teams": ("teams", "team_id"),
}
STORES = {"USER": "users", "TEAM": "teams", "ORG": "orgs"}
NAMED_BY = {"USER": "email", "TEAM": "name", "ORG": "email_domain"}


def _view(world: World, rules: list[Doc]) -> list[Doc]:
    """Rows of one accessor with the same end are one entry."""
    groups: dict[tuple[str, int, str | None], list[Doc]] = {}
    for rule in rules:
        groups.setdefault((rule["type"], rule["id"], rule.get("expires")), []).append(rule)
    return [_entry(world, rows) for rows in groups.values()]


def _entry(world: World, rows: list[Doc]) -> Doc:
    rule = rows[0]
    doc = world.store.get(STORES[rule["type"]], rule["id"]) or {}
    view = {"type": rule["type"], "id": rule["id"], "accessor_org_id": rule["org_id"]}
    view["access_roles"] = [row["role"] for row in rows]
    if rule["type"] == "ORG":
        view |= {"email_domain": doc.get("email_domain"), "client_identifier": None}
    else:
        view[NAMED_BY[rule["type"]]] = doc.get(NAMED_BY[rule["type"]], "")
    if rule.get("expires"):
        view["access_role_expires_at"] = rule["expires"]
    return view | {"created_at": rule["created_at"], "updated_at": rule["updated_at"]}


def _identify(request: Request, entry: Doc) -> Doc:
    """The user, team or org that an entry of a request means."""
    kind = entry.get("type")
    if kind not in STORES:
        raise ApiError(400, "The property '#/accessors/type' did not match one of the following values")
    store = request.world.store
    if entry.get("id") is not None:
        doc = store.get(STORES[kind], entry["id"])
        if doc is None:
            raise ApiError(404)
        return doc
    name = entry.get(NAMED_BY[kind])
    found = store.where(STORES[kind], **{NAMED_BY[kind]: name}) if name else []
    if not found:
        raise ApiError(404)
    return found[0]


def _roles(entry: Doc, store_kind: str) -> list[str]:
    roles = entry.get("access_roles") or []
    allowed = [*ROLES, "sharer"] if store_kind == "nexsets" else ROLES
    if not roles or any(role not in allowed for role in roles):
        raise ApiError(400, "Invalid access role")
    return list(roles)


def _new(request: Request, entry: Doc, store_kind: str) -> list[Doc]:
    doc, now = _identify(request, entry), request.world.clock.iso()
    org = doc["id"] if entry["type"] == "ORG" else doc.get("org_id")
    rule = {"type": entry["type"], "id": doc["id"], "org_id": org, "expires": entry.get("access_role_expires_at")}
    return [{**rule, "role": role, "created_at": now, "updated_at": now} for role in _roles(entry, store_kind)]


def _merged(request: Request, rules: list[Doc], new: list[Doc]) -> list[Doc]:
    """Rows are keyed by accessor and role. Whether PUT changes the end of one that is there is not known [?]."""
    found = {(rule["type"], rule["id"], rule["role"]): rule for rule in rules}
    for rule in new:
        old = found.get((rule["type"], rule["id"], rule["role"]))
        if old is None or request.world.settings["put_changes_end"]:
            found[rule["type"], rule["id"], rule["role"]] = rule
    return list(found.values())


def _without(request: Request, rules: list[Doc], entries: list[Doc]) -> list[Doc]:
    """By type and identity. Whether roles count is not known of the real server [?]; the setting tells."""
    gone = [((entry["type"], _identify(request, entry)["id"]), entry.get("access_roles") or []) for entry in entries]
    by_role = request.world.settings["delete_matches_role"]
    return [
        rule for rule in rules
        if not any(who == (rule["type"], rule["id"]) and (not roles or not by_role or rule["role"] in roles)
                   for who, roles in gone)
    ]  # fmt: skip


def _entries(request: Request) -> list[Doc]:
    entries = request.object().get("accessors")
    if not isinstance(entries, list):
        raise ApiError(400, "Invalid resource. Are you missing a required field?")
    return entries


Locate = Callable[[Request, str], tuple[str, Doc, str]]


def _register(path: str, parameter: str, locate: Locate) -> None:
    """The four methods of one kind of resource. ``locate`` gives the store's kind, the document, and the rules' key."""
    template = f"/{path}/{{{parameter}}}/accessors"

    def answer(request: Request, need: str, change: Callable[[list[Doc], str], list[Doc]] | None = None) -> list[Doc]:
        kind, doc, key = locate(request, need)
        before = doc.get(key, [])
        if change:
            after = change(before, kind)
            audit.note_rules(request, path, doc, before, after)
            request.world.store.put(kind, {**doc, key: after})
            doc = {**doc, key: after}
        return _view(request.world, doc.get(key, []))

    @route("GET", template)
    def show(request: Request) -> list[Doc]:
        return answer(request, "collaborator")

    @route("PUT", template)
    def add(request: Request) -> list[Doc]:
        def merge(old: list[Doc], kind: str) -> list[Doc]:
            return _merged(request, old, [rule for entry in _entries(request) for rule in _new(request, entry, kind)])

        return answer(request, "admin", merge)

    @route("POST", template)
    def replace(request: Request) -> list[Doc]:
        def all_new(_: list[Doc], kind: str) -> list[Doc]:
            return _merged(request, [], [rule for entry in _entries(request) for rule in _new(request, entry, kind)])

        return answer(request, "admin", all_new)

    @route("DELETE", template)
    def remove(request: Request) -> list[Doc]:
        body: Any = request.body or {}
        entries = body.get("accessors") or []
        return answer(request, "admin", lambda old, _: _without(request, old, entries) if entries else [])


def _resource(kind: str, parameter: str) -> Locate:
    def locate(request: Request, need: str) -> tuple[str, Doc, str]:
        return kind, fetch(request, kind, request.ids[parameter], need), "rules"

    return locate


def _flow(request: Request, need: str) -> tuple[str, Doc, str]:
    """Rules of a flow lie at its origin, whichever node is named."""
    root, _ = flows.locate(request, request.ids["flow_id"])
    flows.allow(request, root, need)
    return "sources", root.doc, "flow_rules"


for _path, (_kind, _parameter) in PATHS.items():
    _register(_path, _parameter, _resource(_kind, _parameter))
_register("flows", "flow_id", _flow)
