"""The API contract (contract.yaml) as a checker of requests and responses.

contract.yaml is an OpenAPI 3.1 document, trimmed to the operations that the sandbox serves. The other operations of the
real API are listed under ``x-not-built``; requests to them get 501.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

DOCUMENT: dict[str, Any] = yaml.load(
    Path(__file__).with_name("contract.yaml").read_text(encoding="utf-8"),
    Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),  # noqa: S506 - both are safe loaders, the C one is fast
)
COMPONENTS = DOCUMENT["components"]


def _pattern(template: str, parameters: list[dict[str, Any]]) -> re.Pattern[str]:
    def capture(match: re.Match[str]) -> str:
        schema: dict[str, Any] = next((p["schema"] for p in parameters if p["name"] == match[1]), {})
        if "enum" in schema:
            return "(" + "|".join(schema["enum"]) + ")"
        return r"(\d+)" if schema.get("type") == "integer" else "([^/]+)"

    return re.compile(re.sub(r"\{(\w+)\}", capture, template))


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = DOCUMENT
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = target
    return node


class Operation:
    """One method of one path."""

    def __init__(self, method: str, template: str, path_item: dict[str, Any]) -> None:
        self.method, self.template = method, template
        node = path_item[method.lower()]
        self.parameters = [_resolve(p) for p in path_item.get("parameters", []) + node.get("parameters", [])]
        self.pattern = _pattern(template, self.parameters)
        self.body = node.get("requestBody")
        self.responses = {code: _resolve(response) for code, response in node["responses"].items()}

    def problems_of_request(self, query: dict[str, str], body: Any) -> list[str]:
        """How a request breaks the contract; empty when it does not."""
        known = {p["name"]: p["schema"] for p in self.parameters if p["in"] == "query"}
        problems = [f"query {name!r} is not in the contract" for name in query if name not in known]
        for name, value in query.items():
            if name in known and not any(_validator(known[name]).is_valid(form) for form in _readings(value)):
                problems.append(f"query {name}={value!r} does not fit {_resolve(known[name])}")
        if self.body and (body is not None or self.body.get("required")):
            schema = self.body["content"]["application/json"]["schema"]
            problems += [f"body: {text}" for text in _errors(schema, body)]
        return problems

    def problems_of_response(self, status: int, body: Any) -> list[str]:
        """How a response breaks the contract; empty when it does not. An empty body (None) fits every known status."""
        response = self.responses.get(str(status)) or self.responses.get("default")
        if response is None:
            return [f"status {status} is not in the contract"]
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        if body is None:
            return []
        if schema is None:
            return [f"status {status} should have an empty body"]
        return [f"response: {text}" for text in _errors(schema, body)]


def _readings(value: str) -> list[Any]:
    """What a query value can mean: text, integer, or boolean (nexla-sdk sends Python's True and False)."""
    forms: list[Any] = [value]
    if re.fullmatch(r"-?\d+", value):
        forms.append(int(value))
    if value.lower() in ("true", "false", "1", "0"):
        forms.append(value.lower() in ("true", "1"))
    return forms


_VALIDATORS: dict[int, Any] = {}  # compiled schemas by their identity: the contract is a constant and holds them all


def _validator(schema: dict[str, Any]) -> Any:
    key = id(schema)
    if key not in _VALIDATORS:
        _VALIDATORS[key] = jsonschema_rs.Draft202012Validator(
            {"allOf": [schema], "components": COMPONENTS}, validate_formats=False
        )
    return _VALIDATORS[key]


def _errors(schema: dict[str, Any], value: Any) -> list[str]:
    validator = _validator(schema)
    if validator.is_valid(value):
        return []
    return [f"{'/'.join(map(str, e.instance_path))}: {e.message[:200]}" for e in validator.iter_errors(value)][:5]


@cache
def operations() -> list[Operation]:
    """Every operation of the contract, literal paths before those with placeholders."""
    known = [
        Operation(method.upper(), template, item)
        for template, item in DOCUMENT["paths"].items()
        for method in ("get", "post", "put", "delete")
        if method in item
    ]
    return sorted(known, key=lambda op: op.template.count("{"))


def operation(method: str, path: str) -> Operation | None:
    """The operation of a request, if the contract has it."""
    return next((op for op in operations() if op.method == method and op.pattern.fullmatch(path)), None)


@cache
def _not_built() -> list[tuple[str, re.Pattern[str]]]:
    names = [entry.split(" ", 1) for entry in DOCUMENT["x-not-built"]]
    return [(method, re.compile(re.sub(r"\{\w+\}", "[^/]+", template))) for method, template in names]


def is_not_built(method: str, path: str) -> bool:
    """Whether the real API has an operation that the sandbox lacks."""
    return any(m == method and pattern.fullmatch(path) for m, pattern in _not_built())


def enum(schema: str) -> list[str]:
    """The values of a named enumeration, e.g. ``SourceType`` or ``ConnectorTypeFile``."""
    values: list[str] = COMPONENTS["schemas"][schema]["enum"]
    return values
