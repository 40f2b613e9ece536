"""The proof, on samples, that a transform does what it is for: what must be gone, masked, kept. None prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .quality import MISSING, values_at
from .samples import Sample

SHORTEST_TRACE = 3  # shorter values occur by chance


@dataclass(frozen=True)
class Demands:
    """Field names; dotted ones are paths, plain ones are looked for at any depth."""

    gone: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    least: int = 5


def failures(samples: list[Sample], demands: Demands) -> list[str]:
    """Why the samples do not prove what is demanded; empty when they do."""
    pairs = [sample for sample in samples if sample.has_input and sample.output is not None]
    if len(pairs) < demands.least:
        return [f"{len(pairs)} samples with input and output are too few; {demands.least} are wanted"]
    found = []
    if all(sample.input == sample.output for sample in pairs):
        found.append(f"the output equals the input in all {len(pairs)} samples: the transform does nothing")
    for name in demands.gone:
        found += _gone(name, pairs)
    for name in demands.masked:
        found += _masked(name, pairs)
    for name in demands.kept:
        found += _kept(name, pairs)
    return found


def _gone(name: str, pairs: list[Sample]) -> Iterator[str]:
    seen = [list(_values(sample.input, name)) for sample in pairs]
    if not any(seen):
        yield f"{name!r}: no sample has it, so nothing is proven"
        return
    keys = [n for n, sample in enumerate(pairs, 1) if any(True for _ in _values(sample.output, name))]
    if keys:
        yield f"{name!r} is still in the output of samples {_listed(keys)}"
    yield from _traces(name, pairs, seen)


def _masked(name: str, pairs: list[Sample]) -> Iterator[str]:
    seen = [list(_values(sample.input, name)) for sample in pairs]
    if not any(value not in (None, "") for values in seen for value in values):
        yield f"{name!r}: no sample has a value, so nothing is proven"
        return
    lost = []
    for number, (sample, values) in enumerate(zip(pairs, seen, strict=True), 1):
        had = any(value is not None for value in values)
        if had and not any(True for _ in _values(sample.output, name)):
            lost.append(number)
    if lost:
        yield f"{name!r} is not in the output of samples {_listed(lost)}: it is gone, not masked"
    yield from _traces(name, pairs, seen)


def _traces(name: str, pairs: list[Sample], seen: list[list[Any]]) -> Iterator[str]:
    """Samples whose output holds, anywhere, the value that the input had."""
    found = []
    for number, (sample, values) in enumerate(zip(pairs, seen, strict=True), 1):
        texts = {_plain(value) for value in values if value is not None and not isinstance(value, bool | dict | list)}
        long = [text for text in texts if len(text) >= SHORTEST_TRACE]
        leaves = [_plain(leaf) for leaf in _leaves(sample.output)]
        if any(text in leaf for text in long for leaf in leaves):
            found.append(number)
    if found:
        yield f"the value of {name!r} is still readable in the output of samples {_listed(found)}"


def _plain(value: Any) -> str:
    """Text in which case, spaces and dashes do not matter, so that a reformatted value is still found."""
    return "".join(str(value).casefold().replace("-", "").split())


def _kept(name: str, pairs: list[Sample]) -> Iterator[str]:
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
