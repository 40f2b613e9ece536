"""Keys and URLs: stripped, checked before anything is sent, and from one place only."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.core import redact
from helpers.core.env_file import read_env_file
from helpers.core.errors import Exit
from helpers.core.settings import load_settings
from support import Sandbox
from support.requesting import ends_with


@pytest.mark.parametrize(
    "url",
    ["http://nexla.example.com/api", "https://user:hunter22@nexla.example.com", "ftp://x", "https://", "nonsense",
     "https://a b", "https://x.example.com/?a=1", "http://[::1"],
)  # fmt: skip
def test_hazard_g_a_bad_url_is_refused_before_anything_is_sent(url: str) -> None:
    error = ends_with(Exit.CONFIG, lambda: load_settings({"NEXLA_SERVICE_KEY": "k" * 9, "NEXLA_API_URL": url}))
    assert "hunter22" not in redact.redact_text(error.message)


def test_hazard_g_keys_and_urls_are_stripped(sandbox: Sandbox) -> None:
    found = load_settings({"NEXLA_SERVICE_KEY": f" {sandbox.key}\n", "NEXLA_API_URL": f" {sandbox.url}/ \n"})
    assert (found.service_key, found.api_url) == (sandbox.key, sandbox.url)
    assert sandbox.key not in repr(found)
    ends_with(Exit.CONFIG, lambda: load_settings({"NEXLA_SERVICE_KEY": "two words"}))


def test_the_key_wins_over_the_token_and_says_so() -> None:
    found = load_settings({"NEXLA_SERVICE_KEY": "k" * 9, "NEXLA_ACCESS_TOKEN": "t" * 9})
    assert (found.service_key, found.access_token) == ("k" * 9, None)
    assert "service key" in found.notes[0]
    assert found.api_url == "https://dataops.nexla.io/nexla-api"


def test_an_env_file_counts_alone(tmp_path: Path, sandbox: Sandbox) -> None:
    file = tmp_path / "prod.env"
    file.write_text(f"NEXLA_ACCESS_TOKEN='{'t' * 9}'\nNEXLA_API_URL={sandbox.url}\nOTHER=$HOME\n")
    file.chmod(0o644)
    found = load_settings(*read_env_file(str(file)))
    assert (found.service_key, found.access_token, found.api_url) == (None, "t" * 9, sandbox.url)
    assert "chmod 600" in found.notes[0]
    ends_with(Exit.CONFIG, lambda: read_env_file(str(tmp_path / "missing.env")))
