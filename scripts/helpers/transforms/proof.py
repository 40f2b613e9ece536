"""Proving on samples that a transform removes, masks and keeps what it must. Zero samples prove nothing."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from helpers.api.samples import Sample
from helpers.transforms.quality import MISSING, values_at
from helpers.transforms.request import Requirements

MIN_TRACE_LENGTH = 3  # characters; shorter values occur by chance
MIN_DIGITS = 6  # digits of a number that is recognised in any format
MASK_CHARACTERS = "*#•·…×█■●_-."  # in addition to all punctuation


def failures(samples: list[Sample], requirements: Requirements) -> list[str]:
    """Why the samples do not prove the requirements; empty if they do. The messages contain no values of records."""
    pairs = [sample for sample in samples if sample.has_input and sample.output is not None]
    if len(pairs) < requirements.min_samples:
        return [f"only {len(pairs)} samples have input and output; {requirements.min_samples} are required"]
    found = []
    if not requirements.may_change_nothing and all(sample.input == sample.output for sample in pairs):
        found.append(f"the output equals the input in all {len(pairs)} samples: the transform does nothing "
                     "(if that is intended: --may-change-nothing)")  # fmt: skip
    for name in requirements.must_not_contain:
        found += _must_not_contain(name, pairs, requirements.min_samples)
    for name in requirements.must_mask:
        found += _must_mask(name, pairs, requirements.min_samples)
    for name in requirements.must_keep:
        found += _must_keep(name, pairs)
    return found


def _input_values(name: str, pairs: list[Sample], min_samples: int) -> tuple[list[list[Any]], str]:
    """The scalar values of a field in each sample's input, at any depth; and why they prove nothing, if so."""
    inputs = [[leaf for value in _values(sample.input, name) for leaf in _values_below(value)] for sample in pairs]
    having = sum(any(not _is_mask(value) for value in values) for values in inputs)
    if having == 0:
        return inputs, f"{name!r}: no sample has a value, so nothing is proven"
    if having < min_samples:
        return inputs, f"{name!r}: only {having} samples have a value; {min_samples} are required (--min-samples)"
    return inputs, ""


def _must_not_contain(name: str, pairs: list[Sample], min_samples: int) -> Iterator[str]:
    inputs, problem = _input_values(name, pairs, min_samples)
    if problem:
        yield problem
        return
    positions = [n for n, sample in enumerate(pairs, 1) if any(True for _ in _values(sample.output, name))]
    if positions:
        yield f"{name!r} is still in the output of samples {_listed(positions)}"
    yield from _traces(name, pairs, inputs)


def _must_mask(name: str, pairs: list[Sample], min_samples: int) -> Iterator[str]:
    inputs, problem = _input_values(name, pairs, min_samples)
    if problem:
        yield problem
        return
    lost, same = [], []
    for position, (sample, values) in enumerate(zip(pairs, inputs, strict=True), 1):
        now = list(_values(sample.output, name))
        left = [leaf for value in now for leaf in _values_below(value)]
        if values and not now:
            lost.append(position)
        elif any(_same(a, b) for a in values for b in left if not _is_mask(a)):
            same.append(position)
    if same:
        yield f"{name!r} still has its input value in the output of samples {_listed(same)}"
    if lost:
        yield f"{name!r} is not in the output of samples {_listed(lost)}: it was removed, not masked"
    yield from _traces(name, pairs, inputs)


def _traces(name: str, pairs: list[Sample], inputs: list[list[Any]]) -> Iterator[str]:
    """Failures for samples whose output contains, anywhere, an input value of this or another sample."""
    readable, swapped = [], []
    all_values = {_plain(v) for values in inputs for v in values if len(_plain(v)) >= MIN_DIGITS and not _is_mask(v)}
    for position, (sample, values) in enumerate(zip(pairs, inputs, strict=True), 1):
        leaves = list(_leaves(sample.output))
        if _is_readable(values, leaves):
            readable.append(position)
        elif all_values.intersection(map(_plain, leaves)):
            swapped.append(position)
    if swapped:
        yield f"the value of {name!r} in another sample is in the output of samples {_listed(swapped)}"
    if readable:
        yield f"the value of {name!r} is still readable in the output of samples {_listed(readable)}"


