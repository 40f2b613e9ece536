"""Reading a command's JSON file: ``${VAR}`` from the environment, and errors that name the key.

This module avoids pydantic and jsonschema because importing them takes too long: an invalid file must be reported
within a few milliseconds. ``problems`` supports only the JSON Schema keywords that the bundle's own schemas use.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from helpers.core import redact
from helpers.core.errors import OperatorError, usage

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_NAMES = {"object": "an object", "array": "a list", "string": "a string", "integer": "an integer", "null": "null"}
Schema = dict[str, Any]


def read(
    path: str, schema: Schema, hint: str, environ: Mapping[str, str] | None = None, *, need_secrets: bool = True
) -> tuple[dict[str, Any], str]:
    """Read a config file, expand ``${VAR}`` and validate the result.

    Args:
        path: the file; ``-`` reads standard input.
        schema: the JSON Schema that the expanded object must match.
        hint: what to do about an invalid file.
        environ: where variables are looked up; default ``os.environ``.
        need_secrets: whether variables inside ``credentials`` must be set; a teardown does not need them.

    Returns:
        The object, and a digest (12 hex digits) of the file before expansion.

    Raises:
        OperatorError: USAGE, naming the file and the key.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        raw = json.loads(
            text, object_pairs_hook=_reject_duplicate_keys, parse_constant=_reject_number, parse_float=_finite
        )
    except OSError as error:
        raise usage(f"cannot read the config {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise usage(f"{path} is not valid JSON: {error}", hint) from error
    if not isinstance(raw, dict):
        raise usage(f"{path} must contain one JSON object", hint)
    missing: list[str] = []
    expanded = _expand(raw, os.environ if environ is None else environ, missing, need_secrets=need_secrets)
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        raise usage(f"{path} uses variables that are not set: {names}", "export them and run again")
    redact.remember_document(expanded)
    found = list(problems(expanded, schema, schema))
    if found:
        raise invalid_config(path, found, hint)
    return expanded, hashlib.sha256(text.encode()).hexdigest()[:12]


def invalid_config(path: str, found: list[str], hint: str) -> OperatorError:
    """The error for a file with these problems. The message lists the first five."""
    more = f" (and {len(found) - 5} more)" if len(found) > 5 else ""
    return usage(f"{path}: " + "; ".join(found[:5]) + more, hint)


def problems(value: Any, schema: Schema, root: Schema, where: str = "") -> Iterator[str]:
    """Where ``value`` violates ``schema``, one line per violation.

    Args:
        schema: the part of the schema that applies to ``value``.
        root: the complete schema, for its ``$defs``.
        where: dotted path of ``value`` in the file, for messages.
    """
    schema = _resolved(schema, root)
    if "anyOf" in schema:
        choices = [_resolved(choice, root) for choice in schema["anyOf"]]
        matching = [choice for choice in choices if _has_type(value, choice.get("type"))]
        if not matching:
            yield f"{where}: must be {' or '.join(_type_name(choice.get('type')) for choice in choices)}"
        elif all(any(problems(value, choice, root, where)) for choice in matching):
            yield from problems(value, matching[0], root, where)
    elif not _has_type(value, schema.get("type")):
        yield f"{where or 'the file'}: must be {_type_name(schema.get('type'))}"
    elif isinstance(value, dict):
        yield from _problems_of_object(value, schema, root, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems(item, schema.get("items", {}), root, f"{where}.{index}")
    else:
        yield from _problems_of_value(value, schema, where)


def _resolved(schema: Schema, root: Schema) -> Schema:
    return root["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _has_type(value: Any, kind: str | None) -> bool:
    """Whether the value has this JSON type; true and false are not numbers."""
    return kind is None or (isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)))


def _type_name(kind: str | None) -> str:
    return _NAMES.get(kind or "", f"a {kind}")


def _problems_of_object(value: dict[str, Any], schema: Schema, root: Schema, where: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{_join(where, key)}: is missing"
    for key, item in value.items():
        if key in known:
            yield from problems(item, known[key], root, _join(where, key))
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from problems(item, schema["additionalProperties"], root, _join(where, key))
        elif schema.get("additionalProperties", True) is False:
            near = difflib.get_close_matches(key, known, n=1)
            advice = f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            yield f"unknown key {_join(where, key)!r}{advice}"


def _problems_of_value(value: Any, schema: Schema, where: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: must be one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        if len(value.strip()) < schema.get("minLength", 0) or len(value) > schema.get("maxLength", len(value)):
            yield f"{where}: must have {_range_text(schema.get('minLength'), schema.get('maxLength'))} characters"
        elif "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{where}: must be {schema.get('description', 'like ' + schema['pattern'])}"
    elif isinstance(value, int | float):
        if not math.isfinite(value):
            yield f"{where}: must be a finite number"
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            yield f"{where}: must be {_range_text(schema.get('minimum'), schema.get('maximum'))}"
        if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
            yield f"{where}: must be greater than {schema['exclusiveMinimum']}"


def _range_text(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at most {high}" if low is None else f"at least {low}"
    return f"between {low} and {high}"


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _reject_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _reject_number(text)


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(f"an object contains the key {duplicates[0]!r} twice")
    return dict(pairs)


def _expand(value: Any, environ: Mapping[str, str], missing: list[str], *, need_secrets: bool) -> Any:
    """Expand ``${VAR}`` in every string. From then on, the values are redacted as secrets."""
    if isinstance(value, dict):
        return {
            key: item
            if not need_secrets and key in ("credentials", "template_config")
            else _expand(item, environ, missing, need_secrets=need_secrets)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_expand(item, environ, missing, need_secrets=need_secrets) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if match[1] not in environ:
            missing.append(match[1])
            return match[0]
        redact.remember(environ[match[1]])
        return environ[match[1]]

    return _VARIABLE.sub(replace, value)
