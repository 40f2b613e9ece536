"""What the transform commands are asked for, checked."""

from __future__ import annotations

from typing import Any, NamedTuple

from helpers.command.parser import ChangeOptions
from helpers.core.kinds import KINDS, Kind
from helpers.transforms.code import Code
from helpers.transforms.rule_specs import FieldRule

WRITES = ("create", "update", "copy", "delete", "attach", "detach")
OPERATIONS = ("list", "get", "create", "update", "copy", "delete", "test", "attach", "detach", "usage")
MIN_SAMPLES = 5
PROOF_SECONDS = 60.0


class Demands(NamedTuple):
    """What every sample must show. Field names; dotted ones are paths, plain ones are looked for at any depth.

    Attributes:
        min_samples: fewer prove nothing.
        may_change_nothing: samples may come out as they went in, as of a filter.
    """

    must_not_contain: tuple[str, ...] = ()
    must_mask: tuple[str, ...] = ()
    must_keep: tuple[str, ...] = ()
    min_samples: int = MIN_SAMPLES
    may_change_nothing: bool = False

    @property
    def name_a_field(self) -> bool:
        """Whether anything is demanded of a field; else only a difference is."""
        return bool(self.must_not_contain or self.must_mask or self.must_keep)


class TransformRequest(NamedTuple):
    """One operation on a transform.

    Attributes:
        kind: ``record`` or ``attribute``.
        code: of ``file``; None when the transform is one of Nexla's.
        name: exact; for create, copy and attach with a file the new name.
        nexset_id: test: its samples are the input; attach, detach: this nexset.
        parent_id, nexset_name: attach: the nexset to derive from, and the name of the derived one.
        samples, expect: test: files of records.
        args: test: of an attribute function.
        limit: test: records shown; None for the default.
        confirmed: ``--yes`` was given.
    """

    operation: str
    kind: str
    transform_id: int | None
    name: str | None
    file: str | None
    code: Code | None
    description: str | None
    reusable: bool | None
    public: bool
    nexset_id: int | None
    parent_id: int | None
    nexset_name: str | None
    samples: str | None
    expect: str | None
    args: dict[str, Any]
    limit: int | None
    demands: Demands
    proof_seconds: float
    activate: bool
    confirmed: bool
    change: ChangeOptions

    @property
    def api(self) -> Kind:
        """The kind of resource that the transform is in the API."""
        return KINDS["transforms" if self.kind == "record" else "attribute_transforms"]

    @property
    def needs_nexla(self) -> bool:
        """Whether anything has to be read from Nexla, or written to it."""
        return not (self.operation == "test" and self.code is not None and self.samples is not None)


class ValidateRequest(NamedTuple):
    """Samples, and what they are validated against.

    Attributes:
        nexset_id, name: of a nexset; or ``samples``, a file of records.
        schema: a JSON Schema; ``against_schema`` is the nexset's own output schema.
        compare_to: id of the nexset, or the saved schema, whose shape was the one before.
        infer_file: where to write a schema that the samples keep.
        sample_count: samples to ask for.
        min_samples: fewer are not enough to say anything.
    """

    nexset_id: int | None
    name: str | None
    samples: str | None
    rules: tuple[FieldRule, ...]
    schema: dict[str, Any] | None
    against_schema: bool
    compare_to: int | dict[str, Any] | None
    infer_file: str | None
    sample_count: int
    live: bool
    min_samples: int
    show_values: bool

    @property
    def needs_nexla(self) -> bool:
        """Whether anything has to be read from Nexla."""
        return self.samples is None or isinstance(self.compare_to, int)
