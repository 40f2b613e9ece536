"""Accessors: who else than the owner may use a resource, in which role, and until when.

PUT merges, POST replaces, DELETE removes what matches by type and identity, and a DELETE without accessors removes all.
Each responds with the complete list (public spec and server sources).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.resources import audit
from sandbox.resources.base import MISSING_FIELD, fetch
from sandbox.resources.flow_tree import locate, require_role
from sandbox.server.routing import ApiError, Request, route
from sandbox.state.store import Doc
from sandbox.state.world import RANK, ROLES, World

PATHS = {  # path → kind, placeholder
    "data_sources": ("sources", "data_source_id"),
    "data_sets": ("nexsets", "data_set_id"),
    "data_sinks": ("sinks", "data_sink_id"),
    "data_credentials": ("credentials", "data_credential_id"),
    "code_containers": ("code", "code_container_id"),
    "projects": ("projects", "project_id"),
    "teams": ("teams", "team_id"),
    "data_maps": ("lookups", "data_map_id"),
    "data_schemas": ("schemas", "data_schema_id"),
    "doc_containers": ("docs", "doc_container_id"),
}
FLOW_PATHS = {"flows": "flow_id", "data_flows": "data_flow_id"}  # the second is the former name of the first
KINDS = {"USER": "users", "TEAM": "teams", "ORG": "orgs"}
NAME_KEYS = {"USER": "email", "TEAM": "name", "ORG": "email_domain"}


def _view(world: World, rules: list[Doc]) -> list[Doc]:
    """The rules as entries: the roles of one accessor that end at the same time share an entry."""
    groups: dict[tuple[str, int, str | None], list[Doc]] = {}
    for rule in rules:
        groups.setdefault((rule["type"], rule["id"], rule.get("expires")), []).append(rule)
    return [_entry(world, rows) for rows in groups.values()]


def _entry(world: World, rows: list[Doc]) -> Doc:
    rule = rows[0]
    doc = world.store.get(KINDS[rule["type"]], rule["id"]) or {}
    view = {"type": rule["type"], "id": rule["id"], "accessor_org_id": rule["org_id"]}
    view["access_roles"] = [row["role"] for row in rows]
    if rule["type"] == "ORG":
        view |= {"email_domain": doc.get("email_domain"), "client_identifier": None}
    else:
        view[NAME_KEYS[rule["type"]]] = doc.get(NAME_KEYS[rule["type"]], "")
    if rule.get("expires"):
        view["access_role_expires_at"] = rule["expires"]
    return view | {"created_at": rule["created_at"], "updated_at": rule["updated_at"]}


def _identify(request: Request, entry: Doc) -> Doc:
    """The user, team or org that an entry of a request names, by id or by name.

    Raises:
        ApiError: 400, the type is unknown; 404, there is no such accessor.
    """
    accessor_type = entry.get("type")
    if accessor_type not in KINDS:
        raise ApiError(400, "The property '#/accessors/type' did not match one of the following values")
    store = request.world.store
    if entry.get("id") is not None:
        doc = store.get(KINDS[accessor_type], entry["id"])
        if doc is None:
            raise ApiError(404)
        return doc
    name_key = NAME_KEYS[accessor_type]
    name = entry.get(name_key)
    found = store.where(KINDS[accessor_type], **{name_key: name}) if name else []
    if not found:
        raise ApiError(404)
    return found[0]


def _roles(entry: Doc, kind: str) -> list[str]:
    """The roles of an entry; sharer is a role on nexsets only (public server sources)."""
    roles = entry.get("access_roles") or []
    allowed = RANK if kind == "nexsets" else ROLES
    if not roles or any(role not in allowed for role in roles):
        raise ApiError(400, "Invalid access role")
    return list(roles)


def _rules_of(request: Request, entry: Doc, kind: str) -> list[Doc]:
    """One rule for each role of an entry."""
    doc, now = _identify(request, entry), request.world.clock.iso()
    org_id = doc["id"] if entry["type"] == "ORG" else doc.get("org_id")
    rule = {"type": entry["type"], "id": doc["id"], "org_id": org_id, "expires": entry.get("access_role_expires_at")}
    return [{**rule, "role": role, "created_at": now, "updated_at": now} for role in _roles(entry, kind)]


def _sent_rules(request: Request, kind: str) -> list[Doc]:
    """The rules of a request's body.

    Raises:
        ApiError: 400 or 404, the body or one of its entries is malformed or names nobody.
    """
    entries = request.object().get("accessors")
    if not isinstance(entries, list):
        raise ApiError(400, MISSING_FIELD)
    return [rule for entry in entries for rule in _rules_of(request, entry, kind)]


def _merged(request: Request, rules: list[Doc], sent: list[Doc]) -> list[Doc]:
    """Existing rules and those that were sent, one for each accessor and role.

    Whether PUT changes the end of an existing rule is not known of the real server [?]; the setting decides.
    """
    merged = {(rule["type"], rule["id"], rule["role"]): rule for rule in rules}
    for rule in sent:
        existing = merged.get((rule["type"], rule["id"], rule["role"]))
        if existing is None or request.world.settings["put_changes_end"]:
            merged[rule["type"], rule["id"], rule["role"]] = rule
    return list(merged.values())


def _without(request: Request, rules: list[Doc], entries: list[Doc]) -> list[Doc]:
    """The rules that no entry matches by type and identity.

    Whether an entry's roles matter is not known of the real server [?]; the setting decides.
    """
    removed = [((entry["type"], _identify(request, entry)["id"]), entry.get("access_roles") or []) for entry in entries]
    by_role = request.world.settings["delete_matches_role"]
    return [
        rule for rule in rules
        if not any(who == (rule["type"], rule["id"]) and (not roles or not by_role or rule["role"] in roles)
                   for who, roles in removed)
    ]  # fmt: skip


Locate = Callable[[Request, str], tuple[str, Doc, str]]
Change = Callable[[list[Doc], str], list[Doc]]  # existing rules and kind → new rules


def _register(path: str, parameter: str, locate_rules: Locate) -> None:
    """Register the four methods of one type of resource.

    ``locate_rules`` takes the needed role and gives a kind, a document, and the key of the document's rules.
    """
    template = f"/{path}/{{{parameter}}}/accessors"

    def respond(request: Request, needed: str, change: Change | None = None) -> list[Doc]:
        kind, doc, key = locate_rules(request, needed)
        before = doc.get(key, [])
        if change:
            after = change(before, kind)
            audit.record_rules(request, "flows" if path in FLOW_PATHS else path, doc, before, after)
            request.world.store.put(kind, {**doc, key: after})
            doc = {**doc, key: after}
        return _view(request.world, doc.get(key, []))

    @route("GET", template)
    def show(request: Request) -> list[Doc]:
        return respond(request, "collaborator")

    @route("PUT", template)
    def add(request: Request) -> list[Doc]:
        return respond(request, "admin", lambda rules, kind: _merged(request, rules, _sent_rules(request, kind)))

    @route("POST", template)
    def replace(request: Request) -> list[Doc]:
        return respond(request, "admin", lambda _, kind: _merged(request, [], _sent_rules(request, kind)))

    @route("DELETE", template)
    def remove(request: Request) -> list[Doc]:
        body: Any = request.body or {}
        entries = body.get("accessors") or []
        return respond(request, "admin", lambda rules, _: _without(request, rules, entries) if entries else [])


def _resource_rules(kind: str, parameter: str) -> Locate:
    def locate_rules(request: Request, needed: str) -> tuple[str, Doc, str]:
        return kind, fetch(request, kind, request.ids[parameter], needed), "rules"

    return locate_rules


def _flow_rules(parameter: str) -> Locate:
    """The rules of a flow are those of its origin, whichever node is named (public server sources)."""

    def locate_rules(request: Request, needed: str) -> tuple[str, Doc, str]:
        root, _ = locate(request, request.ids[parameter])
        require_role(request, root, needed)
        return "sources", root.doc, "flow_rules"

    return locate_rules


for _path, (_kind, _parameter) in PATHS.items():
    _register(_path, _parameter, _resource_rules(_kind, _parameter))
for _path, _parameter in FLOW_PATHS.items():
    _register(_path, _parameter, _flow_rules(_parameter))
