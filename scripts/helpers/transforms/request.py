"""Checked requests of the transform commands."""

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


class Requirements(NamedTuple):
    """What every sample must satisfy. A dotted field name is a path; a plain one matches keys at any depth.

    Attributes:
        must_not_contain: Fields whose key and value must not be in the output.
        must_mask: Fields that must be in the output without their original value.
        must_keep: Fields that must be in the output and not null.
        min_samples: Samples needed for a proof.
        may_change_nothing: Accept that no sample changes, for example for a filter.
    """

    must_not_contain: tuple[str, ...] = ()
    must_mask: tuple[str, ...] = ()
    must_keep: tuple[str, ...] = ()
    min_samples: int = MIN_SAMPLES
    may_change_nothing: bool = False

    @property
    def has_field_requirements(self) -> bool:
        """Whether any field has a requirement; otherwise the output must only differ from the input."""
        return bool(self.must_not_contain or self.must_mask or self.must_keep)


class TransformRequest(NamedTuple):
    """One operation on a transform.

    Attributes:
        operation: One of OPERATIONS.
        kind: ``record`` or ``attribute``.
        transform_id: Id of the transform; None if it is named or new.
        name: Exact name; with create, copy and attach from a file: the new name.
        file: The file with the code.
        code: The code in ``file``; None if the transform is read from Nexla.
        description: Description to write.
        reusable: With create: whether nexsets can share it; None for the default.
        public: List or find public transforms.
        nexset_id: With test: its samples are the input; with attach and detach: the nexset to change.
        parent_id: With attach: the nexset to derive from.
        nexset_name: With attach: name of the derived nexset.
        samples: With test: file of records.
        expect: With test: file of expected outputs.
        args: With test: args of an attribute function.
        limit: With test: number of records to show; None for the default.
        run_remote_code: Run a script that is from Nexla on this machine, isolated.
        requirements: What every sample must satisfy.
        proof_seconds: How long to wait for fresh samples.
        activate: Activate the nexset once it is proven.
        confirmed: ``--yes`` was passed.
        change: The flags of all commands that write.
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
    run_remote_code: bool
    requirements: Requirements
    proof_seconds: float
    activate: bool
    confirmed: bool
    change: ChangeOptions

    @property
    def api(self) -> Kind:
        """The kind of the transform in the API."""
        return KINDS["transforms" if self.kind == "record" else "attribute_transforms"]

    @property
    def needs_nexla(self) -> bool:
        """Whether the operation reads from Nexla or writes to it."""
        return not (self.operation == "test" and self.code is not None and self.samples is not None)


class ValidateRequest(NamedTuple):
    """The samples to validate, and what to check.

    Attributes:
        nexset_id: Id of the nexset; None if it is named or ``samples`` is set.
        name: Exact name of the nexset.
        samples: File of records, instead of a nexset.
        rules: Rules for fields.
        schema: A JSON Schema.
        against_schema: Validate against the nexset's own output schema.
        compare_to: Id of a nexset, or a saved schema, to compare the schema with.
        infer_file: Where to write a schema that all samples satisfy.
        sample_count: Number of samples to request.
        live: Request live samples instead of cached ones.
        min_samples: Samples needed for a verdict.
        show_values: Show the values that break a rule.
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
        """Whether anything must be read from Nexla."""
        return self.samples is None or isinstance(self.compare_to, int)
