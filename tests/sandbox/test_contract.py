"""The contract covers every route, and its checks see violations."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

import pytest

from sandbox.engine import connector_types
from sandbox.server import contract
from sandbox.server.routing import ROUTES
from support import Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Api


def test_every_route_is_in_the_contract_and_the_other_way_round() -> None:
    importlib.import_module("sandbox.__main__")  # it registers every route

    def plain(template: str) -> str:
        return re.sub(r"\{\w+\}", "{}", template)

    routes = {(route.method, plain(route.template)) for route in ROUTES}
    known = {(operation.method, plain(operation.template)) for operation in contract.operations()}
    assert len(routes) > 80
    assert routes == known


def test_the_contract_finds_violations() -> None:
    get = contract.operation("GET", "/data_sources/1")
    assert get
    assert get.problems_of_response(200, {"id": "one"}), "an id is an integer"
    assert get.problems_of_response(299, {}), "there is no such status"
    assert get.problems_of_response(401, {"id": 1}), "it should be empty"
    assert get.problems_of_response(401, None) == []
    assert get.problems_of_request({"nonsense": "1"}, None), "there is no such parameter"
    post = contract.operation("POST", "/data_sinks")
    assert post
    assert post.problems_of_request({}, {"name": "x"}), "required fields are missing"
    complete = {"name": "x", "sink_type": "s3", "data_credentials_id": 1, "data_set_id": 2}
    assert post.problems_of_request({}, complete) == []


@pytest.mark.parametrize(
    ("query", "good"),
    [({"page": "1", "per_page": "100"}, True), ({"page": "one"}, False), ({"page": "1.5"}, False),
     ({"access_role": "all"}, True), ({"access_role": "nobody"}, False), ({"expand": "1"}, True),
     ({"expand": "perhaps"}, False), ({"page": "1", "per_page": "many"}, False)],
)  # fmt: skip
def test_every_value_of_a_query_is_held_against_the_contract(query: dict[str, str], good: bool) -> None:
    operation = contract.operation("GET", "/data_sources")
    assert operation
    assert (operation.problems_of_request(query, None) == []) is good


def test_a_request_that_breaks_the_contract_fails_its_test(
    sandbox: Sandbox, api: Api, contract_is_broken_on_purpose: None
) -> None:
    api.get("/data_sources?nonsense=1")
    last = sandbox.journal()[-1]
    assert last["contract"] == ["query 'nonsense' is not in the contract"], last
    sandbox.check_contract()
    assert any("nonsense" in problem for problem in sandbox.problems), sandbox.problems


def test_the_contract_names_what_is_not_built() -> None:
    names = contract.DOCUMENT["x-not-built"]
    assert sum(name.startswith("GET ") for name in names) > 40, names
    assert contract.is_not_built("GET", "/health/org/all")
    assert not contract.is_not_built("GET", "/nothing/here")


def test_the_engine_knows_the_connector_types_of_the_contract() -> None:
    assert set(contract.enum("ConnectorTypeDatabase")) == connector_types.DATABASES
    assert {*contract.enum("ConnectorTypeFile"), "file_upload"} == connector_types.FILES
    assert set(contract.enum("SourceType")) >= connector_types.WEBHOOKS
