"""The proof, on samples, that a transform does what it is for: what must be gone, masked, kept. None prove nothing."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from helpers.api.samples import Sample
from helpers.transforms.quality import MISSING, values_at
from helpers.transforms.request import Demands

SHORTEST_TRACE = 3  # shorter values occur by chance
NUMBER_LENGTH = 6  # digits
MASKS = "*#•·…×█■●_-."  # characters of masks; besides these, all punctuation


def failures(samples: list[Sample], demands: Demands) -> list[str]:
    """Why the samples do not prove what is demanded; empty when they do."""
    pairs = [sample for sample in samples if sample.has_input and sample.output is not None]
    if len(pairs) < demands.min_samples:
        return [f"{len(pairs)} samples with input and output are too few; {demands.min_samples} are wanted"]
    found = []
    if not demands.may_change_nothing and all(sample.input == sample.output for sample in pairs):
        found.append(f"the output equals the input in all {len(pairs)} samples: the transform does nothing "
                     "(--may-change-nothing, if that can be right)")  # fmt: skip
    for name in demands.must_not_contain:
        found += _must_not_contain(name, pairs, demands.min_samples)
    for name in demands.must_mask:
        found += _must_mask(name, pairs, demands.min_samples)
    for name in demands.must_keep:
        found += _must_keep(name, pairs)
    return found


def _input_values(name: str, pairs: list[Sample], min_samples: int) -> tuple[list[list[Any]], str]:
    """The plain values of a field in each sample's input, however deep below it; and why they prove too little."""
    inputs = [[leaf for value in _values(sample.input, name) for leaf in _values_below(value)] for sample in pairs]
    having = sum(any(not _is_mask(value) for value in values) for values in inputs)
    if having == 0:
        return inputs, f"{name!r}: no sample has a value, so nothing is proven"
    if having < min_samples:
        return inputs, f"{name!r}: only {having} samples have a value; {min_samples} are wanted (--min-samples)"
    return inputs, ""


def _must_not_contain(name: str, pairs: list[Sample], min_samples: int) -> Iterator[str]:
    inputs, too_little = _input_values(name, pairs, min_samples)
    if too_little:
        yield too_little
        return
    keys = [n for n, sample in enumerate(pairs, 1) if any(True for _ in _values(sample.output, name))]
    if keys:
        yield f"{name!r} is still in the output of samples {_listed(keys)}"
    yield from _traces(name, pairs, inputs)


def _must_mask(name: str, pairs: list[Sample], min_samples: int) -> Iterator[str]:
    inputs, too_little = _input_values(name, pairs, min_samples)
    if too_little:
        yield too_little
        return
    lost, same = [], []
    for number, (sample, values) in enumerate(zip(pairs, inputs, strict=True), 1):
        now = list(_values(sample.output, name))
        left = [leaf for value in now for leaf in _values_below(value)]
        if values and not now:
            lost.append(number)
        elif any(_same(a, b) for a in values for b in left if not _is_mask(a)):
            same.append(number)
    if same:
        yield f"{name!r} has the value of the input in the output of samples {_listed(same)}"
    if lost:
        yield f"{name!r} is not in the output of samples {_listed(lost)}: it is gone, not masked"
    yield from _traces(name, pairs, inputs)


def _traces(name: str, pairs: list[Sample], inputs: list[list[Any]]) -> Iterator[str]:
    """Samples whose output holds, anywhere, the value that the input had."""
    readable, swapped = [], []
    everybody = {_plain(v) for values in inputs for v in values if len(_plain(v)) >= NUMBER_LENGTH and not _is_mask(v)}
    for number, (sample, values) in enumerate(zip(pairs, inputs, strict=True), 1):
        leaves = list(_leaves(sample.output))
        if _is_readable(values, leaves):
            readable.append(number)
        elif everybody.intersection(map(_plain, leaves)):
            swapped.append(number)
    if swapped:
        yield f"the value that {name!r} has in another sample is in the output of samples {_listed(swapped)}"
    if readable:
        yield f"the value of {name!r} is still readable in the output of samples {_listed(readable)}"


def _is_readable(values: list[Any], leaves: list[Any]) -> bool:
    """Whether any of the values, in any of its forms, is part of any leaf of an output."""
    texts = [_text(value) for value in values if not isinstance(value, bool) and not _is_mask(value)]
    traces = {trace for text in texts for trace in _forms(text) if len(trace) >= SHORTEST_TRACE}
    numbers = {_digits(text) for text in texts} - {""}
    plain, digits = [_plain(leaf) for leaf in leaves], [_digits(leaf) for leaf in leaves]
    return any(trace in leaf for trace in traces for leaf in plain) or any(n in d for n in numbers for d in digits)


def _forms(text: str) -> set[str]:
    """A value as it may still be read: reformatted, backwards, in base64 or as hexadecimal bytes."""
    raw = text.encode()
    coded = base64.b64encode(raw).decode().rstrip("=")
    return {_plain(form) for form in (text, text[::-1], coded, base64.urlsafe_b64encode(raw).decode().rstrip("="),
                                      raw.hex())}  # fmt: skip


def _same(before: Any, after: Any) -> bool:
    """Whether a value can still be read at its own place: in another type or spelling, and a short one as a word."""
    plain = _plain(before)
    if plain == _plain(after) or (isinstance(before, int | float) and before == after):
        return True
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", _text(after)).casefold())
    return len(plain) < SHORTEST_TRACE and plain in words


def _is_mask(value: Any) -> bool:
    """A value that is a mask already, such as ``***``: it may stay as it is."""
    return isinstance(value, str) and bool(value.strip()) and all(_masks(char) for char in value.strip())


def _masks(char: str) -> bool:
    return char in MASKS or unicodedata.category(char)[0] == "P"


def _text(value: Any) -> str:
    """A value as text; 5.0 is 5."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain(value: Any) -> str:
    """Text in which case, width, spaces, dashes and invisible characters do not matter."""
    text = unicodedata.normalize("NFKC", _text(value)).casefold()
    return "".join(
        char for char in text if char not in "-\u2010\u2011\u2012\u2013" and unicodedata.category(char)[0] not in "ZC"
    )


def _digits(value: Any) -> str:
    """The digits of a number such as a card's, however it is written; nothing for what holds only a few."""
    digits = "".join(char for char in _text(value) if char.isdigit())
    return digits if len(digits) >= NUMBER_LENGTH else ""


def _must_keep(name: str, pairs: list[Sample]) -> Iterator[str]:
    if not any(True for sample in pairs for _ in (*_values(sample.input, name), *_values(sample.output, name))):
        yield f"{name!r}: no sample has it, before or after"
        return
    lost = [n for n, sample in enumerate(pairs, 1) if not any(v is not None for v in _values(sample.output, name))]
    if lost:
        yield f"{name!r} is missing or null in the output of samples {_listed(lost)}"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")


def _values(record: Any, name: str) -> Iterator[Any]:
    """Values of a field: at its path when the name is dotted, else wherever a key of that name stands (any case)."""
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
    """Every plain value in it, without keys, nulls and empty texts."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values_below(item)
    elif value not in (None, ""):
        yield value


def _leaves(value: Any) -> Iterator[Any]:
    """Every plain value, and every key, of a record."""
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield value