def _is_readable(values: list[Any], leaves: list[Any]) -> bool:
    """Whether any of the values, in any form, is part of any leaf of an output."""
    texts = [_text(value) for value in values if not isinstance(value, bool) and not _is_mask(value)]
    traces = {trace for text in texts for trace in _forms(text) if len(trace) >= MIN_TRACE_LENGTH}
    numbers = {_digits(text) for text in texts} - {""}
    plain, digits = [_plain(leaf) for leaf in leaves], [_digits(leaf) for leaf in leaves]
    return any(trace in leaf for trace in traces for leaf in plain) or any(n in d for n in numbers for d in digits)


def _forms(text: str) -> set[str]:
    """The forms in which a value is still readable: as is, reversed, in base64, as hexadecimal bytes."""
    raw = text.encode()
    coded = base64.b64encode(raw).decode().rstrip("=")
    return {_plain(form) for form in (text, text[::-1], coded, base64.urlsafe_b64encode(raw).decode().rstrip("="),
                                      raw.hex())}  # fmt: skip


def _same(before: Any, after: Any) -> bool:
    """Whether a field's own value is still readable: as another type, in another spelling, or, if short, as a word."""
    plain = _plain(before)
    if plain == _plain(after) or (isinstance(before, int | float) and before == after):
        return True
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", _text(after)).casefold())
    return len(plain) < MIN_TRACE_LENGTH and plain in words


def _is_mask(value: Any) -> bool:
    """Whether a value is already a mask, such as ``***``, and may stay unchanged."""
    return isinstance(value, str) and bool(value.strip()) and all(_masks(char) for char in value.strip())


def _masks(char: str) -> bool:
    return char in MASK_CHARACTERS or unicodedata.category(char)[0] == "P"


def _text(value: Any) -> str:
    """A value as text; 5.0 becomes 5."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain(value: Any) -> str:
    """A value as text without case, width, spaces, dashes and invisible characters."""
    text = unicodedata.normalize("NFKC", _text(value)).casefold()
    return "".join(
        char for char in text if char not in "-\u2010\u2011\u2012\u2013" and unicodedata.category(char)[0] not in "ZC"
    )


def _digits(value: Any) -> str:
    """The digits of a number such as a card number, in any format; empty for fewer than MIN_DIGITS."""
    digits = "".join(char for char in _text(value) if char.isdigit())
    return digits if len(digits) >= MIN_DIGITS else ""


def _must_keep(name: str, pairs: list[Sample]) -> Iterator[str]:
    if not any(True for sample in pairs for _ in (*_values(sample.input, name), *_values(sample.output, name))):
        yield f"{name!r}: no sample has it, neither in the input nor in the output"
        return
    lost = [n for n, sample in enumerate(pairs, 1) if not any(v is not None for v in _values(sample.output, name))]
    if lost:
        yield f"{name!r} is missing or null in the output of samples {_listed(lost)}"


def _listed(positions: list[int]) -> str:
    return ", ".join(map(str, positions[:5])) + (f" and {len(positions) - 5} more" if len(positions) > 5 else "")


def _values(record: Any, name: str) -> Iterator[Any]:
    """The values of a field: at its path if the name is dotted, otherwise of every key with that name (in any case)."""
    if "." in name:
        yield from (value for value in values_at(record, name) if value is not MISSING)
    elif isinstance(record, dict):
        for key, value in record.items():
            if str(key).lower() == name.lower():
                yield value
            yield from _values(value, name)
    elif isinstance(record, list):
        for item in record:
            yield from _values(item, name)


def _values_below(value: Any) -> Iterator[Any]:
    """Every scalar in a value, without keys, nulls and empty strings."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values_below(item)
    elif value not in (None, ""):
        yield value


def _leaves(value: Any) -> Iterator[Any]:
    """Every scalar and every key of a record, without nulls and booleans."""
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield value
