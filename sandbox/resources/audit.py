"""The audit log: who changed what, including access rules. Its default window is this quarter and the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.resources.base import fetch
from sandbox.resources.lists import page
from sandbox.server.routing import ApiError, Request, Response, route
from sandbox.state.store import Doc


@dataclass(frozen=True)
class Audited:
    """How the log refers to one type of resource, and where its documents are."""

    kind: str
    model: str  # the server's class name
    parameter: str


AUDITED = {
    "data_sources": Audited("sources", "DataSource", "source_id"),
    "data_sets": Audited("nexsets", "DataSet", "set_id"),
    "data_sinks": Audited("sinks", "DataSink", "sink_id"),
    "data_credentials": Audited("credentials", "DataCredentials", "credential_id"),
    "code_containers": Audited("code", "CodeContainer", "code_container_id"),
    "projects": Audited("projects", "Project", "project_id"),
    "teams": Audited("teams", "Team", "team_id"),
    "data_maps": Audited("lookups", "DataMap", "data_map_id"),
    "data_schemas": Audited("schemas", "DataSchema", "schema_id"),
    "doc_containers": Audited("docs", "DocContainer", "doc_container_id"),
    "flows": Audited("sources", "FlowNode", "flow_id"),
}
CHANGES = ("status", "acl", "schema", "samples", "owner", "org", "transform", "code", "config", "copied")
ACCESSORS = {"USER": "User", "TEAM": "Team", "ORG": "Org"}
EVENTS = {"POST": "create", "PUT": "update", "DELETE": "destroy"}
STATUS_ACTIONS = ("activate", "pause")
NOT_AUDITED = ("accessors", "probe", "members", "tree", "sample")  # accessors are recorded by record_rules


def _entry(request: Request, path: str, resource_id: int, owner_id: int | None, event: str) -> Doc:
    world, model, user = request.world, AUDITED[path].model, request.user
    return {
        "item_type": model,
        "item_id": resource_id,
        "event": event,
        "path": path,
        "resource_type": model,
        "resource_id": resource_id,
        "user": {"id": user["id"], "email": user["email"]},
        "org_id": user["org_id"],
        "owner_id": owner_id,
        "owner_email": world.brief_user(owner_id)["email"] if owner_id else None,
        "impersonator_id": user.get("impersonator_id"),
        "request_ip": "127.0.0.1",
        "request_user_agent": None,
        "request_url": world.url + request.path,
        "association_resource": None,
        "created_at": world.clock.iso(),
    }


def record_rules(request: Request, path: str, doc: Doc, before: list[Doc], after: list[Doc]) -> None:
    """Add one entry for each access rule that a request created, changed or removed."""
    resource_id = doc["flow_node_id"] if path == "flows" else doc["id"]
    old, new = ({(rule["type"], rule["id"], rule["role"]): rule for rule in rules} for rules in (before, after))
    for accessor_type, accessor_id, role in sorted(old.keys() | new.keys()):
        key = (accessor_type, accessor_id, role)
        was, now = old.get(key), new.get(key)
        ends = [was.get("expires") if was else None, now.get("expires") if now else None]
        if was and now and ends[0] == ends[1]:
            continue
        event = "create" if was is None else "destroy" if now is None else "update"
        entry = _entry(request, path, resource_id, doc.get("owner_id"), event)
        entry |= {"item_type": f"{AUDITED[path].model}AccessControl", "change_summary": ["acl"]}
        entry["item_id"] = request.world.store.new_id("rule_ids")
        entry["association_resource"] = {"type": ACCESSORS[accessor_type], "id": accessor_id}
        entry["object_changes"] = {"access_roles": [[role] if was else None, [role] if now else None]}
        if ends[0] != ends[1]:
            entry["object_changes"]["access_role_expires_at"] = ends
        request.world.store.put("audit", entry)


def record_change(request: Request, result: Any) -> None:
    """Add an entry for any other write to a resource. ``result`` is what its handler returned."""
    parts = request.path.strip("/").split("/")
    if parts[0] not in AUDITED or parts[0] == "flows" or parts[-1] in NOT_AUDITED:
        return
    shown = result if isinstance(result, dict) else {}
    resource_id = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else shown.get("id")
    if not isinstance(resource_id, int):
        return
    owner_id = (shown.get("owner") or {}).get("id") or request.user["id"]
    entry = _entry(request, parts[0], resource_id, owner_id, EVENTS[request.method])
    entry["change_summary"] = ["status"] if parts[-1] in STATUS_ACTIONS else ["config"]
    entry["object_changes"] = {}
    request.world.store.put("audit", entry)


def _quarter_start(day: datetime) -> datetime:
    return datetime(day.year, 3 * ((day.month - 1) // 3) + 1, 1, tzinfo=UTC)


def _window(request: Request) -> tuple[datetime, datetime]:
    """From when until when the log is shown: ``interval=lifetime``, or the days ``from`` and ``to``, or the default."""
    now = datetime.fromtimestamp(request.world.clock.now(), UTC)
    if request.query.get("interval") == "lifetime":
        return datetime(1970, 1, 1, tzinfo=UTC), now
    start = _quarter_start(_quarter_start(now) - timedelta(days=1))
    try:
        given = [datetime.fromisoformat(request.query[name]).replace(tzinfo=UTC) if name in request.query else None
                 for name in ("from", "to")]  # fmt: skip
    except ValueError as error:
        raise ApiError(400, "invalid date") from error
    return given[0] or start, (given[1] or now) + timedelta(days=1)


def _passes(wanted: str, values: list[str]) -> bool:
    """Whether a filter's word is among an entry's values; "!" before the word negates."""
    if not wanted:
        return True
    return (wanted.lstrip("!") in values) != wanted.startswith("!")


def _response(request: Request, rows: list[Doc]) -> Response:
    """The entries that pass the query's filters, newest first."""
    event, change = request.query.get("event_filter", ""), request.query.get("change_filter", "")
    if change and change.lstrip("!") not in CHANGES:
        raise ApiError(400, "Invalid change_filter")
    start, end = _window(request)
    found = [
        row for row in rows
        if start <= datetime.fromisoformat(row["created_at"].replace("Z", "+00:00")) < end
        and _passes(event, [row["event"]]) and _passes(change, row.get("change_summary") or [])
    ]  # fmt: skip
    found.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
    part, headers = page(request, found)
    return Response([_view(request, row) for row in part], headers)


