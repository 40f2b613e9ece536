"""Finding the numbers of a module by their place, and naming every constant that it has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set
from pathlib import Path

CONSTANT = re.compile(r"_{0,2}[A-Z][A-Z0-9_]*")
FLAG = re.compile(r"--[a-z-]+")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_number(node: ast.expr | None) -> bool:
    """A number, or a sum of them with names of others."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand)
    if isinstance(node, ast.BinOp):
        sides = (node.left, node.right)
        return any(map(is_number, sides)) and all(is_number(side) or isinstance(side, ast.Name) for side in sides)
    return False


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Every number that has a name: constants of the module, defaults of fields, arguments and flags, decorators.

    Zeros of arguments are left out: they stand for nothing.
    """
    found = {name: node for body in tree.body for name, node in _assigned(body)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}": value for name, value in _fields(node)}
            made = next(
                (entry for entry in node.body if isinstance(entry, Function) and entry.name == "__init__"), None
            )
            found |= {f"{node.name}.{name}": value for name, value in (_defaults(made) if made else ())}
        elif isinstance(node, Function) and node.name != "__init__":
            found |= dict(_defaults(node)) | dict(_decorated(node))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            flag = node.args[0].value
            default = next((word.value for word in node.keywords if word.arg == "default"), None)
            if isinstance(flag, str) and FLAG.fullmatch(flag) and default is not None and is_number(default):
                found[flag] = default
    return found


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
        yield from _parts(node.target.id, node.value)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield from _parts(target.id, node.value)
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for name, value in zip(target.elts, node.value.elts, strict=True):
                    if isinstance(name, ast.Name):
                        yield from _parts(name.id, value)


def _parts(name: str, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """The number that a name stands for, or those in its tuple, set, dict or call."""
    if is_number(value):
        if CONSTANT.fullmatch(name):
            yield name, value
    elif isinstance(value, ast.Tuple | ast.Set | ast.List):
        yield from ((f"{name}[{n}]", item) for n, item in enumerate(value.elts) if is_number(item))
    elif isinstance(value, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in value.keys]
        yield from ((f"{name}[{key}]", v) for key, v in zip(keys, value.values, strict=True) if is_number(v))
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("frozenset", "set"):
        yield from (part for argument in value.args for part in _parts(name, argument))
    else:
        for call in ast.walk(value):
            if isinstance(call, ast.Call):
                words = [word for word in call.keywords if word.arg and is_number(word.value)]
                yield from ((f"{name}({word.arg})", word.value) for word in words)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for entry in node.body:
        is_field = isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name)
        if is_field and entry.value and is_number(entry.value):
            yield entry.target.id, entry.value


def _defaults(node: Function) -> Iterator[tuple[str, ast.expr]]:
    plain = [*node.args.posonlyargs, *node.args.args]
    named = zip(plain[len(plain) - len(node.args.defaults) :], node.args.defaults, strict=True)
    keywords = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    for argument, value in (*named, *keywords):
        if value is not None and is_number(value) and not _is_zero(value):
            yield f"{node.name}({argument.arg})", value


def _decorated(node: Function) -> Iterator[tuple[str, ast.expr]]:
    for call in node.decorator_list:
        for word in call.keywords if isinstance(call, ast.Call) else ():
            if word.arg and is_number(word.value):
                yield f"@{node.name}({word.arg})", word.value


def find(tree: ast.Module, place: str) -> ast.expr:
    """The number at a place.

    Raises:
        KeyError: there is none.
    """
    if ":" not in place:
        return constants(tree)[place]
    function, _, number = place.partition(":")
    text, _, nth = number.partition("#")
    bodies = [node for node in ast.walk(tree) if isinstance(node, Function) and node.name == function]
    wanted = ast.dump(ast.parse(text, mode="eval").body)
    found = [
        node for body in bodies for node in ast.walk(body) if isinstance(node, ast.expr) and ast.dump(node) == wanted
    ]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    if not found or (len(found) > 1 and not nth):
        raise KeyError(f"{place}: {len(found)} such numbers")
    return found[int(nth or 1) - 1]


def changed(source: str, place: str, step: str) -> str:
    """The source with ``step`` (such as ``+ 1``) added to the number at a place."""
    node = find(ast.parse(source), place)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    lines = source.encode().splitlines(keepends=True)  # columns count bytes
    begin = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    whole = source.encode()
    return (whole[:begin] + b"(" + whole[begin:end] + f" {step})".encode() + whole[end:]).decode()


def unpinned(scripts: Path, pinned: Set[str], exempt: Set[str]) -> list[str]:
    """Constants of scripts/ that are neither pinned nor exempt, and names of constants that are not there.

    Args:
        pinned, exempt: modules and places, as ``helpers/core/limits.py SHARE``.
    """
    there, gone = set[str](), list[str]()
    trees = {str(file.relative_to(scripts)): ast.parse(file.read_text("utf-8")) for file in scripts.rglob("*.py")}
    for module, tree in trees.items():
        there |= {f"{module} {name}" for name in constants(tree)}
    for name in sorted(pinned | exempt):
        module, _, place = name.partition(" ")
        try:
            find(trees[module], place)
        except KeyError as error:
            gone.append(f"{name}: it is pinned or exempt, and cannot be found: {error}")
    return [*(f"{name}: neither pinned by a table nor exempt" for name in sorted(there - pinned - exempt)), *gone]
