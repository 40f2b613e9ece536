"""A transform's code: in a file, and in the form that the server stores.

A record transform is a list of operations with ``code_encoding`` ``none``. Its ``code_type`` is ``jolt_standard`` for
plain Jolt, or ``jolt_custom`` if an operation is ``nexla.custom``, which contains a script as base64. An attribute
transform is one base64 script of type ``python``. Source: the server's enums and the public API description.
"""

from __future__ import annotations

import ast
import base64
import binascii
import difflib
import enum
import json
from pathlib import Path
from typing import Any

from helpers.core.errors import usage
from helpers.core.kinds import KINDS, Kind, Row

SCRIPT = "nexla.custom"
FUNCTIONS = {"record": "transform", "attribute": "transformAttribute"}


class Trust(enum.Enum):
    """Whether a script may run on this machine.

    Attributes:
        NONE: It is from Nexla; anybody who may write the transform wrote it. It does not run.
        ISOLATED: It is from Nexla, and the user passed ``--run-remote-code``. It runs only where it can be isolated.
        OWN: It is in a file that the user passed.
    """

    NONE = "none"
    ISOLATED = "isolated"
    OWN = "own"


class Code:
    """A transform's code.

    Two are equal if they do the same: scripts are compared by source, operations as JSON including the order of their
    keys, in which Jolt applies them.

    Args:
        kind: ``record`` or ``attribute``.
        operations: Operations of a record transform; empty for an attribute transform.
        script: Source of an attribute transform.
        language: Language of the script.
        trust: Whether a script in it may run here.
    """

    def __init__(  # not a dataclass: that import takes longer than argparse, and a wrong file must be refused fast
        self, kind: str, operations: tuple[Any, ...] = (), script: str = "", language: str = "python",
        trust: Trust = Trust.NONE,
    ) -> None:  # fmt: skip
        self.kind, self.operations, self.script, self.language = kind, operations, script, language
        self.trust = trust

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Code) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> str:
        return json.dumps([self.kind, self.language, self.script, self.readable()])

    def isolated(self) -> Code:
        """The same code, for which the user passed ``--run-remote-code``."""
        return Code(self.kind, self.operations, self.script, self.language, Trust.ISOLATED)

    def readable(self) -> list[Any]:
        """The operations with scripts decoded: the redactor would not recognise a secret in base64."""
        return [_with_text(op) if op.get("operation") == SCRIPT else op for op in self.operations]

    @property
    def api(self) -> Kind:
        """The kind of the transform in the API."""
        return KINDS["transforms" if self.kind == "record" else "attribute_transforms"]

    def as_body(self) -> Row:
        """The fields of a request body: output_type, code_type, code_encoding and code."""
        if self.kind == "attribute":
            encoded = base64.b64encode(self.script.encode()).decode()
            return {"output_type": "attribute", "code_type": self.language, "code_encoding": "base64", "code": encoded}
        custom = any(op.get("operation") == SCRIPT for op in self.operations)
        code_type = "jolt_custom" if custom else "jolt_standard"
        return {"output_type": "record", "code_type": code_type, "code_encoding": "none", "code": list(self.operations)}

    def stages(self) -> list[tuple[str, Any]]:
        """The stages to run in order: (``jolt``, operations) or (``python``, source).

        Raises:
            OperatorError: USAGE, for a script in another language.
        """
        if self.kind == "attribute":
            return [("python", script_of({"language": self.language, "script": self.script}))]
        stages: list[tuple[str, Any]] = []
        for op in self.operations:
            if op.get("operation") == SCRIPT:
                stages.append(("python", script_of(op.get("spec") or {})))
            elif stages and stages[-1][0] == "jolt":
                stages[-1][1].append(op)
            else:
                stages.append(("jolt", [op]))
        return stages

    def as_text(self) -> str:
        """The code for people and diffs: operations as JSON, scripts decoded; a script alone exactly as it is."""
        if self.kind == "attribute":
            return _titled(self.language, self.script)
        parts = [_part(op) for op in self.readable()]
        alone = len(parts) == 1 and self.operations[0].get("operation") == SCRIPT
        return parts[0] if alone else "\n".join(parts) + "\n"


