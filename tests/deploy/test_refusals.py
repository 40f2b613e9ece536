"""Wrong configs, and what is missing, ambiguous or somebody else's: refused before anything is written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from support import Exit, Sandbox
from support.deploying import deploy, rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sorce": {}}, "did you mean 'source'"),
        ({"source": {"name": "x", "source_type": "s3", "sorce_config": {}}}, "did you mean 'source_config'"),
        ({"destination": {"name": "w", "sink_type": "postgres", "sink_confg": {}}}, "did you mean 'sink_config'"),
        ({"nexsets": [{"name": "a", "transfrm": []}]}, "did you mean 'transform'"),
        ({"nexsets": [{"name": "a"}]}, "exactly one of transform"),
        ({"nexsets": [{"name": "a", "transform_id": 1}, {"name": "a", "transform_id": 1}]}, "same name: a"),
        (  # one name in two Unicode forms
            {"nexsets": [{"name": "Caf\u00e9", "transform_id": 1}, {"name": "Cafe\u0301", "transform_id": 1}]},
            "same name: Caf\u00e9",
        ),
        ({"nexsets": [{"name": "a", "transform_id": 1, "parent": "b"}]}, "not an earlier entry"),
        ({"source": {"source_type": "s3"}}, "source.name"),
        ({"source": {"name": "", "source_type": "s3"}}, "source.name"),
        ({"credential_id": "8"}, "credential_id"),
        ({"credential_id": None}, "has no credential"),
        ({"destinations": [{"name": "x", "sink_type": "s3"}]}, "not both"),
        ({"source": None, "nexsets": [], "destination": None}, "source: is missing"),
        ({"source": None, "nexsets": []}, "data_set_id must name an existing nexset"),
        ({"source": None}, "nexsets: needs a source"),
        (
            {
                "source": {
                    "name": "x",
                    "source_type": "s3",
                    "data_credentials_id": 1,
                    "credential": {"name": "c", "credentials_type": "s3"},
                }
            },
            "source: set either credential or data_credentials_id",
        ),
        ({"verify": {"min_records": -1}}, "verify.min_records"),
        ({"nexset": {}}, "either name or fields"),
        ({"source": {"name": "${NOT_SET_ANYWHERE}", "source_type": "s3"}}, "NOT_SET_ANYWHERE"),
    ],
)
def test_a_wrong_config_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, tmp_path: Path, config: Any, change: Any, words: str
) -> None:
    sandbox.clear_journal()
    if "credential_id" in change and change["credential_id"] is None:
        del config["destination"]["data_credentials_id"]
    done = deploy(sandbox, tmp_path, {**config, **change})
    done.fails(Exit.USAGE, words)
    assert (done.out, sandbox.journal()) == ("", [])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3"])
def test_a_file_that_is_no_config(sandbox: Sandbox, tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    sandbox.run("deploy_flow.py", "--config", str(file)).fails(Exit.USAGE)
    sandbox.run("deploy_flow.py", "--config", str(tmp_path / "missing.json")).fails(Exit.USAGE)
    assert sandbox.run("deploy_flow.py").error["name"] == "USAGE"


@pytest.mark.parametrize("cron", ["every day", "0 6 * * *", "@daily", "0 0 6 * * ? ; drop"])
def test_a_schedule_must_be_a_quartz_expression(sandbox: Sandbox, tmp_path: Path, config: Any, cron: str) -> None:
    deploy(sandbox, tmp_path, {**config, "schedule": cron}).fails(Exit.USAGE)


def test_a_key_that_stands_twice_and_all_missing_variables_are_named(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "twice.json"
    file.write_text('{"source": {"name": "a", "name": "b"}}')
    assert "the key 'name' twice" in sandbox.run("deploy_flow.py", "--config", str(file)).error["message"]
    file.write_text('{"source": {"name": "${NO_A}", "source_type": "${NO_B}"}}')
    assert "NO_A, NO_B" in sandbox.run("deploy_flow.py", "--config", str(file)).error["message"]


def test_two_sources_of_one_name_are_listed_not_guessed(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    made = [sandbox.api("POST", "/data_sources", {"name": "orders", "source_type": "s3"})[1]["id"] for _ in range(2)]
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config)
    done.fails(Exit.NOT_FOUND)
    assert sorted(done.error["resource"]["candidates"]) == sorted(made)
    assert sandbox.writes() == []


def test_a_destination_of_another_flow_is_not_taken(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    second = copy.deepcopy(config)
    second["source"]["name"] = "orders-2"
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, second).fails(Exit.ERROR, "another flow")
    assert sandbox.writes() == []


def test_a_nexset_of_another_flow_is_refused(sandbox: Sandbox, tmp_path: Path, config: Any) -> None:
    deploy(sandbox, tmp_path, config).ok()
    foreign = rows(sandbox, "nexsets")[0]["id"]
    other = copy.deepcopy(config)
    other["source"]["name"] = "other"
    other["destination"] |= {"name": "theirs", "data_set_id": foreign}
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, other).fails(Exit.NOT_FOUND)
    assert sandbox.writes() == []


@pytest.mark.parametrize("which", ["source", "sink"])
def test_a_refused_credential_stops_before_the_first_write(
    sandbox: Sandbox, tmp_path: Path, config: Any, which: str
) -> None:
    number = config["credential_id"] if which == "source" else config["destination"]["data_credentials_id"]
    sandbox.control("POST", "edit", {"kind": "credentials", "id": number, "set": {"bad": True}})
    sandbox.clear_journal()
    done = deploy(sandbox, tmp_path, config)
    done.fails(Exit.AUTH)
    assert sandbox.writes() == []
    assert done.error["resource"] == {"type": "credentials", "id": number}


@pytest.mark.parametrize(("key", "value"), [("project", "Nowhere"), ("credential_id", 999)])
def test_what_does_not_exist_is_not_found(sandbox: Sandbox, tmp_path: Path, config: Any, key: str, value: Any) -> None:
    sandbox.clear_journal()
    deploy(sandbox, tmp_path, {**config, key: value}).fails(Exit.NOT_FOUND)
    assert sandbox.writes() == []
