"""Connector types are compared before anything is written: known ones, and those of credentials with their users'."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from helpers.deploy import connectors
from sandbox.server import contract
from support import Exit, Sandbox, answers
from support.deploying import deploy, rows

BOTH = [(), ("--dry-run",)]


def credential(sandbox: Sandbox, connector: str) -> int:
    body = {"name": f"a {connector}", "credentials_type": connector, "credentials": {"key": "k" * 12}}
    return int(sandbox.api("POST", "/data_credentials", body)[1]["id"])


def login(connector: str) -> dict[str, Any]:
    return {"name": "login", "credentials_type": connector, "credentials": {"key": "k" * 12}}


def listed(*types: str) -> dict[str, Any]:
    """The fault that shows a list of connectors, as a member of Nexla's own organisation sees it."""
    more = {"connection_type": "x", "name": "x", "description": "x", "nexset_api_compatible": False}
    return answers([{"id": n, "type": name, **more} for n, name in enumerate(types)], "/connectors")


def refused(sandbox: Sandbox, tmp_path: Path, config: Any, *words: str) -> None:
    """The plan and the deployment refuse the config with all these words, and write nothing."""
    before = sandbox.snapshot()
    sandbox.clear_journal()
    for args in BOTH:
        done = deploy(sandbox, tmp_path, config, *args)
        for word in words:
            done.fails(Exit.USAGE, word)
    assert sandbox.writes() == []
    assert not [r["path"] for r in sandbox.journal() if r["path"].endswith("/probe")]
    assert sandbox.snapshot() == before


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize(("who", "have"), [("source", "postgres"), ("destination", "s3")])
def test_a_credential_of_another_type_is_refused(
    sandbox: Sandbox, tmp_path: Path, config: Any, who: str, have: str, inline: bool
) -> None:
    for key in ("credential", "data_credentials_id"):
        config[who].pop(key, None)
    config[who] |= {"credential": login(have)} if inline else {"data_credentials_id": credential(sandbox, have)}
    refused(sandbox, tmp_path, config, f"is of type '{have}'", "its s")


@pytest.mark.parametrize(
    ("who", "key", "typo", "meant"),
    [("source", "source_type", "s33", "s3"), ("source", "source_type", "S3", "s3"),
     ("destination", "sink_type", "postgress", "postgres"), ("destination", "sink_type", "Snowflake", "snowflake")],
)  # fmt: skip
def test_an_unknown_type_gets_the_one_that_was_meant(
    sandbox: Sandbox, tmp_path: Path, config: Any, who: str, key: str, typo: str, meant: str
) -> None:
    config[who][key] = typo
    refused(sandbox, tmp_path, config, f"unknown {key} '{typo}', did you mean '{meant}'?", "connector_types")


def test_one_refusal_lists_every_fault(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    config["source"] |= {"source_type": "s33"}
    first, second = config.pop("destination"), {"name": "other", "sink_type": "gcs", "credential": login("gsc")}
    first["data_credentials_id"] = config["credential_id"]
    config["destinations"] = [first, second, {"name": "third", "sink_type": "postgres", "data_credentials_id": 99999}]
    refused(
        sandbox, tmp_path, config, "did you mean 's3'?", f"credential {config['credential_id']} is of type 's3'",
        "unknown credentials_type 'gsc', did you mean 'gcs'?", "credential 99999 does not exist",
    )  # fmt: skip


def test_the_servers_own_list_decides_where_it_can_be_read(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    del config["credential_id"]
    config["source"]["source_type"] = "quux_lake"
    sandbox.faults(listed("s3", "postgres", "quux_lake"))
    done = deploy(sandbox, tmp_path, config, "--dry-run").ok()
    assert not any("quux_lake" in text for text in done.json["warnings"])
    config["source"]["source_type"] = "quux_lakes"
    refused(sandbox, tmp_path, config, "unknown source_type 'quux_lakes', did you mean 'quux_lake'?")
    config["source"]["source_type"] = "wholly_other"
    refused(sandbox, tmp_path, config, "unknown source_type 'wholly_other'")


@pytest.mark.parametrize("status", [403, 404, None])
def test_a_type_that_nobody_can_check_is_a_warning(
    sandbox: Sandbox, tmp_path: Path, config: Any, status: int | None
) -> None:
    """As for every customer: the list is for Nexla's own people."""
    del config["credential_id"]
    config["source"]["source_type"] = "quux_lake"
    if status:
        sandbox.faults({"action": "status", "status": status, "method": "GET", "path": "/connectors", "times": 9})
    done = deploy(sandbox, tmp_path, config, "--dry-run").ok()
    assert any("unknown source_type 'quux_lake'; the list of connectors cannot be read" in w
               for w in done.json["warnings"])  # fmt: skip
    assert len([r for r in sandbox.journal() if r["path"] == "/connectors"]) == 1


def test_a_type_that_resembles_a_known_one_can_be_declared(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    del config["credential_id"]
    config["source"]["source_type"] = "s33"
    config["connector_types"] = ["s33"]
    assert not any("s33" in text for text in deploy(sandbox, tmp_path, config, "--dry-run").ok().json["warnings"])


def test_a_source_whose_type_has_no_credentials_is_not_refused(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    """The server compares types for destinations only."""
    config["source"] |= {"source_type": "nexla_rest", "source_config": {}}
    done = deploy(sandbox, tmp_path, config, "--dry-run").ok()
    assert any("Nexla accepts that" in text for text in done.json["warnings"])


def test_a_type_that_the_response_lacks_is_unknown_and_not_different(
    sandbox: Sandbox, tmp_path: Path, config: Any
) -> None:
    number = config["destination"]["data_credentials_id"]
    row = sandbox.api("GET", f"/data_credentials/{number}")[1]
    sandbox.faults(answers({**row, "credentials_type": None}, f"/data_credentials/{number}"))
    sandbox.control("DELETE", "journal")
    done = deploy(sandbox, tmp_path, config, "--dry-run").ok()
    assert any(f"the connector type of credential {number} is not known" in w for w in done.json["warnings"])
    sandbox.control("DELETE", "journal")  # the altered response breaks the contract on purpose


def test_only_what_changes_is_checked_again(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, config).ok()
    read = [r["path"] for r in sandbox.journal() if r["path"].startswith(("/connectors", "/data_credentials"))]
    assert [path for path in read if not path.endswith("/probe")] == []
    wrong = copy.deepcopy(config)
    wrong["destination"]["data_credentials_id"] = config["credential_id"]
    refused(sandbox, tmp_path, wrong, "is of type 's3', its sink_type is 'postgres'")
    wrong["source"]["data_credentials_id"] = config["destination"]["data_credentials_id"]
    refused(sandbox, tmp_path, wrong, "is of type 's3'", "is of type 'postgres', its source_type is 's3'")
    assert [row["status"] for row in rows(sandbox, "sinks")] == ["ACTIVE"]


def test_the_known_types_are_the_published_ones() -> None:
    assert set(contract.enum("CredentialType")) | {"supabase"} == connectors.CREDENTIAL_TYPES
    assert set(contract.enum("SourceType")) <= connectors.SOURCE_TYPES <= connectors.SINK_TYPES | connectors.SOURCE_ONLY
    assert set(contract.enum("SinkType")) <= connectors.SINK_TYPES
    assert not connectors.SINK_ONLY & set(contract.enum("SourceType"))
    assert not connectors.SOURCE_ONLY & set(contract.enum("SinkType"))
