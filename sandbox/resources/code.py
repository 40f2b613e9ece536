"""/transforms, /attribute_transforms and /code_containers, and how nexsets hold their code."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from sandbox.engine import samples, transforming
from sandbox.engine.transforming import TransformError
from sandbox.resources.base import base_view, fetch, visible
from sandbox.server import contract
from sandbox.server.routing import Answer, ApiError, Handler, Request, check_text, filtered, newest_first, page, route
from sandbox.state.store import Doc
from sandbox.state.world import World

KIND = "code"
MUTABLE = (
    "name",
    "description",
    "reusable",
    "resource_type",
    "output_type",
    "code_type",
    "code_encoding",
    "code_config",
    "custom_config",
    "code",
    "tags",
)
ENUMS = {"code_type": "CodeType", "code_encoding": "CodeEncoding", "output_type": "OutputType"}
PATHS: dict[str, tuple[str, Callable[[Doc], bool]]] = {
    "transforms": ("transform_id", lambda doc: doc["output_type"] == "record" and doc["resource_type"] != "validator"),
    "attribute_transforms": ("attribute_transform_id", lambda doc: doc["output_type"] == "attribute"),
    "validators": ("validator_id", lambda doc: doc["resource_type"] == "validator"),
    "code_containers": ("code_container_id", lambda _: True),
}


FORCED: dict[str, Doc] = {
    "transforms": {"output_type": "record"},
    "attribute_transforms": {"output_type": "attribute"},
    "validators": {"output_type": "record", "resource_type": "validator", "reusable": True},
}


def view(request: Request, doc: Doc) -> Doc:
    users = request.world.store.where("nexsets", code_container_id=doc["id"])
    return {
        **base_view(request, doc),
        "access_roles": [request.world.role(request.user, doc) or "collaborator"],  # what is public, anybody may read
        "reusable": doc["reusable"],
        "resource_type": doc["resource_type"],
        "output_type": doc["output_type"],
        "code_type": doc["code_type"],
        "code_encoding": doc["code_encoding"],
        "code_config": doc.get("code_config"),
        "custom_config": doc.get("custom_config"),
        "code": doc.get("code"),
        "public": bool(doc.get("public")),
        "managed": False,
        "data_sets": [row["id"] for row in users],
        "tags": doc.get("tags") or [],
    }


def wrapper(container: Doc | None, validator: Doc | None = None) -> Doc:
    """A container as the ``transform`` of an expanded nexset; its output validator is shown as one more operation."""
    ops = transforming.operations(container) if container else []
    ops = [*ops, transforming.validator_operation(validator)] if validator else ops
    config = container.get("custom_config") if container else None
    shown: Doc = {"version": 1, "data_maps": [], "transforms": ops, "custom_config": config}
    if container and container["code_type"] == "jolt_custom":
        shown["custom"] = True
    return shown


def validate(doc: Doc) -> None:
    """What the four container routes refuse: values outside the enums, and code of the wrong form."""
    check_text(doc)
    for key, schema in ENUMS.items():
        if doc[key] not in contract.enum(schema):
            raise ApiError(400, f"'{doc[key]}' is not a valid {key}")
    value = doc.get("code")
    if doc["code_type"].startswith("jolt"):
        if not isinstance(value, list) or not all(isinstance(op, dict) and "operation" in op for op in value):
            raise ApiError(400, "Invalid code format")
        try:
            transforming.apply(doc, [])
        except TransformError as error:
            raise ApiError(400, str(error)) from error
    elif not isinstance(value, str) or not value:
        raise ApiError(400, "Invalid code format")
    elif doc["code_encoding"] == "base64":
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ApiError(400, "Invalid code format") from error


def new_container(request: Request, body: Doc, **forced: Any) -> Doc:
    doc: Doc = {
        "reusable": False,
        "resource_type": "transform",
        "output_type": "record",
        "code_type": "jolt_standard",
        "code_encoding": "none",
        "owner_id": request.user["id"],
        "org_id": request.user["org_id"],
        **{key: body[key] for key in MUTABLE if body.get(key) is not None},
        **forced,
    }
    return doc


def _save(request: Request, doc: Doc, *, new: bool = False) -> Doc:
    return request.world.store.put(KIND, request.world.stamp(doc, new=new))


def _find(request: Request, name: str, need: str) -> Doc:
    parameter, fits = PATHS[name]
    doc = fetch(request, KIND, request.ids[parameter], need)
    if not fits(doc):
        raise ApiError(404)
    return doc


def _index(name: str) -> Handler:
    fits = PATHS[name][1]

    def index(request: Request) -> Answer:
        rows = [row for row in visible(request, KIND) if fits(row)]
        reusable = request.query.get("reusable", "all" if name == "code_containers" else "1")
        if reusable not in ("all", "0"):
            rows = [row for row in rows if row["reusable"]]
        part, headers = page(request, newest_first(request, filtered(request, rows)))
        return Answer([view(request, row) for row in part], headers)

    return index


def _public(name: str) -> Handler:
    fits = PATHS[name][1]

    def public(request: Request) -> Answer:
        rows = [row for row in request.world.store.all(KIND) if row.get("public") and fits(row)]
        part, headers = page(request, newest_first(request, rows))
        return Answer([view(request, row) for row in part], headers)

    return public


def _create(name: str) -> Handler:
    forced = FORCED.get(name, {})

    def create(request: Request) -> Doc:
        body = request.object()
        if not body.get("name"):
            raise ApiError(400, "Invalid resource. Are you missing a required field?")
        if name == "attribute_transforms":
            body = {"reusable": True, **body}
        doc = new_container(request, body, **forced)
        validate(doc)
        return view(request, _save(request, doc, new=True))

    return create


def _show(name: str) -> Handler:
    def show(request: Request) -> Doc:
        return view(request, _find(request, name, "collaborator"))

    return show


def _update(name: str) -> Handler:
    def update(request: Request) -> Doc:
        doc = _find(request, name, "admin")
        body = request.object()
        if "public" in body:
            raise ApiError(405, "Only super users may change public")
        changed = {**doc, **{key: body[key] for key in MUTABLE if body.get(key) is not None}}
        validate(changed)
        doc |= changed
        for nexset in request.world.store.where("nexsets", code_container_id=doc["id"]):
            samples.refresh_derived(request.world, nexset)
        return view(request, _save(request, doc))

    return update


def _delete(name: str) -> Handler:
    def delete(request: Request) -> Answer:
        doc = _find(request, name, "admin")
        users = [row["id"] for row in request.world.store.where("nexsets", code_container_id=doc["id"])]
        if users:
            raise ApiError(405, f"Code container is in use by one or more data sets: {users}")
        request.world.store.delete(KIND, doc["id"])
        return Answer()

    return delete


def _copy(name: str) -> Handler:
    def copy(request: Request) -> Doc:
        doc = _find(request, name, "admin")
        twin = new_container(request, doc, copied_from_id=doc["id"])
        return view(request, _save(request, twin, new=True))

    return copy


for _name, (_parameter, _) in PATHS.items():
    route("GET", f"/{_name}")(_index(_name))
    route("POST", f"/{_name}")(_create(_name))
    route("GET", f"/{_name}/public")(_public(_name))
    route("GET", f"/{_name}/{{{_parameter}}}")(_show(_name))
    route("PUT", f"/{_name}/{{{_parameter}}}")(_update(_name))
    route("DELETE", f"/{_name}/{{{_parameter}}}")(_delete(_name))
    route("POST", f"/{_name}/{{{_parameter}}}/copy")(_copy(_name))


def _reusable(request: Request, number: int, refusal: str) -> Doc:
    doc = fetch(request, KIND, number)
    if not doc["reusable"]:
        raise ApiError(400, refusal)
    return doc


def _inline(transform: Any) -> tuple[list[Doc], str, Any]:
    """Operations, code_type and custom_config of an inline transform: wrapper, bare list, or one operation."""
    if isinstance(transform, list):
        return transform, "jolt_standard", None
    if "transforms" in transform:
        kind = "jolt_custom" if transform.get("custom") else "jolt_standard"
        return transform["transforms"], kind, transform.get("custom_config")
    return ([transform] if transform else []), "jolt_standard", None


def _own_container(request: Request, name: str, transform: Any) -> int | None:
    ops, kind, config = _inline(transform)
    if not ops and kind == "jolt_standard":
        return None
    body = {"name": f"{name} (Transform)", "code_type": kind, "code": ops, "custom_config": config}
    number: int = _save(request, new_container(request, body), new=True)["id"]
    return number


def for_new_nexset(request: Request, body: Doc) -> int | None:
    """The container id of a nexset that is being created; ``transform_id`` beats an inline transform."""
    if body.get("transform_id"):
        number: int = _reusable(request, body["transform_id"], "Input transform is not reusable")["id"]
        return number
    if body.get("transform"):
        return _own_container(request, body.get("name") or "", body["transform"])
    if body.get("has_custom_transform"):  # an empty container of its own
        return _own_container(request, body.get("name") or "", {"transforms": [], "custom": True})
    return None


def change_of_nexset(request: Request, doc: Doc, body: Doc) -> None:
    """Apply the transform keys of a nexset update. An inline edit changes the attached container in place, shared or
    not; null detaches, and a replaced container that nobody may reuse goes."""
    old = doc.get("code_container_id")
    if "transform_id" in body:
        number = body["transform_id"]
        if number is not None:
            container = _reusable(request, number, "Cannot reuse that code container")
            if container["output_type"] == "attribute":
                raise ApiError(400, "Invalid code container for transform")
        doc["code_container_id"] = number
        if old != number:
            drop_unshared(request.world, old)
    if body.get("transform") is not None and not body.get("transform_id"):
        attached = request.world.store.get(KIND, doc.get("code_container_id"))
        if attached is None:
            doc["code_container_id"] = _own_container(request, doc.get("name") or "", body["transform"])
            return
        ops, kind, config = _inline(body["transform"])
        if not ops and kind == "jolt_standard":  # empty: the nexset is left without one
            doc["code_container_id"] = None
            drop_unshared(request.world, attached["id"])
            return
        attached |= {"code": ops, "code_type": kind, "custom_config": config, "code_encoding": "none"}
        _save(request, attached)


def drop_unshared(world: World, number: int | None) -> None:
    """Destroy a container that is not reusable and no longer used."""
    doc = world.store.get(KIND, number)
    if doc and not doc["reusable"] and not world.store.where("nexsets", code_container_id=doc["id"]):
        world.store.delete(KIND, doc["id"])