def _view(request: Request, row: Doc) -> Doc:
    view = {key: value for key, value in row.items() if key != "path"}
    if request.flag("expand"):
        world = request.world
        view["owner"] = world.brief_user(row["owner_id"]) if row.get("owner_id") else None
        if row.get("impersonator_id"):
            view["impersonator"] = world.brief_user(row["impersonator_id"])
    return view


def _register(path: str, audited: Audited) -> None:
    @route("GET", f"/{path}/{{{audited.parameter}}}/audit_log")
    def show(request: Request) -> Response:
        """The log of one resource. A deleted one is shown to org admins and to its last owner; 404 if never seen."""
        resource_id, user = request.ids[audited.parameter], request.user
        rows = request.world.store.where("audit", path=path, resource_id=resource_id)
        if request.world.store.get(audited.kind, resource_id) is not None:
            fetch(request, audited.kind, resource_id)
        elif not rows:
            raise ApiError(404)
        elif not user.get("org_admin") and all(row["owner_id"] != user["id"] for row in rows):
            raise ApiError(403)
        return _response(request, rows)


for _path, _audited in AUDITED.items():
    if _path != "flows":
        _register(_path, _audited)


@route("GET", "/orgs/{org_id}/{resource_type}/audit_log")
def show_resource_type(request: Request) -> Response:
    """All entries for one type of resource in the org; for its admins."""
    if not request.user.get("org_admin") or request.user["org_id"] != request.ids["org_id"]:
        raise ApiError(403)
    return _response(request, request.world.store.where("audit", path=request.resource_type))
