"""How a nexset holds its transform: a reusable container, or an inline transform in a container of its own."""

from __future__ import annotations

from typing import Any

from sandbox.engine import transforming
from sandbox.resources.base import fetch
from sandbox.resources.code import KIND, new_container, save
from sandbox.server.routing import ApiError, Request
from sandbox.state.store import Doc
from sandbox.state.world import World


def transform_view(container: Doc | None, validator: Doc | None = None) -> Doc:
    """The ``transform`` of an expanded nexset; its output validator is shown as the last operation."""
    ops = transforming.operations(container) if container else []
    ops = [*ops, transforming.validator_operation(validator)] if validator else ops
    config = container.get("custom_config") if container else None
    shown: Doc = {"version": 1, "data_maps": [], "transforms": ops, "custom_config": config}
    if container and container["code_type"] == "jolt_custom":
        shown["custom"] = True
    return shown


def _reusable(request: Request, container_id: int, refusal: str) -> Doc:
    doc = fetch(request, KIND, container_id)
    if not doc["reusable"]:
        raise ApiError(400, refusal)
    return doc


def _inline(transform: Any) -> tuple[list[Doc], str, Any]:
    """Operations, code_type and custom_config of an inline transform: a wrapper, a list, or a single operation."""
    if isinstance(transform, list):
        return transform, "jolt_standard", None
    if "transforms" in transform:
        code_type = "jolt_custom" if transform.get("custom") else "jolt_standard"
        return transform["transforms"], code_type, transform.get("custom_config")
    return ([transform] if transform else []), "jolt_standard", None


def _own_container(request: Request, name: str, transform: Any) -> int | None:
    """Store an inline transform. Returns the container's id; None for an empty transform."""
    ops, code_type, config = _inline(transform)
    if not ops and code_type == "jolt_standard":
        return None
    body = {"name": f"{name} (Transform)", "code_type": code_type, "code": ops, "custom_config": config}
    container_id: int = save(request, new_container(request, body), new=True)["id"]
    return container_id


def container_for_new(request: Request, body: Doc) -> int | None:
    """The container id for a nexset that is being created. ``transform_id`` takes precedence over ``transform``.

    Raises:
        ApiError: 404 or 403, the container cannot be used; 400, it is not reusable.
    """
    if body.get("transform_id"):
        container_id: int = _reusable(request, body["transform_id"], "Input transform is not reusable")["id"]
        return container_id
    if body.get("transform"):
        return _own_container(request, body.get("name") or "", body["transform"])
    if body.get("has_custom_transform"):  # it gets an empty container of its own
        return _own_container(request, body.get("name") or "", {"transforms": [], "custom": True})
    return None


def change(request: Request, nexset: Doc, body: Doc) -> None:
    """Apply the transform keys of a nexset update.

    An inline edit changes the attached container in place, shared or not; null detaches. A container that is replaced
    and that nobody may reuse is deleted (public server sources).

    Raises:
        ApiError: 404, 403 or 400, the container cannot be attached.
    """
    if "transform_id" in body:
        _attach(request, nexset, body["transform_id"])
    if body.get("transform") is not None and not body.get("transform_id"):
        _edit_inline(request, nexset, body["transform"])


def _attach(request: Request, nexset: Doc, container_id: int | None) -> None:
    previous = nexset.get("code_container_id")
    if container_id is not None:
        container = _reusable(request, container_id, "Cannot reuse that code container")
        if container["output_type"] == "attribute":
            raise ApiError(400, "Invalid code container for transform")
    nexset["code_container_id"] = container_id
    if previous != container_id:
        drop_unshared(request.world, previous)


def _edit_inline(request: Request, nexset: Doc, transform: Any) -> None:
    attached = request.world.store.get(KIND, nexset.get("code_container_id"))
    if attached is None:
        nexset["code_container_id"] = _own_container(request, nexset.get("name") or "", transform)
        return
    ops, code_type, config = _inline(transform)
    if not ops and code_type == "jolt_standard":  # an empty transform detaches
        nexset["code_container_id"] = None
        drop_unshared(request.world, attached["id"])
        return
    attached |= {"code": ops, "code_type": code_type, "custom_config": config, "code_encoding": "none"}
    save(request, attached)


def drop_unshared(world: World, container_id: int | None) -> None:
    """Delete a container that is not reusable and that no nexset uses any longer."""
    doc = world.store.get(KIND, container_id)
    if doc and not doc["reusable"] and not world.store.where("nexsets", code_container_id=doc["id"]):
        world.store.delete(KIND, doc["id"])
