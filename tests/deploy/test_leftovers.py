"""What a deployment or a teardown leaves as it is: it says so, names it, and the way that it prints works."""

from __future__ import annotations

import copy
import json
import re
import shlex
import unicodedata
from pathlib import Path
from typing import Any

import pytest

import support
from support import Done, Exit, Sandbox
from support.deploying import deploy, rows


@pytest.fixture
def changed(sandbox: Sandbox, tmp_path: Path, config: Any) -> dict[str, Any]:
    """The config of a flow that runs, with another type for its destination."""
    deploy(sandbox, tmp_path, config).ok()
    changed = copy.deepcopy(config)
    changed["destination"] |= {
        "sink_type": "s3",
        "data_credentials_id": config["credential_id"],
        "sink_config": {"path": "shop/out", "data_format": "csv"},
    }
    return changed


def types(sandbox: Sandbox) -> list[str]:
    return sorted(row["sink_type"] for row in rows(sandbox, "sinks"))


def follow(sandbox: Sandbox, folder: Path, text: str) -> Done:
    """Do what a warning says: save the config that it shows, and run the command that it shows."""
    shown = re.search(r"save (\{.*\}) as (\S+) and run: (.+)", text)
    assert shown, text
    (folder / shown[2]).write_text(shown[1])
    _, script, *words = shlex.split(shown[3])
    words = [str(folder / word) if word == shown[2] else word for word in words]
    return sandbox.run_inside(Path(script).name, *words)


@pytest.mark.parametrize("args", [("--dry-run",), ()])
def test_a_changed_type_leaves_the_former_destination_and_says_how_to_remove_it(
    sandbox: Sandbox, tmp_path: Path, changed: Any, args: tuple[str, ...]
) -> None:
    former = rows(sandbox, "sinks")[0]
    done = deploy(sandbox, tmp_path, changed, *args).ok()
    reported = [text for text in done.json["warnings"] if "is of type 'postgres' and not 's3'" in text]
    assert len(reported) == 1, done.json["warnings"]
    assert f"destination {former['id']} 'warehouse'" in reported[0]
    assert rows(sandbox, "sinks")[0]["status"] == "ACTIVE"
    assert types(sandbox) == (["postgres"] if args else ["postgres", "s3"])
    assert follow(sandbox, tmp_path, reported[0]).ok().data["deleted"] == 1
    assert types(sandbox) == ([] if args else ["s3"])
    if not args:
        assert deploy(sandbox, tmp_path, changed).ok().data["outcome"] == "unchanged"


def test_a_former_destination_is_known_by_its_name_in_every_unicode_form(
    sandbox: Sandbox, tmp_path: Path, changed: Any
) -> None:
    (former,) = rows(sandbox, "sinks")
    stored = {"name": unicodedata.normalize("NFD", "Bestände")}
    sandbox.control("POST", "edit", {"kind": "sinks", "id": former["id"], "set": stored})
    changed["destination"]["name"] = unicodedata.normalize("NFC", "Bestände")
    done = deploy(sandbox, tmp_path, changed, "--dry-run").ok()
    (reported,) = [text for text in done.json["warnings"] if "is of type 'postgres' and not 's3'" in text]
    assert follow(sandbox, tmp_path, reported).ok().data["deleted"] == 1
    assert rows(sandbox, "sinks") == []


def test_a_teardown_takes_name_and_type_and_removes_both(sandbox: Sandbox, tmp_path: Path, changed: Any) -> None:
    deploy(sandbox, tmp_path, changed).ok()
    sandbox.clear_journal()
    error = deploy(sandbox, tmp_path, changed, "--teardown", "--yes").fails(Exit.ERROR, "warehouse")
    assert sandbox.writes() == []
    entry = re.search(r'add to "destinations" of the config: (\{.*\})$', error["hint"])
    assert entry, error["hint"]
    both = {**changed, "destinations": [changed.pop("destination"), json.loads(entry[1])]}
    del both["destination"]
    done = deploy(sandbox, tmp_path, both, "--teardown", "--yes").ok()
    assert done.data["deleted"] == 4
    assert (rows(sandbox, "sinks"), rows(sandbox, "nexsets"), rows(sandbox, "sources")) == ([], [], [])


