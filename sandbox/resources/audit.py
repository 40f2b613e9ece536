"""The audit log: what was changed, by whom; access rules among it. Its default window is this and the last quarter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.resources.base import fetch
from sandbox.server.routing import Answer, ApiError, Request, page, route
from sandbox.state.store import Doc

MODELS = {
    "data_sources": ("sources", "DataSource", "source_id"),
    "data_sets": ("nexsets", "DataSet", "set_id"),
    "data_sinks": ("sinks", "DataSink", "sink_id"),
    "data_credentials": ("credentials", "DataCredentials", "credential_id"),
    "code_containers": ("code", "CodeContainer", "code_container_id"),
    "projects": ("projects", "Project", "project_id"),
    "teams": ("teams", "Team", "team_id"),
    "flows": ("sources", "FlowNode", "flow_id"),
}
CHANGES = ("status", "acl", "schema", "samples", "owner", "org", "transform", "code", "config", "copied")
ACCESSORS = {"USER": "User", "TEAM": "Team", "ORG": "Org"}
STATUS_WORDS = ("activate", "pause")


def _entry(request: Request, path: str, number: int, owner: int | None, event: str) -> Doc:
    world, model = request.world, MODELS[path][1]
    user = request.user
    return {
        "item_type": model,
        "item_id": number,
        "event": event,
        "path": path,
        "resource_type": model,
        "resource_id": number,
        "user": {"id": user["id"], "email": user["email"]},
        "org_id": user["org_id"],
        "owner_id": owner,
        "owner_email": world.brief_user(owner)["email"] if owner else None,
        "impersonator_id": user.get("impersonator_id"),
        "request_ip": "127.0.0.1",
        "request_user_agent": None,
        "request_url": world.url + request.path,
        "association_resource": None,
        "created_at": world.clock.iso(),
    }


def note_rules(request: Request, path: str, doc: Doc, before: list[Doc], after: list[Doc]) -> None:
    """One entry for each access rule that a request made, changed or removed."""
    number = doc["flow_node_id"] if path == "flows" else doc["id"]
    old, new = ({(rule["type"], rule["id"], rule["role"]): rule for rule in rules} for rules in (before, after))
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        ends = [was.get("expires") if was else None, now.get("expires") if now else None]
        if was and now and ends[0] == ends[1]:
            continue
        event = "create" if was is None else "destroy" if now is None else "update"
        entry = _entry(request, path, number, doc.get("owner_id"), event)
        entry |= {"item_type": f"{MODELS[path][1]}AccessControl", "change_summary": ["acl"]}
        entry["item_id"] = request.world.store.new_id("rule_ids")
        entry["association_resource"] = {"type": ACCESSORS[key[0]], "id": key[1]}
        entry["object_changes"] = {"access_roles": [[key[2]] if was else None, [key[2]] if now else None]}
        if ends[0] != ends[1]:
            entry["object_changes"]["access_role_expires_at"] = ends
        request.world.store.put("audit", entry)


def note_change(request: Request, result: Any) -> None:
    """An entry for any other write to a resource."""
    parts = request.path.strip("/").split("/")
    if (
        parts[0] not in MODELS
        or parts[0] == "flows"
        or parts[-1] in ("accessors", "probe", "members", "tree", "sample")
    ):
        return
    shown = result if isinstance(result, dict) else {}
    number = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else shown.get("id")
    if not isinstance(number, int):
        return
    event = {"POST": "create", "PUT": "update", "DELETE": "destroy"}[request.method]
    owner = (shown.get("owner") or {}).get("id") or request.user["id"]
    entry = _entry(request, parts[0], number, owner, event)
    entry["change_summary"] = ["status"] if parts[-1] in STATUS_WORDS else ["config"]
    entry["object_changes"] = {}
    request.world.store.put("audit", entry)


def _window(request: Request) -> tuple[datetime, datetime]:
    now = datetime.fromtimestamp(request.world.clock.now(), UTC)
    if request.query.get("interval") == "lifetime":
        return datetime(1970, 1, 1, tzinfo=UTC), now
    quarter = datetime(now.year, 3 * ((now.month - 1) // 3) + 1, 1, tzinfo=UTC)
    last = (quarter - timedelta(days=1)).replace(day=1)
    start = datetime(last.year, 3 * ((last.month - 1) // 3) + 1, 1, tzinfo=UTC)
    try:
        given = [datetime.fromisoformat(request.query[name]).replace(tzinfo=UTC) if name in request.query else None
                 for name in ("from", "to")]  # fmt: skip
    except ValueError as error:
        raise ApiError(400, "invalid date") from error
    return given[0] or start, given[1] + timedelta(days=1) if given[1] else now + timedelta(days=1)


def _passes(entry: Doc, name: str, wanted: str | None) -> bool:
    if not wanted:
        return True
    negated, word = wanted.startswith("!"), wanted.lstrip("!")
    has = word == entry["event"] if name == "event_filter" else word in (entry.get("change_summary") or [])
    return has != negated


def _log(request: Request, rows: list[Doc]) -> Answer:
    change = request.query.get("change_filter", "")
    if change and change.lstrip("!") not in CHANGES:
        raise ApiError(400, "Invalid change_filter")
    start, end = _window(request)
    found = [
        row for row in rows
        if start <= datetime.fromisoformat(row["created_at"].replace("Z", "+00:00")) < end
        and _passes(row, "event_filter", request.query.get("event_filter")) and _passes(row, "change_filter", change)
    ]  # fmt: skip
    found.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
    part, headers = page(request, found)
    return Answer([_view(request, row) for row in part], headers)


def _view(request: Request, row: Doc) -> Doc:
    view = {key: value for key, value in row.items() if key != "path"}
    if request.flag("expand"):
        world = request.world
        view["owner"] = world.brief_user(row["owner_id"]) if row.get("owner_id") else None
        if row.get("impersonator_id"):
            view["impersonator"] = world.brief_user(row["impersonator_id"])
    return view


def _register(path: str, kind: str, parameter: str) -> None:
    @route("GET", f"/{path}/{{{parameter}}}/audit_log")
    def show(request: Request) -> Answer:
        number, user = request.ids[parameter], request.user
        rows = request.world.store.where("audit", path=path, resource_id=number)
        if request.world.store.get(kind, number) is not None:
            fetch(request, kind, number)
        elif not rows:
            raise ApiError(404)
        elif not user.get("org_admin") and all(row["owner_id"] != user["id"] for row in rows):
            raise ApiError(403)
        return _log(request, rows)


for _path, (_kind, _, _parameter) in MODELS.items():
    if _path != "flows":
        _register(_path, _kind, _parameter)


@route("GET", "/orgs/{org_id}/{resource_type}/audit_log")
def of_type(request: Request) -> Answer:
    """All entries of one type in the org; for its admins."""
    if not request.user.get("org_admin") or request.user["org_id"] != request.ids["org_id"]:
        raise ApiError(403)
    return _log(request, request.world.store.where("audit", path=request.text["resource_type"]))
