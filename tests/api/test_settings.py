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
     "https://a b", "https://x.example.com/?a=1", "http://[::1", "http://nexla/api", "http://localhost.example.com",
     "http://127.0.0.1.example.com", "http://10.0.0.7", "http://0.0.0.0", "http://[::2]"],
)  # fmt: skip
def test_hazard_g_a_bad_url_is_refused_before_anything_is_sent(url: str) -> None:
    error = ends_with(Exit.CONFIG, lambda: load_settings({"NEXLA_SERVICE_KEY": "k" * 9, "NEXLA_API_URL": url}))
    assert "hunter22" not in redact.redact_text(error.message)


@pytest.mark.parametrize("host", ["localhost:8080", "LOCALHOST", "127.0.0.1:1", "[::1]:1"])
def test_this_machine_is_reached_over_http(host: str) -> None:
    assert load_settings({"NEXLA_SERVICE_KEY": "k" * 9, "NEXLA_API_URL": f"http://{host}/api"}).loopback


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


@pytest.mark.parametrize("where", ["environment", "env file"])
@pytest.mark.parametrize(
    ("word", "read_only"),
    [("1", True), ("true", True), ("yes", True), ("anything", True), (" 1 ", True),
     ("", False), ("0", False), ("false", False), ("FALSE", False), ("no", False), (" 0 ", False)],
)  # fmt: skip
def test_read_only_counts_wherever_it_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, word: str, read_only: bool
) -> None:
    file = tmp_path / "prod.env"
    file.write_text(f"NEXLA_SERVICE_KEY={'k' * 9}\n" + (f"NEXLA_READ_ONLY='{word}'\n" if where == "env file" else ""))
    monkeypatch.delenv("NEXLA_READ_ONLY", raising=False)
    if where == "environment":
        monkeypatch.setenv("NEXLA_READ_ONLY", word)
    assert load_settings(*read_env_file(str(file))).read_only is read_only


def test_an_env_file_that_allows_writes_does_not_overrule_an_environment_that_forbids_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXLA_READ_ONLY", "1")
    assert load_settings({"NEXLA_SERVICE_KEY": "k" * 9, "NEXLA_READ_ONLY": "0"}).read_only


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o620, True), (0o604, True), (0o602, True)]
)
def test_an_env_file_that_anybody_else_may_open_is_told(tmp_path: Path, mode: int, warned: bool) -> None:
    file = tmp_path / "prod.env"
    file.write_text("NEXLA_SERVICE_KEY=k\n")
    file.chmod(mode)
    assert bool(read_env_file(str(file))[1]) is warned


def test_a_key_with_a_dollar_sign_is_taken_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "prod.env"
    file.write_text("FIRST=1\nNEXLA_SERVICE_KEY=ab$HOME-${PATH}-${FIRST}\n")
    assert read_env_file(str(file))[0]["NEXLA_SERVICE_KEY"] == "ab$HOME-${PATH}-${FIRST}"


@pytest.mark.parametrize("name", ["NEXLA_SERVICE_KEY", "NEXLA_ACCESS_TOKEN"])
@pytest.mark.parametrize("url", ["https://nexla.example.com", "nonsense"])
def test_the_key_is_secret_before_anything_can_be_wrong(name: str, url: str) -> None:
    key = "Zq7 x9Kd-2"
    ends_with(Exit.CONFIG, lambda: load_settings({name: f" {key}\n", "NEXLA_API_URL": url}))
    assert redact.redact_text(f"bad {key}.") == f"bad {redact.MARK}."
