"""What a proof must notice: no leak passes, and too little proves nothing."""

from __future__ import annotations

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any

import pytest

from helpers.api.samples import Sample
from helpers.transforms.proof import failures
from helpers.transforms.request import Requirements
from support import Exit, Sandbox, answers
from support.transforming import DEMANDS, GOOD, MUTATIONS, RECORDS, attach, script


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_no_mutation_of_a_mask_is_ever_attached(sandbox: Sandbox, people: int, tmp_path: Path, mutation: str) -> None:
    """Run here on the parent's samples first, it is not even sent."""
    assert MUTATIONS[mutation] != GOOD
    sandbox.clear_journal()
    done = attach(sandbox, people, script(tmp_path, MUTATIONS[mutation]))
    done.fails(Exit.ROLLED_BACK, "run locally on 12 samples", about=mutation)
    assert sandbox.writes() == []
    assert not re.search(r"u\d+@example|123-45-", done.err)  # a script's own message may hold a record


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.usefixtures("no_rehearsal")
def test_the_proof_catches_it_also_on_the_platform(
    sandbox: Sandbox, people: int, tmp_path: Path, mutation: str
) -> None:
    """As when the parent had no samples yet to try it on."""
    before = sandbox.resources()
    words = ["--file", script(tmp_path, MUTATIONS[mutation]), "--name", "mask", "--parent", str(people)]
    words += ["--nexset-name", "masked", *DEMANDS, "--proof-timeout", "0.5"]
    done = sandbox.run_inside("manage_transforms.py", "--operation", "attach", *words)
    done.fails(Exit.ROLLED_BACK, "is not proven", about=mutation)
    assert sandbox.resources() == before


