"""Validators and validation schemas of a nexset send records to quarantine."""

from __future__ import annotations

import base64

from support import Sandbox


def test_a_validator_and_a_validation_schema_send_records_to_quarantine(sandbox: Sandbox, people: int) -> None:

    strict = "def transform(input, metadata, args):\n    return input['customer_id'] != 3\n"
    spec = {"language": "python", "encoding": "base64", "script": base64.b64encode(strict.encode()).decode()}
    body = {"name": "no-3", "output_type": "record", "reusable": True, "code_type": "jolt_custom"}
    body |= {"code_encoding": "none", "code": [{"operation": "nexla.custom", "spec": spec}]}
    _, validator = sandbox.api("POST", "/validators", body)
    schema = {"properties": {"customer_id": {"maximum": 10}}}
    more = {"output_validator_id": validator["id"], "output_validation_schema": schema, "has_custom_transform": False}
    body = {"name": "checked", "parent_data_set_id": people, "output_schema_validation_enabled": True, **more}
    _, child = sandbox.api("POST", "/data_sets", body)
    shown = sandbox.api("GET", f"/data_sets/{child['id']}?expand=1")[1]
    assert [op["operation"] for op in shown["transform"]["transforms"]] == ["nexla.schema.validator"]
    samples = sandbox.api("GET", f"/data_sets/{child['id']}/samples?output_only=true")[1]
    assert sorted(row["rawMessage"]["customer_id"] for row in samples) == [1, 2, 4, 5, 6, 7, 8, 9, 10]
