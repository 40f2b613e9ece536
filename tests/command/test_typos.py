"""A mistyped flag or choice is refused before anything is sent, with the nearest one that exists."""

from __future__ import annotations

import argparse
import importlib

import pytest

import support
from support import CLEAN, COMMANDS, Exit
from support.requesting import ends_with

SELECT = ["--resource-type", "sources", "--resource-id", "1"]


@pytest.mark.parametrize(
    ("words", "message", "guess"),
    [
        (["list_resources.py", "--type", "sources", "--limt", "5"], "unknown flag --limt", "'--limit'"),
        (["list_resources.py", "--typ", "sources"], "unknown flag --typ", "'--type'"),
        (["list_resources.py", "--type", "users", "--updated-sinse=7d"], "flag --updated-sinse", "'--updated-since'"),
        (["list_resources.py", "--type", "sources", "-limit", "5"], "unknown flag -limit", "'--limit'"),
        (["list_resources.py", "--type", "sorces"], "unknown resource type 'sorces'", "'sources'"),
        (["list_resources.py", "--type", "sources", "--format", "jsn"], "--format cannot be 'jsn'", "'json'"),
        (["list_resources.py", "--type", "sources", "--access-role", "onwer"], "--access-role cannot be", "'owner'"),
        (["operate_flow.py", "--operation", "activte", *SELECT], "--operation cannot be 'activte'", "'activate'"),
        (["operate_flow.py", "--operaton", "activate", *SELECT], "unknown flag --operaton", "'--operation'"),
        (["operate_flow.py", "--operation", "status", *SELECT, "--resum"], "unknown flag --resum", "'--resume'"),
        (["manage_access.py", "--operation", "grnt", *SELECT], "--operation cannot be 'grnt'", "'grant'"),
        (["manage_access.py", "--operation", "grant", *SELECT, "--role", "opertor"], "--role cannot be", "'operator'"),
        (["manage_access.py", "--operation", "grant", *SELECT, "--accessor-type", "TEEM"], "cannot be", "'TEAM'"),
        (["get_resource_logs.py", *SELECT, "--severity", "warn"], "--severity cannot be 'WARN'", "'WARNING'"),
        (["diagnose_flow.py", *SELECT, "--graph", "mermade"], "--graph cannot be 'mermade'", "'mermaid'"),
        (["health_check.py", "--all", "--skip", "freshnes"], "unknown checks in --skip: freshnes", "'freshness'"),
        (["health_check.py", "--all", "--alert-format", "slak"], "--alert-format cannot be", "'slack'"),
        (["manage_transforms.py", "--operation", "atach"], "--operation cannot be 'atach'", "'attach'"),
        (["validate_nexset.py", "--resource-id", "1", "--cuont", "5"], "unknown flag --cuont", "'--count'"),
        (["validate_nexset.py", "--resource-id", "1", "--types", "a:integr"], "unknown type 'integr'", "'int'"),
        (["deploy_flow.py", "--confg", "x.json"], "unknown flag --confg", "'--config'"),
        (["audit_access.py", "--al"], "unknown flag --al", "'--all'"),
    ],
)  # fmt: skip
def test_a_typo_gets_the_nearest_that_exists(words: list[str], message: str, guess: str) -> None:
    module = importlib.import_module(words[0].removesuffix(".py"))
    parser = module.build_parser()
    error = ends_with(Exit.USAGE, lambda: module.build_request(parser.parse_args(words[1:])))
    assert message in error.message
    assert f"did you mean {guess}? " in error.hint


def test_the_script_itself_says_it(tmp_path: object) -> None:
    done = support.run_script("list_resources.py", "--type", "sources", "--limt", "5", env=CLEAN)
    error = done.fails(Exit.USAGE, "unknown flag --limt", "did you mean '--limit'?")
    assert error["hint"].endswith("see list_resources.py --help")


@pytest.mark.parametrize("script", COMMANDS)
def test_no_flag_can_be_abbreviated(script: str) -> None:
    parser: argparse.ArgumentParser = importlib.import_module(script.removesuffix(".py")).build_parser()
    for action in parser._actions:
        for option in action.option_strings:
            short = option[:-1]
            if option.startswith("--") and short not in parser._option_string_actions:
                error = ends_with(Exit.USAGE, lambda short=short: parser.parse_args([short]))
                assert error.message == f"unknown flag {short}", script


def test_what_follows_two_dashes_and_values_are_no_flags() -> None:
    parser = importlib.import_module("list_resources").build_parser()
    assert "required" in ends_with(Exit.USAGE, lambda: parser.parse_args(["--", "--limt"])).message
    assert "expected one argument" in ends_with(Exit.USAGE, lambda: parser.parse_args(["--type"])).message
    assert "xyzxyz" in ends_with(Exit.USAGE, lambda: parser.parse_args(["--type", "sources", "xyzxyz"])).message
    assert parser.parse_args(["--type=sources", "--name=--limt"]).name == "--limt"


def test_what_is_near_nothing_gets_no_guess() -> None:
    parser = importlib.import_module("list_resources").build_parser()
    hint = ends_with(Exit.USAGE, lambda: parser.parse_args(["--type", "sources", "--qqqqqqq"])).hint
    assert "did you mean" not in hint
    assert "see list_resources.py --help" in hint