def test_zero_and_too_few_samples_prove_nothing(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    attach(sandbox, people, script(tmp_path, GOOD), "--min-samples", "13").fails(Exit.ROLLED_BACK, "12 samples")
    attach(sandbox, people, script(tmp_path, GOOD), "--min-samples", "0").fails(Exit.USAGE)
    assert failures([], Requirements()) == ["only 0 samples have input and output; 5 are required"]


def test_a_demand_on_a_field_that_nobody_has_proves_nothing() -> None:
    samples = [Sample({"ssn": f"123-45-{n}"}, {"x": n}) for n in range(1000, 1006)]
    assert failures(samples, Requirements(must_not_contain=("ssn",))) == []
    assert "nothing is proven" in failures(samples, Requirements(must_not_contain=("sssn",)))[0]
    assert "nothing is proven" in failures(samples, Requirements(must_mask=("email",)))[0]


def test_one_value_proves_nothing_for_all() -> None:
    pairs = [Sample({"ssn": "123-45-6789" if n == 3 else None, "x": n}, {"x": -n}) for n in range(12)]
    assert "only 1 samples have a value; 5 are required" in failures(pairs, Requirements(must_not_contain=("ssn",)))[0]
    assert failures(pairs, Requirements(must_not_contain=("ssn",), min_samples=1)) == []


def test_samples_from_before_the_change_do_not_count(sandbox: Sandbox, people: int, tmp_path: Path) -> None:
    """The answer shows good output, but not of this code: it must not pass."""
    output = {"rawMessage": {"customer_id": 1, "email": "***", "phone": "***"}, "nexlaMetaData": {}}
    stale = [{"input": {"rawMessage": record, "nexlaMetaData": {}}, "output": output} for record in RECORDS]
    sandbox.faults(answers(stale, rf"/data_sets/(?!{people}/)\d+/samples"))
    attach(sandbox, people, script(tmp_path, GOOD)).fails(Exit.ROLLED_BACK, "from before the change")


@pytest.mark.parametrize("form", ["b64encode(raw).decode()", "hexlify(raw).decode()", "raw[::-1].decode()"])
def test_a_value_in_another_form_is_no_mask(form: str) -> None:
    names = {"b64encode": base64.b64encode, "hexlify": binascii.hexlify}
    pairs = [
        Sample({"ssn": f"123-45-{n}"}, {"ssn": "x", "y": eval(form, names, {"raw": f"123-45-{n}".encode()})})
        for n in range(1000, 1006)
    ]
    assert "still readable" in failures(pairs, Requirements(must_mask=("ssn",)))[0]


@pytest.mark.parametrize(
    ("before", "after", "requirements"),
    [
        ({"emails": ["u{n}@example.com"]}, {"emails": ["u{n}@example.com"]}, Requirements(must_mask=("emails",))),
        ({"emails": ["u{n}@example.com"]}, {"mails": ["u{n}@example.com"]}, Requirements(must_not_contain=("emails",))),
        (
            {"address": {"street": "Main street {n}"}},
            {"addr": {"s": "main STREET {n}"}},
            Requirements(must_not_contain=("address",)),
        ),
        (
            {"address": {"street": "Main street {n}"}},
            {"address": {"street": "Main street {n}"}},
            Requirements(must_mask=("address",)),
        ),
        ({"state": "NY"}, {"state": "NY"}, Requirements(must_mask=("state",))),
        ({"vip": True}, {"vip": True}, Requirements(must_mask=("vip",))),
        ({"age": 7}, {"age": 7}, Requirements(must_mask=("age",))),
        ({"card": "4111 1111 1111 {n}"}, {"card": "4111.1111.1111.{n}"}, Requirements(must_mask=("card",))),
        ({"name": "Ana Silva {n}"}, {"name": "Ana\u200bSilva {n}"}, Requirements(must_mask=("name",))),
        ({"name": "Ana Silva {n}"}, {"name": "\uff21na Silva {n}"}, Requirements(must_mask=("name",))),
        ({"age": 42}, {"age": "42"}, Requirements(must_mask=("age",))),
        ({"state": "NY"}, {"state": "ny "}, Requirements(must_mask=("state",))),
        ({"state": "NY"}, {"state": "the state NY"}, Requirements(must_mask=("state",))),
        ({"states": ["NY", "LA"]}, {"states": "NY,LA"}, Requirements(must_mask=("states",))),
        ({"vip": True}, {"vip": "true"}, Requirements(must_mask=("vip",))),
        ({"vip": True}, {"vip": 1}, Requirements(must_mask=("vip",))),
        ({"salary": 50000.0}, {"pay": 50000}, Requirements(must_not_contain=("salary",))),
        ({"salary": 5000000.0}, {"pay": "5 000 000"}, Requirements(must_not_contain=("salary",))),
        ({"mood": "\U0001f600\U0001f43b"}, {"mood": "\U0001f600\U0001f43b"}, Requirements(must_mask=("mood",))),
        ({"email": "-"}, {"email": "-"}, Requirements(must_mask=("email",))),
    ],
)
def test_no_leak_passes_whatever_the_value_is(before: Any, after: Any, requirements: Requirements) -> None:
    def filled(value: Any, n: int) -> Any:
        return json.loads(json.dumps(value).replace("{n}", str(n)))

    pairs = [Sample(filled(before, n), {**filled(after, n), "more": n}) for n in range(1000, 1006)]
    assert failures(pairs, requirements), "it passes"


def test_a_mask_that_was_there_before_may_stay() -> None:
    pairs = [Sample({"email": "***", "x": n}, {"email": "***"}) for n in range(6)]
    assert "no sample has a value" in failures(pairs, Requirements(must_mask=("email",)))[0], "alone they prove nothing"
    pairs += [Sample({"email": f"user{n}@example.com"}, {"email": "u***"}) for n in range(5)]
    assert failures(pairs, Requirements(must_mask=("email",))) == []


def test_the_value_of_another_record_is_no_mask() -> None:
    pairs = [Sample({"email": f"user{n}@example.com"}, {"email": f"user{(n + 1) % 6}@example.com"}) for n in range(6)]
    assert "in another sample" in failures(pairs, Requirements(must_mask=("email",)))[0]


@pytest.mark.parametrize("leaks", [1, 4, 6])
def test_a_value_that_is_readable_in_one_sample_alone_is_found(leaks: int) -> None:
    pairs = [
        Sample(
            {"email": f"user{n}@example.com"}, {"email": "***", "note": f"to user{n}@example.com" if n == leaks else n}
        )
        for n in range(1, 7)
    ]
    (found,) = failures(pairs, Requirements(must_mask=("email",)))
    assert found == f"the value of 'email' is still readable in the output of samples {leaks}"


@pytest.mark.parametrize("value", ["abc", {"who": {"abc": 1}}, ["x", {"abc": None}]])
def test_a_short_value_is_found_anywhere_also_as_a_key(value: Any) -> None:
    pairs = [Sample({"code": "abc", "x": n}, {"y": value}) for n in range(6)]
    assert "still readable" in failures(pairs, Requirements(must_not_contain=("code",)))[0]
