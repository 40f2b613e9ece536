"""A command's JSON file: what is refused, in which words, and that our check agrees with the jsonschema library."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.core import config_file
from helpers.core.errors import Exit, OperatorError
from helpers.deploy import config as flow_config
from helpers.deploy import model
from support import ROOT

SCHEMA = json.loads(flow_config.SCHEMA_FILE.read_text())
VALID = json.loads((ROOT / "examples" / "flows" / "orders-two-destinations.json").read_text())
SOURCE, SINKS = VALID["source"], VALID["destinations"]
LEGAL = [
    VALID,
    {"source": SOURCE},
    {"source": SOURCE, "nexsets": VALID["nexsets"]},
    {"source": SOURCE, "destination": SINKS[0], "nexset": {"name": "a"}, "nexsets": []},
    {"destination": {**SINKS[0], "data_set_id": 5}, "tags": ["a"], "verify": {}},
    {"destinations": [{**sink, "data_set_id": 5} for sink in SINKS], "source": None, "credential_id": 7},
]
VALUES = [None, True, 0, -1, 7, 2.5, "", "a", "0 0 6 * * ?", "x" * 300, [], [1], ["a"], {}, {"name": "n"}]


def paths(value: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [so_far, *(path for key, item in items for path in paths(item, (*so_far, key)))]


TOP_KEYS = [(key,) for key in SCHEMA["properties"]]
PIECES = [SOURCE, SINKS[0], SINKS, VALID["nexsets"], {"fields": ["a"]}, {"name": "a", "fields": ["a"]}, "  ", " a"]


@st.composite
def edited_configs(draw: st.DrawFn) -> Any:
    """A legal config with up to three edits: a value is set or dropped, or an object gets one more key."""
    document = copy.deepcopy(draw(st.sampled_from(LEGAL)))
    known = [
        ("data_set_id",),
        ("nexset",),
        ("credential",),
        ("data_credentials_id",),
        ("transform",),
        ("transform_id",),
    ]
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from([*paths(document)[1:], *TOP_KEYS]))
        action, value = draw(st.sampled_from(["set", "drop", "add"])), draw(st.sampled_from([*VALUES, *PIECES]))
        extra = draw(st.sampled_from(["new", *(key for (key,) in known)]))
        place = document
        try:
            for part in path[:-1]:
                place = place[part]
            if action == "set":
                place[path[-1]] = copy.deepcopy(value)
            elif action == "drop":
                del place[path[-1]]
            else:
                place[path[-1]][extra] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue
    return document


@pytest.mark.parametrize("document", LEGAL)
def test_a_legal_config_is_one_for_the_schema_the_checks_and_the_model(document: Any) -> None:
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)) == []
    assert [*config_file.problems(document, SCHEMA, SCHEMA), *flow_config.contradictions(document)] == []
    model.parse(flow_config.LoadedConfig("-", document, ""))


@settings(max_examples=400)
@given(edited_configs())
def test_the_checks_refuse_exactly_what_the_printed_schema_refuses(document: Any) -> None:
    ours = list(config_file.problems(document, SCHEMA, SCHEMA)) or list(flow_config.structure(document))
    assert bool(ours) == bool(list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(document))), ours
    if not ours and not list(flow_config.references(document)):
        model.parse(flow_config.LoadedConfig("-", document, ""))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "daily"}, "schedule: must be a Quartz cron with seconds"),
        ({"source": []}, "source: must be an object"),
        ({"source": {"source_type": "s3"}}, "source.name: is missing"),
        ({"source": {"name": "  ", "source_type": "s3"}}, "source.name: must have between 1 and 255 characters"),
        ({"credential_id": "7"}, "credential_id: must be an integer or null"),
        ({"credential_id": True}, "credential_id: must be an integer or null"),
        ({"credential_id": 0}, "credential_id: must be greater than 0"),
        ({"verify": {"min_records": -1}}, "verify.min_records: must be at least 0"),
        ({"tags": [3]}, "tags.0: must be a string"),
    ],
)
def test_a_refusal_names_the_key(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(VALID | change))
    with pytest.raises(OperatorError) as caught:
        flow_config.load(str(file), {"WAREHOUSE_PASSWORD": "x", "PARTNER_PASSWORD": "x"}, need_secrets=False)
    assert caught.value.code is Exit.USAGE
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"a": 1, "a": 2}', "contains the key 'a' twice"),
        ("[]", "must contain one JSON object"),
        ('{"source": "${NOT_SET_1}", "x": "${NOT_SET_2}"}', "not set: NOT_SET_1, NOT_SET_2"),
    ],
)
def test_a_file_that_is_no_config_says_why(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text(text)
    with pytest.raises(OperatorError, match=r"flow\.json") as caught:
        config_file.read(str(file), SCHEMA, "hint", {})
    assert message in caught.value.message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_what_json_has_no_number_for_is_refused(tmp_path: Path, number: str) -> None:
    """Python would read it, and the request could not be written."""
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(VALID)[:-1] + f', "credential_id": {number}}}')
    with pytest.raises(OperatorError, match="is not a JSON number") as caught:
        flow_config.load(str(file), {"WAREHOUSE_PASSWORD": "x", "PARTNER_PASSWORD": "x"})
    assert caught.value.code is Exit.USAGE
