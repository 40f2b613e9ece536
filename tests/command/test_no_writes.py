"""A dry run, and NEXLA_READ_ONLY, send no request that writes: for every command, counted where the requests arrive."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from helpers.api.transport import call
from helpers.change.model import ChangeRun
from helpers.deploy.resource_steps import SourceStep
from support import COMMANDS, ROOT, Done, Exit, Sandbox

FLOW = "examples/flows/orders.json"
BOTH = "examples/flows/orders-two-destinations.json"
CUSTOMERS = "examples/flows/customers.json"
ONE_MORE = {"destination": {"name": "more", "sink_type": "s3", "data_credentials_id": 123, "data_set_id": 123,
                            "sink_config": {"path": "demo-bucket/more", "data_format": "csv"}}}  # fmt: skip
JOLT, TEAM = "examples/transforms/drop_pii.json", "--accessor-type TEAM --accessor-id 7 --role operator"
KEPT = "--must-not-contain currency --must-keep order_id"
PROOF = "--must-not-contain ssn --must-keep order_id"
SOURCES = "--resource-type sources --resource-ids 123,456"

# every writing operation; {transform} is the id of a transform in use, and {more} a config of one destination
WRITING = [
    f"deploy_flow --config {FLOW}",
    f"deploy_flow --config {BOTH} --no-verify",
    f"deploy_flow --config {BOTH} --on-failure keep",
    f"deploy_flow --config {CUSTOMERS}",
    "deploy_flow --config {more}",
    "deploy_flow --config {more} --no-verify",
    "operate_flow --operation activate --resource-type sources --resource-id 456 --scope flow",
    "operate_flow --operation pause --resource-type sources --resource-id 123 --scope flow",
    "operate_flow --operation restart --resource-type sources --resource-id 123 --scope flow --wait",
    "operate_flow --operation run-now --resource-type sources --resource-id 123 --wait",
    f"manage_access --operation grant {SOURCES} {TEAM} --yes",
    f"manage_access --operation grant --pipeline-of sources:123 --with-credentials {TEAM} --yes",
    f"manage_access --operation revoke {SOURCES} --accessor-type TEAM --accessor-id 42 --yes",
    f"manage_access --operation replace {SOURCES} {TEAM} --yes",
    "manage_access --operation copy-from --from sources:123 --resource-type nexsets --resource-ids 456 --yes",
    "manage_access --operation sync --file examples/access/access.json --prune --yes",
    f"manage_transforms --operation create --file {JOLT} --name new",
    f"manage_transforms --operation update --id {{transform}} --file {JOLT} --yes",
    "manage_transforms --operation copy --id {transform} --name copied",
    "manage_transforms --operation delete --id {unused} --yes",
    f"manage_transforms --operation attach --file {JOLT} --name new --parent 123 --nexset-name derived {PROOF}",
    f"manage_transforms --operation attach --id {{transform}} --parent 123 --nexset-name other {KEPT} --activate",
    "manage_transforms --operation detach --nexset {derived} --yes",
]
TEARDOWN = [f"deploy_flow --config {FLOW} --teardown --yes", "deploy_flow --config {more} --teardown --yes"]
READING = [
    "nexla_quickstart", "list_resources --type flows --all", "health_check --all",
    "validate_nexset --resource-id 456 --required email",
    "get_resource_logs --resource-type sources --resource-id 123", "audit_access --pipeline-of sources:123 --findings",
    "diagnose_flow --resource-type destinations --resource-id 789",
    "operate_flow --operation status --resource-type sources --resource-id 123",
    "operate_flow --operation metrics --resource-type sources --resource-id 123",
    "manage_access --operation list --resource-type sources --resource-id 123",
    "manage_transforms --operation list", "manage_transforms --operation get --id {transform}",
    "manage_transforms --operation usage --id {transform}",
    f"manage_transforms --operation test --file {JOLT} --nexset 123",
]  # fmt: skip
PROBING = [
    "health_check --all --probe",
    "health_check --resource-type sources --resource-id 123 --probe",
    "diagnose_flow --resource-type destinations --resource-id 789 --probe",
]
READ_ONLY = {"NEXLA_READ_ONLY": "1", "SHOP_KEY_ID": "example-id", "SHOP_SECRET": "example-secret"}


@pytest.fixture
def places(sandbox: Sandbox, tmp_path: Path) -> dict[str, Any]:
    """What the commands name: transforms, a nexset that uses one, and a config."""
    code = {"reusable": True, "code_type": "jolt_standard", "code_encoding": "none", "output_type": "record",
            "code": [{"operation": "remove", "spec": {"currency": ""}}]}  # fmt: skip
    ids = [sandbox.api("POST", "/transforms", {"name": name, **code})[1]["id"] for name in ("used", "unused")]
    body = {"name": "with code", "parent_data_set_id": 123, "has_custom_transform": True, "transform_id": ids[0]}
    derived = sandbox.api("POST", "/data_sets", body)[1]["id"]
    rule = {"type": "TEAM", "id": 42, "access_roles": ["operator"]}
    sandbox.api("PUT", "/data_sources/123/accessors", {"accessors": [rule]})
    more = tmp_path / "more.json"
    more.write_text(json.dumps(ONE_MORE))
    sandbox.idle()
    return {"transform": ids[0], "unused": ids[1], "derived": derived, "more": more}


def run_checked(sandbox: Sandbox, line: str, places: dict[str, Any], *more: str, read_only: bool) -> Done:
    """Run a command, and count what arrived and what is different afterwards."""
    script, *words = line.format(**places).split()
    words = [str(ROOT / word) if word.startswith("examples/") else word for word in words]
    before = sandbox.snapshot()
    sandbox.clear_journal()
    env = {key: value for key, value in READ_ONLY.items() if read_only or key != "NEXLA_READ_ONLY"}
    done = sandbox.run_inside(f"{script}.py", *words, *more, env=env)
    requests = [(entry["method"], entry["path"]) for entry in sandbox.journal()]
    writes = [request for request in requests if not is_harmless(*request)]
    assert writes == [], done.command
    assert sandbox.snapshot() == before, done.command
    return done


def is_harmless(method: str, path: str) -> bool:
    if method == "GET":
        return not path.endswith("/probe")  # it stores ``verified_status``
    return path == "/token" or path.endswith("/probe/quarantine/sample")


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("line", WRITING)
def test_a_dry_run_sends_nothing_that_writes(
    sandbox: Sandbox, places: dict[str, Any], line: str, read_only: bool
) -> None:
    done = run_checked(sandbox, line, places, "--dry-run", read_only=read_only).ok()
    assert done.data, "a plan that says nothing proves nothing"
    if line.startswith("deploy_flow"):
        assert done.data["to_do"] > 0
        assert any("was not probed" in text for text in done.json["warnings"])


@pytest.mark.parametrize("line", WRITING)
def test_read_only_stops_every_change_before_its_first_write(
    sandbox: Sandbox, places: dict[str, Any], line: str
) -> None:
    run_checked(sandbox, line, places, read_only=True).fails(Exit.CONFIG, "NEXLA_READ_ONLY is set")


def test_a_dry_run_whose_steps_try_to_write_ends_before_they_do(
    sandbox: Sandbox, places: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect that is planted: looking for a resource changes it."""

    def find(step: SourceStep, run: ChangeRun) -> None:
        call(run.session, "PUT", "/data_sources/123", body={"description": "changed"})

    monkeypatch.setattr(SourceStep, "find", find)
    done = run_checked(sandbox, f"deploy_flow --config {FLOW}", places, "--dry-run", read_only=False)
    done.fails(Exit.ERROR, "a dry run must not write")


