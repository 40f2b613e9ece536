"""Deploying a config on the sandbox, and reading what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import support
from support import Done, Sandbox


def deploy(sandbox: Sandbox, tmp_path: Path, config: Any, *args: str, env: dict[str, str] | None = None) -> Done:
    path = support.write_config(tmp_path, config)
    return sandbox.run_inside("deploy_flow.py", "--config", path, "--verify-timeout", "20", *args, env=env)


def rows(sandbox: Sandbox, kind: str) -> list[dict[str, Any]]:
    return sandbox.snapshot().get(kind, [])
