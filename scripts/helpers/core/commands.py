"""Command lines of this bundle, as hints and reports print them: they run from where the user stands."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BUNDLE = Path(__file__).resolve().parents[3]
_connection: list[str] = []  # the flags by which every command of this process connects


def connect_by(env_file: str | None) -> None:
    """Let every command line name the env file of this command, because the environment has no credentials then."""
    _connection[:] = ["--env-file", str(Path(env_file).absolute())] if env_file else []


def command_line(script: str, *words: Any) -> str:
    """A command of this bundle, quoted for a shell.

    Args:
        script: the script's name without ``.py``.
        words: its flags and their values.
    """
    connection = [] if "--env-file" in words else _connection
    return python_line([_from_here(Path("scripts") / f"{script}.py"), *words, *connection])


def module_line(module: str, *words: Any) -> str:
    """The command that runs one of the bundle's modules, which Python finds only from the bundle's folder."""
    line = python_line(["-m", module, *words])
    return line if _is_here() else f"cd {shlex.quote(str(BUNDLE))} && {line}"


def python_line(words: Iterable[Any]) -> str:
    """A command of the Python that runs this process, quoted for a shell."""
    return shlex.join([_interpreter(), *map(str, words)])


def _interpreter() -> str:
    """``python`` or ``python3`` where the shell finds this process's Python by that name, else its path.

    A virtual environment's Python is a link to another one's, so that files, not what they link to, are compared.
    """
    here = Path(sys.executable)
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found and Path(found).parent == here.parent and Path(found).samefile(here):
            return name
    return sys.executable


def _is_here() -> bool:
    try:
        return Path.cwd() == BUNDLE
    except OSError:  # the folder is gone
        return False


def _from_here(file: Path) -> str:
    """A file of the bundle: as the guides write it in the bundle's own folder, else with its absolute path."""
    return str(file if _is_here() else BUNDLE / file)
