"""validate_nexset.py: against an oracle, and never valid on too little."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.transforms import json_schema, quality, schemas
from helpers.transforms.rule_specs import FieldRule
from support import Done, Exit, Sandbox

PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
RECORDS = st.lists(
    st.dictionaries(
        st.sampled_from(["id", "email", "a", "b.c"]),
        PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.sampled_from(["x", "y"]), PLAIN, max_size=2),
        max_size=4,
    ),
    min_size=1,
    max_size=8,
)


def validate(sandbox: Sandbox, *args: str) -> Done:
    return sandbox.run_inside("validate_nexset.py", *args)


def samples(tmp_path: Path, records: Any, name: str = "samples.json") -> str:
    path = tmp_path / name
    path.write_text(json.dumps(records))
    return str(path)


# -- on the sandbox


def test_the_seeds_example(sandbox: Sandbox) -> None:
    args = ["--resource-id", "456", "--required", "customer_id,email", "--types", "customer_id:int,email:str"]
    done = validate(sandbox, *args).ok()
    assert done.data["valid"] is True
    wrong = validate(
        sandbox, "--resource-id", "456", "--required", "customer_id,phone", "--types", "customer_id:str"
    ).ends(Exit.FINDINGS)
    assert wrong.data["valid"] is False
    found = {row["rule"]: (row["checked"], row["failed"]) for row in wrong.data["rules"] if row["failed"]}
    assert found == {"required": (20, 20), "type str": (20, 20)}


def test_a_derived_nexset_is_judged_by_its_output(sandbox: Sandbox) -> None:
    body = {"name": "no pii", "parent_data_set_id": 123, "has_custom_transform": True, "transform_id": 123}
    _, child = sandbox.api("POST", "/data_sets", body)
    validate(sandbox, "--resource-id", str(child["id"]), "--required", "order_id").ok()
    validate(sandbox, "--resource-id", str(child["id"]), "--required", "ssn").ends(Exit.FINDINGS)
    drift = validate(sandbox, "--resource-id", str(child["id"]), "--compare", "123")
    assert {(row["field"], row["change"], row["breaking"]) for row in drift.data["drift"]} == {
        ("ssn", "removed", True), ("card_number", "removed", True)
    }  # fmt: skip
    drift.ends(Exit.FINDINGS)


def test_zero_and_too_few_samples_are_never_valid(sandbox: Sandbox, tmp_path: Path) -> None:
    empty = validate(sandbox, "--resource-id", "789", "--required", "id").ends(Exit.FINDINGS)
    assert empty.data["valid"] is False
    assert "only 0 samples" in empty.json["warnings"][0]
    few = samples(tmp_path, [{"id": 1}] * 4)
    validate(sandbox, "--samples", few, "--required", "id").ends(Exit.FINDINGS)
    validate(sandbox, "--samples", few, "--required", "id", "--min-samples", "4").ok()


def test_a_rule_that_nothing_was_checked_by_is_not_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    file = samples(tmp_path, [{"id": n, "when": None} for n in range(9)])
    done = validate(sandbox, "--samples", file, "--types", "when:date").ends(Exit.FINDINGS)
    assert done.data["rules"][0]["verdict"] == "nothing to check"


def test_the_nexsets_own_schema(sandbox: Sandbox) -> None:
    validate(sandbox, "--resource-id", "456", "--against-schema").ok()
    body = {"rawMessage": {"customer_id": "seven"}, "nexlaMetaData": {}}
    sandbox.faults(
        {"action": "status", "status": 200, "body": [body] * 6, "method": "GET", "path": "/data_sets/456/samples"}
    )
    done = validate(sandbox, "--resource-id", "456", "--against-schema").ends(Exit.FINDINGS)
    assert done.data["rules"][1]["field"] == "customer_id"
    assert done.data["rules"][1]["examples"][0] == {"record": 1, "value": "text of 5"}


def test_values_are_hidden_unless_asked_for(sandbox: Sandbox, tmp_path: Path) -> None:
    file = samples(tmp_path, [{"email": "ana@example.com"}] * 6)
    hidden = validate(sandbox, "--samples", file, "--types", "email:int")
    assert "ana@example.com" not in hidden.out
    assert "ana@example.com" in validate(sandbox, "--samples", file, "--types", "email:int", "--show-values").out


def test_every_rule_of_a_rules_file(sandbox: Sandbox, tmp_path: Path) -> None:
    good = {"id": 1, "kind": "a", "price": 5, "code": "AB-1", "when": "2026-11-20T00:00:00Z", "note": None}
    records = [{**good, "id": n, "when": time.time()} for n in range(1, 7)]
    rules = {"min_samples": 6, "fields": {
        "id": {"required": True, "unique": True, "type": "int"}, "kind": {"enum": ["a", "b"]},
        "price": {"min": 0, "max": 9}, "code": {"regex": "[A-Z]{2}-\\d"}, "when": {"max_age_hours": 1},
        "note": {"nullable": True}}}  # fmt: skip
    spec = samples(tmp_path, rules, "rules.json")
    validate(sandbox, "--samples", samples(tmp_path, records), "--rules", spec).ok()
    breaks = {"id": (1.0, "type int"), "kind": ("c", "enum"), "price": (10, "range 0 to 9"), "code": ("xAB-1", "regex"),
              "when": ("2020-01-01", "at most 1 h old")}  # fmt: skip
    for name, (value, rule) in breaks.items():
        broken = samples(tmp_path, [*records[:-1], {**records[-1], name: value}])
        done = validate(sandbox, "--samples", broken, "--rules", spec)
        failed = [(row["field"], row["rule"], row["failed"]) for row in done.data["rules"] if row["failed"]]
        done.ends(Exit.FINDINGS)
        assert failed == [(name, rule, 1)]
    twice = samples(tmp_path, [*records[:-1], records[0]])
    validate(sandbox, "--samples", twice, "--rules", spec).ends(Exit.FINDINGS)


def test_nested_paths_and_lists() -> None:
    record = {"a": {"b": [{"c": 1}, {"c": None}, {}]}, "x.y": 2}
    assert list(quality.values_at(record, "a.b.c")) == [1, None, quality.MISSING]
    assert list(quality.values_at(record, "a.b[].c")) == [1, None, quality.MISSING]
    assert list(quality.values_at(record, "x.y")) == [2]
    assert list(quality.values_at({"t": [1, 2]}, "t[]")) == [1, 2]
    assert list(quality.values_at(record, "a.z")) == [quality.MISSING]
    assert list(quality.values_at("text", "a")) == [quality.MISSING]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--required", "a"], "exactly one of"),
        (["--resource-id", "1"], "nothing to check"),
        (["--resource-id", "x", "--required", "a"], "positive number"),
        (["--resource-id", "1", "--types", "a"], "not FIELD:TYPE"),
        (["--resource-id", "1", "--types", "a:quantity"], "unknown type"),
        (["--samples", "no-such-file", "--required", "a"], "cannot read"),
        (["--samples", "README.md", "--required", "a"], "is not valid JSON"),
        (["--resource-id", "1", "--compare", "2", "--required", "a"], "only be used alone"),
        (["--resource-id", "1", "--rules", "README.md"], "not valid JSON"),
        (["--resource-id", "1", "--required", ","], "--required or --types is empty"),
        (["--resource-id", "1", "--rules", "tests/data/empty-rules.json"], "contains no rules"),
        (["--resource-id", "123", "--schema", "examples/rules.json"], "with any requirement"),
        (["--resource-id", "123", "--infer", "examples/rules.json"], "with any requirement"),
        (["--resource-id", "123", "--schema", "tests/data/remote-schema.json"], "reference that cannot be resolved"),
    ],
)
def test_wrong_input_is_usage(sandbox: Sandbox, args: list[str], text: str) -> None:
    validate(sandbox, *args).fails(Exit.USAGE, text)


def test_ten_times_the_samples_take_ten_times_the_work(sandbox: Sandbox, tmp_path: Path) -> None:
    records = [{"id": n, "email": f"u{n}@example.com", "a": {"b": [1, 2], "c": "x"}} for n in range(10_000)]
    schema = tmp_path / "schema.json"
    validate(sandbox, "--samples", samples(tmp_path, records[:100]), "--infer", str(schema)).ok()
    rules = samples(tmp_path, {"fields": {"id": {"unique": True, "type": "int"}}}, "rules.json")
    args = ["--required", "id,a.c", "--types", "email:str,a.b:list,a.b[]:int", "--schema", str(schema),
            "--rules", rules]  # fmt: skip

    def work(count: int) -> float:
        file = samples(tmp_path, records[:count])
        began = time.process_time()
        done = validate(sandbox, "--samples", file, *args).ok()
        assert done.json["meta"]["samples"] == count
        return time.process_time() - began

    assert work(10_000) < 3 * 10 * min(work(1_000) for _ in range(3))


# -- against oracles


def oracle_type(value: Any, name: str) -> bool:
    names = {"int": (int,), "number": (int, float), "str": (str,), "bool": (bool,), "list": (list,), "object": (dict,)}
    return isinstance(value, names[name]) and (name == "bool" or not isinstance(value, bool))


@settings(max_examples=200, deadline=None)
@given(RECORDS, st.sampled_from(["id", "email", "a", "b.c"]), st.sampled_from(["int", "number", "str", "bool", "list"]))
def test_required_and_type_count_what_the_oracle_counts(records: list[dict[str, Any]], name: str, kind: str) -> None:
    need, typed = quality.rules_for_field(FieldRule(name, {"required": True, "type": kind}), 0.0)
    quality.check_records([need, typed], records)
    there = [record[name] for record in records if record.get(name) is not None]
    assert (need.checked, need.failed) == (len(records), len(records) - len(there))
    assert (typed.checked, typed.failed) == (len(there), sum(not oracle_type(value, kind) for value in there))


SPECS = st.fixed_dictionaries(
    {},
    optional={
        "nullable": st.booleans(), "unique": st.just(True), "min": st.integers(-5, 5), "max": st.integers(-5, 5),
        "enum": st.lists(PLAIN, max_size=4), "regex": st.sampled_from(["[a-z]+", "", ".*", "0"]),
        "type": st.sampled_from(["int", "number", "str", "bool"]),
    },
)  # fmt: skip


def breaks(rule: str, value: Any, spec: dict[str, Any], before: list[Any]) -> bool:
    """Whether a value breaks a rule; written without looking at the code that is tested."""
    number = type(value) in (int, float)
    if rule == "not null":
        return value is None
    if value is None:
        return False
    kinds = {"int": (int,), "number": (int, float), "str": (str,), "bool": (bool,)}
    return {
        "unique": any(type(value) is type(other) and value == other for other in before),
        "range": not (number and spec.get("min", value) <= value <= spec.get("max", value)) if number else True,
        "enum": not any(type(value) is type(one) and value == one for one in spec.get("enum", [])),
        "regex": not (isinstance(value, str) and re.fullmatch(spec.get("regex", ""), value)),
        "type": type(value) not in kinds[spec.get("type", "int")],
    }[rule]


@settings(max_examples=200, deadline=None)
@given(st.lists(PLAIN, max_size=8), SPECS)
def test_the_rules_of_a_file_count_what_the_oracle_counts(values: list[Any], spec: dict[str, Any]) -> None:
    rules = quality.rules_for_field(FieldRule("x", spec), 0.0)
    quality.check_records(rules, [{"x": value} for value in values])
    names = ("not null", "unique", "range", "enum", "regex", "type")
    for one in rules:
        rule = next(name for name in names if one.name.startswith(name))
        expected = sum(breaks(rule, value, spec, values[:n]) for n, value in enumerate(values))
        assert one.failed == expected, (one.name, values, spec)
    assert len(rules) == sum(key in spec for key in ("unique", "enum", "regex", "type")) + bool(
        {"min", "max"} & set(spec)
    ) + (spec.get("nullable") is False)


@settings(max_examples=200, deadline=None)
@given(RECORDS)
def test_what_is_inferred_from_samples_holds_for_them_and_differs_in_nothing(records: list[dict[str, Any]]) -> None:
    schema = schemas.infer(records)
    assert not [error for record in records for error in jsonschema.Draft7Validator(schema).iter_errors(record)]
    (whole,) = json_schema.by_schema(schema, records)
    assert (whole.checked, whole.failed) == (len(records), 0)
    saved = json.loads(json.dumps(schema))
    assert saved == schema
    assert schemas.drift(saved, schema) == []


@settings(max_examples=200, deadline=None)
@given(RECORDS, RECORDS)
def test_a_change_that_breaks_nobody_lets_the_new_samples_pass(
    old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> None:
    """When no difference is breaking, every new record keeps the old schema."""
    before = schemas.infer(old)
    if not any(row["breaking"] for row in schemas.drift(before, schemas.infer(new))):
        assert json_schema.by_schema(before, new)[0].failed == 0
    back = schemas.drift(schemas.infer(new), before)
    assert {row["field"] for row in back} == {row["field"] for row in schemas.drift(before, schemas.infer(new))}


def test_true_is_no_number_and_one_is_not_true() -> None:
    rule = quality.rules_for_field(FieldRule("a", {"enum": [1]}), 0.0)[0]
    quality.check_records([rule], [{"a": True}, {"a": 1}, {"a": 1.0}])
    assert (rule.checked, rule.failed) == (3, 2)


def rule(spec: dict[str, Any], *values: Any) -> list[bool]:
    """Whether each value keeps the rules of a spec."""
    now = 1_795_240_000.0  # 2026-11-21
    found = []
    for value in values:
        rules = quality.rules_for_field(FieldRule("x", spec), now)
        quality.check_records(rules, [{"x": value} if value is not quality.MISSING else {}])
        found.append(not any(one.failed for one in rules))
    return found


def test_freshness_has_two_ends() -> None:
    fresh = {"max_age_hours": 24}
    assert rule(fresh, "2026-11-21T05:00:00Z", 1_795_239_000, 1_795_239_000_000, 1_795_239_000_000_000) == [True] * 4
    assert (
        rule(fresh, "2099-01-01", "2026-11-19", 1_577_836_800_000_000, float("inf"), 10**400, 123456789) == [False] * 6
    )


def test_null_missing_and_equal_objects() -> None:
    assert rule({"required": True, "nullable": True}, None, 1, quality.MISSING) == [True, True, False]
    assert rule({"required": True}, None, 1, quality.MISSING) == [False, True, False]
    assert rule({"nullable": False}, None, 1) == [False, True]
    unique = quality.rules_for_field(FieldRule("x", {"unique": True}), 0)
    quality.check_records(unique, [{"x": {"a": 1, "b": 2}}, {"x": {"b": 2, "a": 1}}, {"x": 1}, {"x": "1"}, {"x": True}])
    assert unique[0].failed == 1
    assert rule({"type": "date"}, "2026-11-21", 1_795_239_000, 100_000_007, "soon") == [True, True, False, False]
    assert rule({"min": 0}, 1, True, "1") == [True, False, False]


def test_outputs_that_are_null_are_no_samples(sandbox: Sandbox, tmp_path: Path) -> None:
    file = samples(tmp_path, [{"a": 1}, *[None] * 7])
    done = validate(sandbox, "--samples", file, "--types", "a:int").ends(Exit.FINDINGS)
    assert done.json["meta"]["samples"] == 1
    assert done.json["meta"]["without_output"] == 7
    own = samples(tmp_path, {"min_samples": 3, "fields": {"a": {"type": "int"}}}, "rules.json")
    two = samples(tmp_path, [{"a": 1}, {"a": 2}], "two.json")
    validate(sandbox, "--samples", two, "--rules", own).ends(Exit.FINDINGS)
    validate(sandbox, "--samples", two, "--rules", own, "--min-samples", "2").ok()


def test_each_missing_property_of_a_schema_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    file = samples(tmp_path, [{"a": 1}] * 6)
    schema = samples(tmp_path, {"type": "object", "required": ["a", "b", "c"]}, "schema.json")
    done = validate(sandbox, "--samples", file, "--schema", schema)
    rows = {(row["rule"], row["field"]): row["failed"] for row in done.data["rules"]}
    assert rows == {("schema", "(record)"): 6, ("schema: required", "b"): 6, ("schema: required", "c"): 6}


def test_drift_of_malformed_schemas() -> None:
    anything, text = (
        {"properties": {"a": {}}, "required": ["a"]},
        {"properties": {"a": {"type": "string"}}, "required": ["a"]},
    )
    assert [row["breaking"] for row in schemas.drift(anything, text)] == [False]
    assert [row["breaking"] for row in schemas.drift(text, anything)] == [True]
    assert [row["field"] for row in schemas.drift({"type": "array"}, {"type": "object"})] == ["(record)"]
    assert schemas.drift({"properties": {"a": True}}, {"properties": ["a"]})[0]["change"] == "removed"


# -- time, and holes


@pytest.mark.parametrize("way", ["--rules", "--schema"])
def test_a_pattern_that_never_ends_is_ended_by_the_deadline(sandbox: Sandbox, tmp_path: Path, way: str) -> None:
    records = samples(tmp_path, [{"x": "a" * 40 + "!"}] * 6)
    spec: Any = {"fields": {"x": {"regex": "(a+)+$"}}}
    if way == "--schema":
        spec = {"type": "object", "properties": {"x": {"type": "string", "pattern": "(a+)+$"}}}
    done = validate(sandbox, "--samples", records, way, samples(tmp_path, spec, "rules.json"), "--timeout", "1")
    done.fails(Exit.TIMEOUT)


def test_outputs_that_are_null_are_no_shape(sandbox: Sandbox) -> None:
    rows = [{"input": {"a": n}, "output": {"a": n} if n % 2 else None} for n in range(12)]
    rule = {"action": "status", "status": 200, "body": rows, "path": "/data_sets/.*/samples", "times": 9}
    sandbox.faults(rule)
    done = validate(sandbox, "--resource-id", "456", "--compare", "456").ok()
    assert done.data["same"] is True
    sandbox.faults({**rule, "body": rows[:6]})
    validate(sandbox, "--resource-id", "456", "--compare", "456").ends(Exit.FINDINGS)