def _with_text(op: Row) -> Row:
    spec = op.get("spec") or {}
    rest = {key: value for key, value in sorted(spec.items()) if key not in ("encoding", "script")}
    return {**op, "spec": {**rest, "encoding": "none", "script": _source(spec)}}


def _part(op: Row) -> str:
    if op.get("operation") != SCRIPT:
        return json.dumps(op, indent=2, ensure_ascii=False)
    return _titled(str(op["spec"].get("language", "python")), op["spec"]["script"])


def _titled(language: str, script: str) -> str:
    return script if language == "python" else f"# language: {language}\n{script}"


def script_of(spec: Row) -> str:
    """The Python source in the spec of a ``nexla.custom`` operation.

    Raises:
        OperatorError: USAGE, for another language or a script that is not base64.
    """
    language = str(spec.get("language", "python"))
    if not language.startswith("python"):
        raise usage(f"cannot run {language} scripts locally", "only Jolt and Python transforms can be tested")
    return _source(spec)


def _source(spec: Row) -> str:
    script = str(spec.get("script", ""))
    return _decoded(script) if spec.get("encoding") == "base64" else script


def _decoded(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise usage("the script is not valid base64-encoded text") from error


def code_from_file(path: str, kind: str) -> Code:
    """Read a transform from a file: a ``.py`` script, or JSON with one Jolt operation or a list of them.

    Args:
        path: The file.
        kind: ``record`` or ``attribute``.

    Raises:
        OperatorError: USAGE; the message names the file and, for a script, the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"cannot read {path}: {error}") from error
    if path.lower().endswith(".py"):
        _check_script(path, text, FUNCTIONS[kind])
        if kind == "attribute":
            return Code(kind, script=text, trust=Trust.OWN)
        encoded = base64.b64encode(text.encode()).decode()
        spec = {"language": "python", "encoding": "base64", "script": encoded}
        return Code(kind, ({"operation": SCRIPT, "spec": spec},), trust=Trust.OWN)
    if kind == "attribute":
        raise usage(f"{path}: an attribute transform must be a .py file", "it must define transformAttribute(...)")
    try:
        operations = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise usage(f"{path} is not JSON: {error}", "the name of a Python file must end in .py") from error
    operations = [operations] if isinstance(operations, dict) else operations
    if not isinstance(operations, list) or not operations:
        raise usage(f"{path} contains no Jolt operations")
    for position, op in enumerate(operations, 1):
        if not isinstance(op, dict) or not isinstance(op.get("operation"), str):
            raise usage(f"{path}: entry {position} is not an object with an operation")
    return Code(kind, tuple(operations), trust=Trust.OWN)


def _check_script(path: str, text: str, function: str) -> None:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise usage(f"{path}, line {error.lineno}: {error.msg}") from error
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    if not found:
        other = next((k for k, name in FUNCTIONS.items() if name != function), "")
        has_other = any(isinstance(n, ast.FunctionDef) and n.name == FUNCTIONS[other] for n in tree.body)
        hint = f"it looks like --kind {other}" if has_other else ""
        raise usage(f"{path} does not define {function}(input, metadata, args)", hint)
    if len(found[-1].args.args) != 3:
        raise usage(f"{path}, line {found[-1].lineno}: {function} must accept (input, metadata, args)")


def code_from_row(row: Row) -> Code | None:
    """The code in a transform's row from the API; None if its form is unknown."""
    code = row.get("code")
    if row.get("output_type") == "attribute" or isinstance(code, str):
        if not isinstance(code, str):
            return None
        script = _decoded(code) if row.get("code_encoding") == "base64" else code
        if row.get("output_type") == "attribute":
            return Code("attribute", script=script, language=str(row.get("code_type") or "python"))
        encoded = base64.b64encode(script.encode()).decode()
        spec = {"language": row.get("code_type"), "encoding": "base64", "script": encoded}
        return Code("record", ({"operation": SCRIPT, "spec": spec},))
    return Code("record", tuple(code)) if isinstance(code, list) and all(isinstance(op, dict) for op in code) else None


def difference(before: Code, after: Code) -> list[str]:
    """A unified diff of the readable code, line by line; empty if it is the same."""
    lines = difflib.unified_diff(
        before.as_text().split("\n"), after.as_text().split("\n"), "on the server", "in the file", lineterm="", n=1
    )
    return list(lines)
