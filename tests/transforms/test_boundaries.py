"""What a proof, a rule and a run of a transform go by: each constant with the values around it."""

from __future__ import annotations

import json
import os
import selectors
import socket
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.api.samples import Sample
from helpers.change.model import SKIPPED, Found
from helpers.core.errors import OperatorError
from helpers.transforms import script_process, worker
from helpers.transforms.code import code_from_file
from helpers.transforms.local_run import run_locally
from helpers.transforms.proof import failures
from helpers.transforms.proof_steps import LocalTrialStep, ProofStep
from helpers.transforms.quality import QualityRule, check_records, rules_for_field
from helpers.transforms.request import Requirements
from helpers.transforms.rule_specs import FieldRule
from helpers.transforms.steps import TransformFacts
from helpers.transforms.trial import run_trial
from support.clocks import VirtualClock
from support.hostile import is_isolating
from support.requesting import accepts, request_of
from support.scripted import ScriptedSession, change_run
from support.transforming import own_code

NOW = 1_795_240_000.0
UPPER = own_code("attribute", script="def transformAttribute(input, metadata, args):\n    return input['a'].upper()\n")


def pairs(*values: tuple[Any, Any]) -> list[Sample]:
    """Samples whose field ``f`` had the first value, and whose output is the second one in a field ``g``."""
    return [Sample({"f": before}, {"g": after}) for before, after in values]


@pytest.mark.parametrize(("samples", "proven"), [(4, False), (5, True), (6, True)])
def test_five_samples_prove_something(samples: int, proven: bool) -> None:
    found = pairs(*[(f"value {n}", "x") for n in range(samples)])
    assert (not failures(found, Requirements(("f",)))) is proven
    assert (not failures(found, Requirements())) is proven, "also without a demand on a field"


def test_a_transform_that_changes_nothing_is_not_proven() -> None:
    same = [Sample({"f": n}, {"f": n}) for n in range(5)]
    assert "does nothing" in " ".join(failures(same, Requirements()))
    assert failures(same, Requirements(may_change_nothing=True)) == []


@pytest.mark.parametrize(("value", "proven"), [("ab", True), ("abc", False), ("abcd", False)])
def test_a_trace_has_three_characters(value: str, proven: bool) -> None:
    found = pairs((value, f"-- {value} --"))
    assert (not failures(found, Requirements(("f",), min_samples=1))) is proven


@pytest.mark.parametrize(("digits", "proven"), [("12345", True), ("123456", False), ("1234567", False)])
def test_a_number_has_six_digits(digits: str, proven: bool) -> None:
    """It is found again in whatever it is written."""
    found = pairs((digits, "x".join(digits)))
    assert (not failures(found, Requirements(("f",), min_samples=1))) is proven


@pytest.mark.parametrize(("value", "proven"), [("12345", True), ("123456", False), ("1234567", False)])
def test_a_value_of_another_sample_has_six_characters(value: str, proven: bool) -> None:
    found = pairs((value, "x"), ("other", value))
    assert (not failures(found, Requirements(("f",), min_samples=1))) is proven


def checked(spec: dict[str, Any], *values: Any) -> QualityRule:
    (rule,) = rules_for_field(FieldRule("f", spec), NOW)
    check_records([rule], [{"f": value} for value in values])
    return rule


@pytest.mark.parametrize(("ahead", "failed"), [(299, 0), (300, 0), (301, 1)])
def test_a_date_may_lie_five_minutes_ahead(ahead: int, failed: int) -> None:
    assert checked({"max_age_hours": 1}, NOW + ahead).failed == failed


@pytest.mark.parametrize(("age", "failed"), [(3599, 0), (3600, 0), (3601, 1)])
def test_an_hour_is_3600_seconds(age: int, failed: int) -> None:
    assert checked({"max_age_hours": 1}, NOW - age).failed == failed


@pytest.mark.parametrize(
    ("number", "failed"),
    [
        (10**9 - 1, 1), (10**9, 0), (10**9 + 1, 0), (4 * 10**9 - 1, 0), (4 * 10**9, 1),
        (10**12 - 1, 1), (10**12, 0), (4 * 10**12 - 1, 0), (4 * 10**12, 1),
        (10**15 - 1, 1), (10**15, 0), (10**18 - 1, 1), (10**18, 0),
    ],
)  # fmt: skip
def test_a_number_is_a_date_of_2001_to_2096(number: int, failed: int) -> None:
    assert checked({"type": "date"}, number).failed == failed


@pytest.mark.parametrize(("broken", "shown"), [(4, 4), (5, 5), (6, 5)])
def test_five_examples_are_kept(broken: int, shown: int) -> None:
    assert len(checked({"type": "int"}, *["x"] * broken).examples) == shown


# -- running scripts


LIMITS = {"CPU": 20, "AS": 1_073_741_824, "FSIZE": 0, "NOFILE": 64, "CORE": 0}


def test_what_a_script_may_use() -> None:
    """Twenty seconds of CPU, a gigabyte, 64 open files, no file to write; and isolated, 32 threads and nobody's id."""
    text = (
        "import os, resource\ndef transformAttribute(names, metadata, args):\n"
        "    return {name: resource.getrlimit(getattr(resource, f'RLIMIT_{name}')) for name in names}, os.getuid()\n"
    )
    wanted = LIMITS | ({"NPROC": 32} if is_isolating() else {})
    (result,) = run_locally(own_code("attribute", script=text), [list(wanted)])
    assert result.error is None
    limits, user = result.output
    assert limits == {name: [value, value] for name, value in wanted.items()}
    assert user == (65534 if is_isolating() and os.getuid() == 0 else os.getuid())


