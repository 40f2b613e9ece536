"""Transforms really run: on samples, in a child process when they are Python, and within limits."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engine import transforming

if TYPE_CHECKING:
    from tests.sandbox.conftest import Api


def derived(api: Api, transform: dict[str, Any]) -> dict[str, Any]:
    """A nexset that is derived from the demo's orders."""
    body = {"name": "d", "parent_data_set_id": 123, "has_custom_transform": False, "transform": transform}
    nexset: dict[str, Any] = api.post("/data_sets", body)
    return nexset


def outcomes(script: str) -> list[tuple[Any, str | None]]:
    """What a Python script makes of two records, the second of which has a zero."""
    spec = {"language": "python", "encoding": "none", "script": script}
    return transforming.apply({"code": [{"operation": "nexla.custom", "spec": spec}]}, [{"a": 1}, {"a": 0}])


def test_samples_of_derived_nexsets_are_pairs(api: Api) -> None:
    ops = [{"operation": "shift", "spec": {"order_id": "id"}}]
    path = f"/data_sets/{derived(api, {'version': 1, 'data_maps': [], 'transforms': ops})['id']}"
    (pair,) = api.get(f"{path}/samples?count=1")
    record = pair["output"]["rawMessage"]
    assert record == {"id": pair["input"]["rawMessage"]["order_id"]}
    (output,) = api.get(f"{path}/samples?count=1&output_only=1")
    assert output["rawMessage"] == record
    bare = api.get(f"{path}/samples?count=1&live=true&include_metadata=False&output_only=true")
    assert bare == [record]


def test_an_expanded_nexset_shows_its_transform_and_schema(api: Api) -> None:
    ops = [{"operation": "shift", "spec": {"order_id": "id"}}]
    path = f"/data_sets/{derived(api, {'version': 1, 'data_maps': [], 'transforms': ops})['id']}"
    expanded = api.get(f"{path}?expand=1")
    assert expanded["transform"]["transforms"] == ops
    assert list(expanded["output_schema"]["properties"]) == ["id"]
    assert "transform" not in api.get(path)


def test_python_transforms_run_on_samples(api: Api) -> None:
    script = "def transform(input, metadata, args):\n    return {'n': input['quantity'] * 2}\n"
    spec = {"language": "python", "encoding": "base64", "script": base64.b64encode(script.encode()).decode()}
    nexset = derived(api, {"transforms": [{"operation": "nexla.custom", "spec": spec}]})
    pair = api.get(f"/data_sets/{nexset['id']}/samples")[0]
    assert pair["output"]["rawMessage"]["n"] == pair["input"]["rawMessage"]["quantity"] * 2


def test_python_transforms_run_in_a_child_with_limits() -> None:
    good, bad = outcomes("def transform(i, m, a):\n    return {'x': 1 / i['a']}")
    assert good == ({"x": 1.0}, None)
    output, error = bad
    assert output is None
    assert "ZeroDivisionError" in str(error)
    with pytest.raises(transforming.TransformError):
        outcomes("this is no python")
    _, error = outcomes("def transform(i, m, a):\n    return {'x': len('y' * (1 << 33))}")[0]
    assert str(error).startswith("MemoryError")
