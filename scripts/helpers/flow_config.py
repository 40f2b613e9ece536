"""Loading the config file of deploy_flow.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from . import config_file

if TYPE_CHECKING:
    from .flow_model import FlowConfig

SEE_SCHEMA = "see python scripts/deploy_flow.py --print-schema; nothing was sent"
SCHEMA_FILE = Path(__file__).with_name("flow_model.schema.json")


def load(path: str, environ: Mapping[str, str] | None = None, *, need_secrets: bool = True) -> tuple[FlowConfig, str]:
    """Read, fill in ``${VAR}`` and check a config file (``-`` is standard input).

    Args:
        need_secrets: whether variables inside ``credentials`` must be set; a teardown does without them.

    Returns:
        The config, and a digest of the file as written.

    Raises:
        OperatorError: USAGE, naming the file and the key.
    """
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    filled, digest = config_file.read(path, schema, SEE_SCHEMA, environ, need_secrets=need_secrets)
    from pydantic import ValidationError

    from .flow_model import FlowConfig

    try:
        return FlowConfig.model_validate(filled), digest
    except ValidationError as error:
        found = [_problem(entry["loc"], entry["msg"]) for entry in error.errors(include_input=False, include_url=False)]
        raise config_file.refused(path, found, SEE_SCHEMA) from None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in location if part not in ("constrained-str", "constrained-int"))
    text = message.removeprefix("Value error, ")
    return f"{where}: {text}" if where else text
