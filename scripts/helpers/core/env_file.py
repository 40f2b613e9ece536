"""Env files: lines such as ``NEXLA_SERVICE_KEY=…``, readable by their owner only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from helpers.core.errors import config_error


def read_env_file(path: str) -> tuple[Mapping[str, str | None], list[str]]:
    """The lines of an env file; nothing is substituted in them.

    Returns:
        The values by name, and what to tell the user about the file.

    Raises:
        OperatorError: CONFIG, when it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            values = dotenv_values(stream=stream, interpolate=False)
        shared = Path(path).stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise config_error(f"cannot read the env file {path}: {error}") from error
    return values, [f"{path} can be read by others; chmod 600 it"] if shared else []
