"""Env files: lines such as ``NEXLA_SERVICE_KEY=…``, in a file that only its owner should be able to read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from helpers.core.errors import config_error


def read_env_file(path: str) -> tuple[Mapping[str, str | None], list[str]]:
    """Read an env file without expanding variables in its values.

    Returns:
        The values by name, and notes for the user about the file.

    Raises:
        OperatorError: CONFIG, when the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            values = dotenv_values(stream=stream, interpolate=False)
        shared = Path(path).stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise config_error(f"cannot read the env file {path}: {error}") from error
    return values, [f"{path} can be read by others; chmod 600 it"] if shared else []
