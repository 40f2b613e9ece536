"""JSON Schemas of records: inferring one from samples, and comparing two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.core.kinds import Row

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
_NAMES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def infer(records: list[Any]) -> Schema:
    """The narrowest JSON Schema (draft 7) that every record satisfies.

    Types are those that occur (integer and number together become number), null is allowed where it occurs, and a field
    is required if every object has it. Unknown fields are allowed.
    """
    return {"$schema": DRAFT, **_infer(records)}


def _infer(values: list[Any]) -> Schema:
    kinds = {_kind(value) for value in values}
    if {"integer", "number"} <= kinds:
        kinds.discard("integer")
    schema: Schema = {"type": sorted(kinds)[0] if len(kinds) == 1 else sorted(kinds)} if kinds else {}
    objects = [value for value in values if isinstance(value, dict)]
    if objects:
        names = list(dict.fromkeys(name for value in objects for name in value))
        schema["properties"] = {name: _infer([o[name] for o in objects if name in o]) for name in names}
        schema["required"] = [name for name in names if all(name in value for value in objects)]
    items = [item for value in values if isinstance(value, list) for item in value]
    if items:
        schema["items"] = _infer(items)
    return schema


def _kind(value: Any) -> str:
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else _NAMES[type(value)]


def without_nulls(value: Any) -> Any:
    """A record without null fields: the server's own schemas do not cover null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


Shape = tuple[frozenset[str], bool, bool]  # types without null; whether it may be null; whether it may be missing


def drift(before: Schema, after: Schema) -> list[Row]:
    """Every difference between two schemas, and whether it breaks a reader of the old one.

    A reader breaks if a field is removed, changes its type (except from number to integer, or from anything to a type),
    or may now be null or missing. Keywords such as ``$ref`` and ``anyOf`` are not interpreted: such a field counts as
    anything.

    Returns:
        Rows with ``field``, ``change``, ``before``, ``after`` and ``breaking``, sorted by field.
    """
    old, new = dict(_fields(before)), dict(_fields(after))
    roots = _shape(before), _shape(after)
    rows = list(_changes("(record)", *roots)) if roots[0][0] and roots[1][0] else []
    for path in sorted({*old, *new}):
        if path not in new:
            rows.append(_row(path, "removed", _text(old[path]), None, breaking=True))
        elif path not in old:
            rows.append(_row(path, "added", None, _text(new[path]), breaking=False))
        else:
            rows += _changes(path, old[path], new[path])
    return rows


def _row(path: str, change: str, before: str | None, after: str | None, *, breaking: bool) -> Row:
    return {"field": path, "change": change, "before": before, "after": after, "breaking": breaking}


def _text(shape: Shape) -> str:
    types, nullable, optional = shape
    marks = [mark for mark, is_set in (("null", nullable), ("missing", optional)) if is_set]
    known = " or ".join(sorted(types)) or ("anything" if not nullable else "always null")
    return known + (f", may be {' or '.join(marks)}" if marks else "")


def _changes(path: str, old: Shape, new: Shape) -> Iterator[Row]:
    shown = _text(old), _text(new)
    if old[0] != new[0]:
        anything = not old[0] and not old[1]  # no type at all, not even null
        fits = anything or (new[0] and new[0] <= old[0] | ({"integer"} if "number" in old[0] else set()))
        yield _row(path, "type changed", *shown, breaking=not fits)
    for place, name in ((1, "nullable changed"), (2, "optional changed")):
        if old[place] != new[place]:
            yield _row(path, name, *shown, breaking=bool(new[place]))


def _shape(schema: Schema) -> Shape:
    types = schema.get("type", [])
    kinds = frozenset(types if isinstance(types, list) else [types])
    return kinds - {"null"}, "null" in kinds, False


def _fields(schema: Schema, path: str = "", *, optional: bool = False) -> Iterator[tuple[str, Shape]]:
    """Every field as (path, shape)."""
    if path:
        yield path, (*_shape(schema)[:2], optional)
    required, inside = schema.get("required"), schema.get("properties")
    for name, inner in (inside if isinstance(inside, dict) else {}).items():
        missing = isinstance(required, list) and name not in required
        yield from _fields(
            inner if isinstance(inner, dict) else {}, f"{path}.{name}" if path else name, optional=missing
        )
    if isinstance(schema.get("items"), dict):
        yield from _fields(schema["items"], f"{path}[]")
