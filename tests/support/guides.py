"""Checks of the guides, as functions from text to problems, so that planted faults can prove each of them."""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from helpers.core.errors import MEANINGS, Exit, OperatorError
from helpers.deploy.config import contradictions
from helpers.deploy.model import FlowConfig
from support import ROOT, SCRIPTS

GUIDES = ("SKILL.md", "README.md", "REFERENCE.md", "EXAMPLES.md", "TRANSFORMS.md", "ACCESS_CONTROL.md")
MARKDOWN = MarkdownIt()
NOT_RUN = re.compile(r"<!-- not run: (.*?) -->")


@dataclass
class Block:
    """One fenced block; ``reason`` is set when the guide says why it is not run."""

    kind: str
    body: str
    line: int
    reason: str | None


def blocks(text: str) -> list[Block]:
    """Every fenced block, with the reason that a comment right above it gives for not running it."""
    tokens = MARKDOWN.parse(text)
    found = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "fence":
            above = NOT_RUN.search(before.content) if before and before.type == "html_block" else None
            line = (token.map or [0])[0] + 2
            found.append(Block(token.info.strip(), token.content, line, above[1] if above else None))
    return found


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    lines = text.splitlines()
    for token in MARKDOWN.parse(text):
        if token.type == "fence" and token.map:
            lines[token.map[0] : token.map[1]] = [""] * (token.map[1] - token.map[0])
    return "\n".join(lines) + "\n"


def command_lines(text: str) -> list[str]:
    """Every script command: lines of shell blocks, and commands in inline code."""
    lines = []
    for block in blocks(text):
        if block.kind == "bash":
            joined = block.body.replace("\\\n", " ")
            lines += [part.strip() for line in joined.splitlines() for part in re.split(r"\|\||&&|;;|\) ", line)]
    lines += re.findall(r"`(python scripts/[^`]+)`", prose(text))
    return [line for line in lines if line.startswith("python scripts/")]


def parser_of(script: str) -> argparse.ArgumentParser:
    spec = importlib.util.spec_from_file_location(f"doc_{script[:-3]}", SCRIPTS / script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parser: argparse.ArgumentParser = module.build_parser()
    return parser


def command_problems(text: str) -> list[str]:
    """Commands that their own script would not accept."""
    problems = []
    for line in command_lines(text):
        words = shlex.split(line, comments=True)
        script = words[1].removeprefix("scripts/")
        if not (SCRIPTS / script).is_file():
            problems.append(f"{line}: no such script")
            continue
        try:
            parser_of(script).parse_args([word for word in words[2:] if word not in ("...",)])
        except OperatorError as error:
            problems.append(f"{line}: {error.message}")
        except SystemExit:
            continue  # --help
    return problems


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def link_problems(text: str, root: Path = ROOT) -> list[str]:
    """Links to files or headings that are not there."""
    problems = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = root / name if name else None
        if file and not file.exists():
            problems.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(file.read_text() if file else text):
            problems.append(f"{target}: no such heading")
    return problems


def json_problems(text: str) -> list[str]:
    """JSON blocks that do not parse, and whole flow configs that the model refuses."""
    problems = []
    for block in blocks(text):
        if block.kind != "json":
            continue
        try:
            value: Any = json.loads(block.body)
            if isinstance(value, dict) and {"source", "destination"} & value.keys():
                FlowConfig.model_validate(value)
                problems += [f"line {block.line}: {found}" for found in contradictions(value)]
        except ValueError as error:
            problems.append(f"line {block.line}: {error}")
    return problems


def placeholder_problems(text: str) -> list[str]:
    """``<id>`` and the like in code: it cannot run."""
    found = [(b.line, m) for b in blocks(text) if b.kind for m in re.findall(r"<[a-z_ ]+>", b.body)]
    return [f"line {line}: {mark}" for line, mark in found]


def unexplained_blocks(text: str) -> list[str]:
    """Blocks that are left out of the run without a reason worth reading."""
    return [f"line {b.line}" for b in blocks(text) if b.reason is not None and len(b.reason.split()) < 5]


def exit_code_problems(text: str) -> list[str]:
    """A table of exit codes that is not the code's own; a text without one has nothing to compare."""
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \| (.+?) \|$", text, re.MULTILINE)
    if not rows:
        return ["no table of exit codes"]
    problems = []
    if [(int(code), name) for code, name, _ in rows] != [(int(code), code.name) for code in Exit]:
        problems.append("codes or names differ from helpers/core/errors.py")
    if "When |" in text:
        problems += [f"{code}: {words}" for code, _, words in rows if MEANINGS[Exit(int(code))] != words]
    return problems


def script_table_problems(text: str) -> list[str]:
    """Scripts that the table of all scripts leaves out or makes up."""
    listed = set(re.findall(r"^\| `scripts/(\w+\.py)` \|", text, re.MULTILINE))
    there = {path.name for path in SCRIPTS.glob("*.py") if path.name != "__init__.py"}
    return [f"{name}: only in the {'table' if name in listed else 'folder'}" for name in sorted(listed ^ there)]