@pytest.mark.parametrize("line", TEARDOWN)
def test_neither_of_them_deletes_anything(sandbox: Sandbox, places: dict[str, Any], line: str) -> None:
    for config in (FLOW, str(places["more"])):
        sandbox.run("deploy_flow.py", "--config", config, "--no-verify").ok()
    sandbox.idle()
    assert run_checked(sandbox, line, places, "--dry-run", read_only=False).ok().data["to_do"] > 0
    run_checked(sandbox, line, places, read_only=True).fails(Exit.CONFIG, "NEXLA_READ_ONLY is set")


@pytest.mark.parametrize("line", READING)
def test_what_reads_works_while_nothing_may_be_written(sandbox: Sandbox, places: dict[str, Any], line: str) -> None:
    run_checked(sandbox, line, places, read_only=True).ends(Exit.OK, Exit.FINDINGS)


@pytest.mark.parametrize("line", PROBING)
def test_a_probe_is_a_write(sandbox: Sandbox, places: dict[str, Any], line: str) -> None:
    run_checked(sandbox, line, places, read_only=True).fails(Exit.CONFIG, "the probe of credential")


def test_an_unchanged_flow_may_be_deployed_while_nothing_may_be_written(
    sandbox: Sandbox, places: dict[str, Any]
) -> None:
    sandbox.run("deploy_flow.py", "--config", FLOW).ok()
    sandbox.idle()
    for more in ((), ("--dry-run",)):
        done = run_checked(sandbox, f"deploy_flow --config {FLOW}", places, *more, read_only=True).ok()
        reported = [text for text in done.json["warnings"] if "was not probed" in text]
        assert len(reported) == 2, done.json["warnings"]


def test_every_writing_operation_is_in_the_table() -> None:
    there: set[tuple[str, str]] = set()
    for script in COMMANDS:
        module: Any = importlib.import_module(script.removesuffix(".py"))
        actions = {action.dest: action for action in module.build_parser()._actions}
        if "dry_run" in actions:
            choices = actions["operation"].choices if "operation" in actions else [""]
            there |= {(script.removesuffix(".py"), choice) for choice in choices}
    tested = {(line.split()[0], operation(line)) for line in [*WRITING, *READING]}
    assert len(there) > 15
    assert there <= tested, sorted(there - tested)
    probing = {line.split()[0] for line in PROBING}
    assert probing == {s[:-3] for s in COMMANDS if '"--probe"' in (ROOT / "scripts" / s).read_text()}


def operation(line: str) -> str:
    words = line.split()
    return words[words.index("--operation") + 1] if "--operation" in words else ""