@pytest.mark.parametrize(("passed", "good"), [(29.0, True), (29.999, True), (30.0, False), (30.001, False)])
def test_a_script_has_30_seconds(monkeypatch: pytest.MonkeyPatch, passed: float, good: bool) -> None:
    times = chain([0.0], repeat(passed))
    monkeypatch.setattr(script_process, "time", SimpleNamespace(monotonic=lambda: next(times)))
    try:
        assert run_locally(UPPER, [{"a": "x"}])[0].output == "X"
        assert good, "it was allowed"
    except OperatorError as error:
        assert not good, error
        assert "longer than 30 s" in error.message


def reply_to(body: str) -> str:
    source = f"def transform(input, metadata, args):\n    {body}\n"
    return worker.run_script({"source": source, "records": [{}]})


WRAPPING = len('[{"output": ""},')


@pytest.mark.parametrize(("length", "good"), [(67_108_863, True), (67_108_864, True), (67_108_865, False)])
def test_the_output_has_64_megabytes(length: int, good: bool) -> None:
    try:
        reply_to(f"return 'x' * {length - WRAPPING - 1}")
        assert good, "it was taken"
    except MemoryError as error:
        assert not good, error


@pytest.mark.parametrize(("length", "good"), [(67_108_863, True), (67_108_864, True), (67_108_865, False)])
def test_no_more_than_64_megabytes_are_read(length: int, good: bool) -> None:
    """Whatever the script's process thinks of its limits."""
    left, right = socket.socketpair()
    with left, right, selectors.DefaultSelector() as selector, left.makefile("rb", buffering=0) as stream:
        selector.register(stream, selectors.EVENT_READ)
        right.sendall(b"xyz")
        assert script_process.read_piece(selector, stream, bytearray(length - 3)) is good


@pytest.mark.parametrize(("length", "shown"), [(1999, 1999), (2000, 2000), (2001, 2000)])
def test_an_error_has_2000_characters(length: int, shown: int) -> None:
    (outcome,) = json.loads(reply_to(f"raise ValueError('x' * {length - len('ValueError: ')})"))
    assert len(outcome["error"]) == shown


# -- steps


@pytest.mark.parametrize("step", ["trial", "proof"])
def test_thirty_samples_are_asked_for(clock: VirtualClock, step: str) -> None:
    session, code = ScriptedSession(lambda asked: []), own_code("record")
    if step == "trial":
        LocalTrialStep(7, code, Requirements(), parent=True).find(change_run(session))
    else:
        proof = ProofStep(7, "n", code, Requirements(), TransformFacts(), 1.0)
        with pytest.raises(OperatorError):
            proof.apply(change_run(session), Found("check", 7))
    assert session.params_of("/samples")["count"] == 30


@pytest.mark.parametrize(("samples", "action"), [(4, SKIPPED), (5, "check"), (6, "check")])
def test_a_local_trial_needs_five_samples(samples: int, action: str) -> None:
    code = own_code("record", ({"operation": "default", "spec": {"b": 1}},))
    session = ScriptedSession(lambda asked: [{"a": n} for n in range(samples)])
    assert LocalTrialStep(7, code, Requirements(), parent=True).find(change_run(session)).action == action


# -- the command lines


def test_the_defaults_of_a_proof() -> None:
    request = request_of("manage_transforms", "--operation", "attach", "--name", "t", "--nexset", "7")
    assert (request.requirements.min_samples, request.proof_seconds) == (5, 60.0)


def test_the_defaults_of_a_validation() -> None:
    request = request_of("validate_nexset", "--resource-id", "7", "--required", "a")
    assert (request.min_samples, request.sample_count) == (5, 100)


@pytest.mark.parametrize(("length", "good"), [(0, False), (1, True), (254, True), (255, True), (256, False)])
def test_a_name_has_1_to_255_characters(length: int, good: bool) -> None:
    assert accepts(lambda: request_of("manage_transforms", "--operation", "get", "--name", "n" * length)) is good


@pytest.mark.parametrize(("records", "shown"), [(19, 19), (20, 20), (21, 20)])
def test_a_trial_shows_20_records(tmp_path: Path, records: int, shown: int) -> None:
    samples, spec = tmp_path / "samples.json", tmp_path / "spec.json"
    samples.write_text(json.dumps([{"a": n} for n in range(records)]))
    spec.write_text(json.dumps([{"operation": "default", "spec": {"b": 1}}]))
    request = request_of("manage_transforms", "--operation", "test", "--file", str(spec), "--samples", str(samples))
    context: Any = SimpleNamespace()
    result = run_trial(request, context, code_from_file(str(spec), "record"))
    assert (len(result.data), result.meta["records"]) == (shown, records)


def test_a_trial_asks_for_a_hundred_samples(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps([{"operation": "default", "spec": {"b": 1}}]))
    request = request_of("manage_transforms", "--operation", "test", "--file", str(spec), "--nexset", "7")
    context: Any = SimpleNamespace(session=ScriptedSession(lambda asked: []))
    run_trial(request, context, code_from_file(str(spec), "record"))
    assert context.session.params_of("/samples")["count"] == 100