def test_two_destinations_of_one_name_and_two_types_are_two(sandbox: Sandbox, tmp_path: Path, changed: Any) -> None:
    """Each has its own credential, its own records and its own row of the report."""
    first = {**changed["destination"], "sink_type": "postgres", "sink_config": {"table": "orders", "database": "dw"}}
    del first["data_credentials_id"]
    first["credential"] = {"name": "dw", "credentials_type": "postgres", "credentials": {"password": "p" * 12}}
    second = changed.pop("destination")
    done = deploy(sandbox, tmp_path, {**changed, "destinations": [first, second]}).ok()
    assert types(sandbox) == ["postgres", "s3"]
    assert len({row["id"] for row in done.data["destinations"]}) == 2
    assert next(s["records"] for s in done.data["destinations"] if s["verified"]) == 20
    again = deploy(sandbox, tmp_path, {**changed, "destinations": [first, second]}).ok()
    assert again.data["outcome"] == "unchanged"
    deploy(sandbox, tmp_path, {**changed, "destinations": [second, second]}).fails(
        Exit.USAGE, "same name and sink_type"
    )


def test_a_destination_that_is_named_source_has_its_own_credential(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    del config["credential_id"], config["destination"]["data_credentials_id"]
    config["source"]["credential"] = {"name": "in", "credentials_type": "s3", "credentials": {"key": "k" * 12}}
    config["destination"] |= {
        "name": "source",
        "credential": {"name": "out", "credentials_type": "postgres", "credentials": {"key": "k" * 12}},
    }
    deploy(sandbox, tmp_path, config).ok()
    ids = {row["name"]: row["id"] for row in rows(sandbox, "credentials")}
    assert rows(sandbox, "sources")[0]["data_credentials_id"] == ids["in"]
    assert rows(sandbox, "sinks")[0]["data_credentials_id"] == ids["out"]


@pytest.mark.parametrize("secret", ["k" * 12, "another-secret"])
def test_a_secret_of_an_existing_credential_never_looks_changed(
    sandbox: Sandbox, tmp_path: Path, config: Any, secret: str
) -> None:
    config["source"]["credential"] = {"name": "in", "credentials_type": "s3", "credentials": {"key": "k" * 12}}
    first = deploy(sandbox, tmp_path, config).ok()
    assert first.data["secrets_not_changed"] == []
    stored = next(row for row in rows(sandbox, "credentials") if row["name"] == "in")
    config["source"]["credential"]["credentials"]["key"] = secret
    for args in (("--dry-run",), ()):
        sandbox.clear_journal()
        done = deploy(sandbox, tmp_path, config, *args).ok()
        reported = [text for text in done.json["warnings"] if "secret was NOT changed" in text]
        assert len(reported) == 1
        assert f"(id {stored['id']})" in reported[0]
        assert f"PUT /data_credentials/{stored['id']}" in reported[0]
        assert sandbox.writes() == []
    assert (done.data["secrets_not_changed"], done.json["meta"]["secrets_not_changed"]) == ([stored["id"]],) * 2
    assert next(row for row in rows(sandbox, "credentials") if row["name"] == "in")["credentials"] == {"key": "k" * 12}
    heading = re.search(r"\(REFERENCE\.md, (.+)\)", reported[0])
    assert heading
    assert f"## {heading[1]}\n" in (support.ROOT / "REFERENCE.md").read_text()


def test_a_teardown_says_that_delivered_rows_stay(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    number = deploy(sandbox, tmp_path, config).ok().data["destinations"][0]["id"]
    for args in (("--dry-run",), ("--yes",)):
        done = deploy(sandbox, tmp_path, config, "--teardown", *args).ok()
        reported = [text for text in done.json["warnings"] if "rows that were already delivered stay" in text]
        assert len(reported) == 1
        assert f"'warehouse' (id {number})" in reported[0]
    assert len(support.table(sandbox)) == 20
    nothing = deploy(sandbox, tmp_path, config, "--teardown", "--yes").ok()
    assert not any("already delivered" in text for text in nothing.json["warnings"])


def test_two_inline_credentials_of_one_name_are_both_removed(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    before = sandbox.resources()
    for who, connector in (("source", "s3"), ("destination", "postgres")):
        config[who].pop("data_credentials_id", None)
        config[who]["credential"] = {"name": "login", "credentials_type": connector, "credentials": {"key": "k" * 12}}
    deploy(sandbox, tmp_path, config).ok()
    deploy(sandbox, tmp_path, config, "--teardown", "--yes").ok()
    assert sandbox.resources() == before
