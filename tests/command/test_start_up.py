"""What needs no API answers fast: start-up loads little more than a bare Python."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from support import CLEAN, COMMANDS, ROOT, SCRIPTS, run_words

PAIRS = 7


def processor_time(words: list[str]) -> float:
    """What a process and its children use of a processor; other processes on the machine do not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, env=CLEAN, capture_output=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "args",
    [["list_resources.py", "--help"], ["list_resources.py", "--type", "sources"], ["deploy_flow.py", "--print-schema"],
     ["deploy_flow.py", "--config", "README.md"], ["health_check.py", "--config", "README.md"],
     ["manage_transforms.py", "--operation", "create", "--name", "x"]],
)  # fmt: skip
def test_start_up_costs_at_most_four_times_a_bare_python(args: list[str]) -> None:
    script = [sys.executable, str(SCRIPTS / args[0]), *args[1:]]
    bare = [sys.executable, "-c", "import argparse, json"]
    times = [(processor_time(script), processor_time(bare)) for _ in range(PAIRS)]
    ours, bares = zip(*times, strict=True)
    assert min(ours) <= 4 * min(bares), times  # the least: a busy machine only adds to what a process uses


# Besides Python's own modules below, --help may import these of ours, and the request of the command's family.
ROOMS_OF_HELP = {
    "command": {"cli", "invocation", "last_words", "output", "parser", "progress", "streams", "target"},
    "core": {"commands", "config_file", "errors", "kinds", "known_secrets", "lazy_pattern", "limits", "names",
             "nearest", "plain_text", "redact", "secret_names", "secret_text", "secret_values", "settings", "times",
             "version"},
    "access": {"declaration", "request", "roles"},
    "deploy": {"config", "request"},
    "inventory": {"request"},
    "monitor": {"health_config", "request"},
    "operate": {"request"},
    "transforms": {"code", "request", "rule_specs"},
}  # fmt: skip
PYTHONS_OWN = {
    "ast", "base64", "binascii", "bz2", "collections", "contextlib", "datetime", "difflib", "errno", "fnmatch",
    "glob", "grp", "hashlib", "heapq", "importlib", "ipaddress", "linecache", "locale", "lzma", "math", "ntpath",
    "pathlib", "pkgutil", "pwd", "runpy", "shlex", "shutil", "signal", "struct", "textwrap", "threading", "token",
    "tokenize", "traceback", "typing", "unicodedata", "urllib", "warnings", "weakref", "zlib",
}  # fmt: skip
IMPORTED = """
import contextlib, io, json, runpy, sys
import argparse
bare = set(sys.modules)
sys.path.insert(0, "scripts")
sys.argv = [sys.argv[1], "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    runpy.run_path(sys.argv[0], run_name="__main__")
print(json.dumps(sorted(set(sys.modules) - bare)))
"""


@pytest.mark.parametrize("script", COMMANDS)
def test_help_imports_nothing_but_flags_and_requests(script: str) -> None:
    found = run_words([sys.executable, "-c", IMPORTED, SCRIPTS / script], env=CLEAN).ok().json
    for module in found:
        top, _, rest = module.partition(".")
        room, _, name = rest.partition(".")
        if top == "helpers":
            assert not name or name in ROOMS_OF_HELP.get(room, set()), f"{script} --help imports {module}"
        else:
            assert top.startswith("_") or top in PYTHONS_OWN, f"{script} --help imports {module}"
