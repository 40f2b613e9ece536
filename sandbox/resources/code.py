"""/transforms, /attribute_transforms, /validators and /code_containers: four views of the same code containers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.engine import samples, transforming
from sandbox.engine.transforming import TransformError
from sandbox.resources.base import MISSING_FIELD, base_view, check_text, fetch, visible
from sandbox.resources.lists import filtered, newest_first, page
from sandbox.server import contract
from sandbox.server.routing import ApiError, Handler, Request, Response, route
from sandbox.state.store import Doc

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


@dataclass(frozen=True)
class Family:
    """One of the four routes: which containers it shows, and the fields that it forces on those it creates."""

    path: str
    parameter: str
    includes: Callable[[Doc], bool]
    forced: Doc


FAMILIES = (
    Family(
        "transforms",
        "transform_id",
        lambda doc: doc["output_type"] == "record" and doc["resource_type"] != "validator",
        {"output_type": "record"},
    ),
    Family(
        "attribute_transforms",
        "attribute_transform_id",
        lambda doc: bool(doc["output_type"] == "attribute"),
        {"output_type": "attribute"},
    ),
    Family(
        "validators",
        "validator_id",
        lambda doc: bool(doc["resource_type"] == "validator"),
        {"output_type": "record", "resource_type": "validator", "reusable": True},
    ),
    Family("code_containers", "code_container_id", lambda _: True, {}),
)


def view(request: Request, doc: Doc) -> Doc:
    """A container, with the ids of the nexsets that use it."""
    users = request.world.store.where("nexsets", code_container_id=doc["id"])
    return {
        **base_view(request, doc),
        "access_roles": [request.world.role(request.user, doc) or "collaborator"],  # everybody may read a public one
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


def _validate(doc: Doc) -> None:
    """Check a container's enumerations and the form of its code.

    Raises:
        ApiError: 400, a value is not in its enumeration, or the code is malformed or does not compile.
    """
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
    """A container from a request's body, with the server's defaults; it is not stored yet."""
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


def save(request: Request, doc: Doc, *, new: bool = False) -> Doc:
    """Store a container and return it."""
    return request.world.store.put(KIND, request.world.stamp(doc, new=new))


def _find(request: Request, family: Family, needed: str) -> Doc:
    doc = fetch(request, KIND, request.ids[family.parameter], needed)
    if not family.includes(doc):
        raise ApiError(404)
    return doc


def _index(family: Family) -> Handler:
    def index(request: Request) -> Response:
        """Only reusable containers unless ``reusable`` says otherwise; /code_containers lists all by default."""
        rows = [row for row in visible(request, KIND) if family.includes(row)]
        reusable = request.query.get("reusable", "all" if family.path == "code_containers" else "1")
        if reusable not in ("all", "0"):
            rows = [row for row in rows if row["reusable"]]
        part, headers = page(request, newest_first(request, filtered(request, rows)))
        return Response([view(request, row) for row in part], headers)

    return index


def _public(family: Family) -> Handler:
    def public(request: Request) -> Response:
        rows = [row for row in request.world.store.all(KIND) if row.get("public") and family.includes(row)]
        part, headers = page(request, newest_first(request, rows))
        return Response([view(request, row) for row in part], headers)

    return public


def _create(family: Family) -> Handler:
    def create(request: Request) -> Doc:
        body = request.object()
        if not body.get("name"):
            raise ApiError(400, MISSING_FIELD)
        if family.path == "attribute_transforms":
            body = {"reusable": True, **body}
        doc = new_container(request, body, **family.forced)
        _validate(doc)
        return view(request, save(request, doc, new=True))

    return create


def _show(family: Family) -> Handler:
    def show(request: Request) -> Doc:
        return view(request, _find(request, family, "collaborator"))

    return show


def _update(family: Family) -> Handler:
    def update(request: Request) -> Doc:
        doc = _find(request, family, "admin")
        body = request.object()
        if "public" in body:
            raise ApiError(405, "Only super users may change public")
        given = {key: body[key] for key in MUTABLE if key in body and (key == "description" or body[key] is not None)}
        changed = {**doc, **given}
        _validate(changed)
        doc |= changed
        for nexset in request.world.store.where("nexsets", code_container_id=doc["id"]):
            samples.refresh_derived(request.world, nexset)
        return view(request, save(request, doc))

    return update


def _delete(family: Family) -> Handler:
    def delete(request: Request) -> Response:
        doc = _find(request, family, "admin")
        users = [row["id"] for row in request.world.store.where("nexsets", code_container_id=doc["id"])]
        if users:
            raise ApiError(405, f"Code container is in use by one or more data sets: {users}")
        request.world.store.delete(KIND, doc["id"])
        return Response()

    return delete


def _copy(family: Family) -> Handler:
    def copy(request: Request) -> Doc:
        doc = _find(request, family, "admin")
        duplicate = new_container(request, doc, copied_from_id=doc["id"])
        return view(request, save(request, duplicate, new=True))

    return copy


for _family in FAMILIES:
    _list, _item = f"/{_family.path}", f"/{_family.path}/{{{_family.parameter}}}"
    route("GET", _list)(_index(_family))
    route("POST", _list)(_create(_family))
    route("GET", f"{_list}/public")(_public(_family))
    route("GET", _item)(_show(_family))
    route("PUT", _item)(_update(_family))
    route("DELETE", _item)(_delete(_family))
    route("POST", f"{_item}/copy")(_copy(_family))
